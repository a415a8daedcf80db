import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.errors import BundleError, ModelNotFoundError
from app.inference.bundle import active_version, list_versions, load_active, load_bundle
from app.inference.manifest import CalibrationDocument, Manifest, checksum_of, fingerprint_of
from tests.conftest import MODEL_DIR

VERSION = active_version(MODEL_DIR)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the shipped bundle that a test may damage."""
    directory = tmp_path / VERSION
    shutil.copytree(MODEL_DIR / VERSION, directory)
    return directory


def test_the_shipped_bundle_is_whole_and_within_its_budget() -> None:
    bundle = load_active(MODEL_DIR)
    assert bundle.manifest.version == VERSION
    sizes = {name: entry.bytes for name, entry in bundle.manifest.files.items()}
    assert sum(sizes.values()) <= 40e6
    assert sum(size for name, size in sizes.items() if not name.endswith(".keras")) <= 20e6
    assert set(bundle.calibration.buckets) == {"1", "2", "3-5", "6-10", "11+"}
    assert len(bundle.golden) == 2


@pytest.mark.parametrize("name", list(load_active(MODEL_DIR).manifest.files))
def test_one_changed_byte_in_any_file_is_refused(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(BundleError, match=f"{name} fails its sha256"):
        load_bundle(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "rnet.tflite").unlink()
    with pytest.raises(BundleError, match=r"lacks rnet\.tflite"):
        load_bundle(copy)


def test_the_keras_network_may_lack_as_serving_does_not_need_it(copy: Path) -> None:
    (copy / "embedding.keras").unlink()
    bundle = load_bundle(copy)
    assert "embedding.tflite" in bundle.networks
    assert bundle.manifest.embedding.keras == "embedding.keras"


def edit(copy: Path, *, mend: bool, **changes: object) -> None:
    path = copy / "manifest.json"
    document = json.loads(path.read_text())
    document |= changes
    if mend:
        document["checksum"] = checksum_of(document)
    path.write_text(json.dumps(document))


def test_a_changed_manifest_is_refused(copy: Path) -> None:
    score = json.loads((copy / "manifest.json").read_text())["score"]
    edit(copy, mend=False, score=score | {"fusion": "max"})
    with pytest.raises(BundleError, match="checksum"):
        load_bundle(copy)


def test_changed_preprocessing_under_an_old_fingerprint_is_refused(copy: Path) -> None:
    embedding = json.loads((copy / "manifest.json").read_text())["embedding"]
    edit(copy, mend=True, embedding=embedding | {"mirror": False})
    with pytest.raises(BundleError, match="fingerprint"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("decision", "commonness"), [("cosine", "commonness.tflite"), ("normalised_cosine", None)]
)
def test_a_score_that_does_not_fit_the_embedding_is_refused(
    copy: Path, decision: str, commonness: str | None
) -> None:
    document = json.loads((copy / "manifest.json").read_text())
    edit(
        copy,
        mend=True,
        score=document["score"] | {"decision": decision},
        embedding=document["embedding"] | {"commonness": commonness},
    )
    with pytest.raises(BundleError, match="commonness"):
        load_bundle(copy)


def test_a_head_of_another_dimension_is_refused(copy: Path) -> None:
    score = json.loads((copy / "manifest.json").read_text())["score"]
    short = score["head"] | {"weights": score["head"]["weights"][1:]}
    edit(copy, mend=True, score=score | {"head": short})
    with pytest.raises(BundleError, match="weights for embeddings of"):
        load_bundle(copy)


def test_golden_embeddings_of_another_dimension_are_refused(copy: Path) -> None:
    entries = json.loads((copy / "golden.json").read_text())
    entries[0]["embedding"].pop()
    data = json.dumps(entries).encode()
    (copy / "golden.json").write_bytes(data)
    files = json.loads((copy / "manifest.json").read_text())["files"]
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    edit(copy, mend=True, files=files | {"golden.json": entry})
    with pytest.raises(BundleError, match="dimension"):
        load_bundle(copy)


def test_a_file_outside_the_bundle_is_refused(copy: Path) -> None:
    (copy.parent / "secret").write_bytes(b"x")
    files = json.loads((copy / "manifest.json").read_text())["files"]
    entry = {
        "sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
        "bytes": 1,
    }
    edit(copy, mend=True, files=files | {"../secret": entry})
    with pytest.raises(BundleError, match="outside"):
        load_bundle(copy)


@pytest.mark.parametrize("content", ["", "[]", "null", '{"format": 99}', '{"format": 1}'])
def test_a_manifest_that_is_not_understood_is_refused(copy: Path, content: str) -> None:
    (copy / "manifest.json").write_text(content)
    with pytest.raises(BundleError):
        load_bundle(copy)


def test_without_a_bundle_it_says_so(tmp_path: Path) -> None:
    assert list_versions(tmp_path / "nowhere") == []
    with pytest.raises(ModelNotFoundError, match="is missing"):
        active_version(tmp_path)
    (tmp_path / "active").write_text("gone\n")
    with pytest.raises(ModelNotFoundError, match="does not exist"):
        load_active(tmp_path)
    with pytest.raises(ModelNotFoundError):
        load_bundle(tmp_path / "gone")


def test_a_calibration_about_one_subject_comes_back_as_it_was() -> None:
    known = load_active(MODEL_DIR).calibration
    own = replace(known, subject="anna.b", others={"1": known.buckets["1"]})
    written = CalibrationDocument.of(own, {}).model_dump_json()
    assert CalibrationDocument.model_validate_json(written).calibration() == own
    assert CalibrationDocument.of(known, {}).calibration() == known


@pytest.mark.parametrize("change", [{"subject": "Anna"}, {"others": {"1": []}}])
def test_a_calibration_about_nobody_in_particular_is_refused(change: dict[str, object]) -> None:
    document: dict[str, object] = {"data": {}, "buckets": {}} | change
    with pytest.raises(ValueError, match="subject"):
        CalibrationDocument.model_validate(document)


def test_what_quality_is_measured_on_changes_no_fingerprint() -> None:
    manifest = load_active(MODEL_DIR).manifest
    measured = manifest.alignment.model_copy(update={"size": 90})
    other = manifest.model_copy(update={"quality_alignment": measured}).model_dump(mode="json")
    assert fingerprint_of(other) == manifest.fingerprint
    other["quality_alignment"]["method"] = "central_crop"
    with pytest.raises(ValueError, match="aligned face"):
        Manifest.model_validate(other)


def test_the_central_crop_has_a_fingerprint_of_its_own() -> None:
    manifest = load_active(MODEL_DIR).manifest
    own = manifest.model_dump(mode="json")
    assert own["alignment"]["method"] == "similarity"
    assert fingerprint_of(own) == manifest.fingerprint
    own["alignment"]["method"] = "central_crop"
    assert fingerprint_of(own) != manifest.fingerprint
