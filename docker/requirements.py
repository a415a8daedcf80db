"""Print what pyproject.toml requires, with the extras that are named: `requirements.py train`.

So that dependencies can be installed before, and apart from, the package itself.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def requirements(project: dict[str, Any], extras: list[str]) -> Iterator[str]:
    """Requirements of a project and of its extras; an extra may take in others of the project."""
    yield from project["dependencies"]
    for extra in extras:
        for requirement in project["optional-dependencies"][extra]:
            inner = re.fullmatch(rf"{re.escape(project['name'])}\[(.+)\]", requirement)
            if inner:
                yield from requirements({**project, "dependencies": []}, inner[1].split(","))
            else:
                yield requirement


def main() -> None:
    """Read pyproject.toml of the working directory."""
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
    sys.stdout.write("\n".join(requirements(project, sys.argv[1:])) + "\n")


if __name__ == "__main__":
    main()
