"""Small file systems to fill and to make read-only; for root."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path


class Skipped(Exception):
    """A scene that cannot be played here, and why."""


@contextlib.contextmanager
def mounted(place: Path, size: int = 4096) -> Iterator[Path]:
    """A file system of `size` KiB."""
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", str(place)], capture_output=True)
    if done.returncode:
        raise Skipped(f"mounting is not permitted: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def remount(place: Path, options: str) -> None:
    """Changes a mounted file system."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)
