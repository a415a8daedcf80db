"""What the protocol keeps in its folder, to go on from."""

from pathlib import Path

import numpy as np
import pytest

from app.domain.errors import InvalidRequestError
from app.domain.training import Stage
from app.inference.bundle import active_version
from app.training.embedding_set import EmbeddingSet
from benchmarks.seed_protocol import lay_out
from benchmarks.seed_protocol_data import Protocol
from benchmarks.seed_protocol_embedding import kept_or_made
from benchmarks.seed_protocol_training import UsageMonitor, read_usage
from tests.benchmarks.test_seed_protocol_data import research
from tests.model_folder import SHIPPED, add_version, copy_shipped
from tests.training.people import people


def test_photos_are_embedded_once(tmp_path: Path) -> None:
    photos = people(2, 3)
    photos.usable[1] = False
    calls = []

    def make() -> dict[str, EmbeddingSet]:
        calls.append(1)
        return {"clean": photos, "blur": photos}

    first = kept_or_made(tmp_path / "seen", "probes", make)
    again = kept_or_made(tmp_path / "seen", "probes", make)
    assert len(calls) == 1
    for found in (first, again):
        assert list(found) == ["clean", "blur"]
        assert np.array_equal(found["blur"].embeddings, photos.embeddings)
        assert found["blur"].usable.tolist() == [True, False, True, True, True, True]


def test_a_job_that_went_on_tells_all_of_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_usage(tmp_path) is None
    clock = iter(range(0, 10_000, 30))
    monkeypatch.setattr("benchmarks.seed_protocol_training.perf_counter", lambda: next(clock))
    first = UsageMonitor(tmp_path)
    first.stage(Stage.TRAIN)
    first.progress(1, 10, epoch=2)
    before = read_usage(tmp_path)
    assert before
    assert before.epochs == 2
    assert before.stages["train"] >= 30
    again = UsageMonitor(tmp_path)  # of the process after one that was killed
    again.stage(Stage.EXPORT)
    whole = again.note()
    assert whole == read_usage(tmp_path)
    assert whole.seconds > before.seconds
    assert whole.stages["train"] == before.stages["train"]
    assert whole.stages["export"] >= 30
    assert whole.peak_mib >= before.peak_mib > 1
    assert whole.epochs == 2
    assert whole.figures()["minutes"] == round(whole.seconds / 60, 1)


def test_photos_and_bundle_are_laid_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_shipped(tmp_path / "model")
    monkeypatch.setenv("FACETWIN_MODEL_DIR", str(tmp_path / "model"))
    protocol = Protocol.read(research(tmp_path / "research"), negatives=5, impostors=6, seed=1)
    work = tmp_path / "work"
    work.mkdir()
    assert lay_out(protocol, work) == SHIPPED
    assert active_version(work / "model") == SHIPPED
    photo = next((work / "data" / "anchor").iterdir())
    photo.unlink()
    assert lay_out(protocol, work) == SHIPPED
    assert not photo.exists()  # a job that goes on finds what it began with


def test_another_default_bundle_is_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_shipped(tmp_path / "model")
    monkeypatch.setenv("FACETWIN_MODEL_DIR", str(tmp_path / "model"))
    protocol = Protocol.read(research(tmp_path / "research"), negatives=5, impostors=6, seed=1)
    lay_out(protocol, tmp_path / "work")
    add_version(tmp_path / "model", "shifted", shift=2.0)
    (tmp_path / "model" / "active").write_text("shifted\n", "utf-8")
    with pytest.raises(InvalidRequestError, match="another default bundle"):
        lay_out(protocol, tmp_path / "work")
