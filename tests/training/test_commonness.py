import numpy as np
import pytest

from app.inference.litert import Network
from app.training.commonness import CommonnessConfig, cohort_mean, fit_commonness
from tests.training.people import people

CONFIG = CommonnessConfig(nearest=5, ridge=1.0)


def test_the_cohort_is_the_nearest_strangers_by_their_first_photo() -> None:
    angles = np.radians([0, 5, 60, 62, 90, 180])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    identities = np.array([0, 0, 1, 1, 2, 3])
    found = cohort_mean(embeddings, identities, nearest=2)
    # Photo 0 meets person 1 at 60 degrees (not 62, its second photo) and person 2 at 90.
    assert found[0] == pytest.approx(np.cos(np.radians([60, 90])).mean(), abs=1e-6)
    assert found[1] == pytest.approx(np.cos(np.radians([55, 85])).mean(), abs=1e-6)


def test_a_small_cohort_is_used_whole() -> None:
    photos = people(3, 2)
    assert np.isfinite(cohort_mean(photos.embeddings, photos.identities, nearest=20)).all()


def test_the_fit_tells_common_faces_from_rare_ones_it_has_not_seen() -> None:
    # Half of the people are alike, so strangers look like them; the others are far apart.
    crowd, loners = people(150, 2, spread=0.3, seed=1), people(150, 2, spread=0.3, seed=2)
    shared = np.zeros(16, np.float32)
    shared[0] = 2
    embeddings = np.concatenate([crowd.embeddings + shared, loners.embeddings])
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    identities = np.concatenate([crowd.identities, loners.identities + 150])
    learned = identities % 3 != 0
    commonness = fit_commonness(embeddings[learned], identities[learned], CONFIG)
    told = commonness(embeddings[~learned])
    truth = cohort_mean(embeddings, identities, CONFIG.nearest)[~learned]
    assert np.corrcoef(told, truth)[0, 1] > 0.9
    assert told.mean() == pytest.approx(truth.mean(), abs=0.03)
    assert commonness.weighted(0.3)(embeddings) == pytest.approx(0.3 * commonness(embeddings))


def test_the_network_that_serves_computes_the_fitted_form() -> None:
    photos = people(60, 3)
    commonness = fit_commonness(photos.embeddings, photos.identities, CONFIG)
    network = Network(commonness.tflite(), name="commonness")
    served = [float(network(row[None])[0][0, 0]) for row in photos.embeddings[:20]]
    assert served == pytest.approx(commonness(photos.embeddings[:20]), abs=1e-5)
