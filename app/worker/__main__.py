"""Composition root of the processes of training: `python -m app.worker`.

Settings come over standard input (see `handover`), else from the environment.
"""

import argparse
import sys
from collections.abc import Sequence

from app.domain.errors import FacetwinError
from app.logs import configure_logging, get_logger
from app.settings import Settings
from app.storage.database import Database
from app.worker.handover import received
from app.worker.job import RunJob, be_job, run_training
from app.worker.supervisor import WORKER
from app.worker.warden import Warden

_FAILED = 1

_log = get_logger("facetwin.worker")


def main(
    arguments: Sequence[str] | None = None,
    *,
    run: RunJob = run_training,
    command: Sequence[str] = WORKER,
) -> int:
    """Be a warden, or with `--job` the process of one job. Returns the exit code.

    Args:
        arguments: Of the command line.
        run: What does the work of a job.
        command: Starts this program again; it must lead to the same `run`.
    """
    parser = argparse.ArgumentParser(prog="python -m app.worker", description=__doc__)
    parser.add_argument("--job", help="Run this job for the warden that has claimed it.")
    job_id = parser.parse_args(arguments).job
    settings, assignment = received()
    configure_logging(settings)
    if job_id is None:
        return _be_warden(settings, command)
    if assignment is None or assignment.job_id != job_id:
        parser.error("--job is for the warden alone: it hands the job over.")
    be_job(settings, assignment, run)
    return 0


def _be_warden(settings: Settings, command: Sequence[str]) -> int:
    database = Database(settings.database_url)
    warden = Warden(settings, database, command)
    warden.obey_signals()
    try:
        warden.run()
    except FacetwinError as error:
        _log.error("worker_failed", reason=error.message)
        return _FAILED
    finally:
        database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
