"""Making shared libraries smaller, which must not break them."""

import ctypes
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from tests.docker.scripts import DOCKER, script

slim = script("slim")


def libraries() -> list[Path]:
    """Some that this Python or numpy loads."""
    return sorted(Path(np.__file__).parent.rglob("*.so"))


@pytest.mark.skipif(sysconfig.get_platform() != "linux-x86_64", reason="looks at ELF files")
def test_a_library_without_its_sections_is_smaller_and_loads(tmp_path: Path) -> None:
    (path,) = [path for path in libraries() if path.name.startswith("_pocketfft_umath")]
    whole = path.read_bytes()
    less = slim.without_sections(whole)
    assert len(less) < len(whole)
    (tmp_path / "less.so").write_bytes(less)
    library = ctypes.CDLL(str(tmp_path / "less.so"))
    assert library.PyInit__pocketfft_umath
    assert slim.without_sections(less) == less


def test_what_is_no_library_stays() -> None:
    for content in (b"", b"GROUP ( libfoo.so )", b"\x7fELF\x01\x01" + bytes(100)):
        assert slim.without_sections(content) == content


def test_only_what_is_unused_is_removed(tmp_path: Path) -> None:
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    keep = [
        "ai_edge_litert/interpreter.py",
        "numpy/core.py",
        "cv2/tests/one.py",
        "pygments/lexers/_mapping.py",
        "pygments/lexers/python.py",
        "pygments/lexers/special.py",
    ]
    drop = [
        "ai_edge_litert/vendors/a/b.so",
        "numpy/lib/tests/c.py",
        "cv2/__init__.pyi",
        "pygments/lexers/java.py",
        "numpy/_core/include/numpy/a.h",
        "numpy/__init__.pxd",
        "numpy/random/lib/b.a",
    ]
    for name in keep + drop:
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text("x = 1")
    subprocess.run([sys.executable, DOCKER / "slim.py", tmp_path], check=True)
    left = {str(path.relative_to(packages)) for path in packages.rglob("*") if path.is_file()}
    assert left == set(keep)
