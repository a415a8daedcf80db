"""The documents say what the code does."""

import re
from pathlib import Path

import pytest
import typer

from app.api.errors import PROBLEMS
from app.cli import app as cli
from app.domain.entities import ReasonCode
from app.inference.bundle import load_active
from app.main import create_app
from app.settings import Settings

ROOT = Path(__file__).parents[1]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
API = (ROOT / "docs" / "api.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks" / "README.md"]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_with_its_default(name: str) -> None:
    row = re.search(rf"^\| `FACETWIN_{name.upper()}` \| (.*?) \|", OPERATIONS, re.MULTILINE)
    assert row, f"FACETWIN_{name.upper()} is not in docs/operations.md"
    field = Settings.model_fields[name]
    if field.default_factory is None:
        value = getattr(field.default, "value", field.default)
        shown = f"`{str(value).lower() if isinstance(value, bool) else value}`"
        assert row[1] == ("none" if value in ((), None) else shown)


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {f"FACETWIN_{name.upper()}" for name in Settings.model_fields}
    known.add("FACETWIN_RESEARCH_DATA")  # read by the tests alone
    for path in DOCUMENTS:
        named = set(re.findall(r"FACETWIN_[A-Z_]+[A-Z]", path.read_text("utf-8")))
        assert named <= known, path


def test_every_route_is_documented() -> None:
    paths = create_app(Settings()).openapi()["paths"]
    served = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    documented = set(re.findall(r"^\| `([A-Z]+ /[^`]*)` \|", API, re.MULTILINE))
    assert documented == served


def test_every_problem_and_reason_is_documented() -> None:
    for code, (status, _title) in PROBLEMS.items():
        assert re.search(rf"^\| `{code}` \| {status.value} \|", API, re.MULTILINE), code
    for reason in ReasonCode:
        assert f"`{reason.value}`" in API


def test_every_finding_in_training_photos_is_documented() -> None:
    code = re.compile(r"""code(?:=|": )"([a-z_]+)\"""")
    sources = (ROOT / "app" / "training" / "data").glob("*.py")
    found = {name for path in sources for name in code.findall(path.read_text("utf-8"))}
    found |= {"anchor_empty", "positive_empty"}
    assert {"too_few_people", "photos_changed", "photos_left_out"} <= found
    training = (ROOT / "docs" / "training.md").read_text("utf-8")
    for name in found:
        assert f"`{name}`" in training, name


def commands(group: typer.Typer, prefix: str = "") -> list[str]:
    """Names of all commands, with those of their groups in front."""
    own = [
        prefix + (command.name or command.callback.__name__)
        for command in group.registered_commands
        if command.callback
    ]
    for inner in group.registered_groups:
        assert inner.typer_instance
        own += commands(inner.typer_instance, f"{prefix}{inner.name} ")
    return own


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text("utf-8")
    for command in commands(cli):
        assert f"facetwin {command}" in text


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", path.read_text("utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_readme_and_accuracy_speak_of_the_bundle_that_is_shipped() -> None:
    version = load_active(ROOT / "model").manifest.version
    for text in (README, (ROOT / "docs" / "accuracy.md").read_text("utf-8")):
        assert version in text


def test_readme_says_what_is_missing_and_under_which_licence() -> None:
    assert "liveness" in README
    assert "non-commercial" in README
