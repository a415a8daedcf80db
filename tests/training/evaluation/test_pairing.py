from dataclasses import replace

import numpy as np

from app.domain.calibration import Calibration
from app.domain.decisions import Decider
from app.domain.scoring import L1Head, ScoreName
from app.training.evaluation.curves import FAILED
from app.training.evaluation.pairing import (
    compare,
    cross_impostor_pairs,
    genuine_pairs,
    impostor_pairs,
)
from tests.training.people import people

DECIDER = Decider(ScoreName.COSINE, L1Head(np.ones(16, np.float32), 1.0), "mean", Calibration({}))
IDENTITIES = np.array([2, 0, 1, 0, 2, 2])


def generator() -> np.random.Generator:
    return np.random.default_rng(1)


def test_every_genuine_pair_is_made_once_up_to_the_cap() -> None:
    first, second = genuine_pairs(IDENTITIES, generator(), 30)
    made = {frozenset(p) for p in zip(first.tolist(), second.tolist(), strict=True)}
    assert made == {frozenset(p) for p in ((1, 3), (0, 4), (0, 5), (4, 5))}
    assert len(first) == 4
    capped = genuine_pairs(IDENTITIES, generator(), 1)
    assert sorted(IDENTITIES[capped[0]].tolist()) == [0, 2]


def test_few_impostor_pairs_are_all_made_once() -> None:
    first, second = impostor_pairs(IDENTITIES, np.arange(6), generator())
    made = [frozenset(p) for p in zip(first.tolist(), second.tolist(), strict=True)]
    expected = {
        frozenset((a, b)) for a in range(6) for b in range(a) if IDENTITIES[a] != IDENTITIES[b]
    }
    assert set(made) == expected
    assert len(made) == len(expected) == 11
    some = impostor_pairs(IDENTITIES, np.array([0, 1, 4]), generator())
    assert len(some[0]) == 2
    none = impostor_pairs(IDENTITIES, np.array([0, 4]), generator())
    assert len(none[0]) == 0


def test_of_many_impostor_pairs_as_many_as_wanted_are_drawn() -> None:
    identities = np.repeat([0, 1], [200, 4])  # four pairs of five are of one person
    first, second = impostor_pairs(identities, np.arange(204), generator(), limit=500)
    assert len(first) == len(second) == 500
    assert (identities[first] != identities[second]).all()
    assert len({frozenset(p) for p in zip(first.tolist(), second.tolist(), strict=True)}) == 500
    again = impostor_pairs(identities, np.arange(204), generator(), limit=500)
    assert (first == again[0]).all()
    assert (second == again[1]).all()


def test_probes_are_compared_with_references_of_others() -> None:
    probes, references = np.array([0, 1]), np.array([2, 3, 4])
    first, second = cross_impostor_pairs(IDENTITIES, (probes, references), generator())
    made = set(zip(first.tolist(), second.tolist(), strict=True))
    assert made == {(0, 2), (0, 3), (1, 2), (1, 4)}
    drawn = cross_impostor_pairs(IDENTITIES, (probes, references), generator(), limit=3)
    chosen = set(zip(*(d.tolist() for d in drawn), strict=True))
    assert len(drawn[0]) == len(chosen) == 3
    assert chosen <= made


def test_a_photo_that_failed_fails_its_genuine_pairs_and_makes_no_impostor_pair() -> None:
    photos = people(4, 3, spread=0.1)
    usable = photos.usable.copy()
    usable[0] = False
    made = compare(replace(photos, usable=usable), DECIDER, seed=1)
    assert made.owners.tolist() == sorted([0, 1, 2, 3] * 3)
    assert ((made.genuine == FAILED) == (np.arange(12) < 2)).all()
    assert len(made.impostor) == 6 * 9 - 9
    assert ((made.first == 0) | (made.second == 0)).sum() == 2 * 9
    exact = photos.embeddings @ photos.embeddings.T
    assert np.isclose(
        np.sort(made.impostor)[-1],
        exact[1:, 1:][photos.identities[1:, None] != photos.identities[1:]].max(),
    )


def test_probes_and_references_of_one_person_make_no_impostor_pair() -> None:
    identities = np.array([0] * 30 + [1])
    rows = np.arange(30)
    generator = np.random.default_rng(1)
    first, _second = cross_impostor_pairs(identities, (rows, rows), generator, limit=100)
    assert len(first) == 0
    both = np.arange(31)
    first, second = cross_impostor_pairs(identities, (both, both), generator, limit=100)
    assert len(first) == 60
    assert (identities[first] != identities[second]).all()
