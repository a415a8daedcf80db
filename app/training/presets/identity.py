"""Which training a checkpoint belongs to."""

import hashlib
import json
from typing import Any

from app.inference.bundle import Bundle
from app.training.data.dataset import Dataset
from app.training.data.split import Split


def training_identity(dataset: Dataset, split: Split, base: Bundle, config: dict[str, Any]) -> str:
    """A hash of all that a training depends on: photos, sides, active bundle, hyper-parameters.

    Args:
        dataset: The photos.
        split: Their sides.
        base: Its embeddings and its template.
        config: Every hyper-parameter, as JSON.
    """
    photos = [
        [sha256, photo.role.value, int(person), int(group), side.value]
        for sha256, photo, person, group, side in zip(
            dataset.sha256,
            dataset.photos,
            dataset.people,
            dataset.groups,
            split.sides,
            strict=True,
        )
    ]
    parts = {"photos": photos, "base": base.manifest.fingerprint, "config": config}
    document = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()
