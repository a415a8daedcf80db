from pathlib import Path

import pytest

from app.domain.errors import StorageError
from app.domain.training import Judgement
from app.training.job.memory import STATE, Decision, JobMemory


def test_a_new_job_remembers_nothing(tmp_path: Path) -> None:
    assert JobMemory.read(tmp_path) is None


@pytest.mark.parametrize("judgement", [None, *Judgement])
def test_what_was_decided_is_read_back(tmp_path: Path, judgement: Judgement | None) -> None:
    memory = JobMemory("default-2", "mine")
    memory.write(tmp_path)
    assert JobMemory.read(tmp_path) == memory
    decided = memory.decided(Decision(judgement, activate=True, reasons=("a", "b")))
    decided.write(tmp_path)
    assert JobMemory.read(tmp_path) == decided


def test_a_write_that_fails_leaves_the_old_memory(tmp_path: Path) -> None:
    memory = JobMemory("default-2", "mine")
    memory.write(tmp_path)
    (tmp_path / f".{STATE}.new").mkdir()
    with pytest.raises(StorageError):
        JobMemory("default-2", "other").write(tmp_path)
    assert JobMemory.read(tmp_path) == memory
