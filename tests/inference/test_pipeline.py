"""The shipped bundle on the repository's pictures: the pipeline is proved, never its accuracy."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from app.domain.entities import FacePolicy, FaceTemplate, Floats, Pixels, ReasonCode
from app.domain.errors import BundleError, MultipleFacesError, NoFaceError
from app.domain.faces import choose_face
from app.inference.align import align, central_crop
from app.inference.bundle import Bundle
from app.inference.decode import DecodeLimits, decode
from app.inference.detect import Detector
from app.inference.embed import Embedder
from app.inference.golden import GOLDEN_COSINE
from app.inference.pipeline import Pipeline
from tests import pictures

ASTRONAUT = pictures.read(pictures.ASTRONAUT)
HOPPER = pictures.read(pictures.HOPPER)
PROMINENT = FacePolicy.PROMINENT


Change = Callable[[Any], Any]


def cosine(a: FaceTemplate, b: FaceTemplate) -> float:
    return float(a.embedding @ b.embedding)


def analyze(pipeline: Pipeline, pixels: Pixels, suffix: str = ".png") -> FaceTemplate:
    return pipeline.analyze(pictures.encode(pixels, suffix), PROMINENT)


def same(pipeline: Pipeline, a: FaceTemplate, b: FaceTemplate) -> bool:
    return pipeline.decider.decide(a, b.embedding[None], max_fmr=0.001).verified


def test_the_golden_images_give_their_embeddings(pipeline: Pipeline) -> None:
    ok, detail = pipeline.self_test()
    assert ok, detail


def test_a_wrong_golden_embedding_fails_the_self_test(bundle: Bundle) -> None:
    image, embedding = bundle.golden[0]
    other = Bundle(
        bundle.directory,
        bundle.manifest,
        bundle.calibration,
        bundle.networks,
        ((image, embedding[::-1]),),
    )
    ok, detail = Pipeline(other, engines=1, limits=DecodeLimits()).self_test()
    assert not ok
    assert str(GOLDEN_COSINE) in detail


def test_a_wrong_golden_commonness_fails_the_self_test(bundle: Bundle) -> None:
    assert bundle.manifest.embedding.commonness
    image, embedding = bundle.golden[0]
    other = replace(bundle, golden=((image, [*embedding[:-1], embedding[-1] + 0.02]),))
    ok, detail = Pipeline(other, engines=1, limits=DecodeLimits()).self_test()
    assert not ok
    assert "commonness off by 0.02" in detail


def test_the_self_test_runs_on_every_engine(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline(bundle, engines=3, limits=DecodeLimits())
    engines = [pipeline._engines.get() for _ in range(3)]
    broken = engines[0]
    for engine in engines:
        pipeline._engines.put(engine)
    assert pipeline.self_test()[0]

    def fail(_chip: Pixels) -> Floats:
        raise BundleError("this engine is broken")

    monkeypatch.setattr(broken, "embed", fail)
    ok, detail = pipeline.self_test()
    assert not ok
    assert "this engine is broken" in detail


def test_a_bundle_without_golden_images_fails_the_self_test(bundle: Bundle) -> None:
    bare = replace(bundle, golden=())
    ok, detail = Pipeline(bare, engines=1, limits=DecodeLimits()).self_test()
    assert not ok
    assert "no golden images" in detail


@pytest.mark.parametrize("border", range(0, 40, 8))
def test_landmarks_do_not_move_with_the_size_of_the_frame(pipeline: Pipeline, border: int) -> None:
    wide = cv2.copyMakeBorder(ASTRONAUT, 0, border, 0, border, cv2.BORDER_REPLICATE)
    shift = (
        analyze(pipeline, wide.astype(np.uint8)).face.landmarks.as_array()
        - analyze(pipeline, ASTRONAUT).face.landmarks.as_array()
    )
    assert np.abs(shift).max() < 0.05 * 43  # a twentieth of the distance between the eyes


def test_a_mirrored_photo_has_mirrored_landmarks(pipeline: Pipeline) -> None:
    own = analyze(pipeline, HOPPER).face.landmarks.as_array()
    mirrored = analyze(pipeline, np.ascontiguousarray(HOPPER[:, ::-1])).face.landmarks.as_array()
    back = mirrored[[1, 0, 2, 4, 3]] * [-1, 1] + [HOPPER.shape[1], 0]
    assert np.abs(back - own).mean() < 0.05 * 85


def test_embeddings_have_unit_length(pipeline: Pipeline, bundle: Bundle) -> None:
    found = analyze(pipeline, ASTRONAUT)
    section = bundle.manifest.embedding
    assert found.embedding.shape == (section.dimension,)
    assert np.linalg.norm(section.face(found.embedding)) == pytest.approx(1, abs=1e-5)
    assert set(found.timing_ms) == {"decode", "detect", "align", "embed"}


def test_two_people_are_told_apart(pipeline: Pipeline) -> None:
    assert not same(pipeline, analyze(pipeline, ASTRONAUT), analyze(pipeline, HOPPER))


def reduced(pixels: Pixels, factor: float) -> Pixels:
    small = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False)


VARIANTS: dict[str, Change] = {
    "half the size": lambda p: reduced(p, 0.5),
    "twice the size": lambda p: cv2.resize(p, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC),
    "mirrored": lambda p: p[:, ::-1],
    "darker": lambda p: (p * 0.6).astype(np.uint8),
    "brighter": lambda p: np.clip(p * 1.3, 0, 255).astype(np.uint8),
    "gray": lambda p: np.repeat(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2),
    "blurred": lambda p: cv2.GaussianBlur(p, (0, 0), 1.5),
    "turned": lambda p: cv2.warpAffine(
        p, cv2.getRotationMatrix2D((256, 256), 20, 1.0), (p.shape[1], p.shape[0])
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("portrait", [ASTRONAUT, HOPPER], ids=["astronaut", "hopper"])
def test_a_changed_copy_still_matches(pipeline: Pipeline, portrait: Pixels, variant: str) -> None:
    changed = np.ascontiguousarray(VARIANTS[variant](portrait))
    assert same(pipeline, analyze(pipeline, portrait), analyze(pipeline, changed))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_rotated_exif_photo_is_the_upright_photo(pipeline: Pipeline, orientation: int) -> None:
    upright = analyze(pipeline, ASTRONAUT, ".jpg")
    stored = pictures.encode(pictures.turned(ASTRONAUT, orientation))
    turned = pipeline.analyze(pictures.with_exif(stored, orientation), PROMINENT)
    assert cosine(upright, turned) > 0.99
    assert turned.face.box.x == pytest.approx(upright.face.box.x, abs=3)


def test_coordinates_are_those_of_the_original_photo(pipeline: Pipeline) -> None:
    large = cv2.resize(ASTRONAUT, (2560, 2560), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    small, big = analyze(pipeline, ASTRONAUT, ".jpg"), analyze(pipeline, large, ".jpg")
    assert cosine(small, big) > 0.98
    assert big.face.landmarks.as_array() / 5 == pytest.approx(
        small.face.landmarks.as_array(), abs=3
    )


def test_faces_from_40_pixels_in_a_large_frame_are_found(pipeline: Pipeline) -> None:
    frame = pictures.blank(1920, 1080)
    for portrait, (x, y) in (
        (ASTRONAUT, (100, 100)),
        (HOPPER, (1500, 700)),
        (ASTRONAUT, (900, 20)),
    ):
        face = analyze(pipeline, portrait).face.box
        factor = 44 / face.width
        small = reduced(portrait, factor)
        frame[y : y + small.shape[0], x : x + small.shape[1]] = small
    found = pipeline.detect(pictures.encode(frame, ".png"))
    assert (found.width, found.height) == (1920, 1080)
    assert len(found.faces) == 3
    assert all(30 < face.box.width < 70 for face, _ in found.faces)


def test_a_small_face_alone_in_a_large_photo_is_found_at_a_second_look(pipeline: Pipeline) -> None:
    frame = pictures.blank(4000, 3000)
    small = reduced(HOPPER, 44 / 178)
    frame[1700 : 1700 + small.shape[0], 2500 : 2500 + small.shape[1]] = small
    photo = pictures.encode(frame)
    found = pipeline.analyze(photo, PROMINENT)
    assert found.face.box.x == pytest.approx(2500 + 174 * 44 / 178, abs=6)
    assert found.face.box.y == pytest.approx(1700 + 114 * 44 / 178, abs=6)
    assert cosine(found, analyze(pipeline, HOPPER)) > 0.9
    ((face, _),) = pipeline.detect(photo).faces
    assert face == found.face


def test_policies_choose_among_several_faces(pipeline: Pipeline) -> None:
    small = reduced(HOPPER, 0.4)
    canvas = pictures.blank(1100, 512)
    canvas[:, :512] = ASTRONAUT
    canvas[100 : 100 + small.shape[0], 512 : 512 + small.shape[1]] = small
    photo = pictures.encode(canvas, ".png")
    largest = pipeline.analyze(photo, FacePolicy.LARGEST)
    central = pipeline.analyze(photo, FacePolicy.CENTRAL)
    assert same(pipeline, largest, analyze(pipeline, ASTRONAUT))
    assert same(pipeline, central, analyze(pipeline, HOPPER))
    assert largest.faces == central.faces == 2
    with pytest.raises(MultipleFacesError):
        pipeline.analyze(photo, FacePolicy.SINGLE)


def test_another_prominent_face_is_reported_but_does_not_block(pipeline: Pipeline) -> None:
    photo = pictures.side_by_side(ASTRONAUT, ASTRONAUT)
    quality = analyze(pipeline, photo).quality
    assert [r.code for r in quality.reasons] == [ReasonCode.MULTIPLE_FACES]
    assert not quality.blocking


def test_no_face(pipeline: Pipeline) -> None:
    for width, height in ((320, 240), (8, 8), (1, 1), (2000, 3)):
        with pytest.raises(NoFaceError):
            analyze(pipeline, pictures.blank(width, height))
    assert pipeline.detect(pictures.encode(pictures.blank())).faces == ()


@pytest.mark.parametrize(
    ("code", "portrait", "damage"),
    [
        (ReasonCode.TOO_DARK, HOPPER, lambda p: (p * 0.2).astype(np.uint8)),
        (ReasonCode.TOO_BRIGHT, HOPPER, lambda p: np.clip(p * 2.7, 0, 255).astype(np.uint8)),
        (ReasonCode.TOO_BLURRY, ASTRONAUT, lambda p: cv2.GaussianBlur(p, (0, 0), 5)),
        (ReasonCode.FACE_TOO_SMALL, ASTRONAUT, lambda p: reduced(p, 120 / 512)),
        (ReasonCode.FACE_CUT_OFF, ASTRONAUT, lambda p: p[:, 220:]),
    ],
)
def test_a_bad_photo_gets_its_blocking_reason(
    pipeline: Pipeline, code: ReasonCode, portrait: Pixels, damage: Change
) -> None:
    quality = analyze(pipeline, np.ascontiguousarray(damage(portrait))).quality
    assert code in [reason.code for reason in quality.blocking]


def test_what_is_stored_is_upright_without_metadata_and_gives_the_same_face(
    pipeline: Pipeline,
) -> None:
    stored = pictures.encode(pictures.turned(ASTRONAUT, 6))
    normalized = pipeline.normalize(pictures.with_exif(stored, 6))
    assert b"Exif" not in normalized
    again = pipeline.analyze(normalized, PROMINENT)
    assert cosine(analyze(pipeline, ASTRONAUT), again) > 0.99
    assert pipeline.analyze(normalized, PROMINENT).embedding.tolist() == again.embedding.tolist()


def test_training_sees_the_faces_that_serving_sees(bundle: Bundle, pipeline: Pipeline) -> None:
    """The parts that derive a template and train on faces, against the pipeline that serves."""
    manifest = bundle.manifest
    cascade = manifest.detector
    networks = [bundle.networks[n] for n in (cascade.proposal, cascade.refinement, cascade.output)]
    detector = Detector(networks[0], networks[1], networks[2], cascade.settings())
    section = manifest.embedding
    commonness = bundle.networks[section.commonness] if section.commonness else None
    embedder = Embedder(bundle.networks[section.network], section, commonness)
    for portrait in (pictures.ASTRONAUT, pictures.HOPPER):
        data = portrait.read_bytes()
        pixels = decode(data, DecodeLimits()).pixels
        face = choose_face(detector(pixels), PROMINENT, pixels.shape[1], pixels.shape[0])
        chip = align(pixels, face.landmarks.as_array(), manifest.alignment.template())
        assert embedder(chip).tolist() == pipeline.analyze(data, PROMINENT).embedding.tolist()


def test_parallel_calls_answer_exactly_as_one_by_one(bundle: Bundle) -> None:
    pipeline = Pipeline(bundle, engines=8, limits=DecodeLimits())
    photos = [
        pictures.encode(np.ascontiguousarray(VARIANTS[variant](portrait)))
        for variant in ("half the size", "mirrored", "turned", "gray", "darker")
        for portrait in (ASTRONAUT, HOPPER)
    ]
    photos.append(pictures.encode(pictures.side_by_side(ASTRONAUT, HOPPER)))
    alone = [pipeline.analyze(photo, PROMINENT) for photo in photos]
    order = np.random.default_rng(3).integers(len(photos), size=300)
    with ThreadPoolExecutor(8) as executor:
        together = list(executor.map(lambda i: pipeline.analyze(photos[i], PROMINENT), order))
    for i, found in zip(order, together, strict=True):
        assert found.embedding.tolist() == alone[i].embedding.tolist()
        assert found.face == alone[i].face
        assert found.quality == alone[i].quality


def test_a_bundle_may_embed_the_middle_of_the_photo(bundle: Bundle, pipeline: Pipeline) -> None:
    """Face and quality are found as ever; what is embedded does not follow the face."""
    alignment = bundle.manifest.alignment.model_copy(update={"method": "central_crop"})
    manifest = bundle.manifest.model_copy(update={"alignment": alignment})
    central = Pipeline(replace(bundle, manifest=manifest), engines=1, limits=DecodeLimits())
    section = manifest.embedding
    commonness = bundle.networks[section.commonness] if section.commonness else None
    embedder = Embedder(bundle.networks[section.network], section, commonness)

    found = analyze(central, HOPPER)
    aligned = analyze(pipeline, HOPPER)
    assert (found.face, found.quality) == (aligned.face, aligned.quality)
    expected = embedder(central_crop(HOPPER, alignment.size))
    assert found.embedding.tolist() == expected.tolist()
    assert cosine(found, aligned) < 0.9


def test_quality_is_measured_on_the_face_that_its_limits_are_for(
    bundle: Bundle, pipeline: Pipeline
) -> None:
    """Whatever crop of the face is embedded."""
    alignment = bundle.manifest.alignment
    middle = alignment.size / 2
    points = tuple(
        (middle + (x - middle) / 2, middle + (y - middle) / 2) for x, y in alignment.points
    )
    smaller = alignment.model_copy(update={"points": points})
    manifests = [
        bundle.manifest.model_copy(update={"alignment": smaller, "quality_alignment": measured})
        for measured in (alignment, None)
    ]
    found, lenient = (
        analyze(Pipeline(replace(bundle, manifest=each), engines=1, limits=DecodeLimits()), HOPPER)
        for each in manifests
    )
    aligned = analyze(pipeline, HOPPER)
    assert found.quality == aligned.quality
    assert lenient.quality != aligned.quality
    assert found.embedding.tolist() == lenient.embedding.tolist() != aligned.embedding.tolist()
