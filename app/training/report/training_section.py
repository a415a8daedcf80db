"""The course of training, and all its numbers."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.training.report.document import TrainingSection
from app.training.report.figures import gallery, learning_curves
from app.training.report.markup import Html, element, section, table

_HEAD = ("Epoch", "Loss", "Validation loss", "Validation accuracy", "Learning rate", "Seconds")


def training_section(training: TrainingSection) -> Html:
    """Loss and metrics per epoch, as curves and as a table."""
    rows = [
        (
            record.epoch,
            _number(record.loss),
            _number(record.validation_loss),
            _number(record.validation_accuracy),
            _number(record.learning_rate),
            f"{record.seconds:.1f}",
        )
        for record in training.history
    ]
    return section(
        "Training",
        element("p", f"Network: {training.architecture}."),
        gallery(lambda: learning_curves(training.history)),
        table("Every epoch, those after the best one included", _HEAD, rows),
    )


def options_section(
    options: Mapping[str, Any], parameters: Mapping[str, Any] | None = None
) -> Html:
    """What was asked for, and every hyper-parameter."""
    tables = [_settings("What was asked for", options)]
    if parameters is not None:
        tables.append(_settings("Hyper-parameters", parameters))
    return section("Settings", *tables)


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name and value of each setting; `jitter.scale` for one within another."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _told(value)


def _settings(caption: str, values: Mapping[str, Any]) -> Html:
    return table(caption, ("Name", "Value"), list(flat(values)))


def _told(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_told(each) for each in value)
    if value is None:
        return "not set"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    return "not known" if value is None else f"{value:.4g}"
