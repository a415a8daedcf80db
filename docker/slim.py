"""Take out of a virtual environment what neither serving nor training ever loads: `slim.py VENV`.

That is LiteRT's accelerators and compilers for hardware that it isn't run on, what packages hold
for tests, builds and type checkers, and the symbols for debuggers in shared libraries.
"""

import shutil
import struct
import sys
from pathlib import Path
from typing import Final

UNUSED: Final = (
    "**/*.a",
    "**/*.h",
    "**/*.pxd",
    "**/*.pyi",
    "ai_edge_litert/aot",
    "ai_edge_litert/libLiteRtWebGpuAccelerator.so",
    "ai_edge_litert/tools",
    "ai_edge_litert/vendors",
    "alembic/testing",
    "numpy/**/tests",
    "numpy/_core/_simd.*.so",
    "numpy/distutils",
    "numpy/f2py",
    # Colours for languages; tracebacks are Python or text.
    "pygments/lexers/[!_pst]*.py",
    "sqlalchemy/testing",
)

ELF_64_LITTLE: Final = b"\x7fELF\x02\x01"
HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT: Final = struct.Struct("<IIQQQQQQ")
SECTION_FIELDS: Final = {6: 0, 12: 0, 13: 0}
"""Of the header: where the table of sections lies, how many it has, which one holds names."""


def remove_unused(packages: Path) -> None:
    """Delete `UNUSED` from a folder of packages."""
    for pattern in UNUSED:
        for path in list(packages.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def without_sections(library: bytes) -> bytes:
    """A shared library up to the end of its last segment, which is all that is ever loaded.

    What follows are sections that only linkers and debuggers read, and the table of sections.
    Anything but a 64-bit little-endian ELF file is returned as it is.
    """
    if not library.startswith(ELF_64_LITTLE):
        return library
    header = list(HEADER.unpack_from(library))
    table, entry_bytes, count = header[5], header[9], header[10]
    segments = [SEGMENT.unpack_from(library, table + i * entry_bytes) for i in range(count)]
    # Offset and size in the file; the table of segments itself has to stay as well.
    end = max([table + count * entry_bytes, *(s[2] + s[5] for s in segments)])
    for index, value in SECTION_FIELDS.items():
        header[index] = value
    return HEADER.pack(*header) + library[HEADER.size : end]


def main() -> None:
    """Make the environment that is named smaller."""
    (packages,) = Path(sys.argv[1]).glob("lib/python3*/site-packages")
    remove_unused(packages)
    for path in packages.rglob("*.so*"):
        if path.is_file() and not path.is_symlink():
            path.write_bytes(without_sections(path.read_bytes()))


if __name__ == "__main__":
    main()
