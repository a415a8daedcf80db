import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.domain.entities import Face, FacePolicy, Floats, Pixels
from app.domain.errors import TrainingDataError
from app.domain.training import JobStoppedError, Role
from app.inference.bundle import Bundle
from app.inference.decode import DecodeLimits
from app.inference.detect import Detector
from app.inference.embed import Embedder
from app.inference.pipeline import Pipeline
from app.training.data.crops import CropCache
from app.training.data.examine import Examined, examine
from app.training.data.faces import FaceCutter
from app.training.data.photos import TrainingPhoto, read_photos
from tests.pictures import blank, encode, side_by_side, with_exif
from tests.training.data.folders import Ear, portrait, put

Calls = Counter[str]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Counts detections and embeddings."""
    counted: Calls = Counter()
    detect, embed = Detector.__call__, Embedder.__call__

    def detecting(self: Detector, pixels: Pixels) -> list[Face]:
        counted["detect"] += 1
        return detect(self, pixels)

    def embedding(self: Embedder, chip: Pixels) -> Floats:
        counted["embed"] += 1
        return embed(self, chip)

    monkeypatch.setattr(Detector, "__call__", detecting)
    monkeypatch.setattr(Embedder, "__call__", embedding)
    return counted


@pytest.fixture
def crops(tmp_path: Path) -> CropCache:
    return CropCache(tmp_path / "crops")


@pytest.fixture
def photos(tmp_path: Path) -> list[TrainingPhoto]:
    """Two faces, one on a photo that is reduced before it is looked at."""
    data = tmp_path / "data"
    put(data, "anchor/1.jpg", portrait("astronaut"))
    large = np.repeat(np.repeat(portrait("hopper"), 8, axis=0), 8, axis=1)
    put(data, "anchor/2.jpg", with_exif(encode(large), 1))
    return read_photos(data)


def run(photos: list[TrainingPhoto], bundle: Bundle, crops: CropCache) -> list[Examined]:
    return examine(photos, bundle, crops, threads=2, monitor=Ear())


def test_it_is_what_the_serving_pipeline_gives(
    photos: list[TrainingPhoto], bundle: Bundle, pipeline: Pipeline, crops: CropCache
) -> None:
    for examined in run(photos, bundle, crops):
        served = pipeline.analyze(examined.photo.path.read_bytes(), FacePolicy.PROMINENT)
        assert examined.embedding is not None
        assert np.array_equal(examined.embedding, served.embedding)
        assert examined.measures == served.quality.measures
        assert (examined.faces, examined.reasons, examined.usable) == (1, (), True)


@pytest.mark.parametrize("margin", [0, 10, 25])
def test_a_preset_is_trained_on_the_very_pixels_that_serving_embeds(
    photos: list[TrainingPhoto],
    bundle: Bundle,
    crops: CropCache,
    margin: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    embedded: list[Pixels] = []
    embed = Embedder.__call__

    def embedding(self: Embedder, chip: Pixels) -> Floats:
        embedded.append(chip.copy())
        return embed(self, chip)

    examined = run(photos, bundle, crops)
    monkeypatch.setattr(Embedder, "__call__", embedding)
    serving = Pipeline(bundle, engines=1, limits=DecodeLimits())
    cutter = FaceCutter(crops, bundle, DecodeLimits())
    template = bundle.manifest.alignment.template()
    for each in examined:
        serving.analyze(each.photo.path.read_bytes(), FacePolicy.PROMINENT)
        assert each.face
        wide = cutter.wide(each.face, template, margin)
        assert wide.shape == (template.size + 2 * margin,) * 2 + (3,)
        middle = slice(margin, margin + template.size)
        assert np.array_equal(wide[middle, middle], embedded[-1])


def test_what_is_around_the_face_fits_to_it(
    photos: list[TrainingPhoto], bundle: Bundle, crops: CropCache
) -> None:
    face = run(photos, bundle, crops)[0].face
    assert face
    template = bundle.manifest.alignment.template()
    wide = FaceCutter(crops, bundle, DecodeLimits()).wide(face, template, 25).astype(int)
    seam = np.abs(wide[24] - wide[25]).mean()
    inside = np.abs(wide[30] - wide[31]).mean()
    assert seam < 2 * inside + 1


def test_a_second_run_detects_nothing_again(
    photos: list[TrainingPhoto], bundle: Bundle, crops: CropCache, calls: Calls
) -> None:
    first = run(photos, bundle, crops)
    assert calls == {"detect": 2, "embed": 2}
    second = run(photos, bundle, crops)
    assert calls == {"detect": 2, "embed": 2}
    for one, two in zip(first, second, strict=True):
        assert one.embedding is not None
        assert two.embedding is not None
        assert np.array_equal(one.embedding, two.embedding)
        assert (one.phash, one.measures, one.sha256) == (two.phash, two.measures, two.sha256)


def test_another_bundle_embeds_anew_but_detects_nothing(
    photos: list[TrainingPhoto], bundle: Bundle, crops: CropCache, calls: Calls
) -> None:
    first = run(photos, bundle, crops)
    for photo in photos:
        photo.path.write_bytes(photo.path.read_bytes())
    other = replace(bundle, manifest=bundle.manifest.model_copy(update={"fingerprint": "f" * 64}))
    second = run(photos, other, crops)
    assert calls == {"detect": 2, "embed": 4}
    for one, two in zip(first, second, strict=True):
        assert one.embedding is not None
        assert two.embedding is not None
        assert np.array_equal(one.embedding, two.embedding)


def test_another_detector_looks_again(
    photos: list[TrainingPhoto], bundle: Bundle, crops: CropCache, calls: Calls
) -> None:
    run(photos, bundle, crops)
    detector = bundle.manifest.detector.model_copy(update={"min_face": 41.0})
    other = replace(bundle, manifest=bundle.manifest.model_copy(update={"detector": detector}))
    run(photos, other, crops)
    assert calls["detect"] == 4


def test_damaged_entries_are_made_anew(
    photos: list[TrainingPhoto], bundle: Bundle, crops: CropCache, calls: Calls
) -> None:
    first = run(photos, bundle, crops)
    for entry in crops._folder.rglob("*-*"):
        entry.write_bytes(entry.read_bytes()[:-3])
    second = run(photos, bundle, crops)
    assert calls["detect"] == 4
    assert [e.phash for e in first] == [e.phash for e in second]


def test_bad_files_are_told_with_their_reasons(
    tmp_path: Path, bundle: Bundle, crops: CropCache, calls: Calls
) -> None:
    good = encode(portrait("astronaut"))
    files = {
        "cut.jpg": (good[:300], "invalid_image"),
        "empty.jpg": (b"", "invalid_image"),
        "text.jpg": (b"this is no picture\n", "unsupported_media_type"),
        "phone.heic": (b"\x00\x00\x00\x18ftypheic", "unsupported_media_type"),
        "wall.jpg": (encode(blank()), "no_face"),
        "small.jpg": (encode(np.ascontiguousarray(portrait("astronaut")[::4, ::4])), "no_face"),
        "huge.jpg": (good + b"\x00" * (20 * 1024 * 1024), "image_too_large"),
    }
    for name, (content, _) in files.items():
        put(tmp_path / "data", f"anchor/{name}", content)
    gone = TrainingPhoto(tmp_path / "gone.jpg", Role.ANCHOR, "")
    examined = run([*read_photos(tmp_path / "data"), gone], bundle, crops)
    found = {e.photo.path.name: e.reasons for e in examined}
    assert found == {name: (reason,) for name, (_, reason) in files.items()} | {
        "gone.jpg": ("unreadable",)
    }
    assert not any(e.usable or e.faces for e in examined)
    before = calls["detect"]
    run(read_photos(tmp_path / "data"), bundle, crops)
    assert calls["detect"] == before


def test_blocking_quality_is_a_reason(tmp_path: Path, bundle: Bundle, crops: CropCache) -> None:
    put(tmp_path, "anchor/dark.jpg", (portrait("astronaut") * 0.15).astype(np.uint8))
    (examined,) = run(read_photos(tmp_path), bundle, crops)
    assert examined.faces == 1
    assert examined.reasons == ("TOO_BLURRY", "TOO_DARK")


def test_all_faces_of_a_photo_are_counted(tmp_path: Path, bundle: Bundle, crops: CropCache) -> None:
    put(tmp_path, "anchor/two.jpg", side_by_side(portrait("astronaut"), portrait("hopper")))
    (examined,) = run(read_photos(tmp_path), bundle, crops)
    assert examined.faces == 2


def test_it_can_be_stopped(photos: list[TrainingPhoto], bundle: Bundle, crops: CropCache) -> None:
    ear = Ear(stop_at=1)
    with pytest.raises(JobStoppedError):
        examine(photos, bundle, crops, threads=1, monitor=ear)
    assert ear.steps == [(1, 2)]


def test_a_photo_that_changes_meanwhile_is_not_taken_for_the_old_one(
    photos: list[TrainingPhoto], bundle: Bundle, crops: CropCache
) -> None:
    examined = run(photos, bundle, crops)
    cutter = FaceCutter(crops, bundle, DecodeLimits())
    crops.keep_only([])
    template = bundle.manifest.alignment.template()
    put(photos[0].path.parent, photos[0].path.name, portrait("hopper"))
    photos[1].path.unlink()
    for each in examined:
        assert each.face
        with pytest.raises(TrainingDataError):
            cutter.wide(each.face, template, 0)


def test_the_middle_of_a_photo_is_cut_as_serving_does(
    photos: list[TrainingPhoto], bundle: Bundle, crops: CropCache
) -> None:
    from app.inference.align import central_crop
    from app.inference.decode import decode

    for each in run(photos, bundle, crops):
        assert each.face
        middle = FaceCutter(crops, bundle, DecodeLimits()).central(each.face, 100)
        served = decode(each.photo.path.read_bytes(), DecodeLimits()).pixels
        assert np.array_equal(middle, central_crop(served, 100))


def test_nothing_of_it_needs_tensorflow() -> None:
    modules = "inspection", "examine", "split", "dataset"
    code = f"import sys; from app.training.data import {', '.join(modules)}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {name.split(".")[0] for name in loaded} & {"tensorflow", "keras", "torch", "jax"}


def test_another_crop_of_the_same_face_is_embedded_and_nothing_else(
    photos: list[TrainingPhoto], bundle: Bundle, crops: CropCache, calls: Calls
) -> None:
    """What is known of a face holds for every bundle that measures quality alike."""
    known = run(photos, bundle, crops)
    calls.clear()
    own = bundle.manifest.alignment
    points = tuple((x + 3.0, y) for x, y in own.points)
    update = {
        "alignment": own.model_copy(update={"points": points}),
        "quality_alignment": own,
        "fingerprint": "f" * 64,
    }
    other = replace(bundle, manifest=bundle.manifest.model_copy(update=update))
    found = run(photos, other, crops)
    assert calls == {"embed": len(photos)}
    pipeline = Pipeline(other, engines=1, limits=DecodeLimits())
    for before, examined in zip(known, found, strict=True):
        served = pipeline.analyze(examined.photo.path.read_bytes(), FacePolicy.PROMINENT)
        assert examined.measures == before.measures == served.quality.measures
        assert examined.embedding == pytest.approx(served.embedding, abs=1e-5)
