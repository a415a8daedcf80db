import re
import tomllib

from tests.docker.scripts import ROOT, script

requirements = script("requirements").requirements
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_serving_takes_the_project_s_own_requirements_alone() -> None:
    assert list(requirements(PROJECT, [])) == PROJECT["dependencies"]


def test_an_extra_brings_those_that_it_names() -> None:
    project = {
        "name": "thing",
        "dependencies": ["base>=1"],
        "optional-dependencies": {
            "all": ["thing[a,b]", "c"],
            "a": ["x"],
            "b": ["thing[d]"],
            "d": ["y"],
        },
    }
    assert list(requirements(project, ["all"])) == ["base>=1", "x", "y", "c"]


def test_what_the_images_need_is_pinned() -> None:
    constraints = (ROOT / "constraints.txt").read_text("utf-8")
    pinned = {name.lower() for name in re.findall(r"^([\w.-]+)==", constraints, re.MULTILINE)}
    for requirement in requirements(PROJECT, ["train"]):
        match = re.match(r"[\w.-]+", requirement)
        assert match
        assert {match[0].lower(), match[0].lower().replace("-", "_")} & pinned, requirement
