"""The command line: help at once, good words work, bad words get an answer that helps."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import bench
from benchmarks import arguments, recipes
from benchmarks.datasets import store as prepared
from benchmarks.recipes import Settings
from benchmarks.tables import TABLES
from tests.benchmarks.datasets import toy
from tests.conftest import REPO


def say(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Runs bench.py in this process; returns the exit code and everything it printed."""
    try:
        code = bench.main(list(words))
    except SystemExit as leave:
        code = int(leave.code or 0)
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_more_seeds_than_anybody_means_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = say(capsys, "plan", "--table", "7", "--seeds", str(10**11))
    assert code == 2
    assert "at most 1000 seeds" in said


def test_help_does_not_import_torch_and_is_quick() -> None:
    script = "import sys, bench\ntry: bench.main(['--help'])\nexcept SystemExit: pass\nprint('torch' in sys.modules)"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")
    assert "examples:" in done.stdout
    assert time.monotonic() - started < 5  # 0.1 s on an idle machine; this only catches a heavy import


@pytest.mark.parametrize("command", ["run", "plan", "status", "show", "render", "figure", "data", "doctor"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = say(capsys, command, "--help")
    assert code == 0
    assert f"bench.py {command}" in text


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (
            ["--tabel", "1"],
            "bench.py run: there is no option --tabel here\nDid you mean --table?\nSee: bench.py run --help",
        ),
        (["status", "--table", "1", "--jobs", "2"], "no option --jobs here\nIt belongs to run, figure, data, profile."),
        (["plan", "--table", "1", "--retry-failed"], "no option --retry-failed here\nIt belongs to run, figure."),
        (["show", "run-1", "run-2"], "bench.py show: there is no argument run-2 here"),
        (["doctor", "--foo"], "there is no option --foo here\nSee"),
    ],
)
def test_unknown_options(words: list[str], answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = say(capsys, *words)
    assert code == bench.USAGE
    assert answer in text


def test_unknown_table(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = say(capsys, "--table", "99")
    assert code == bench.USAGE
    assert "'99'" in text
    assert "Did you mean" not in text, "no slip for 9"
    assert "irds" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--share", "0.1"], "--share is a part of the labels, for --protocol semi; linear uses all"),
        (["--protocol", "semi", "--share", "10"], "expected a part of 1, such as 0.01, got '10'"),
        (["--on", "pku3"], "Unknown data set 'pku3'. Did you mean 'pku2'?"),
        (["--split", "xview", "--on", "irds"], "Unknown split of irds, which is judged like ntu60 'xview'"),
        (["--protocol", "transfer"], "Unknown protocol 'transfer'. Allowed: linear, knn, finetune, semi"),
    ],
)
def test_one_run_with_wrong_words(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = say(capsys, "run", "--method", "skeattnclr", "--scale", "smoke", *words)
    assert code == bench.USAGE
    assert message in text


def test_unknown_method_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = say(capsys, "run", "--method", "SkeletonCLRR", "--scale", "smoke")
    assert code == bench.USAGE
    assert "Unknown method 'SkeletonCLRR'. Did you mean 'skeletonclr'?" in text
    assert "skeattnclr" in text


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("lam=abc", "--set lam wants a number, got 'abc'"),
        ("lam=nan", "--set lam wants a finite number"),
        ("lamb=2", "Unknown setting 'lamb'. Did you mean 'lam'?"),
        ("lam", "--set wants key=value, got 'lam'"),
        ("opposition=yes", "wants true or false"),
        ("heads=2.5", "--set heads wants a whole number"),
        ("mix_parts=3", "wants 2 numbers with commas between"),
        ("heads=7", "7 attention heads do not divide the width 32"),
        ("classes=2", "Unknown setting 'classes'"),
        ("key_init=other", "Unknown key_init 'other'. Allowed: copy, redrawn"),
    ],
)
def test_bad_settings(word: str, answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = say(capsys, "run", "--method", "skeattnclr", "--scale", "smoke", "--set", word)
    assert code == bench.USAGE
    assert answer in text


@pytest.mark.parametrize(("word", "answer"), [("tau=0", "tau must be positive"), ("mu=2", "mu is a share")])
def test_settings_out_of_range(word: str, answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = say(capsys, "run", "--method", "skeattnclr", "--scale", "smoke", "--dry-run", "--set", word)
    assert code == bench.USAGE
    assert answer in text


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["run", "--table", "1", "--method", "skeattnclr"], "give one of them"),
        (["run", "--table", "1", "--stream", "bone"], "--stream belongs to one run"),
        (["run", "--table", "1", "--set", "batch=0"], "--set batch wants a number above 0"),
        (["run", "--table", "1", "--set", "epochs=-1"], "--set epochs wants a number of at least 0"),
        (["run"], "which table?"),
        (["run", "--table", "1", "--seeds", "0"], "at least 1"),
        (["show", "*"], "no run *"),
        (["data", "prepare"], "which data set?"),
        (["run", "--table", "1", "--device", "abacus"], "--device abacus cannot be used"),
    ],
)
def test_words_that_do_not_belong_together(
    words: list[str], answer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = "--data" if words[0] == "data" else "--out"
    code, text = say(capsys, *words, folder, str(tmp_path), *(["--scale", "smoke"] if words[0] == "run" else []))
    assert code == bench.USAGE
    assert answer in text


def test_options_may_come_in_any_order_and_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path)
    code, text = say(capsys, "--scale", "smoke", "--table", "7", "--table=15", "--dry-run", "--out", out)
    assert code == 0
    assert "lam=8.0" in text
    assert "opposition=False" in text


def test_the_command_line_knows_every_table() -> None:
    assert set(arguments.TABLES) == set(TABLES) | {"8", "9", "10", "11", "12", "13", "14"}


def test_unwritable_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    code, text = say(capsys, "--table", "7", "--scale", "smoke", "--out", str(tmp_path / "file" / "out"))
    assert code == bench.FAILED
    assert "cannot write" in text
    assert "--out DIR" in text


def test_missing_raw_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "nowhere"
    code, text = say(capsys, "data", "prepare", "irds", "--raw", str(missing), "--data", str(tmp_path))
    assert code == bench.FAILED
    assert str(missing) in text


def test_truncated_irds_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ",".join(["0.5"] * 75)
    (tmp_path / "101_18_0_1_1_stand.txt").write_text(f"{line}\n{line[:101]}")
    words = ["data", "prepare", "irds", "--raw", str(tmp_path), "--data", str(tmp_path / "data"), "--partial"]
    code, text = say(capsys, *words)
    assert code == bench.FAILED
    assert "101_18_0_1_1_stand.txt: line 2: found 26 numbers, expected 75 in the last line: is the file cut?" in text


def test_prepared_data_with_a_wrong_checksum(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"name": "a", "label": 0, "subject": 101, "position": "stand", "correct": 1}
    clips = [
        (row | {"subject": s, "name": f"clip{s}"}, np.full((3, 16, 25, 1), s / 100, np.float32)) for s in (101, 102)
    ]
    frames = recipes.resolve(Settings(), "skeletonclr", "irds", "joint").frames
    folder = prepared.folder_of(tmp_path, "irds", frames)
    toy.put(folder, clips, classes=9, persons=1)
    array = folder / "x.npy"
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    for words in (["data", "check", "irds"], ["--table", "irds", "--jobs", "1", "--out", str(tmp_path / "out")]):
        code, text = say(capsys, *words, "--data", str(tmp_path))
        assert code in (bench.FAILED, bench.MISSING)
        assert not list((tmp_path / "out").glob("records/*")), "damaged data are no result"
        assert "x.npy" in text
        assert "is damaged or was changed" in text
        assert "bench.py data prepare irds" in text


def test_nothing_prepared_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = str(tmp_path / "data"), str(tmp_path / "out")
    code, text = say(capsys, "--table", "7", "--scale", "full", "--data", data, "--out", out)
    assert code == bench.MISSING
    assert "bench.py data prepare ntu60 --raw PATH" in text
    assert "· / 80.3" in text  # the paper's number stands there, ours is not measured


def test_auto_is_demo_without_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = say(capsys, "run", "--table", "1", "--dry-run", "--data", str(tmp_path), "--out", str(tmp_path))
    assert code == 0
    assert "demo scale, synthetic stand-ins" in text
    assert f"Not prepared in {tmp_path}: ntu60, ntu120, pku1, pku2" in text
    assert "42 pretrainings, 42 evaluations, 20 fusions; 104 of 104 runs to do" in text


def test_plan_shows_what_tables_1_and_7_share(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = say(capsys, "plan", "--table", "1", "7", "--all", "--scale", "smoke", "--out", str(tmp_path))
    assert code == 0
    assert "4 runs serve more than one table" in text
    assert "tables 1, 7  skeattnclr · stgcn · ntu60 xsub · joint · seed 0" in text


def test_settings_tables_need_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for table in ("8", "9", "10", "11", "12"):
        code, text = say(capsys, "render", "--table", table, "--out", str(tmp_path))
        assert code == 0, text
    assert len(list(tmp_path.rglob("table-*.md"))) == 5
    code, _ = say(capsys, "render", "--table", "8", "--check", "--out", str(tmp_path))
    assert code == 0
    next(tmp_path.rglob("table-8.md")).write_text("by hand")
    code, text = say(capsys, "render", "--table", "8", "--check", "--out", str(tmp_path))
    assert code == bench.MISSING
    assert "is not what the records say" in text


def test_settings_tables_are_those_of_recipe_paper_whatever_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--recipe", "official", "--set", "lam=4", "--out", str(tmp_path))
    code, text = say(capsys, "render", "--table", "8", *words)
    assert code == 0, text
    assert [path.name for path in tmp_path.rglob("table-*.md")] == ["table-8.md"]


def test_data_list_and_doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = say(capsys, "data", "list", "--data", str(tmp_path))
    assert code == 0
    assert all(name in text for name in ("ntu60", "ntu120", "pku1", "pku2", "irds"))
    code, text = say(capsys, "doctor", "--data", str(tmp_path), "--out", str(tmp_path))
    assert code == 0, text
    assert "nothing FAILs" in text, "no data set is prepared there"
    assert len(text.splitlines()) <= 24


@pytest.mark.parametrize("command", ["doctor", "status"])
def test_a_package_that_is_not_there_is_named(command: str) -> None:
    script = f"import sys; sys.modules['torch'] = None; import bench; sys.exit(bench.main(['{command}']))"
    done = subprocess.run([sys.executable, "-c", script], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == bench.FAILED
    assert done.stderr.startswith("bench.py: there is no package torch for ")
    assert done.stderr.endswith("pip install -e .\n")
    assert done.stderr.count("\n") == 1


def test_one_single_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--method", "skeattnclr", "--scale", "smoke", "--set", "lam=4", "--out", str(tmp_path)]
    code, text = say(capsys, *words, "--jobs", "1")
    assert code == 0, text
    assert "lam=4.0" in text
    assert "top1" in text
    records = [json.loads(path.read_text()) for path in (tmp_path / "smoke" / "records").glob("*.json")]
    assert {record["kind"] for record in records} == {"Pretrain", "Evaluate"}
    assert all(record["status"] == "ok" for record in records)
    code, text = say(capsys, "show", records[0]["run"], "--out", str(tmp_path))
    assert code == 0
    assert '"lam": 4.0' in text
    code, text = say(capsys, *words, "--jobs", "1")
    assert "0 of 2 runs to do" in text
