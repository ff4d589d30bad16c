"""The short form of the soak, and that it sees what it is there to see."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.robustness.faults import Disturber, table_of
from tests.robustness.folder import REPO
from tests.robustness.processes import Sample, trend
from tests.robustness.soak import LongCampaign

FLAT = [Sample(10 * i, 300.0 + i % 3, 7 + i % 2, 2) for i in range(30)]


def judged(tmp_path: Path, samples: list[Sample]) -> list[str]:
    long = LongCampaign(tmp_path, 1, lives=[("worker", samples)])
    assert len(long.judge()) == 1
    return long.wrong


def test_flat_series_are_no_growth(tmp_path: Path) -> None:
    assert judged(tmp_path, FLAT) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rss": lambda s: s.rss + s.runs / 4}, "the memory of a worker grew"),
        ({"handles": lambda s: s.handles + s.runs // 20}, "the file handles of a worker grew"),
        ({"threads": lambda s: s.threads + s.runs // 20}, "the threads of a worker grew"),
    ],
)
def test_growth_is_told(tmp_path: Path, change: dict, said: str) -> None:
    (name, new), *_ = change.items()
    assert judged(tmp_path, [s._replace(**{name: new(s)}) for s in FLAT]) == [said]


def test_the_first_third_does_not_count() -> None:
    values = [100.0] * 3 + [200.0] * 6
    assert trend(range(9), values) == (200.0, 200.0, 0.0)
    assert trend(range(8), values[:8]) is None


def test_a_table_that_differs_and_a_leftover_are_told(tmp_path: Path) -> None:
    out, temporary = tmp_path / "out", tmp_path / "tmp"
    table_of(out).parent.mkdir(parents=True)
    temporary.mkdir()
    table_of(out).write_text("39.9")
    (out / ".record.json.x.tmp").touch()
    (temporary / "forgotten").touch()
    disturber = Disturber(tmp_path, "40.0", random.Random(0), lambda: False)
    disturber._compare(out, temporary)
    assert [line.split(",")[0] for line in disturber.wrong] == [
        "a finished table differs from the undisturbed one",
        "1 claims and temporary files are left",
        "1 files are left in the folder for temporary files",
    ]


def test_a_short_soak(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.robustness.soak", "--minutes", "0.17", "--seeds", "3", "--cores", "2"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "soak")], cwd=REPO, capture_output=True, text=True, timeout=170
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SOAK 0." in done.stdout
    assert "nothing lost, nothing grew" in done.stdout


@pytest.mark.nightly
def test_a_long_soak(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.robustness.soak", "--minutes", "60", "--out", str(tmp_path / "soak")]
    assert subprocess.run(command, cwd=REPO).returncode == 0
