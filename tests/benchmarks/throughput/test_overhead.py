"""`profile overhead`: the folder that it fills is a real one, its commands exist, and a failed one is no time."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import bench
from benchmarks import runs
from benchmarks.records.store import Store, StoreError
from benchmarks.throughput import filled, overhead


def test_a_filled_folder_holds_records_like_real_ones(tmp_path: Path) -> None:
    assert filled.fill(tmp_path, 60) == 1
    store = Store(tmp_path)
    briefs = store.briefs()  # raises when a digest is wrong
    assert len(briefs) == 60
    assert {brief["kind"] for brief in briefs.values()} == {"Pretrain", "Evaluate", "Fuse"}
    for run_id in briefs:
        record = store.record(run_id)
        assert record is not None
        run = runs.from_spec(record["spec"])
        assert run.id == run_id
        assert len(record["history"]) == (run.epochs if isinstance(run, runs.Pretrain) else len(record["history"]))
        assert all(0 <= value <= 1 for value in record["metrics"].values())


def test_as_many_seeds_are_complete_as_fit(tmp_path: Path) -> None:
    whole = len(filled.Plan.of(filled.TABLES.values(), filled.Settings()).runs)
    assert filled.fill(tmp_path, whole + 3) == 1
    assert filled.Plan.of(filled.TABLES.values(), filled.Settings()).todo(Store(tmp_path)) == []
    assert len(list((tmp_path / "records").iterdir())) == whole + 3


def test_the_profile_measures_words_that_the_command_line_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def pretend(*words: str) -> float:
        asked.append(list(words))
        if words[0] == "bench.py" and words[1] != "--help":
            arguments = bench.parser().parse_args(words[1:])
            if arguments.command == "run" and arguments.method:
                (arguments.out / "smoke" / "records").mkdir(parents=True)
                (arguments.out / "smoke" / "records" / "pretrain-0.json").touch()
        return float(len(asked))

    monkeypatch.setattr(overhead, "_seconds", pretend)
    page = overhead.profile(2, 2, tmp_path / "throughput", lambda line: None, records=5)
    found = pd.read_csv(page.with_suffix(".csv"), keep_default_na=False)
    assert page.name.startswith("overhead-")
    rows = found[["what", "records", "workers"]].astype(str).agg("|".join, axis=1).tolist()
    assert len(set(rows)) == len(rows) == 2 + 3 + 5 + 4 + 1
    assert found["records"].astype(str).unique().tolist() == ["", "0", "5"]
    assert all(found["lowest"] <= found["seconds"])
    one = found.set_index("what").loc[overhead.TO_END[0], "seconds"]
    assert found["seconds"].iloc[-1] == pytest.approx(42 * one)
    assert len(asked) == 2 * (2 + 3 + 5 + 3), "both rounds measure everything once"
    assert all(Path(words[words.index("--data") + 1]).name == "none" for words in asked if "full" in words)


def test_a_command_that_fails_is_no_time() -> None:
    assert overhead._seconds("-c", "pass") > 0
    assert overhead._seconds("-c", "raise SystemExit(3)") > 0
    with pytest.raises(StoreError, match="ended with 4: so it goes"):
        overhead._seconds("-c", "import sys; sys.stderr.write('so it goes'); sys.exit(4)")
