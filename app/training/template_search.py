"""Deriving the default bundle's alignment template from CelebA's training identities."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from app.domain.entities import FacePolicy, Floats, Pixels
from app.domain.faces import choose_face
from app.inference.align import AlignmentTemplate, align
from app.inference.decode import DecodeLimits, decode
from app.inference.embed import Embedder
from app.training import networks
from app.training.bundle_sections import embedding_section
from app.training.datasets import CelebA, LabelledImage, Side
from app.training.export import Precision
from app.training.plan import Plan
from app.training.published import ExportedNetworks
from app.training.template import Placement, median_face, place

TEMPLATE_PHOTOS: Final = 12
"""Photos of each training identity that the template is derived from."""


def derive_template(
    plan: Plan, exported: ExportedNetworks, celeba: CelebA
) -> tuple[AlignmentTemplate, list[Placement]]:
    """The template from the first photos of the wild set's training identities."""
    training = {image.identity for image in celeba.side(Side.TRAIN)}
    wild = [image for image in celeba.wild if image.identity in training]
    picked = [
        image
        for identity in sorted({image.identity for image in wild})
        for image in [i for i in wild if i.identity == identity][:TEMPLATE_PHOTOS]
    ]
    located = _locate(plan, exported, picked)
    identities = np.array([image.identity for image, _, _ in located])
    embedders = [
        Embedder(exported.embeddings[Precision.INT8], embedding_section(Precision.INT8))
        for _ in range(plan.threads)
    ]

    def embed(template: AlignmentTemplate) -> Floats:
        def part(number: int) -> list[Floats]:
            return [
                embedders[number](align(pixels, points, template))
                for _, pixels, points in located[number :: plan.threads]
            ]

        result = np.empty((len(located), 128), np.float32)
        with ThreadPoolExecutor(plan.threads) as executor:
            for number, rows in enumerate(executor.map(part, range(plan.threads))):
                result[number :: plan.threads] = rows
        return result

    shape = median_face([points for _, _, points in located])
    tried: list[Placement] = []

    def report(placement: Placement) -> None:
        tried.append(placement)
        plan.report("place the template", len(tried), 0)

    return place(shape, networks.RESNET29_INPUT, embed, identities, report)


def _locate(
    plan: Plan, exported: ExportedNetworks, images: Sequence[LabelledImage]
) -> list[tuple[LabelledImage, Pixels, Floats]]:
    """Pixels and landmarks of the prominent face of each photo that shows one."""
    detector = exported.detector()
    located = []
    for number, image in enumerate(images):
        plan.report("find faces for the template", number + 1, len(images))
        pixels = decode(image.path.read_bytes(), DecodeLimits()).pixels
        height, width = pixels.shape[:2]
        faces = detector(pixels)
        if faces:
            face = choose_face(faces, FacePolicy.PROMINENT, width, height)
            located.append((image, pixels, face.landmarks.as_array()))
    return located
