"""The look through an image's files finds what it is for."""

from pathlib import Path

import pytest

from tests.docker.scripts import script

content = script("ci/content")


@pytest.mark.parametrize(
    "path",
    [
        "opt/facetwin/application/tests/test_api.py",
        "opt/facetwin/bytecode/opt/facetwin/application/tests/test_api.cpython-311.pyc",
        "opt/facetwin/.git/config",
        "opt/facetwin/application/app/__pycache__/main.cpython-311.pyc",
        "opt/facetwin/model/default-2/owner.jpg",
        "opt/facetwin/application_data/facetwin.sqlite",
        "opt/facetwin/application_data/service.key",
        "opt/venv/bin/pip3",
        "opt/venv/.env",
        "root/.cache/pip/http/a",
        "etc/pip.conf",
        "usr/bin/gcc",
        "home/someone/notes.txt",
    ],
)
def test_what_has_no_business_there_is_found(path: str) -> None:
    assert list(content.wrong_files([path]))


@pytest.mark.parametrize(
    "path",
    [
        "opt/facetwin/application/app/main.py",
        "opt/facetwin/model/default-2/golden/astronaut.jpg",
        "opt/venv/lib/python3.11/site-packages/certifi/cacert.pem",
        "opt/facetwin/bytecode/opt/venv/lib/python3.11/site-packages/tensorflow/test/a.pyc",
        "opt/facetwin/bytecode/opt/facetwin/application/app/main.cpython-311.pyc",
    ],
)
def test_what_belongs_there_is_not(path: str) -> None:
    assert not list(content.wrong_files([path]))


def test_versions_are_held_against_the_constraints() -> None:
    constraints = "# comment\nNumPy==2.0\npython-dateutil==1.0\n"
    packages = {"numpy": "2.0", "python-dateutil": "1.0", "facetwin": "0.1.0"}
    assert not list(content.wrong_packages(packages, constraints, "serving"))
    for wrong in ({"numpy": "2.1"}, {"new": "1"}, {"tensorflow": "2"}, {"pytest": "1"}):
        assert list(content.wrong_packages(packages | wrong, constraints, "serving")), wrong
    assert list(content.wrong_packages(packages, constraints, "training"))


def test_installed_packages_are_read_from_their_metadata(tmp_path: Path) -> None:
    folder = tmp_path / "opt/venv/lib/python3.11/site-packages/Some_Thing-1.2.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: Some_Thing\nVersion: 1.2\n\ntext"
    )
    assert content.installed(tmp_path) == {"some-thing": "1.2"}


def test_one_bundle_and_its_keras_network_where_it_is_needed(tmp_path: Path) -> None:
    folder = tmp_path / "opt/facetwin/model"
    (folder / "default-2").mkdir(parents=True)
    (folder / "active").write_text("default-2\n")
    assert not list(content.wrong_bundle(tmp_path, "serving"))
    assert list(content.wrong_bundle(tmp_path, "training"))
    (folder / "own").mkdir()
    assert list(content.wrong_bundle(tmp_path, "serving"))


def test_requirements_of_one_machine_alone_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "opt/venv/lib/python3.11/site-packages/thing-1.dist-info"
    folder.mkdir(parents=True)
    metadata = "Name: thing\nRequires-Dist: other; {} == 'aarch64'{}\n"
    folder.joinpath("METADATA").write_text(metadata.format("platform_machine", ""))
    assert list(content.by_machine(tmp_path))
    folder.joinpath("METADATA").write_text(
        metadata.format("platform_machine", " and extra == 'all'")
    )
    assert not list(content.by_machine(tmp_path))
