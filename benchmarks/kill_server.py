"""kill -9 of the real service under load: `python -m benchmarks.kill_server`.

Exit code 1 if an acknowledged enrolment is lost, an acknowledged deletion undone, a row without its
file or a file without its row left, the database damaged, or the audit log broken.
"""

import argparse
import json
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from threading import Event, Thread
from time import perf_counter, sleep
from typing import Any, Final

from app.storage.layout import MARKER
from benchmarks.calls import Caller
from benchmarks.kill_clients import Hand, Held, Uploader, Verifier, Worker
from benchmarks.server import COMMAND, Server, environment_of, gallery, launch, start

REFERENCES: Final = 40
"""Photos that nobody touches, so that changes by hand are never most of the folder."""
UPLOADERS: Final = 3
SETTLE_ROUNDS: Final = 20
"""In one of so many rounds the folder is left alone until all of it is taken up."""
SETTLE_SECONDS: Final = 15
SETTINGS: Final = {
    "FACETWIN_SYNC_INTERVAL": "0.5",
    "FACETWIN_RATE_LIMIT_PER_ADDRESS": "0",
    "FACETWIN_RATE_LIMIT_PER_KEY": "0",
}


@dataclass
class Tally:
    """What happened in all rounds."""

    kills: int = 0
    kills_while_starting: int = 0
    settled: int = 0
    audit_entries: int | None = None
    slowest_start: float = 0
    problems: list[str] = field(default_factory=list)


class Rounds:
    """One gallery, many lives of its server."""

    def __init__(self, folder: Path, random: Random) -> None:
        self._folder = folder
        self._images = folder / "verification_images"
        self._random = random
        self._uploaders = [
            Uploader(f"client{i}", Random(random.random())) for i in range(UPLOADERS)
        ]
        self._verifier = Verifier()
        self._hand = Hand(self._images, Random(random.random()))
        self._start_seconds = 2.0
        self.tally = Tally()

    def run(self, rounds: int) -> dict[str, Any]:
        """Load, kill, restart, check; the figures."""
        self._server = self._start()
        try:
            for number in range(1, rounds + 1):
                self._round(number, settle=number % SETTLE_ROUNDS == 0 or number == rounds)
            exit_code = self._server.stop()
        finally:
            self._server.kill()
        # The server hands the signal on once it has ended in good order.
        if exit_code not in {0, -signal.SIGTERM}:
            self.tally.problems.append(f"exit code {exit_code} after SIGTERM")
        return self._figures(rounds)

    def _round(self, number: int, *, settle: bool) -> None:
        self._load_and_kill(self._server)
        if self._random.random() < 0.25:
            self._kill_while_starting()
        self._server = self._restart(number)
        self._check(self._server, settle=settle)

    def _start(self) -> Server:
        server = start(self._folder, SETTINGS)
        self._start_seconds = server.seconds_to_ready
        self.tally.slowest_start = max(self.tally.slowest_start, server.seconds_to_ready)
        return server

    def _load_and_kill(self, server: Server) -> None:
        ended = Event()
        workers: list[Worker] = [*self._uploaders, self._verifier, self._hand]
        threads = [Thread(target=each.run, args=(server.port, ended)) for each in workers]
        for thread in threads:
            thread.start()
        sleep(self._random.uniform(0.05, 1.5))
        server.kill()
        self.tally.kills += 1
        ended.set()
        for thread in threads:
            thread.join()
        self._hand.act()

    def _kill_while_starting(self) -> None:
        process, _port = launch(self._folder, SETTINGS)
        sleep(self._random.uniform(0.3, 1.1) * self._start_seconds)
        process.kill()
        process.wait()
        self.tally.kills_while_starting += 1

    def _restart(self, number: int) -> Server:
        """Start again while another process checks the audit log."""
        with ThreadPoolExecutor(1) as pool:
            checked = pool.submit(self._verify_audit)
            server = self._start()
            entries = checked.result()
        before = self.tally.audit_entries
        if before is not None and entries is not None and entries < before:
            self.tally.problems.append(f"round {number}: the audit log got shorter")
        self.tally.audit_entries = entries
        return server

    def _verify_audit(self) -> int | None:
        done = subprocess.run(
            [*COMMAND, "audit", "verify", "--json"],
            env=environment_of(self._folder),
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            if "No such command" not in done.stderr:
                self.tally.problems.append(f"audit verify: {done.stdout} {done.stderr[-300:]}")
            return None
        entries: int = json.loads(done.stdout)["entries"]
        return entries

    def _check(self, server: Server, *, settle: bool) -> None:
        found, problems = _over_http(server)
        for uploader in self._uploaders:
            problems += uploader.resolve(found)
        problems += self._verifier.problems
        self._verifier.problems = []
        deleted = set[str]().union(*(uploader.deleted for uploader in self._uploaders))
        if settle:
            self.tally.settled += 1
            problems += self._until_settled()
        problems += disk_problems(self._folder, deleted, settled=settle)
        number = self.tally.kills
        self.tally.problems += [f"round {number}: {problem}" for problem in problems]
        for problem in problems:
            print(f"round {number}: {problem}", file=sys.stderr)

    def _until_settled(self) -> list[str]:
        """Wait until the folder's files are references with their newest content."""
        deadline = perf_counter() + SETTLE_SECONDS
        while perf_counter() < deadline:
            query = "SELECT path, sha256 FROM images WHERE path LIKE 'hand-%'"
            if dict(read(self._folder, query)) == self._hand.files:
                return []
            sleep(0.2)
        return ["files put by hand were not taken up"]

    def _figures(self, rounds: int) -> dict[str, Any]:
        return {
            "rounds": rounds,
            "kills": self.tally.kills,
            "kills_while_starting": self.tally.kills_while_starting,
            "acknowledged_enrolments": sum(u.enrolments for u in self._uploaders),
            "acknowledged_deletions": sum(u.deletions for u in self._uploaders),
            "changes_by_hand": self._hand.touched,
            "verifications": self._verifier.answers,
            "rounds_settled": self.tally.settled,
            "audit_entries": self.tally.audit_entries,
            "slowest_start_seconds": round(self.tally.slowest_start, 2),
            "problems": self.tally.problems,
        }


def _over_http(server: Server) -> tuple[Held, list[str]]:
    """What the service says is there."""
    caller, found, problems = Caller(server.port), dict[str, frozenset[str]](), list[str]()
    for entry in caller.get("/subjects").document["subjects"]:
        detail = caller.get(f"/subjects/{entry['subject']}").document
        found[entry["subject"]] = frozenset(image["image_id"] for image in detail["images"])
        if detail["references"] != len(detail["images"]):
            problems.append("a reference without an embedding")
    caller.close()
    return found, problems


def disk_problems(folder: Path, deleted: set[str], *, settled: bool) -> list[str]:
    """What is wrong on the disk."""
    images = folder / "verification_images"
    lying = {p.relative_to(images).as_posix() for p in images.rglob("*") if not p.is_dir()}
    lying.discard(MARKER)
    known = dict(read(folder, "SELECT path, sha256 FROM images"))
    unknown = lying - known.keys()
    if not settled:
        # A file put there by hand is taken up once it stands still.
        unknown = {path for path in unknown if not path.startswith("hand-")}
    counts = Counter[str]()
    counts["rows without file"] = len(known.keys() - lying)
    counts["files without row"] = len(unknown)
    counts["files with other content than was embedded"] = sum(
        _digest(images / path) != known[path]
        for path in known.keys() & lying
        if settled or not path.startswith("hand-")
    )
    counts["files of deleted references"] = sum(Path(path).stem in deleted for path in lying)
    counts["unfinished removals"] = len(read(folder, "SELECT 1 FROM pending_removals"))
    counts["images without embedding"] = len(
        read(folder, "SELECT 1 FROM images WHERE image_id NOT IN (SELECT image_id FROM embeddings)")
    )
    counts["broken references"] = len(read(folder, "PRAGMA foreign_key_check"))
    counts["damage"] = read(folder, "PRAGMA integrity_check") != [("ok",)]
    return [f"{count} {what}" for what, count in counts.items() if count]


def read(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """What another program reads in the database."""
    address = f"file:{folder / 'facetwin.sqlite'}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        return connection.execute(query).fetchall()


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def main() -> None:
    options = _arguments()
    started = perf_counter()
    with gallery(REFERENCES) as folder:
        rounds = Rounds(folder, Random(options.seed))
        figures = rounds.run(options.rounds)
    seconds = round(perf_counter() - started, 1)
    document = {"benchmark": "kill_server", "seed": options.seed, "seconds": seconds, **figures}
    if options.json:
        print(json.dumps(document))
    else:
        for key, value in document.items():
            print(f"{key:<24} {value}")
    sys.exit(bool(figures["problems"]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="how often the server is killed")
    parser.add_argument("--seed", type=int, default=1, help="of moments and calls")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


if __name__ == "__main__":
    main()
