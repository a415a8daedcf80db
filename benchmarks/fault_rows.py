"""What is noted about a fault."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.calls import Answer, Caller
from benchmarks.fault_places import Base, fresh_enrolment, is_whole, refused_start, verification
from benchmarks.server import Server

SETTINGS: Final = {"FACETWIN_SYNC_INTERVAL": "0.5"}
SYNCS_SECONDS: Final = 4.0
"""Time for several looks at the folder."""


@dataclass
class Row:
    """One fault.

    Attributes:
        seen: What came back while it lasted.
        problems: What was wrong; empty if all is well.
    """

    fault: str
    seen: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    skipped: str = ""

    def expect(self, what: str, answer: Answer, status: int, words: str = "") -> None:
        """Note an answer, and whether it is the right one."""
        detail = str(answer.document.get("detail", answer.document.get("decision", "")))
        self.seen.append(f"{what}: {answer.status} {answer.code} {detail}".strip())
        if answer.status != status or words not in detail:
            self.problems.append(f"{what}: expected {status} {words}")

    def expect_match(self, server: Server) -> None:
        """Verification goes on."""
        answer = verification(server)
        self.expect("verify", answer, 200, "match")

    def expect_recovery(self, server: Server, base: Base, folder: Path) -> None:
        """Old data is whole and new data is taken."""
        self.expect("afterwards enroll", fresh_enrolment(server, 501), 201)
        self.problems += is_whole(server, base, folder)

    def expect_refusal(self, folder: Path, words: str, **settings: str) -> None:
        """The server does not start and says why, without a traceback."""
        code, output = refused_start(folder, {**SETTINGS, **settings})
        lines = output.strip().splitlines() or [""]
        self.seen.append(f"start: exit code {code}, {lines[-1]}")
        if code == 0 or words not in " ".join(output.lower().split()):
            self.problems.append(f"start: expected a refusal that says {words!r}")
        if "Traceback" in output:
            self.problems.append("start: a traceback")

    def expect_degraded(self, server: Server) -> None:
        """/readyz tells of it, and stays ready."""
        answer = Caller(server.port).get("/readyz")
        codes = [problem["code"] for problem in answer.document.get("degraded", [])]
        self.seen.append(f"readyz: {answer.status}, degraded {codes}")
        if answer.status != 200 or not codes:
            self.problems.append("readyz does not say that the gallery is degraded")
