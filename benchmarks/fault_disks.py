"""Disks that are full, read-only or gone."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep

from benchmarks.calls import Caller
from benchmarks.fault_places import (
    SUBJECT,
    Base,
    command,
    copied,
    fill,
    fresh_enrolment,
    mounted,
    on_disk,
    verification,
)
from benchmarks.fault_rows import SETTINGS, SYNCS_SECONDS, Row
from benchmarks.server import running


def full_disk(row: Row, base: Base) -> None:
    with on_disk(base, "24m") as folder, running(folder, SETTINGS) as server:
        filler = fill(folder)
        row.expect("enroll", fresh_enrolment(server, 500), 503, "full")
        row.expect_match(server)
        filler.unlink()
        row.expect_recovery(server, base, folder)


def deletion_on_a_full_disk(row: Row, base: Base) -> None:
    with on_disk(base, "24m") as folder, running(folder, SETTINGS) as server:
        filler = fill(folder)
        answer = Caller(server.port).delete(f"/subjects/{SUBJECT}")
        row.seen.append(
            f"delete: {answer.status} {answer.code} {answer.document.get('detail', '')}"
        )
        filler.unlink()
        if answer.status == 503:
            row.expect_recovery(server, base, folder)
        elif answer.status != 200 or verification(server).status != 404:
            row.problems.append("neither deleted nor refused")


def full_disk_at_start(row: Row, base: Base) -> None:
    with on_disk(base, "24m") as folder:
        filler = fill(folder)
        row.expect_refusal(folder, "full")
        filler.unlink()
        with running(folder, SETTINGS) as server:
            row.expect_recovery(server, base, folder)


def read_only_photos(row: Row, base: Base) -> None:
    with separate_images(base) as (folder, images, _), running(folder, SETTINGS) as server:
        command("mount", "-o", "remount,bind,ro", str(images))
        row.expect("enroll", fresh_enrolment(server, 500), 503, "read-only")
        row.expect("delete", Caller(server.port).delete(f"/subjects/{SUBJECT}"), 503, "read-only")
        row.expect_match(server)
        command("mount", "-o", "remount,bind,rw", str(images))
        row.expect_recovery(server, base, folder)


def read_only_at_start(row: Row, base: Base) -> None:
    with on_disk(base, "24m") as folder:
        command("mount", "-o", "remount,ro", str(folder))
        row.expect_refusal(folder, "read-only")
        command("mount", "-o", "remount,rw", str(folder))
        with running(folder, SETTINGS) as server:
            row.expect_recovery(server, base, folder)


def unmounted_photos(row: Row, base: Base) -> None:
    with separate_images(base) as (folder, images, disk), running(folder, SETTINGS) as server:
        command("umount", str(images))
        sleep(SYNCS_SECONDS)
        row.expect_match(server)
        row.expect("enroll", fresh_enrolment(server, 500), 503, "marker")
        row.expect("delete", Caller(server.port).delete(f"/subjects/{SUBJECT}"), 503, "marker")
        row.expect_degraded(server)
        command("mount", "--bind", str(disk), str(images))
        sleep(SYNCS_SECONDS)
        row.expect_recovery(server, base, folder)


def unmounted_photos_at_start(row: Row, base: Base) -> None:
    with separate_images(base) as (folder, images, disk):
        command("umount", str(images))
        with running(folder, SETTINGS) as server:
            row.expect_match(server)
            row.expect("enroll", fresh_enrolment(server, 500), 503, "marker")
            row.expect_degraded(server)
            command("mount", "--bind", str(disk), str(images))
            sleep(SYNCS_SECONDS)
            row.expect_recovery(server, base, folder)


def missing_folder(row: Row, base: Base) -> None:
    with copied(base) as folder, running(folder, SETTINGS) as server:
        images = folder / "verification_images"
        images.rename(folder / "elsewhere")
        sleep(SYNCS_SECONDS)
        row.expect_match(server)
        row.expect("enroll", fresh_enrolment(server, 500), 503)
        row.expect_degraded(server)
        (folder / "elsewhere").rename(images)
        sleep(SYNCS_SECONDS)
        row.expect_recovery(server, base, folder)


@contextmanager
def separate_images(base: Base) -> Iterator[tuple[Path, Path, Path]]:
    """A copy whose photos lie on a mounted disk: data, mount point, and the disk itself."""
    with copied(base) as folder, TemporaryDirectory() as name, mounted(Path(name), "24m"):
        images, disk = folder / "verification_images", Path(name)
        shutil.copytree(images, disk, dirs_exist_ok=True)
        shutil.rmtree(images)
        images.mkdir()
        command("mount", "--bind", str(disk), str(images))
        try:
            yield folder, images, disk
        finally:
            subprocess.run(["umount", "--lazy", str(images)], check=False, capture_output=True)
