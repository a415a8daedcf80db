from pathlib import Path

import pytest

from app.domain.errors import InvalidRequestError
from benchmarks.seed_protocol_data import ANCHORS, OWNER, POSITIVES, PROBES, Protocol


def research(folder: Path, *, own: int = 540, people: int = 12) -> Path:
    """A folder as LFW's, with files that are no photos."""
    (folder / "lfw").mkdir(parents=True)
    (folder / "lfw" / "pairs.txt").touch()
    names = {OWNER: own} | {f"Person_{n:02d}": 1 + n % 3 for n in range(people)}
    for name, photos in names.items():
        below = folder / "lfw" / "images" / name
        below.mkdir(parents=True)
        for number in range(1, photos + 1):
            (below / f"{name}_{number:04d}.jpg").write_text(name)
    return folder


def test_nobody_and_nothing_has_two_uses(tmp_path: Path) -> None:
    found = Protocol.read(research(tmp_path), negatives=5, impostors=6, seed=1)
    assert (len(found.anchors), len(found.positives), len(found.probes)) == (215, 215, 100)
    own = {image.path for image in (*found.anchors, *found.positives, *found.probes)}
    assert len(own) == ANCHORS + POSITIVES + PROBES
    negatives = {image.identity for image in found.negatives}
    impostors = [image.identity for image in found.impostors]
    assert len(negatives) == 5
    assert len(set(impostors)) == len(impostors) == 6
    assert not negatives & {*impostors, OWNER}
    assert OWNER not in impostors


def test_photos_are_laid_out_for_a_job(tmp_path: Path) -> None:
    found = Protocol.read(research(tmp_path / "research"), negatives=5, impostors=6, seed=1)
    found.lay_out(tmp_path / "data")
    assert len(list((tmp_path / "data" / "anchor").iterdir())) == ANCHORS
    assert len(list((tmp_path / "data" / "positive").iterdir())) == POSITIVES
    negatives = {path.name for path in (tmp_path / "data" / "negative").iterdir()}
    assert negatives == {image.identity for image in found.negatives}


def test_too_few_people_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="too few"):
        Protocol.read(research(tmp_path), negatives=5, impostors=8, seed=1)
