"""Numbers measured on different data never meet in one table; what a round leaves is done in the next."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import bench
from benchmarks import campaign as campaigns
from benchmarks.campaign import Campaign
from benchmarks.datasets import catalog
from benchmarks.datasets import store as prepared
from benchmarks.recipes import Settings
from benchmarks.records.store import StoreError
from benchmarks.running.execute import Machine
from benchmarks.runs import Fuse, Run
from benchmarks.tables import TABLES
from tests.benchmarks.datasets import toy


def prepare(data: Path, value: float) -> dict[str, Any]:
    """A tiny prepared IRDS; returns its manifest."""
    clips = [
        ({"name": f"c{s}", "label": 0, "subject": s, "position": "stand", "correct": 1}, np.full((3, 16, 25, 1), value))
        for s in (101, 102)
    ]
    folder = prepared.folder_of(data, "irds", 16)
    return prepared.read_manifest(toy.put(folder, clips, classes=9, persons=1))


def write(campaign: Campaign, manifest: dict[str, Any], number: int) -> None:
    """A record for the n-th run of the table, measured on the data of that manifest."""
    run = [run for run in campaign.whole.runs.values() if not isinstance(run, Fuse)][number]
    campaign.store.write_record(
        {"run": run.id, "status": "ok", "metrics": {"top1": 0.5}, "data": {"sha256": manifest["sha256"]}}
    )


def test_same_data_are_fine_other_data_are_refused(tmp_path: Path) -> None:
    campaign = Campaign([TABLES["irds"]], Settings(), tmp_path / "out", tmp_path / "data")
    campaign.store.prepare()
    campaign.check_data()
    first = prepare(tmp_path / "data", 1.0)
    write(campaign, first, 0)
    campaign.check_data()
    second = prepare(tmp_path / "data", 2.0)
    with pytest.raises(StoreError, match="is not the one that the records"):
        campaign.check_data()
    write(campaign, second, 1)
    with pytest.raises(StoreError, match="were measured on different files of irds at 16 frames"):
        campaign.check_data()


def test_rounds_after_damage_keep_the_option_and_try_no_failure_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = Campaign([TABLES["7"]], Settings(scale="smoke"), tmp_path, tmp_path)
    campaign.store.prepare()
    again, fails, fine = campaign.todo()[:3]
    for run in (again, fails):
        campaign.store.write_record({"run": run.id, "status": "failed", "error": "earlier"})
    rounds: list[list[str]] = []
    answers = [{again.id: "damaged: its checkpoint", fails.id: "failed", fine.id: "ok"}, {again.id: "ok"}]

    def pretend(todo: list[Run], *_: Any) -> dict[str, str]:
        rounds.append([run.id for run in todo])
        return answers[len(rounds) - 1]

    monkeypatch.setattr(campaigns, "run_all", pretend)
    campaign.execute(partial(campaign.todo, True), 1, Machine(str(tmp_path)), Console(quiet=True))
    assert len(rounds) == 2
    assert {again.id, fails.id} <= set(rounds[0])
    assert again.id in rounds[1]
    assert fails.id not in rounds[1]


def test_a_failed_run_is_told_with_what_to_do(tmp_path: Path) -> None:
    campaign = Campaign([TABLES["7"]], Settings(scale="smoke"), tmp_path, tmp_path)
    campaign.store.prepare()
    assert campaign.failed() == []
    run = next(iter(campaign.plan.runs))
    campaign.store.write_record({"run": run, "status": "failed", "error": "e", "seconds": 1.0, "label": ""})
    assert campaign.failed() == [
        f"Failed runs are left alone: --retry-failed tries them again, `bench.py show {run} --out {tmp_path}` says "
        "what it was."
    ]
    assert bench.main(["show", run, "--out", str(tmp_path)]) == bench.OK


def measured(out: Path, table: str, settings: Settings) -> Campaign:
    """A table of which every run has a record."""
    campaign = Campaign([TABLES[table]], settings, out, out)
    campaign.store.prepare()
    for run_id in campaign.whole.runs:
        record = {"run": run_id, "status": "ok", "metrics": {"top1": 0.5, "knn": 0.5}, "seconds": 1.0}
        campaign.store.write_record(record)
    return campaign


def test_a_page_is_not_replaced_by_one_of_fewer_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor by `run`, nor by `render`; one of as many is, and one of which nothing more was measured."""
    three = measured(tmp_path, "7", Settings(scale="smoke", seeds=(0, 1, 2)))
    (path,) = three.write()
    page = path.read_text()
    assert "n = 3" in page
    words = ["--table", "7", "--scale", "smoke", "--out", str(tmp_path)]
    for command in ("run", "render"):
        assert bench.main([command, *words]) == bench.OK
        said = capsys.readouterr().out
        assert f"{path} shows 3 seeds and stays as it is: --seeds 3 writes it; to have 1 there, remove it first" in said
        assert "Written to" not in said
        assert path.read_text() == page
    assert bench.main(["render", *words, "--check"]) == bench.MISSING
    assert "--seeds 1; ask for what it shows" in capsys.readouterr().out
    path.write_text(page + "by hand")
    assert bench.main(["render", *words, "--seeds", "3"]) == bench.OK
    assert path.read_text() == page
    (path,) = measured(tmp_path / "one", "7", Settings(scale="smoke")).write()
    assert bench.main(["render", *words, "--seeds", "3", "--out", str(tmp_path / "one")]) == bench.OK
    assert "n = 3" in path.read_text()
    assert bench.main(["run", *words, "--out", str(tmp_path / "one")]) == bench.OK
    assert "n = 3" not in path.read_text(), "nothing of the other seeds was measured"


def test_what_no_machine_can_measure_is_not_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is n/a, said in other words than what this machine lacks; a table of nothing else is not complete."""
    measured(tmp_path, "17", Settings(scale="smoke", overrides=(("out", 24),)))
    words = ["status", "--scale", "smoke", "--out", str(tmp_path), "--table"]
    assert bench.main([*words, "17", "--set", "out=24"]) == bench.OK
    said = capsys.readouterr().out
    assert "n/a in 4 cells: SkeAttnCLR's 16 attention heads do not divide the width 24" in said
    assert "here" not in said
    assert bench.main([*words, "17", "--set", "out=48"]) == bench.MISSING
    assert bench.main([*words, "7", "--set", "heads=3"]) == bench.MISSING


def test_a_page_that_does_not_exist_does_not_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--table", "7", "--scale", "full", "--out", str(tmp_path / "out"), "--data", str(tmp_path)]
    assert bench.main(words) == bench.MISSING
    said = capsys.readouterr().out
    assert "table-7.md is not written: nothing is there" in said
    assert "stays as it is" not in said
    assert not (tmp_path / "out").exists()
    path = tmp_path / "out" / "tables" / "table-7.md"
    path.parent.mkdir(parents=True)
    path.write_text("by hand")
    assert bench.main(words) == bench.MISSING
    assert f"{path} stays as it is" in capsys.readouterr().out
    assert path.read_text() == "by hand"


def test_a_split_that_the_files_do_not_tell_is_not_left_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be lost with the same words in every command."""
    monkeypatch.setattr(catalog, "prepared", lambda *_: None)
    folder = prepared.folder_of(tmp_path / "data", "pku2", 64)
    folder.mkdir(parents=True)
    (folder / prepared.META).write_text("name,label,subject,video,xsub\n")
    words = ["run", "--method", "skeattnclr", "--dataset", "pku2", "--scale", "full", "--dry-run"]
    words += ["--out", str(tmp_path / "out"), "--data", str(tmp_path / "data")]
    bench.main([*words, "--split", "xview"])
    said = capsys.readouterr().out
    assert "0 of 0 runs to do" in said
    assert "cannot be cut for xview: its files do not tell the 'camera' of a clip" in " ".join(said.split())
    bench.main([*words, "--split", "xsub"])
    assert "2 of 2 runs to do" in capsys.readouterr().out


def test_results_of_other_code_are_told_while_code_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not in a clean checkout, where most records are of earlier commits."""
    campaign = measured(tmp_path, "7", Settings(scale="smoke"))
    assert campaign.whole.runs
    for dirty, said in ((True, 1), (False, 0), (None, 0)):
        monkeypatch.setattr(campaigns, "code", lambda dirty=dirty: {"dirty": dirty, "sources": "other"})
        assert len(campaign.of_other_code()) == said
    monkeypatch.setattr(campaigns, "code", lambda: {"dirty": True, "sources": "other"})
    bench.main(["run", "--table", "7", "--scale", "smoke", "--out", str(tmp_path), "--dry-run"])
    assert "16 results here are of other code than this, which is being changed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["--table", "17", "--set", "heads=3"], "--set heads: the rows of table 17 differ in it"),
        (["--table", "7", "--set", "mu=0.3"], "--set mu: the rows of table 7 differ in it"),
        (["--table", "7", "--set", "tau=0"], "--set: the temperature tau must be positive; got 0.0"),
    ],
)
def test_settings_that_no_run_would_take_are_wrong_words(
    words: list[str], answer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["run", *words, "--scale", "smoke", "--dry-run", "--out", str(tmp_path)]) == bench.USAGE
    assert answer in capsys.readouterr().err
