"""`profile data` compares readers that agree, on files of the true form, and writes what it found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.datasets.raw import ntu, ntu_names
from benchmarks.datasets.raw.bodies import first_two
from benchmarks.datasets.raw.ntu_text import parse
from benchmarks.throughput import data, plain_ntu


def test_the_sample_is_genuine_and_the_readers_agree(tmp_path: Path) -> None:
    data.write_sample(tmp_path, 12)
    paths = sorted(tmp_path.iterdir())
    assert {path.stem for path in paths} < set(ntu_names.expected("ntu60"))
    sizes = [path.stat().st_size for path in paths]
    assert 90e3 < np.mean(sizes) < 400e3  # a genuine one-body file of 103 frames has some 300 KB
    for path in paths:
        np.testing.assert_array_equal(plain_ntu.clip(path), first_two(parse(path.read_bytes())))
    assert len(ntu.source([tmp_path], "ntu60").clips) == 12


def test_a_profile_is_written_and_tells_what_it_compares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "ROUNDS", 1)
    said: list[str] = []
    path = data.profile(None, 8, 1, tmp_path / "out", said.append)
    text = path.read_text()
    assert "8 files of" in text
    assert "made here" in text
    found = pd.read_csv(path.with_suffix(".csv"))
    assert found["processes"].tolist() == [1, 1, 1]
    assert found["x plain"].iloc[0] == 1.0
    assert found["reader"].iloc[2] == "ours: `data prepare`, all of it"
    assert any("round 1 of 1" in line for line in said)


def test_more_files_than_can_be_made_are_refused_before_anything_is_written() -> None:
    with pytest.raises(ValueError, match="--files 60000: at most 56578 are made here"):
        data.measure(None, 60_000, 1, lambda line: pytest.fail(line))


def test_recorded_files_are_used_when_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "ROUNDS", 1)
    (tmp_path / "raw").mkdir()
    data.write_sample(tmp_path / "raw", 3)
    _, what = data.measure(tmp_path / "raw", 2, 1, lambda line: None)
    assert what.startswith("2 files of")
    assert what.endswith("recorded")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        data.measure(tmp_path / "empty", 2, 1, lambda line: None)


def test_readers_that_disagree_are_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_ntu, "clip", lambda path: np.zeros((3, 1, 25, 2)))
    with pytest.raises(ValueError, match="the two readers disagree about"):
        data.measure(None, 2, 1, lambda line: None)
