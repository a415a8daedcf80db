"""Processes killed in the middle of changes; `benchmarks.kill_anywhere` is the long run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dummy_pipeline import photo
from tests.services.kill_changes import BASE, OLD, make_base, put
from tests.services.kill_checks import image_ids, opened, problems_of, rows

ROOT = Path(__file__).parents[2]
KILLS_PER_CHANGE = 3


def test_a_process_may_be_killed_at_any_line() -> None:
    # In a process of its own, as forking needs a process with a single thread.
    command = [sys.executable, "-m", "benchmarks.kill_anywhere", "--rounds=3", "--json"]
    done = subprocess.run(
        [*command, f"--sweep={KILLS_PER_CHANGE}"],
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    figures = json.loads(done.stdout)
    assert figures["problems"] == []
    # The very last line is not reached every time.
    for change in figures["lines_by_change"]:
        assert figures["kills_by_change"][change] >= KILLS_PER_CHANGE - 1
    # Some of the kills came after the acknowledgement, most of them before.
    assert 0 < sum(figures["acknowledged_by_change"].values()) < figures["kills"]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    make_base(tmp_path)
    return tmp_path


def damage_row(base: Path) -> None:
    (base / "verification_images" / rows(base, "SELECT path FROM images")[0][0]).unlink()


def orphan_file(base: Path) -> None:
    put(base, "alice/.incoming-0.jpg", photo("alice", 7))


def lose_person(base: Path) -> None:
    with opened(base, OLD) as session:
        session.gallery.delete_subject("carol")


def resurrect(base: Path) -> None:
    put(base, "alice/again.jpg", photo("alice", 7))


def break_chain(base: Path) -> None:
    with opened(base, OLD) as session, session.database.write_apart() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_log_is_never_changed")
        connection.exec_driver_sql("UPDATE audit_log SET outcome = 'x' WHERE seq = 2")


def test_the_check_passes_a_whole_gallery(base: Path) -> None:
    assert problems_of(base, [BASE], OLD, image_ids(base)) == []


@pytest.mark.parametrize("spoil", [damage_row, lose_person, resurrect, break_chain])
def test_the_check_sees_damage(base: Path, spoil: object) -> None:
    """The harness would notice what it looks for."""
    assert callable(spoil)
    old = image_ids(base)
    spoil(base)
    assert problems_of(base, [BASE], OLD, old)


def test_the_check_repairs_what_a_crash_leaves(base: Path) -> None:
    orphan_file(base)
    assert problems_of(base, [BASE], OLD, image_ids(base)) == []
    assert not list((base / "verification_images").rglob(".incoming-*"))
