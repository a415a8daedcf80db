import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from app.domain.errors import BundleError, InvalidRequestError
from app.inference.align import AlignmentTemplate
from app.inference.bundle import Bundle, active_version, load_active
from app.inference.manifest import CalibrationDocument
from app.training.bundle_writer import BundleWriter, set_active
from app.training.datasets import LabelledImage
from app.training.default_bundle import build_default
from app.training.default_stages import Draft, check_portraits
from app.training.embedding_set import collect
from app.training.model_card import model_card
from app.training.plan import Plan
from app.training.screening import screen
from app.training.template import median_face, place
from tests.training.people import people

SECTIONS = (
    "preset",
    "detector",
    "alignment",
    "embedding",
    "score",
    "quality",
    "licence",
    "training",
    "versions",
)


def sections(bundle: Bundle) -> dict[str, Any]:
    return bundle.manifest.model_dump(mode="json", include=set(SECTIONS))


def copied(bundle: Bundle, model_dir: Path) -> BundleWriter:
    """A writer with the files of the shipped bundle, but for the large Keras file."""
    writer = BundleWriter(model_dir, "copy")
    for name in bundle.manifest.files:
        if not name.endswith(".keras"):
            writer.add(name, (bundle.directory / name).read_bytes())
    return writer


def test_a_written_bundle_loads_and_becomes_active(bundle: Bundle, tmp_path: Path) -> None:
    writer = copied(bundle, tmp_path)
    writer.manifest(sections(bundle))
    assert not (tmp_path / "copy").exists()
    writer.publish()
    set_active(tmp_path, "copy")
    loaded = load_active(tmp_path)
    assert loaded.manifest.fingerprint == bundle.manifest.fingerprint
    assert loaded.calibration == bundle.calibration
    assert sorted(p.name for p in tmp_path.iterdir()) == ["active", "copy"]


def test_a_bundle_is_never_overwritten(bundle: Bundle, tmp_path: Path) -> None:
    writer = copied(bundle, tmp_path)
    writer.manifest(sections(bundle))
    (tmp_path / "copy").mkdir()
    with pytest.raises(BundleError, match="exists"):
        writer.publish()
    with pytest.raises(BundleError, match="exists"):
        BundleWriter(tmp_path, "copy")
    assert list((tmp_path / "copy").iterdir()) == []


def test_what_an_interrupted_build_left_is_removed(bundle: Bundle, tmp_path: Path) -> None:
    copied(bundle, tmp_path).add("half", b"done")
    writer = copied(bundle, tmp_path)
    assert not (writer.directory / "half").exists()


def test_the_fingerprint_depends_on_what_embeds_and_on_nothing_else(
    bundle: Bundle, tmp_path: Path
) -> None:
    writer = copied(bundle, tmp_path)
    own = sections(bundle)
    same = writer.manifest(own | {"licence": "another"})["fingerprint"]
    assert same == bundle.manifest.fingerprint
    for section, change in (
        ("embedding", {"mirror": False}),
        ("detector", {"min_face": 30.0}),
        ("alignment", {"size": 151}),
    ):
        assert writer.manifest(own | {section: own[section] | change})["fingerprint"] != same
    writer.add("pnet.tflite", b"another network")
    assert writer.manifest(own)["fingerprint"] != same
    shutil.rmtree(writer.directory)


def test_active_is_replaced_in_one_step(tmp_path: Path) -> None:
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "manifest.json").touch()
        set_active(tmp_path, version)
        assert active_version(tmp_path) == version


def test_screening_names_the_twin_and_ignores_photos_without_a_face() -> None:
    photos, lfw = people(6, 3, seed=1), people(4, 3, seed=2)
    embeddings = photos.embeddings.copy()
    embeddings[4] = lfw.embeddings[7]
    embeddings[9] = lfw.embeddings[0]
    found = photos.found.copy()
    found[9] = False
    (twin,) = screen(replace(photos, embeddings=embeddings, found=found), lfw, 0.97)
    assert (twin.identity, twin.lfw_identity) == ("0001", "0002")
    assert twin.cosine == pytest.approx(1, abs=1e-5)


FACE = np.array([[-0.5, 0], [0.5, 0], [0, 0.6], [-0.4, 1.0], [0.4, 1.0]], np.float32)


def test_the_median_face_undoes_turns_sizes_and_places() -> None:
    generator = np.random.default_rng(1)
    seen = []
    for _ in range(200):
        angle, size = generator.normal(0, 0.3), generator.uniform(20, 200)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        jitter = generator.normal(0, 0.02, FACE.shape)
        seen.append(((FACE + jitter) @ turn.T * size + 300).astype(np.float32))
    assert median_face(seen) == pytest.approx(FACE, abs=0.01)


def test_the_template_goes_where_people_are_told_apart_best() -> None:
    photos = people(30, 4, spread=0.3)

    def embed(template: AlignmentTemplate) -> Any:
        distance = template.points[1, 0] - template.points[0, 0]
        height = template.points[0, 1]
        noise = abs(distance - 58) / 10 + abs(height - 47.5) / 8
        generator = np.random.default_rng(5)
        blurred = photos.embeddings + generator.normal(0, noise, photos.embeddings.shape)
        return blurred / np.linalg.norm(blurred, axis=1, keepdims=True)

    template, tried = place(FACE, 150, embed, photos.identities)
    assert template.points[1, 0] - template.points[0, 0] == pytest.approx(58)
    assert template.points[:2, 1] == pytest.approx(47.5)
    assert template.points[:, 0].mean() == pytest.approx(74.5)
    assert len(tried) == 20


def test_a_build_that_lacks_something_says_so_before_it_computes(tmp_path: Path) -> None:
    data, pictures = tmp_path / "data", tmp_path / "pictures"
    plan = Plan(data, pictures, model_dir=tmp_path / "model", version="new")
    with pytest.raises(BundleError, match="no portraits"):
        build_default(plan)
    pictures.mkdir()
    (pictures / "someone.jpg").touch()
    with pytest.raises(InvalidRequestError, match="no LFW"):
        build_default(plan)
    for photo in ("lfw/images/A/A_0001.jpg", "celeba-wild/07201/1.jpg", "celeba-small/00001/1.jpg"):
        (data / photo).parent.mkdir(parents=True, exist_ok=True)
        (data / photo).touch()
    (data / "lfw" / "pairs.txt").touch()
    (tmp_path / "model" / "new").mkdir(parents=True)
    with pytest.raises(BundleError, match="exists"):
        build_default(plan)


def test_portraits_that_show_no_face_are_refused() -> None:
    image = LabelledImage(Path("gray.jpg"), "gray")
    draft = Mock(spec=Draft)
    draft.embed.return_value = collect([image], ["no_face"])
    with pytest.raises(BundleError, match=r"gray\.jpg is unusable: no_face"):
        check_portraits(draft, [image])


@pytest.mark.parametrize(
    ("adapted", "commonness", "said", "not_said"),
    [
        (True, True, ("normalised_cosine` subtracts", "4.4 million", "--no-celeba"), "are free;"),
        (True, False, ("4.4 million", "--no-celeba"), "subtracts"),
        (False, False, ("as published", "The weights are free"), "--no-celeba"),
    ],
    ids=["with commonness", "without", "untouched"],
)
def test_a_model_card_says_what_the_bundle_holds(
    bundle: Bundle, adapted: bool, commonness: bool, said: tuple[str, ...], not_said: str
) -> None:
    document = json.loads((bundle.directory / "manifest.json").read_text())
    calibration = (bundle.directory / "calibration.json").read_text()
    if not commonness:
        document["embedding"]["commonness"] = None
    if not adapted:
        document["training"] |= {"adaptation": None, "head": {"trained_on": None}}
    card = model_card("new", document, CalibrationDocument.model_validate_json(calibration))
    assert "# Model card: new" in card
    assert all(words in card for words in said)
    assert not_said not in card
