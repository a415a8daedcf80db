import json
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from app.domain.errors import StorageError
from app.domain.training import Judgement, TrainingOptions
from app.inference.bundle import Bundle
from app.training.acceptance.hardest import ErrorKind
from app.training.data.report import Problem
from app.training.job.memory import Decision
from app.training.presets.trained import EpochRecord
from app.training.report.document import ReportDocument
from app.training.report.findings import Findings
from app.training.report.write import write_data_report, write_report
from tests.training.report.jobs import HOSTILE, data_report, findings, trained

VOID = {"br", "img", "meta"}


class Page(HTMLParser):
    """A page that must be well-formed: what was opened last is closed first."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, name: str) -> Iterator[dict[str, str | None]]:
        return (attributes for tag, attributes in self.tags if tag == name)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def job(bundle: Bundle) -> Findings:
    return findings(bundle)


@pytest.fixture(scope="module")
def folder(job: Findings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("job")
    write_report(path, job)
    return path


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text("utf-8"))


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "report.json").read_bytes())
    return document


def test_only_the_two_files_are_left(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"report.json", "report.html"}


def test_the_verdict_comes_first_and_in_one_sentence(page: Page, job: Findings) -> None:
    heading = next(page.all("h1"))
    assert heading == {}
    words = page.text
    assert "finetune-1 is better than default-2 and is to take over." in words
    assert words.index("is to take over.") < words.index("Side by side")
    assert words.count("Fewer of the owner's photos fail.") == 1


@pytest.mark.parametrize(
    ("decision", "sentence"),
    [
        (Decision(Judgement.WORSE, False, ()), "is worse than default-2, which goes on serving."),
        (
            Decision(Judgement.INDISTINGUISHABLE, True, ()),
            "can't be told from default-2 and is to take over.",
        ),
        (Decision(None, False, ()), "could not be compared with default-2, which goes on serving."),
    ],
)
def test_every_verdict_has_its_words(
    job: Findings, decision: Decision, sentence: str, tmp_path: Path
) -> None:
    write_report(tmp_path, replace(job, decision=decision))
    document = json.loads((tmp_path / "report.json").read_bytes())
    assert document["verdict"]["sentence"] == f"finetune-1 {sentence}"


def test_the_contents_lead_to_the_sections(page: Page) -> None:
    ids = {attributes["id"] for attributes in page.all("h2")}
    assert {f"#{name}" for name in ids} == {link["href"] for link in page.all("a")}
    assert {"side-by-side", "gate", "hardest-errors", "data", "settings"} <= ids


def test_the_page_needs_nothing_and_runs_nothing(page: Page, folder: Path) -> None:
    policies = [m["content"] for m in page.all("meta") if m.get("http-equiv")]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href"):
            assert re.match(r"(data:image/jpeg;base64,|#)", attributes.get(name) or "#")
    style = "".join(text for text in page.words if "color-scheme" in text)
    assert "url(" not in style
    assert "@import" not in style
    assert (folder / "report.html").stat().st_size < 600_000


def test_names_of_files_and_people_are_only_text(page: Page, folder: Path) -> None:
    assert HOSTILE in page.text
    assert "<script" not in (folder / "report.html").read_text("utf-8")


def test_figures_are_the_same_on_the_page_and_as_json(
    page: Page, told: dict[str, Any], job: Findings
) -> None:
    document = ReportDocument.model_validate(told)
    assert document.comparison == job.comparison
    assert document.gate == job.gate
    assert document.data == job.data
    assert document.calibration.calibration().subject == "ann"
    rates = document.comparison.rates[1].equal_error_rate
    assert rates.candidate.value < rates.active.value
    for rate in (rates.candidate, rates.active):
        assert f"({rate.low * 100:.1f} % to" in page.text or rate.low < 0.01
    assert job.gate.sentence in page.text
    assert "Nothing is lost for enrolled subjects." in page.text


def test_the_split_is_counted(told: dict[str, Any], job: Findings) -> None:
    sides = told["split"]["sides"]
    assert sum(side["owner_photos"] for side in sides.values()) == 60
    assert sum(side["other_people"] for side in sides.values()) == 400
    assert sides["train"] == {
        "owner_photos": 36,
        "owner_groups": 36,
        "other_people": 240,
        "other_photos": 240,
    }


def test_pictures_have_words_and_names_of_their_own(page: Page) -> None:
    labels = [svg["aria-label"] for svg in page.all("svg")]
    starts = ("Loss", "Validation accuracy", "Scores of the new", "Scores of the active", "ROC")
    for start in (*starts, "DET"):
        assert any(label and label.startswith(start) for label in labels)
    assert all(svg["role"] == "img" for svg in page.all("svg"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert any(label and "training from 1 to 0.3333" in label for label in labels)
    used = {a["xlink:href"] for _, a in page.tags if "xlink:href" in a}
    assert {f"#{name}" for name in ids} >= used


def test_pictures_take_their_colours_from_the_page(folder: Path) -> None:
    text = (folder / "report.html").read_text("utf-8")
    pictures = text[text.index("<svg") :]
    assert not re.search(r"(fill|stroke): #", pictures)
    assert "var(--one)" in pictures


def test_the_hardest_errors_are_pairs_of_faces(page: Page, told: dict[str, Any]) -> None:
    errors = told["hardest_errors"]
    assert {each["error"]["bundle"] for each in errors} == {"candidate", "active"}
    pictures = list(page.all("img"))
    assert len(pictures) == 2 * len(errors)
    assert all(picture["alt"] for picture in pictures)
    first = errors[0]
    assert first["error"]["kind"] == ErrorKind.FALSE_NON_MATCH
    row = int(str(first["probe_file"]).split("/")[1].split("-")[0])
    (shown,) = {p["src"] for p in pictures if p["alt"] == f"Probe: {first['probe_file']}"}
    data = np.frombuffer(b64decode(str(shown).partition(",")[2]), np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert pixels is not None
    assert pixels.shape == (112, 112, 3)
    assert pixels[50, 50, ::-1].tolist() == pytest.approx([row % 256, 90, 200], abs=3)


def test_a_photo_that_is_gone_is_said_to_be(bundle: Bundle, tmp_path: Path) -> None:
    lost = findings(bundle, owner=40, strangers=150, gone=frozenset(range(190)))
    write_report(tmp_path, lost)
    made = Page((tmp_path / "report.html").read_text("utf-8"))
    assert not list(made.all("img"))
    assert "This photo is gone, or was changed." in made.text


def test_a_page_without_matplotlib_says_so(
    job: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.training.report.figures.find_spec", lambda _: None)
    write_report(tmp_path, job)
    made = Page((tmp_path / "report.html").read_text("utf-8"))
    assert not list(made.all("svg"))
    assert "pip install 'facetwin[plots]'" in made.text


def test_a_loss_that_is_no_number_is_null(job: Findings, tmp_path: Path) -> None:
    broken = EpochRecord(1, float("nan"), None, None, 1e-4, 1.0)
    settings = trained().config | {"limit": float("inf")}
    write_report(
        tmp_path, replace(job, trained=replace(trained(), history=(broken,), config=settings))
    )
    document = json.loads((tmp_path / "report.json").read_bytes())
    assert document["training"]["history"][0]["loss"] is None
    assert document["training"]["hyper_parameters"]["limit"] is None
    assert "not known" in Page((tmp_path / "report.html").read_text("utf-8")).text


def test_every_hyper_parameter_is_there(page: Page, told: dict[str, Any]) -> None:
    assert told["training"]["hyper_parameters"]["jitter"] == {"scale": [0.9, 1.1]}
    assert told["training"]["options"]["subject"] == "ann"
    for words in ("jitter.scale 0.9, 1.1", "rate 0.0001", "preset finetune", "resnet29"):
        assert words in page.text


def test_the_data_report_is_told_whole(page: Page) -> None:
    for words in (
        "no_face: 1, TOO_DARK: 1",
        "Rejected files: 1",
        "In two roles: 1",
        "negative/eve/1.jpg",
        "positive/odd.jpg 12%",
        "Add more people to data/negative.",
    ):
        assert words in page.text


def test_refused_photos_have_a_page_of_their_own(tmp_path: Path) -> None:
    problem = Problem(code="anchor_empty", message=f"Nothing in {HOSTILE}.")
    write_data_report(tmp_path, TrainingOptions(subject="ann"), data_report(problems=[problem]))
    made = Page((tmp_path / "report.html").read_text("utf-8"))
    assert "Nothing was trained" in made.text
    assert f"Nothing in {HOSTILE}." in made.text
    assert "no_face: 1" in made.text
    document = json.loads((tmp_path / "report.json").read_bytes())
    assert document["data"]["problems"] == [problem.model_dump()]
    assert document["verdict"]["activate"] is False


def test_a_full_disk_is_told_and_leaves_the_old_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "report.html").write_text("old", encoding="utf-8")
    done: list[int] = []

    def full(file: int) -> None:
        done.append(file)
        if len(done) > 1:  # the JSON still fits
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"report\.html .* No space left"):
        write_data_report(tmp_path, TrainingOptions(), data_report())
    assert (tmp_path / "report.html").read_text("utf-8") == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "report.html"}


def test_the_page_with_its_faces_is_for_the_service_alone(folder: Path) -> None:
    assert (folder / "report.html").stat().st_mode & 0o777 == 0o600


def test_the_report_needs_no_tensorflow() -> None:
    code = "import sys, app.training.report.write, app.training.report.card; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {name.split(".")[0] for name in loaded} & {"tensorflow", "keras", "matplotlib"}
