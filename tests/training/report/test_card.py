from dataclasses import replace

import pytest

from app.domain.calibration import Calibration
from app.domain.training import Preset
from app.inference.bundle import Bundle
from app.training.report.card import model_card
from app.training.report.findings import Findings
from tests.training.report.jobs import OPTIONS, findings, point, trained


@pytest.fixture(scope="module")
def job(bundle: Bundle) -> Findings:
    made = findings(bundle, owner=40, strangers=150)
    return replace(made, trained=replace(trained(), config={"rate": 1e-4, "a": {"b": "x|y"}}))


def test_it_tells_what_it_is_and_what_it_is_worth(job: Findings) -> None:
    card = model_card(job)
    for words in (
        "# Model card: finetune-1",
        "started from the bundle default-2",
        "made for one person",
        "no liveness detection",
        "It started from default-2",
        "| train | 24 | 24 | 90 | 90 |",
        "| FNMR at FMR 10 % * |",
        job.gate.sentence,
        "- Nothing is lost for enrolled subjects.",
        "| 1 | 10 % | 0.2000 | 10.0 % (0.0 % to 20.0 %) | 2.0 % (1.0 % to 4.0 %) |",
        "| rate | 0.0001 |",
        r"| a.b | x\|y |",
    ):
        assert words in card
    rate = job.comparison.rates[0].equal_error_rate.candidate
    assert f"| EER | {rate.value * 100:.1f} % (" in card


def test_it_names_no_person_and_no_file(job: Findings) -> None:
    card = model_card(job)
    assert "ann" not in card.replace("cannot", "").replace("annot", "")
    assert ".jpg" not in card
    assert "<script" not in card


@pytest.mark.parametrize(
    ("calibration", "words"),
    [
        (Calibration({"1": (point(0.1, 0.2),)}), "The thresholds hold for every subject."),
        (Calibration({"1": (point(0.1, 0.2),)}, "ann"), "answered with `unsupported_fmr`"),
        (
            Calibration({"1": (point(0.1, 0.2),)}, "ann", {"1": (point(0.1, 0.3),)}),
            "Other\nsubjects have thresholds of their own",
        ),
    ],
)
def test_whom_the_calibration_is_about(job: Findings, calibration: Calibration, words: str) -> None:
    card = model_card(replace(job, calibration=calibration))
    assert words.replace("\n", " ") in card
    assert ("Everyone else:" in card) == bool(calibration.others)


@pytest.mark.parametrize(
    ("preset", "words"),
    [(Preset.SEED, "trained from nothing"), (Preset.COMPACT, "made for whoever is enrolled")],
)
def test_every_preset_has_its_words(job: Findings, preset: Preset, words: str) -> None:
    assert words in model_card(replace(job, options=replace(OPTIONS, preset=preset)))


def test_without_anything_to_compare_it_says_why(bundle: Bundle, job: Findings) -> None:
    bare = job.comparison.model_copy(update={"rates": [], "note": "There is nothing to compare."})
    card = model_card(replace(job, comparison=bare, regressions=()))
    assert "There is nothing to compare." in card
    assert "- Nobody else could be tried." in card
