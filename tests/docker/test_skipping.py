"""Where containers can't be run, the container part of CI says so instead of failing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docker.scripts import DOCKER

NEEDED = ("bash", "env", "id", "dirname", "mkdir", "cat", "git", "tail", "grep")


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A machine without tools for containers, on which none can be installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(found)
    (folder / "apt-get").write_text("#!/usr/bin/env bash\necho 'E: no way' >&2\nexit 100\n")
    (folder / "apt-get").chmod(0o755)
    return folder


@pytest.mark.parametrize(("required", "code"), [("0", 0), ("1", 1)])
def test_it_is_skipped_with_the_reason_unless_required(
    required: str, code: int, tools: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [DOCKER / "ci.sh"],
        env={"PATH": str(tools), "TMPDIR": str(tmp_path), "REQUIRED": required},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    reason = "can't be installed: E: no way" if os.geteuid() == 0 else "only root can do that"
    assert f"SKIPPED: the images were not built: {reason}." in done.stdout.replace(
        "buildah podman runc mmdebstrap ", ""
    )
