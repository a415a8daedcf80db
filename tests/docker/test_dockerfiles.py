"""What can be said of the Dockerfiles without building them."""

import re
import tomllib

import pytest

from app.inference.bundle import active_version
from app.settings import Settings
from tests.docker.scripts import DOCKER, ROOT

TRAINING = (ROOT / "Dockerfile").read_text("utf-8")
SERVING = (DOCKER / "serving.Dockerfile").read_text("utf-8")
BOTH = pytest.mark.parametrize("text", [TRAINING, SERVING], ids=["training", "serving"])


def test_the_two_differ_in_nothing_but_training() -> None:
    ours, other = TRAINING.splitlines(), SERVING.splitlines()
    assert len(ours) == len(other)
    different = [line for line, its in zip(ours, other, strict=True) if line != its]
    assert {line.split("=")[0].strip() for line in different if not line.startswith("#")} == {
        "ARG EXTRAS",
        "ARG LEFT_OUT",
        "ARG TRAINING_MODULES",
        "org.opencontainers.image.description",
    }


@BOTH
def test_the_version_is_the_project_s(text: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert re.findall(r"^ARG VERSION=(.+)$", text, re.MULTILINE) == [project["version"]]


@BOTH
def test_the_user_is_a_number_and_not_root(text: str) -> None:
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:0"]


@BOTH
def test_the_variables_are_settings(text: str) -> None:
    named = {name.removeprefix("FACETWIN_").lower() for name in re.findall(r"FACETWIN_\w+", text)}
    assert named
    assert named <= set(Settings.model_fields)


@BOTH
def test_every_copied_or_mounted_file_enters_the_context(text: str) -> None:
    ignore = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    allowed = {line[1:] for line in ignore if line.startswith("!")}
    wanted = set(re.findall(r"source=([^,]+)", text))
    for line in re.findall(r"^COPY (?!--)(.+)$", text, re.MULTILINE):
        wanted.update(line.split()[:-1])
    for path in wanted - {"model"}:
        assert path in allowed, path
        assert (ROOT / path).exists(), path


def test_nothing_enters_the_context_unless_it_is_named() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert next(line for line in lines if not line.startswith("#")) == "*"
    allowed = [line[1:] for line in lines if line.startswith("!")]
    forbidden = ("tests", "data", "application_data", ".git", "benchmarks", "docs", "secrets")
    assert not [path for path in allowed if path.split("/")[0] in forbidden]
    assert active_version(ROOT / "model").startswith("default-")


def test_no_host_but_public_ones_is_named() -> None:
    """An index or registry of whoever builds comes by arguments and configuration."""
    files = [ROOT / "Dockerfile", ROOT / ".dockerignore"]
    files += [path for path in DOCKER.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    for path in files:
        text = path.read_text("utf-8")
        for host in re.findall(r"https?://([^\s/\"'{]+)", text):
            assert re.match(r"127\.0\.0\.1|localhost|\$|facetwin(:8000)?;", host), (path, host)
        assert str(ROOT) not in text
        assert str(ROOT.parent / "shared") not in text


def test_what_builds_is_pinned() -> None:
    text = (DOCKER / "build-requirements.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", line) for line in lines)
