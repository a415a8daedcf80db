"""What the photos are good for: a report, and the dataset that is left."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from app.inference.bundle import Bundle
from app.training.data.crops import CropCache
from app.training.data.dataset import Dataset
from app.training.data.examine import Examined


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True)


class Problem(_Section):
    """Something that is wrong; `message` says what to do."""

    code: str
    message: str


class DataReport(_Section):
    """What was found. `problems` void the result: who meets one must not train."""

    problems: list[Problem]
    warnings: list[Problem]


def inspect(
    examined: Sequence[Examined], bundle: Bundle, crops: CropCache, *, owner_needed: bool = True
) -> tuple[DataReport, Dataset]:
    """Judge photos; never raises for bad ones, and does not depend on their order.

    Args:
        examined: All photos of the three folders.
        bundle: The active one, which examined them.
        crops: Where the faces of the dataset come from.
        owner_needed: Whether the preset needs `anchor` and `positive`; `compact` does not.
    """
    raise NotImplementedError
