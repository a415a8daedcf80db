"""The scripts under docker/, which is no package."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCKER: Final = ROOT / "docker"


def script(name: str) -> ModuleType:
    """A script as a module, e.g. `ci/content`."""
    specification = spec_from_file_location(name.replace("/", "_"), DOCKER / f"{name}.py")
    assert specification
    assert specification.loader
    module = module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
