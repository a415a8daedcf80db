"""A network that training hands over becomes a bundle that serves it as it is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.domain.calibration import Calibration
from app.domain.entities import FacePolicy
from app.domain.scoring import L1Head, ScoreName
from app.domain.training import Preset, TrainingOptions
from app.inference.bundle import CALIBRATION, Bundle, load_bundle
from app.inference.decode import DecodeLimits
from app.inference.manifest import AlignmentSection, CalibrationDocument
from app.inference.pipeline import Pipeline
from app.training.bundle_writer import BundleWriter
from app.training.job.bundle import draft_bundle, provenance, write_golden
from app.training.keras_file import load_keras
from app.training.presets.placement import whole_face
from app.training.presets.trained import EpochRecord, Trained
from tests import pictures

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras, when it saves

HISTORY = (EpochRecord(1, 0.5, 0.6, 0.9, 1e-4, 2.0),)


@pytest.fixture(scope="module")
def trained(bundle: Bundle) -> Trained:
    """The base's own network, as if training had changed nothing."""
    embedding, head = bundle.manifest.embedding, bundle.manifest.score.head
    return Trained(
        model=load_keras(bundle.directory, embedding.keras),
        template=bundle.manifest.alignment.template(),
        central=False,
        mean=embedding.mean,
        scale=embedding.scale,
        mirror=embedding.mirror,
        unit_length=embedding.unit_length,
        head=L1Head(np.array(head.weights, np.float32), head.bias),
        history=HISTORY,
        config={"rate": 1e-4},
        architecture="resnet29",
        commonness=bundle.networks[embedding.commonness] if embedding.commonness else None,
    )


@pytest.fixture(scope="module")
def made(bundle: Bundle, trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = TrainingOptions(preset=Preset.FINETUNE)
    writer = BundleWriter(tmp_path_factory.mktemp("model"), "mine")
    draft = draft_bundle(writer, bundle, trained, options)
    draft.sections["training"] = provenance(bundle, trained, options, {"photos": 3})
    empty = CalibrationDocument.of(Calibration({}), {"set": "none"})
    writer.add_json(CALIBRATION, empty.model_dump(mode="json"))
    write_golden(draft, bundle)
    writer.manifest(draft.sections)
    return writer.publish()


def test_it_is_a_whole_bundle_that_passes_its_self_test(made: Path) -> None:
    pipeline = Pipeline(load_bundle(made), engines=1, limits=DecodeLimits())
    assert pipeline.self_test()[0]
    assert pipeline.decider.score is ScoreName.NORMALISED_COSINE


def test_an_unchanged_network_gives_the_embeddings_of_the_base(
    made: Path, pipeline: Pipeline
) -> None:
    mine = Pipeline(load_bundle(made), engines=1, limits=DecodeLimits())
    photo = pictures.ASTRONAUT.read_bytes()
    own = mine.analyze(photo, FacePolicy.PROMINENT).embedding
    base = pipeline.analyze(photo, FacePolicy.PROMINENT).embedding
    assert np.allclose(own, base, atol=2e-3)


def test_it_says_where_it_comes_from(made: Path, bundle: Bundle) -> None:
    manifest = load_bundle(made).manifest
    assert manifest.preset == "finetune"
    assert manifest.training["base"] == {
        "version": bundle.manifest.version,
        "fingerprint": bundle.manifest.fingerprint,
    }
    assert manifest.training["history"][0]["loss"] == 0.5
    assert manifest.training["configuration"] == {"rate": 1e-4}
    # Nothing that was built on a base is freer than it.
    assert bundle.manifest.licence in manifest.licence


def test_it_takes_over_detector_and_gates(made: Path, bundle: Bundle) -> None:
    manifest = load_bundle(made).manifest
    assert manifest.detector == bundle.manifest.detector
    assert manifest.quality == bundle.manifest.quality
    # It aligns as the base does, and a service that does not know the entry can load it.
    assert "quality_alignment" not in json.loads((made / "manifest.json").read_bytes())
    for name in ("proposal", "refinement", "output"):
        file = getattr(manifest.detector, name)
        assert manifest.files[file].sha256 == bundle.manifest.files[file].sha256


def test_what_sees_another_crop_measures_quality_where_the_base_does(
    bundle: Bundle, trained: Trained, tmp_path: Path
) -> None:
    own = bundle.manifest.alignment
    smaller = replace(trained, template=whole_face(trained.template, 100))
    options = TrainingOptions(preset=Preset.SEED)
    sections = draft_bundle(BundleWriter(tmp_path, "one"), bundle, smaller, options).sections
    assert sections["quality_alignment"] == own.model_dump()
    assert sections["alignment"]["size"] == 100

    # Trained again from that one, which keeps the gates of the first.
    section = AlignmentSection.model_validate(sections["alignment"])
    update = {"alignment": section, "quality_alignment": own}
    base = replace(bundle, manifest=bundle.manifest.model_copy(update=update))
    again = draft_bundle(BundleWriter(tmp_path, "two"), base, smaller, options).sections
    assert again["quality_alignment"] == own.model_dump()
