"""A job's progress for whoever waits at a terminal or reads a log."""

from time import perf_counter

from app.cli.output import print_note
from app.domain.training import Stage


class ConsoleMonitor:
    """Tells each stage with the seconds that the one before took; implements `Monitor`."""

    def __init__(self) -> None:
        self._stage: Stage | None = None
        self._since = perf_counter()

    def stage(self, stage: Stage) -> None:
        """Tell it."""
        now = perf_counter()
        if self._stage:
            print_note(f"  {self._stage.value}: {now - self._since:.0f} s")
        self._stage, self._since = stage, now

    def progress(
        self,
        done: int,
        total: int,
        *,
        what: str | None = None,
        epoch: int | None = None,
        loss: float | None = None,
    ) -> None:
        """Nothing: a line for each step would bury the rest."""

    def log(self, message: str) -> None:
        """Tell it."""
        print_note(f"  {message}")
