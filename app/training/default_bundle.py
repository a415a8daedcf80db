"""Building the default bundle from published weights: `facetwin model build-default`."""

from pathlib import Path

from app.domain.calibration import Calibration
from app.domain.decisions import Decider
from app.domain.scoring import ScoreName
from app.inference.bundle import CALIBRATION, load_bundle
from app.inference.manifest import CalibrationDocument
from app.training.bundle_sections import (
    Choices,
    counts,
    provenance,
    published_head,
    score_section,
    write_networks,
)
from app.training.bundle_writer import BundleWriter, refuse_to_overwrite
from app.training.calibrate import calibrate
from app.training.datasets import Side, without
from app.training.default_stages import (
    Draft,
    adapted,
    check_portraits,
    choose_precision,
    found_among,
    screened_identities,
    trained_head,
    with_commonness,
    write_golden,
)
from app.training.export import Precision
from app.training.model_card import model_card
from app.training.plan import SEED, Inputs, Plan
from app.training.published import export_published
from app.training.selection import compare
from app.training.template_search import derive_template


def build_default(plan: Plan) -> Path:
    """Build, calibrate and publish the default bundle.

    Raises:
        FacetwinError: If weights, data or usable portraits are missing, weights are not the
            published ones, or a bundle of this version exists.
    """
    inputs = Inputs.find(plan)
    refuse_to_overwrite(plan.model_dir, plan.version)
    celeba, published = inputs.celeba, export_published()
    template, placements = derive_template(plan, published, celeba)
    draft = Draft(plan, published, template)
    check_portraits(draft, inputs.portraits)
    photos = [*celeba.side(Side.TRAIN), *celeba.side(Side.VALIDATION)]
    validation = {image.identity for image in celeba.side(Side.VALIDATION)}
    screened = screened_identities(draft, photos, inputs.strangers)
    kept = without(photos, [s.identity for s in screened])
    learned = [image for image in kept if image.identity not in validation]
    chosen = [image for image in kept if image.identity in validation]
    weight, train, head = None, None, published_head(draft.networks.dimension)
    if plan.celeba:
        draft, weight = with_commonness(adapted(draft, learned), learned, chosen)
        plan.report("train the head", 0, 1)
        train = found_among(draft.embed(Precision.INT8, learned), learned)
        head = trained_head(train)
    precision, precisions, valid = choose_precision(draft, chosen)
    plan.report("choose score and fusion", 0, 1)
    scores = [draft.score, ScoreName.L1_LOGIT] if plan.celeba else [draft.score]
    candidates = compare(valid, head, scores, SEED)
    writer = BundleWriter(plan.model_dir, plan.version)
    sections = write_networks(writer, draft.networks, precision, draft.template, celeba=plan.celeba)
    sections |= score_section(candidates[0], head)
    choices = Choices(placements, screened, weight, precisions, candidates)
    sections["training"] = provenance(choices, train)
    decider = Decider(candidates[0].score, head, candidates[0].fusion, Calibration({}))
    calibration = calibrate(
        valid, decider, seed=SEED, progress=lambda b: plan.report(f"calibrate bucket {b}", 0, 1)
    )
    data = {"set": "CelebA validation identities", **counts(valid)}
    document = CalibrationDocument.of(calibration, data)
    writer.add_json(CALIBRATION, document.model_dump(mode="json"))
    write_golden(writer, inputs.portraits, sections)
    writer.add("model_card.md", model_card(plan.version, sections, document).encode())
    writer.manifest(sections)
    load_bundle(writer.directory)
    return writer.publish()
