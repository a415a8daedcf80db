"""The comparison with `face_recognition`, without that package."""

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.domain.decisions import Decider
from app.domain.errors import NoFaceError
from app.inference.bundle import load_active
from app.inference.decode import DecodeLimits
from app.inference.pipeline import Pipeline
from app.training.datasets import LabelledImage
from app.training.datasets import Side as People
from app.training.embedding_set import EmbeddingSet
from app.training.evaluation.curves import FAILED
from app.training.lfw import Pair
from benchmarks.peer_celeba import celeba_figures
from benchmarks.peer_embeddings import Cache, collect, embed_photos
from benchmarks.peer_engine import EngineError, Result, ours, running
from benchmarks.peer_environment import REQUIREMENTS, PeerUnavailableError, peer_python
from benchmarks.peer_lfw import accuracy_at_tolerance
from benchmarks.peer_ours import POLICY
from benchmarks.peer_rates import comparisons, draw_pairs, fnmr_at_fmr, ratio, shared_weights
from benchmarks.peer_side import TOLERANCE_SCORE, Side, distance
from benchmarks.peer_speed import speedup
from benchmarks.peer_worker import central
from benchmarks.photos import PORTRAITS
from tests.training.people import people

MODEL = Path(__file__).parents[2] / "model"
ASTRONAUT = PORTRAITS / "astronaut.jpg"


def failing(photos: EmbeddingSet, rows: list[int]) -> EmbeddingSet:
    """The set with no face found on the photos of `rows`."""
    results = [
        Result(reason=NoFaceError.code) if i in rows else Result(embedding=e.tolist())
        for i, e in enumerate(photos.embeddings)
    ]
    return collect(photos.images, results)


def side(photos: EmbeddingSet, decider: Decider | None = None) -> Side:
    return Side("peer", photos, decider or distance(), TOLERANCE_SCORE)


def test_the_peer_takes_the_face_nearest_to_the_centre() -> None:
    # Top, right, bottom, left; the second is centred on (52, 50) of 100 x 100 pixels.
    boxes = [(0, 100, 90, 10), (40, 62, 60, 42), (50, 90, 90, 50)]
    assert central(boxes, 100, 100) == 1
    assert central(boxes, 140, 140) == 2


def test_a_speedup_is_their_median_over_ours() -> None:
    times = np.array([[1.0, 9.0], [2.0, 20.0], [3.0, 31.0]])
    found = speedup(times, seed=1)
    assert found.value == 10
    assert 9 <= found.low <= 10 <= found.high <= 31 / 3
    even = speedup(np.array([[ms, 8 * ms] for ms in range(1, 50)], np.float64), seed=1)
    # Each photo keeps both its times, so how long photos take cancels out.
    assert (even.low, even.value, even.high) == (8, 8, 8)


def test_pairs_are_all_genuine_ones_and_impostors_up_to_a_limit() -> None:
    identities = np.array([0, 0, 0, 1, 1, 2])
    pairs = draw_pairs(identities, seed=1)
    genuine = set(zip(*(side.tolist() for side in pairs.genuine), strict=True))
    assert genuine == {(0, 1), (0, 2), (1, 2), (3, 4)}
    assert len(pairs.impostor[0]) == 11
    few = draw_pairs(identities, seed=1, impostors=5).impostor
    assert len(few[0]) == 5
    assert (identities[few[0]] != identities[few[1]]).all()


def test_a_failed_photo_is_an_error_with_its_own_person_and_no_impostor() -> None:
    photos = failing(people(3, 3), [0])
    made = comparisons(side(photos), draw_pairs(photos.identities, seed=1))
    assert (made.genuine == FAILED).tolist() == [True, True, *[False] * 7]
    # Two usable photos of one person and three of each other: 2 * 3 + 2 * 3 + 3 * 3 pairs.
    assert len(made.impostor) == 21


def test_equal_sides_have_the_ratio_one_in_every_round() -> None:
    photos = people(12, 4, spread=1.5)
    made = comparisons(side(photos), draw_pairs(photos.identities, seed=1))
    weights = shared_weights((made, made), identities=12, rounds=50, seed=1)
    rate = fnmr_at_fmr(made, 0.01, weights)
    assert 0 < rate.value < 1
    assert rate.interval().low < rate.value < rate.interval().high
    found = ratio(rate, rate)
    assert found is not None
    assert (found.low, found.value, found.high) == (1, 1, 1)


def test_faces_not_found_count_against_the_side() -> None:
    good, poor = people(20, 5, spread=0.3), failing(people(20, 5, spread=0.3), [0, 1, 7, 8])
    figures = celeba_figures(
        Side("ours", failing(good, [0, 1]), distance()),
        side(poor),
        people=People.VALIDATION,
        seed=1,
    )
    assert (figures.genuine_pairs, figures.impostor_pairs) == (200, 4750)
    theirs = figures.sides["peer"]
    assert theirs.not_found == 4
    assert theirs.fnmr_of_usable <= theirs.fnmr.value - 14 / 200 + 1e-9
    assert figures.not_found_ratio is not None
    assert figures.not_found_ratio.value == 0.5
    assert theirs.at_tolerance is not None
    assert figures.sides["ours"].at_tolerance is None


def test_the_tolerance_is_a_distance_of_at_most_0_6() -> None:
    vectors = [[0.0, 0.0], [0.59, 0.0], [0.0, 0.61], [2.0, 0.0]]
    names = ("a/a_0001.jpg", "a/a_0002.jpg", "b/b_0001.jpg", "b/b_0002.jpg")
    images = [LabelledImage(Path(name), name[0]) for name in names]
    found = side(collect(images, [Result(embedding=v) for v in vectors]))
    pairs = [
        Pair(names[0], names[1], same=True, fold=0),  # matches, rightly
        Pair(names[0], names[2], same=False, fold=0),  # does not, rightly
        Pair(names[2], names[3], same=True, fold=1),  # does not, wrongly
        Pair(names[1], names[3], same=False, fold=1),  # does not, rightly
    ]
    accuracy = accuracy_at_tolerance(found, pairs)
    assert accuracy is not None
    assert accuracy.value == 0.75


def test_our_side_gives_what_the_pipeline_gives(tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.full((100, 100, 3), 90, np.uint8))
    images = [LabelledImage(ASTRONAUT, "a"), LabelledImage(empty, "b")]
    pipeline = Pipeline(load_active(MODEL), engines=1, limits=DecodeLimits())
    expected = pipeline.analyze(ASTRONAUT.read_bytes(), POLICY)
    with running(ours(MODEL)) as engine:
        result = engine.analyze(ASTRONAUT)
        found = embed_photos(engine, images, folder=tmp_path)
    assert engine.name == "facetwin"
    assert pipeline.fingerprint[:12] in engine.version
    np.testing.assert_allclose(result.embedding, expected.embedding, atol=1e-6)
    assert set(result.wall_ms) == set(result.cpu_ms) == {"decode", "detect", "embed", "total"}
    assert found.found.tolist() == [True, False]
    assert found.reasons[1] == (NoFaceError.code,)
    # The process has ended: what is known comes from the cache.
    again = embed_photos(engine, images, folder=tmp_path)
    np.testing.assert_array_equal(again.embeddings, found.embeddings)


def test_a_side_that_dies_is_an_error_and_no_failure_to_find_a_face() -> None:
    with running(ours(MODEL)) as engine:
        engine._process.kill()
        with pytest.raises(EngineError, match="gave no answer"):
            engine.analyze(ASTRONAUT)


def test_a_program_that_is_no_side_is_shown_with_its_words() -> None:
    program = [sys.executable, "-c", "import sys; sys.exit('no module of that name')"]
    with pytest.raises(EngineError, match="no module of that name"), running(program):
        pass


def test_the_cache_drops_a_line_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    kept = Result(embedding=[1.0, 2.0], blocking=["TOO_DARK"])
    first = Cache(path)
    first.put("aa", kept)
    first.put("bb", Result(reason="no_face"))
    first.close()
    path.write_bytes(path.read_bytes()[:-9])
    second = Cache(path)
    assert second.get("aa") == kept
    assert second.get("bb") is None
    second.put("bb", Result(reason="no_face"))
    second.close()
    assert len(path.read_text("utf-8").splitlines()) == 2


def test_an_environment_is_made_once(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    shutil.copy(REQUIREMENTS, tmp_path / "installed.txt")
    assert peer_python(None, tmp_path) == tmp_path / "bin" / "python"


def test_without_a_compiler_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PeerUnavailableError, match="cmake and a C\\+\\+ compiler"):
        peer_python(None, tmp_path / "peers")
    assert not (tmp_path / "peers").exists()


def test_an_interpreter_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(PeerUnavailableError, match="is not there"):
        peer_python(tmp_path / "python")
