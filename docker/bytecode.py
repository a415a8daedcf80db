"""Compile what the service and its commands import, into PYTHONPYCACHEPREFIX.

Compiling all that is installed would take 40 MB, compiling nothing a second at each start: an
image's user can't write bytecode, and the official images of Python come without it. Run at the
build, by the Python that serves.
"""

import importlib
import pkgutil
import py_compile
import sys
from collections.abc import Iterator
from pathlib import Path

import app


def sources() -> Iterator[str]:
    """Files of all modules that were imported, and of the migrations, which Alembic finds."""
    for module in list(sys.modules.values()):
        origin = getattr(getattr(module, "__spec__", None), "origin", None)
        if origin and origin.endswith(".py"):
            yield origin
    yield from map(str, Path(app.__path__[0]).rglob("*.py"))


def main() -> None:
    """Import all of the application, and the modules that are named: `bytecode.py tensorflow`."""
    sys.dont_write_bytecode = True
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            importlib.import_module(module.name)
    for name in sys.argv[1:]:
        importlib.import_module(name)
    # Bound to the content: copying layers changes times.
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for source in set(sources()):
        py_compile.compile(source, doraise=True, invalidation_mode=mode)


if __name__ == "__main__":
    main()
