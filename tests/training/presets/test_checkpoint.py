import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from app.training.presets.checkpoint import Checkpoints

ARRAYS = {"model/0": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.array(7)}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    Checkpoints(tmp_path / "new").save(12, ARRAYS, {"epoch": 3, "losses": [0.25, 1e-7]})
    found = Checkpoints(tmp_path / "new").latest()
    assert found
    assert found.step == 12
    assert found.state == {"epoch": 3, "losses": [0.25, 1e-7]}
    assert list(found.arrays) == list(ARRAYS)
    assert found.arrays["model/0"].dtype == np.float32
    assert (found.arrays["model/0"] == ARRAYS["model/0"]).all()
    assert found.arrays["steps"] == 7


def test_without_a_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "missing").latest() is None


def test_the_last_two_are_kept_by_number_of_steps(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (8, 9, 10, 11):
        checkpoints.save(step, ARRAYS, {})
    assert names(tmp_path) == ["step-000000010.npz", "step-000000011.npz"]
    found = checkpoints.latest()
    assert found
    assert found.step == 11


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, damage: str) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, ARRAYS, {"at": 1})
    checkpoints.save(2, {"model/0": np.zeros(4096, np.float32)}, {"at": 2})
    path = tmp_path / "step-000000002.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = {"cut": content[:-500], "flipped": content, "empty": b"", "other": b"text" * 99}
    path.write_bytes(bytes(damaged[damage]))
    found = checkpoints.latest()
    assert found
    assert found.state == {"at": 1}


def test_no_code_comes_with_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pickle"):
        Checkpoints(tmp_path).save(1, {"object": np.array([object()])}, {})
    assert names(tmp_path) == []
    np.savez(tmp_path / "step-000000001.npz", object=np.array([{}]))
    assert Checkpoints(tmp_path).latest() is None


def test_a_full_disk_leaves_the_earlier_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, ARRAYS, {})

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(2, ARRAYS, {})
    assert names(tmp_path) == ["step-000000001.npz"]


def test_killed_while_writing_the_next_run_finds_the_earlier_one(tmp_path: Path) -> None:
    code = f"""
import os, numpy as np
from pathlib import Path
from app.training.presets.checkpoint import Checkpoints

class Deadly:
    def __array__(self, dtype=None, copy=None):
        os.kill(os.getpid(), 9)

checkpoints = Checkpoints(Path({str(tmp_path)!r}))
checkpoints.save(1, {{"a": np.ones(3)}}, {{}})
checkpoints.save(2, {{"a": np.ones(3), "b": Deadly()}}, {{}})
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    checkpoints = Checkpoints(tmp_path)
    found = checkpoints.latest()
    assert found
    assert found.step == 1
    checkpoints.save(3, ARRAYS, {})
    assert names(tmp_path) == ["step-000000001.npz", "step-000000003.npz"]
