"""Writing a bundle: all files into a hidden folder, checksums, then one rename."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from app.domain.errors import BundleError
from app.inference.bundle import MANIFEST, flush, set_active
from app.inference.manifest import FORMAT, checksum_of, fingerprint_of

__all__ = ["STAGING", "BundleWriter", "refuse_to_overwrite", "set_active"]

STAGING: Final = ".building"


class BundleWriter:
    """Collects the files of one bundle.

    Nothing is visible to a loader before `publish`; a crash leaves a hidden folder that the next
    build of this version removes.

    Raises:
        BundleError: If a bundle of this version exists; bundles are never overwritten.
    """

    def __init__(self, model_dir: Path, version: str) -> None:
        self.version = version
        self.directory = model_dir / f"{STAGING}-{version}"
        self._final = model_dir / version
        refuse_to_overwrite(model_dir, version)
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)

    def add(self, name: str, content: bytes) -> None:
        """Write a file of the bundle; `name` may have a folder in front."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def add_json(self, name: str, document: Any) -> None:
        """Write a JSON file of the bundle."""
        self.add(name, (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())

    def manifest(self, sections: Mapping[str, Any]) -> dict[str, Any]:
        """Write manifest.json over all files added so far; it may be called again.

        Args:
            sections: All of `Manifest` but format, version, created, files and the hashes.
        """
        files = {
            path.relative_to(self.directory).as_posix(): _entry(path)
            for path in sorted(self.directory.rglob("*"))
            if path.is_file() and path.name != MANIFEST
        }
        document: dict[str, Any] = json.loads(json.dumps(dict(sections), allow_nan=False))
        document |= {
            "format": FORMAT,
            "version": self.version,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": files,
        }
        document["fingerprint"] = fingerprint_of(document)
        document["checksum"] = checksum_of(document)
        self.add_json(MANIFEST, document)
        return document

    def publish(self) -> Path:
        """Make the bundle visible under its version.

        Raises:
            BundleError: If one has appeared since.
            OSError: If it can't be written to the disk; then nothing is visible.
        """
        refuse_to_overwrite(self._final.parent, self.version)
        for path in self.directory.rglob("*"):
            flush(path)
        # Only this makes it visible: a disk that is full before leaves a hidden folder.
        self.directory.rename(self._final)
        try:
            flush(self._final.parent)
        except OSError:
            self._final.rename(self.directory)
            raise
        return self._final


def refuse_to_overwrite(model_dir: Path, version: str) -> None:
    """Bundles are never overwritten.

    Raises:
        BundleError: If a bundle of this version exists.
    """
    if (model_dir / version).exists():
        raise BundleError(f"{model_dir / version} exists. Remove it or choose another version.")


def _entry(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
