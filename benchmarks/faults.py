"""Real faults on a real server: `python -m benchmarks.faults`.

For each: what a client or the operator sees, whether the old data is whole afterwards, and whether
the service recovers once the cause is gone. Exit code 1 if one of these is wrong. Full disks and
vanishing volumes need the right to mount; without it their rows say so.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from benchmarks import fault_databases, fault_disks
from benchmarks.fault_places import Base, NotPermittedError, base_gallery
from benchmarks.fault_rows import Row


def clock_steps(row: Row, _base: Base) -> None:
    row.skipped = (
        "the clock of the machine is left alone; test_settling.py, test_housekeeping.py, "
        "test_audit.py and test_faults.py in tests/services step the clocks that are read"
    )


FAULTS: Final = (
    fault_disks.full_disk,
    fault_disks.deletion_on_a_full_disk,
    fault_disks.full_disk_at_start,
    fault_disks.read_only_photos,
    fault_disks.read_only_at_start,
    fault_disks.unmounted_photos,
    fault_disks.unmounted_photos_at_start,
    fault_disks.missing_folder,
    fault_databases.locked_database,
    fault_databases.locked_at_start,
    fault_databases.damaged_header,
    fault_databases.damaged_middle,
    fault_databases.truncated,
    fault_databases.damaged_while_running,
    fault_databases.second_server,
    fault_databases.second_server_elsewhere,
    clock_steps,
)


def main() -> None:
    options = _arguments()
    with base_gallery() as base:
        rows = [_row(fault, base) for fault in FAULTS if options.only in fault.__name__]
    if options.json:
        print(json.dumps({"benchmark": "faults", "rows": [asdict(row) for row in rows]}))
    else:
        for row in rows:
            _print(row)
    sys.exit(any(row.problems for row in rows))


def _row(fault: Callable[[Row, Base], None], base: Base) -> Row:
    row = Row(fault.__name__.replace("_", " "))
    try:
        fault(row, base)
    except NotPermittedError as error:
        row.skipped = f"not permitted here ({error})"
    except (OSError, RuntimeError, TimeoutError) as error:
        row.problems.append(f"{type(error).__name__}: {error}")
    return row


def _print(row: Row) -> None:
    verdict = "WRONG" if row.problems else "skipped" if row.skipped else "ok"
    print(f"{verdict:<8} {row.fault}")
    for line in (*row.seen, *filter(None, [row.skipped])):
        print(f"         {line}")
    for problem in row.problems:
        print(f"         !! {problem}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="only faults whose name contains this")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


if __name__ == "__main__":
    main()
