"""Results and data in bad places: what is promised there holds. places.py has the scenes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.robustness.folder import REPO
from tests.robustness.places import SCENES


@pytest.fixture(scope="module")
def played() -> dict[str, list[str] | str]:
    """All scenes, in a process of its own, because it forks."""
    command = [sys.executable, "-m", "tests.robustness.places"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("scene", [scene.__name__ for scene in SCENES])
def test_what_is_promised_holds(scene: str, played: dict[str, list[str] | str]) -> None:
    found = played[scene]
    if isinstance(found, str):
        pytest.skip(found)
    assert found == []
