from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.domain.calibration import Calibration
from app.domain.decisions import Decider
from app.domain.entities import FacePolicy, FaceTemplate
from app.domain.errors import InvalidRequestError, NoFaceError
from app.domain.scoring import L1Head, ScoreName
from app.inference.bundle import Bundle
from app.inference.decode import DecodeLimits
from app.inference.pipeline import Pipeline, Witness
from app.training.datasets import LabelledImage
from app.training.embedding_set import EmbeddingSet, embed_all
from app.training.evaluation.degrade import DEGRADATIONS
from app.training.evaluation.degraded_probes import degrade_all
from app.training.evaluation.probe_sample import draw_sample, probe_pairs
from app.training.evaluation.robustness import ProbeComparisons, evaluate_robustness
from tests import pictures
from tests.training.people import people

DECIDER = Decider(ScoreName.COSINE, L1Head(np.ones(16, np.float32), 1.0), "mean", Calibration({}))


def images(*counts: int) -> list[LabelledImage]:
    return [LabelledImage(Path(f"{p}/{i}"), str(p)) for p, n in enumerate(counts) for i in range(n)]


def test_probes_are_drawn_from_as_many_people_as_there_are() -> None:
    sample = draw_sample(images(1, 40, 2, 3), probes=3, seed=1)
    probes = sample.images[: sample.probes]
    assert sorted(image.identity for image in probes) == ["1", "2", "3"]
    counts = [sum(i.identity == p for i in sample.images) for p in ("0", "1", "2", "3")]
    assert counts == [0, 10, 2, 3]
    assert len(set(sample.images)) == len(sample.images)
    assert sample == draw_sample(images(1, 40, 2, 3), probes=3, seed=1)
    assert sample != draw_sample(images(1, 40, 2, 3), probes=3, seed=2)
    assert draw_sample(images(2, 3), probes=100, seed=1).probes == 5
    assert {i.identity for i in draw_sample(images(2, 2, 2), probes=1, seed=1).images} != {"0", "1"}


def test_a_probe_is_compared_with_usable_references_but_not_with_itself() -> None:
    photos = people(3, 3)
    usable = photos.usable.copy()
    usable[[1, 8]] = False
    genuine, impostor = probe_pairs(replace(photos, usable=usable), 4, seed=1)
    made = set(zip(genuine[0].tolist(), genuine[1].tolist(), strict=True))
    assert made == {(0, 2), (2, 0), (3, 4), (3, 5)}
    strangers = set(zip(impostor[0].tolist(), impostor[1].tolist(), strict=True))
    assert strangers == {(p, r) for p in (0, 2) for r in (3, 4, 5, 6, 7)} | {
        (3, r) for r in (0, 2, 6, 7)
    }


def worse(clean: EmbeddingSet, probes: int, spread: float) -> EmbeddingSet:
    """The probes with noise on their embeddings."""
    noise = np.random.default_rng(7).normal(size=(probes, 16)) * spread
    vectors = clean.embeddings[:probes] + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    first = clean.subset(np.arange(len(clean.images)) < probes)
    return replace(first, embeddings=vectors.astype(np.float32))


def test_what_is_lost_at_either_threshold() -> None:
    clean = people(60, 4, spread=0.4)
    compared = ProbeComparisons(clean, 100, DECIDER, seed=1)
    unusable = worse(clean, 100, 0.0)
    usable = unusable.usable.copy()
    usable[:50] = False
    found = unusable.found.copy()
    found[:20] = False
    refused = replace(unusable, usable=usable, found=found)
    same, blurred = worse(clean, 100, 0.0), worse(clean, 100, 0.2)
    rows = compared.rows([same, blurred, refused, *[same] * (len(DEGRADATIONS) - 3)], 0.01)
    assert [row.degradation for row in rows] == ["clean", *(d.name for d in DEGRADATIONS)]
    as_is, unchanged, noise, failed = (row.model_dump() for row in rows[:4])
    for key in ("degradation", "description"):
        for row in (as_is, unchanged):
            del row[key]
    assert unchanged == as_is
    tars = [row["tar_at_clean_threshold"]["value"] for row in (as_is, noise, failed)]
    assert tars[1] < tars[0] - 0.1
    # Nothing but the failures is lost: the other half of the probes matches as before.
    assert tars[2] == pytest.approx(tars[0] / 2, abs=0.03)
    assert (failed["not_found"], failed["inconclusive"], failed["probes"]) == (20, 30, 100)
    assert as_is["fmr_at_clean_threshold"]["value"] == pytest.approx(0.01, abs=0.0005)
    assert noise["fmr_at_clean_threshold"]["value"] < 0.01
    for row in (as_is, noise, failed):
        tar = row["tar_at_own_threshold"]
        assert tar["low"] <= tar["value"] <= tar["high"]
    at_clean = noise["tar_at_clean_threshold"]["value"]
    assert noise["tar_at_own_threshold"]["value"] > at_clean  # the own threshold is lower


def test_every_probe_of_a_degradation_can_fail() -> None:
    clean = people(60, 4, spread=0.4)
    compared = ProbeComparisons(clean, 100, DECIDER, seed=1)
    gone = worse(clean, 100, 0.0)
    nobody = np.zeros(100, np.bool_)
    rows = compared.rows([replace(gone, usable=nobody, found=nobody)] * len(DEGRADATIONS), 0.01)
    assert rows[1].not_found == 100
    assert rows[1].tar_at_clean_threshold is not None
    assert rows[1].tar_at_clean_threshold.value == 0
    assert rows[1].fmr_at_clean_threshold is None
    assert rows[1].tar_at_own_threshold is None


class NoFaceOnPng(Pipeline):
    """Finds no face on any degraded probe but the JPEG one."""

    def analyze(
        self, data: bytes, policy: FacePolicy, witness: Witness | None = None
    ) -> FaceTemplate:
        if data.startswith(b"\x89PNG"):
            raise NoFaceError("No face was found in the photo.")
        return super().analyze(data, policy, witness)


def test_probes_of_which_none_shows_a_face_still_have_embeddings_of_the_right_length(
    bundle: Bundle,
) -> None:
    pipeline = NoFaceOnPng(bundle, engines=1, limits=DecodeLimits())
    photos = [LabelledImage(path, path.stem) for path in (pictures.ASTRONAUT, pictures.HOPPER)]
    clean = embed_all(pipeline, photos, threads=1)
    found = degrade_all(
        pipeline,
        clean,
        2,
        policy=FacePolicy.PROMINENT,
        seed=1,
        threads=1,
        progress=lambda _done, _total: None,
    )
    assert [int(np.count_nonzero(way.found)) for way in found] == [2] + [0] * 8
    assert {way.embeddings.shape for way in found} == {clean.embeddings.shape}


def test_nothing_that_could_be_compared() -> None:
    clean = people(2, 2)
    with pytest.raises(InvalidRequestError, match="No genuine pair"):
        ProbeComparisons(replace(clean, usable=~clean.usable), 2, DECIDER, seed=1)


def test_two_people_through_the_serving_pipeline(tmp_path: Path, pipeline: Pipeline) -> None:
    for path in (pictures.ASTRONAUT, pictures.HOPPER):
        (tmp_path / path.stem).mkdir()
        pixels = pictures.read(path)
        brighter = cv2.convertScaleAbs(pixels, alpha=1.1, beta=5).astype(np.uint8)
        for number, variant in enumerate((pixels, brighter)):
            (tmp_path / path.stem / f"{number}.jpg").write_bytes(pictures.encode(variant))
    (tmp_path / "wall").mkdir()
    for number in range(2):
        wall = pictures.encode(pictures.blank(320 + number))
        (tmp_path / "wall" / f"{number}.jpg").write_bytes(wall)
    steps: list[tuple[int, int]] = []
    report = evaluate_robustness(
        pipeline,
        tmp_path,
        probes=3,
        fmr=0.001,
        policy=FacePolicy.PROMINENT,
        seed=1,
        threads=2,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert (report.photos, report.unusable, report.identities) == (6, 2, 2)
    assert (report.genuine_pairs, report.impostor_pairs) == (2, 4)
    rows = {row.degradation: row for row in report.degradations}
    assert list(rows) == ["clean", *(d.name for d in DEGRADATIONS)]
    assert {row.probes for row in report.degradations} == {2}
    assert (rows["face_60px"].not_found, rows["jpeg_20"].not_found) == (0, 0)
    assert rows["clean"].tar_at_clean_threshold is None  # four impostor pairs support nothing
    assert all(row[2:] == ("unsupported",) * 3 for row in report.rows())
    total = 6 + 3 * len(DEGRADATIONS)
    assert steps[-1] == (total, total)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
