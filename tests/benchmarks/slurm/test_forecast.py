"""`plan --gpus` from the command line: rows, critical path, picture, and words that do not belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

import bench
from benchmarks.durations import lasting
from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.tables import TABLES
from tests.test_cli import say

HEAD = "method,backbone,samples/s\n"


def plan(capsys: pytest.CaptureFixture[str], out: Path, *more: str) -> str:
    code, text = say(capsys, "plan", "--table", "7", "--out", str(out), "--data", str(out / "data"), *more)
    assert code == 0, text
    return text


def rows(text: str) -> dict[int, list[str]]:
    """The words behind each number of GPUs."""
    lines = text.partition("preempted\n")[2].partition("\n\n")[0].splitlines()
    return {int(line.split()[0].replace(",", "")): line.split()[1:] for line in lines}


def test_table_7_on_one_two_and_many_gpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rate = 300 * (40_091 // 128) * 128 / 3600  # a pretraining of NTU-60 cross-subject takes an hour
    (tmp_path / "gpu.csv").write_text(f"{HEAD}skeattnclr,stgcn,{rate}\n")
    text = plan(capsys, tmp_path, "--gpus", "8", "1", "16", "4", "--profile", str(tmp_path / "gpu.csv"))
    assert "16 runs without a result, as 16 tasks of 2 job arrays" in text
    found = rows(text)
    assert list(found) == [1, 4, 8, 16]
    assert {words[1] for words in found.values()} == {"h"}
    hours = {gpus: float(words[0]) for gpus, words in found.items()}
    # A pass of all 56,578 clips is a seventh of a training step of each: 30 for the monitor, one for the judge.
    extra = 31 * 56_578 / 7 / (300 * 40_091)
    longest = 1 + extra + (2 * 3 + 6) / 3600  # two tasks to start, and the linear classifier
    work = 8 * longest - 4 * (1 - 37_646 / 40_091)  # half of them are on cross-view, which has fewer clips
    assert hours[1] == pytest.approx(work, abs=0.02)
    assert hours[4] == pytest.approx(
        2 * longest, abs=0.02
    )  # short, long, short, long: a long one ends up after another
    assert hours[8] == hours[16] == pytest.approx(longest, abs=0.01)
    assert {words[4] for words in found.values()} == {found[16][0]}, "the critical path is all there is"
    assert float(found[16][3].rstrip("%")) == pytest.approx(100 * work / 16 / longest, abs=0.5)
    assert {words[2] for words in found.values()} == {found[1][2]}, "GPU-hours do not depend on the number"
    assert "pretrain-" in text.partition("The critical path")[2]
    for suffix in ("png", "svg"):
        assert (tmp_path / "figures" / f"schedule-7.{suffix}").stat().st_size > 1000


def test_the_settings_of_the_simulation_matter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gpu.csv").write_text(f"{HEAD}skeattnclr,stgcn,3000\n")
    usual = ["--gpus", "8", "--profile", str(tmp_path / "gpu.csv")]
    before = rows(plan(capsys, tmp_path, *usual))[8]
    for more in (["--startup", "3600"], ["--queue-delay", "3600"], ["--array-parallelism", "2"]):
        assert float(rows(plan(capsys, tmp_path, *usual, *more))[8][0]) > float(before[0]) + 1.9, more
    assert int(rows(plan(capsys, tmp_path, *usual, "--preemptions", "50"))[8][-1]) > 0
    assert before[-1] == "0"
    assert "16 tasks of 6 job arrays" in plan(capsys, tmp_path, *usual, "--max-array", "3")


def test_without_numbers_or_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = plan(capsys, tmp_path, "--gpus")
    assert list(rows(text)) == [1, 8, 64, 512, 1024]
    assert "scale full" in text, "whoever plans for a cluster means the paper's sizes, also without data"
    assert "no --profile FILE, so a GPU is taken to be one core like those of" in text
    assert "Simulated" not in plan(capsys, tmp_path)


def test_the_picture_is_no_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    render = ("render", "--table", "7", "--scale", "full", "--out", str(tmp_path))
    assert say(capsys, *render)[0] == bench.OK
    assert "Picture: " in plan(capsys, tmp_path, "--gpus", "8")
    assert list((tmp_path / "figures").glob("schedule-7.*"))
    assert say(capsys, *render, "--check") == (bench.OK, "")


def test_what_was_simulated_is_told_where_nothing_can_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "figures").touch()  # in the place of the folder
    text = plan(capsys, tmp_path, "--gpus", "8")
    assert list(rows(text)) == [8]
    assert f"Picture: none: cannot write {tmp_path / 'figures' / 'schedule-7.png'}" in text


def test_what_has_a_result_is_not_simulated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path)
    store.prepare()
    runs = list(Plan.of([TABLES["7"]], Settings()).runs)
    for number, run_id in enumerate(runs):
        store.write_record({"run": run_id, "status": "ok", "metrics": {"top1": 0.5}})
        if number in (1, len(runs) - 1):
            wanted = ["14 runs without a result", "nothing to simulate"][number > 1]
            assert wanted in plan(capsys, tmp_path, "--gpus", "2")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (59, "59 s"), (90, "1.5 min"), (10_000, "2.78 h"), (3 * 86_400, "3 days"), (7e7, "2.22 years"),
        (5e10, "1,584 years"),
    ],
)  # fmt: skip
def test_times_from_seconds_to_centuries(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


@pytest.mark.parametrize(
    ("words", "code", "answer"),
    [
        (["--profile", "x.csv"], bench.USAGE, "--profile belongs to a simulation: add --gpus N"),
        (["--queue-delay", "0"], bench.USAGE, "--queue-delay belongs to a simulation"),
        (["--gpus", "0"], bench.USAGE, "at least 1, got '0'"),
        (["--gpus", "--preemptions", "-1"], bench.USAGE, "expected a number of at least 0, got '-1'"),
        (["--gpus", "--startup", "soon"], bench.USAGE, "expected a number of at least 0, got 'soon'"),
        (["--gpus", "--profile", "nowhere.csv"], bench.FAILED, "there is no nowhere.csv; make one with"),
    ],
)
def test_wrong_words(
    words: list[str], code: int, answer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say(capsys, "plan", "--table", "7", "--out", str(tmp_path), *words)[0] == code
    assert answer in say(capsys, "plan", "--table", "7", "--out", str(tmp_path), *words)[1]
