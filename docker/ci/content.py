"""Look through an image's files: `content.py ROOT BASE serving|training --list FILE`.

ROOT and BASE are the mounted file systems of the image and of the image that it is based on. The
working directory is the checkout. Fails with what should not be there, or what is missing.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

OURS: Final = ("opt/venv", "opt/facetwin")
"""Where everything that the Dockerfiles add has to lie."""

BY_THE_BUILDER: Final = re.compile(
    r"(etc/(hosts|hostname|resolv\.conf|mtab)|(dev|proc|sys|run|tmp)(/.*)?|var/lib/facetwin)"
)
"""Files that builders and engines make themselves, and the empty mount point of the volume."""

FORBIDDEN: Final = {
    "history or checkout": r"(^|/)(\.git|\.github|\.ci|\.gitignore)(/|$)",
    "tests or research": r"^opt/facetwin/(?!bytecode/opt/venv/)(.*/)?"
    r"(tests?|benchmarks|conftest\.py)(/|$)",
    "photos": r"\.(jpe?g|png|webp|bmp|npy|npz)$",
    "databases": r"\.(sqlite3?|db)(-wal|-shm)?$",
    "secrets": r"(\.(key|pem|p12|pfx)|/\.env|id_rsa|\.netrc|\.pypirc|pip\.conf|service\.key)$",
    "caches": r"(__pycache__|\.cache|\.pytest_cache|\.mypy_cache|\.ruff_cache)(/|$)",
    "compilers and installers": r"/(gcc|cc|g\+\+|clang|ld|pip3?|uv)$",
}
ALLOWED: Final = (
    r"^opt/facetwin/model/[^/]+/golden/[^/]+\.jpg$",
    # Certificate authorities and pictures of the packages' own.
    r"^opt/venv/lib/python3[^/]*/site-packages/(certifi|grpc|matplotlib)/.*\.(pem|png|jpg|np[yz])$",
    r"^opt/venv/lib/python3[^/]*/site-packages/(clang|numpy|scipy|tensorflow|keras)/.*\.np[yz]$",
)
NEEDED: Final = (
    "opt/facetwin/NOTICE",
    "opt/facetwin/LICENSE",
    "opt/facetwin/healthcheck.py",
    "opt/facetwin/application/app/main.py",
    "opt/facetwin/application/bin/facetwin",
    "opt/facetwin/model/active",
)


def files_of(root: Path) -> dict[str, tuple[int, int]]:
    """Relative paths of all files and links, with size and time."""
    found = {}
    for path in root.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            status = path.lstat()
            found[str(path.relative_to(root))] = (status.st_size, int(status.st_mtime))
    return found


def wrong_files(added: list[str]) -> Iterator[str]:
    """What should not have been added."""
    for path in added:
        if not path.startswith(tuple(f"{folder}/" for folder in OURS)):
            yield f"outside of {' and '.join(OURS)}: {path}"
        if any(re.search(pattern, path) for pattern in ALLOWED):
            continue
        for what, pattern in FORBIDDEN.items():
            if re.search(pattern, path):
                yield f"{what}: {path}"


def packages_of(root: Path) -> Iterator[Message]:
    """Metadata of all installed packages, but not of those that others carry within themselves."""
    for path in root.glob("opt/**/*.dist-info/METADATA"):
        if "_vendor" not in path.parts:
            yield HeaderParser().parsestr(path.read_text("utf-8", "replace"))


def installed(root: Path) -> dict[str, str]:
    """Versions of the installed packages by normalised name."""
    return {normal(package["Name"]): package["Version"] for package in packages_of(root)}


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wrong_packages(packages: dict[str, str], constraints: str, flavour: str) -> Iterator[str]:
    """What differs from the constraints, and what the flavour has or lacks by mistake."""
    pinned = dict(re.findall(r"^([^#\s]+?)==(\S+)$", constraints, re.MULTILINE))
    pins = {normal(name): version for name, version in pinned.items()}
    for name, version in packages.items():
        if name != "facetwin" and pins.get(name) != version:
            yield f"{name} {version} is not pinned so by constraints.txt"
    for name in ("pytest", "ruff", "mypy", "hypothesis", "pip", "hatchling"):
        if name in packages:
            yield f"{name} has no business here"
    if ("tensorflow" in packages) != (flavour == "training"):
        yield "TensorFlow belongs into the image that trains, and only there"
    if "facetwin" not in packages:
        yield "facetwin itself is not installed"


def by_machine(root: Path) -> Iterator[str]:
    """Requirements that hold on some machines only: constraints made on another would miss them."""
    for package in packages_of(root):
        for requirement in package.get_all("Requires-Dist", []):
            if "platform_machine" in requirement and "extra ==" not in requirement:
                yield f"{package['Name']} needs by machine: {requirement}"


def wrong_bundle(root: Path, flavour: str) -> Iterator[str]:
    """The model folder holds the active bundle alone."""
    folder = root / "opt/facetwin/model"
    version = (folder / "active").read_text("utf-8").strip()
    names = sorted(path.name for path in folder.iterdir())
    if names != sorted(["active", version]):
        yield f"the model folder holds {', '.join(names)}"
    if (folder / version / "embedding.keras").exists() != (flavour == "training"):
        yield "the Keras network belongs into the image that trains, and only there"


def main() -> int:
    """Print what is wrong, or how much there is; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("base", type=Path)
    parser.add_argument("flavour", choices=["serving", "training"])
    parser.add_argument("--list", type=Path, required=True)
    options = parser.parse_args()

    base, files = files_of(options.base), files_of(options.root)
    added = sorted(
        path
        for path, status in files.items()
        if base.get(path) != status and not BY_THE_BUILDER.fullmatch(path)
    )
    options.list.write_text("".join(f"{files[path][0]:>12} {path}\n" for path in added), "utf-8")
    packages = installed(options.root)
    constraints = Path("constraints.txt").read_text("utf-8")
    problems = [
        *wrong_files(added),
        *(f"missing: {path}" for path in NEEDED if path not in files),
        *wrong_packages(packages, constraints, options.flavour),
        *by_machine(options.root),
        *wrong_bundle(options.root, options.flavour),
    ]
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    sys.stdout.write(
        f"{len(added)} files and {len(packages)} packages added to the base image, listed in "
        f"{options.list}; {len(problems)} problems\n"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
