"""The model card that lies in every bundle."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.inference.manifest import CalibrationDocument, PointSection

_SHOWN: Final = (0.01, 0.001, 0.0001)


def model_card(version: str, sections: Mapping[str, Any], document: CalibrationDocument) -> str:
    """Markdown for people who decide whether to use the bundle."""
    score, training = sections["score"], sections["training"]
    screening = training["screening"]
    names = ", ".join(s["identity"] for s in screening["identities"]) or "none"
    return _TEXT.format(
        version=version,
        licence=sections["licence"],
        precision=sections["embedding"]["precision"],
        decision=score["decision"],
        fusion=score["fusion"],
        adaptation=_adaptation(sections),
        commercial=_FREE if not training["adaptation"] else _OTHERWISE,
        head=training["head"]["trained_on"] or "nothing (equal weights)",
        data=", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in document.data.items()),
        min_cosine=screening["min_cosine"],
        screened_count=len(screening["identities"]),
        screened=names,
        placements=len(training["template_placements"]),
        rates="\n".join(_rows(document)),
        candidates="\n".join(_candidates(training["selection_tar_at_fmr_1e-3"])),
        precisions=", ".join(
            f"{name} {tar:.4f}" for name, tar in training["precision_tar_at_fmr_1e-3"].items()
        ),
    )


def _adaptation(sections: Mapping[str, Any]) -> str:
    adaptation = sections["training"]["adaptation"]
    told = _ADAPTED.format(weight=adaptation["weight"]) if adaptation else _PUBLISHED
    return told + (_COMMON if sections["embedding"]["commonness"] else "")


def _rows(document: CalibrationDocument) -> list[str]:
    return [
        _row(bucket, point)
        for bucket, points in document.buckets.items()
        for point in points
        if point.target_fmr in _SHOWN
    ]


def _row(bucket: str, point: PointSection) -> str:
    fmr = f"{point.fmr:.2g} ({point.fmr_interval[0]:.2g} to {point.fmr_interval[1]:.2g})"
    fnmr = f"{point.fnmr:.3f} ({point.fnmr_interval[0]:.3f} to {point.fnmr_interval[1]:.3f})"
    target = f"{point.target_fmr:g}{'*' if point.inherited else ''}"
    return f"| {bucket} | {target} | {point.threshold:.4f} | {fmr} | {fnmr} |"


def _candidates(candidates: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"| {c['score']} | {c['fusion']} | " + " | ".join(f"{tar:.4f}" for tar in c["tars"]) + " |"
        for c in candidates
    ]


_PUBLISHED: Final = "The weights are as published, rounded to half precision."
_ADAPTED: Final = """\
Behind its early layers it has two ends: the published one, and a copy of 4.4 million parameters
that was trained on CelebA's training identities (distilled towards the published network's mean
over several views, parted by a contrastive loss). The embedding is their sum, the trained end at
weight {weight:g}."""

_COMMON: Final = """
The last number of an embedding is its commonness, how alike strangers look to the face; the score
`normalised_cosine` subtracts it."""

_OTHERWISE: Final = """\
Whoever needs a bundle for commercial use builds one with
`facetwin model build-default --no-celeba`, whose weights are free, and judges for themselves what
measuring on CelebA means for them."""

_FREE: Final = """\
The weights are free; judge for yourself what measuring on CelebA means for you."""

_TEXT: Final = r"""# Model card: {version}

**Intended use.** One-to-one verification of cooperative subjects: is the person on this photo the
person enrolled? Not for identification in crowds, surveillance, emotion or attribute inference.
There is **no liveness detection**: a printed photo or a screen passes.

**Networks.** Detection: MTCNN (three small networks). Embedding: ResNet-29, 5.6 million parameters,
128 numbers of unit length, mean of the face and its mirror image, {precision} weights.
{adaptation}

**Licence.** {licence}
{commercial}

**Data.** The embedding's author states 7,485 training identities (not published) and no overlap
with LFW. The Siamese head was trained on: {head}. Calibration: {data}.
Screened, not "no overlap": {screened_count} CelebA identities with a photo of cosine {min_cosine}
or more to an LFW photo were left out of training and calibration: {screened}.
(The alignment was found before; {placements} placements were tried on training identities.)

**Decision.** Score `{decision}`, fused over references by `{fusion}`. Chosen on validation
identities by the true accept rate at FMR 0.001:

| score | fusion | 1 reference | 3-5 | 11 and more |
|---|---|---|---|---|
{candidates}

Weights by precision, one reference: {precisions}.

**Error rates** on CelebA validation identities (uncropped photos, and small aligned ones), 95 %
intervals by bootstrap over identities, for another group of as many people. FNMR counts photos
without a usable face as errors.

| references | max_fmr | threshold | FMR | FNMR |
|---|---|---|---|---|
{rates}

\* Too few distinct false matches in this bucket; the rate stands on the bucket of fewer references,
whose threshold is no stricter.

**Known weaknesses.** Thresholds are priced on CelebA: celebrities, mostly adult, mostly
light-skinned, photographed by professionals. On other people, cameras and conditions the rates
shift, either way (a domain shift): docs/accuracy.md has that from CelebA to LFW in figures, and
`facetwin evaluate folder` measures it on your own photos. Children, relatives, and groups that
these sets under-represent are confused more often. Few identities have many photos, so the rates
of the larger buckets rest on few people; their thresholds are never laxer than those of
fewer references.
"""
