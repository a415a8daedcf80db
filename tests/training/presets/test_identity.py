from dataclasses import replace

from app.inference.bundle import Bundle
from app.training.data.split import Split
from app.training.datasets import Side
from app.training.presets.identity import training_identity
from tests.training.presets.people import dataset, split


def test_what_a_training_depends_on_makes_it_another(bundle: Bundle) -> None:
    data, config = dataset(), {"rate": 0.1}
    sides = split(data)
    moved = Split((Side.TEST, *sides.sides[1:]), sides.seed)
    regrouped = data.groups.copy()
    regrouped[1] = regrouped[0]
    active = bundle.manifest.model_copy(update={"fingerprint": "0" * 64})
    found = [
        training_identity(data, sides, bundle, config),
        training_identity(data, sides, bundle, {"rate": 0.2}),
        training_identity(data, moved, bundle, config),
        training_identity(replace(data, groups=regrouped), sides, bundle, config),
        training_identity(
            replace(data, sha256=("f" * 64, *data.sha256[1:])), sides, bundle, config
        ),
        training_identity(data, sides, replace(bundle, manifest=active), config),
    ]
    assert len(set(found)) == len(found)
    assert training_identity(dataset(), split(data), bundle, dict(config)) == found[0]
