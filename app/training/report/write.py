"""report.json and report.html in the folder of a job."""

import os
from pathlib import Path
from typing import Final

from app.domain.errors import StorageError
from app.domain.training import TrainingOptions
from app.training.acceptance.hardest import DEFAULT_FMR, hardest
from app.training.data.inspection import DataReport
from app.training.job.memory import write_json
from app.training.report.document import document, refusal
from app.training.report.faces import face_pictures
from app.training.report.findings import Findings
from app.training.report.page import refusal_page, report_page

JSON: Final = "report.json"
PAGE: Final = "report.html"


def write_report(folder: Path, findings: Findings) -> None:
    """Write the report of a job that trained.

    Raises:
        StorageError: If it can't be written; what was there stays whole.
    """
    priced = findings.gate.target_fmr or DEFAULT_FMR
    errors = hardest(findings.contest, seed=findings.options.seed, fmr=priced)
    report = document(findings, errors)
    page = report_page(report, face_pictures(findings, errors))
    write_json(folder / JSON, report.model_dump(mode="json"))
    _write(folder / PAGE, page)


def write_data_report(folder: Path, options: TrainingOptions, report: DataReport) -> None:
    """Write the report of a job whose photos were refused; raises as `write_report`."""
    told = refusal(options, report)
    write_json(folder / JSON, told.model_dump(mode="json"))
    _write(folder / PAGE, refusal_page(told))


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    try:
        # Faces are for the service alone, whatever the umask.
        with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(f"{path.name} of the job can't be written: {error.strerror}.") from error
