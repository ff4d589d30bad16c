"""Everything that is written has the permissions that the user's umask allows, no more and no less."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.slurm import snapshot
from tests.robustness.corruption import Site


@pytest.mark.parametrize("umask", [0o027, pytest.param(0o077, marks=pytest.mark.nightly)])
def test_files_and_folders_follow_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        place = tmp_path / "place"
        site = Site(place)
        snapshot.take(site.root)
    finally:
        os.umask(before)
    written = [place, *place.rglob("*")]
    names = {path.name for path in written}
    assert names >= {"checkpoint.pt", "scores.npz", "overview.json", "x.npy", "encoder-last.safetensors", "code.json"}
    wrong = {path: oct(path.stat().st_mode & 0o777) for path in written
             if path.stat().st_mode & 0o777 != (0o777 if path.is_dir() else 0o666) & ~umask}  # fmt: skip
    assert not wrong
