"""Every single write, rename and lock may fail or be the last thing a process does. disk.py has the machinery."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.robustness.folder import REPO


def disk(*words: str) -> None:
    """In a process of its own, because it forks."""
    command = [sys.executable, "-m", "tests.robustness.disk", *words]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 losses" in done.stdout


def test_some_events_of_all() -> None:
    disk("--sample", "5")


@pytest.mark.nightly
def test_every_event() -> None:
    disk()
