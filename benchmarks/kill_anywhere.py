"""kill -9 at any line of any change of the gallery: `python -m benchmarks.kill_anywhere`.

Without models and HTTP, so that a round takes a fraction of a second. Exit code 1 if a gallery is
not whole afterwards.
"""

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

from tests.services.kill_changes import Change, all_changes, make_base, random_changes
from tests.services.killing import Kill, kill_once

_REPAIR_LINES: Final = 700
_SEVERAL: Final = "several"


@dataclass
class Tally:
    """Kills by change, and what was wrong after them."""

    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Harness:
    """Rounds on copies of one gallery."""

    def __init__(self, folder: Path) -> None:
        self._base, self._work = folder / "base", folder / "work"
        self._base.mkdir()
        make_base(self._base)
        self.changes = all_changes()
        self.tally = Tally()
        self._seconds: dict[str, float] = {}

    def measure(self) -> None:
        """Let each change run to its end, to know how many lines it takes."""
        for change in self.changes:
            life, problems = kill_once(self._base, self._work, change, [Kill()])
            self.tally.lines[change.name] = life.lines
            self._note(change, Kill(), problems)

    def sweep(self, kills: int) -> None:
        """Kill each change at so many lines, evenly spaced from first to last."""
        for change in self.changes:
            lines = self.tally.lines[change.name]
            for number in range(kills):
                at = 1 + round(number * (lines - 2) / max(1, kills - 1))
                self.round(change, [Kill(line=at)])

    def random(self, random: Random) -> None:
        """Kill at a random line or time, in a third of the rounds once more in the repair."""
        change = random.choice([*self.changes, random_changes(random), random_changes(random)])
        if change.name == _SEVERAL:
            first = Kill(line=random.randint(1, 1500))
        elif random.random() < 0.5:
            first = Kill(line=random.randint(1, self.tally.lines[change.name]))
        else:
            first = Kill(seconds=random.uniform(0, self._seconds_of(change)))
        kills = [first]
        while random.random() < 1 / 3:
            kills.append(Kill(line=random.randint(1, _REPAIR_LINES)))
        self.round(change, kills)

    def round(self, change: Change, kills: list[Kill]) -> None:
        """One gallery, one or more kills, one check."""
        life, problems = kill_once(self._base, self._work, change, kills)
        self.tally.kills[change.name] += life.killed
        self.tally.acknowledged[change.name] += life.acknowledged
        self._note(change, kills[0], problems)

    def _seconds_of(self, change: Change) -> float:
        """How long the change takes when it is left alone and its lines are not counted."""
        if change.name not in self._seconds:
            life, _ = kill_once(self._base, self._work, change, [Kill(seconds=60)])
            self._seconds[change.name] = life.seconds
        return self._seconds[change.name]

    def _note(self, change: Change, kill: Kill, problems: list[str]) -> None:
        self.tally.problems += [f"{change.name}, {kill}: {problem}" for problem in problems]


def main() -> None:
    options = _arguments()
    started = perf_counter()
    with TemporaryDirectory(prefix="facetwin-kill-") as folder:
        harness = Harness(Path(folder))
        harness.measure()
        if options.sweep:
            harness.sweep(options.sweep)
        random = Random(options.seed)
        for _ in range(options.rounds):
            harness.random(random)
    _publish(harness.tally, perf_counter() - started, as_json=options.json)
    sys.exit(bool(harness.tally.problems))


def _publish(tally: Tally, seconds: float, *, as_json: bool) -> None:
    document = {
        "benchmark": "kill_anywhere",
        "kills": sum(tally.kills.values()),
        "kills_by_change": dict(tally.kills),
        "acknowledged_by_change": dict(tally.acknowledged),
        "lines_by_change": tally.lines,
        "seconds": round(seconds, 1),
        "problems": tally.problems,
    }
    if as_json:
        print(json.dumps(document))
        return
    for key, value in document.items():
        print(f"{key:<24} {value}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000, help="rounds at random")
    parser.add_argument("--sweep", type=int, default=0, help="kills spread over each change")
    parser.add_argument("--seed", type=int, default=1, help="of the random rounds")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


if __name__ == "__main__":
    main()
