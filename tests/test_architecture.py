"""The directions of imports, and what the serving process must not load."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

APP = Path(__file__).parents[1] / "app"
HEAVY = ("tensorflow", "keras", "torch", "jax", "mtcnn", "joblib", "onnxruntime", "matplotlib")

# Each package may import, of this project, only itself and what is listed.
ALLOWED = {
    "domain": set(),
    "inference": {"domain"},
    "storage": {"domain"},
    "services": {"domain", "storage"},
    "training": {"domain", "inference"},
    "worker": {"domain", "services", "storage", "training", "activation", "settings", "logs"},
    "api": {
        "domain",
        "services",
        "inference.pool",
        "settings",
        "runtime",
        "serving",
        "model_list",
        "logs",
        "metrics",
    },
}


def imports(path: Path) -> Iterator[str]:
    """Modules that a file imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def files(package: str) -> list[Path]:
    return sorted((APP / package).rglob("*.py"))


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package: str) -> None:
    allowed = {f"app.{name}" for name in ALLOWED[package] | {package}} | {"app"}
    for path in files(package):
        for module in imports(path):
            if module.split(".")[0] == "app":
                inside = any(module == a or module.startswith(a + ".") for a in allowed - {"app"})
                assert module == "app" or inside, f"{path.relative_to(APP)} imports {module}"


def test_the_domain_needs_only_the_standard_library_and_numpy() -> None:
    known = sys.stdlib_module_names | {"numpy", "app"}
    for path in files("domain"):
        for module in imports(path):
            assert module.split(".")[0] in known, f"{path.name} imports {module}"


def test_only_commands_and_the_worker_import_training_and_only_inside_functions() -> None:
    for path in sorted(APP.rglob("*.py")):
        place = path.relative_to(APP).parts[0]
        if place == "training":
            continue
        tree = ast.parse(path.read_text("utf-8"))
        used = [m for m in imports(path) if m.startswith("app.training")]
        assert not used or place in {"cli", "worker"}, f"{path.relative_to(APP)} imports {used}"
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("app.training"), path


@pytest.mark.parametrize("module", ["app.main", "app.cli", "app.runtime", "app.worker.__main__"])
def test_serving_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {name.split(".")[0] for name in loaded} & set(HEAVY)


def test_modules_stay_small_enough_to_read_at_once() -> None:
    long = {
        str(path.relative_to(APP)): lines
        for path in APP.rglob("*.py")
        if (lines := len(path.read_text("utf-8").splitlines())) > 300
    }
    assert not long
