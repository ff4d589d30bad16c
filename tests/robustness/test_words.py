"""Words of a user reach the shell of a batch script as words only; what bench.py does not know it names in a line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import bench
from benchmarks import arguments
from benchmarks.campaign import Campaign
from benchmarks.choices import UsageError, overrides
from benchmarks.names import UnknownName
from benchmarks.recipes import Settings
from benchmarks.running.execute import Machine
from benchmarks.slurm.arrays import Array
from benchmarks.slurm.cluster import ClusterError, Request
from benchmarks.slurm.sbatch import Batch
from benchmarks.slurm.submit import submit
from tests.benchmarks.slurm.test_submit import CLUSTER

ODD = ["with blanks", "$(touch harm)", "`touch harm`", "a'b\"c", "a;touch harm", "a&&touch harm", "-rf", "ä*?[b]", "#"]


@pytest.mark.parametrize("name", ODD)
def test_a_folder_with_an_odd_name_stays_one_word(name: str, tmp_path: Path) -> None:
    root = tmp_path / name
    (root / "code").mkdir(parents=True)
    (tmp_path / "srun").write_text('#!/bin/bash\nprintf "%s\\n" "$PWD" "$PYTHONPATH" "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    request = Request(partition="p", device="cpu")
    script = Batch(Array("fuse", ((),)), "fuse-1", (), request, 1, str(root / "code")).script(root)
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True
    )
    said = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert said[:2] == [str(root / "code")] * 2
    assert said[-1] == str(root / "slurm" / "fuse-1")
    assert not list(tmp_path.rglob("harm"))


@pytest.mark.parametrize("name", ["a\nb", "100%", "a\\b", "a:b", "a\x1bb"])
def test_a_folder_that_slurm_would_misread_is_refused(name: str, tmp_path: Path) -> None:
    campaign = Campaign([], Settings(scale="smoke"), tmp_path / name, tmp_path)
    with pytest.raises(ClusterError, match=r"cannot be used with --slurm because of"):
        submit(campaign, CLUSTER, Machine(), retry_failed=False, dry_run=True, say=print)


@given(st.lists(st.one_of(st.text(), st.from_regex(r"(lam|epochs|width|batch|milestones|lr)=.*")), max_size=3))
@example(["epochs=" + "9" * 5000])
@example(["lam=\x00", "lam=nan"])
@example(["=", "epochs=-1"])
@settings(
    max_examples=50, deadline=None, database=None, derandomize=True, suppress_health_check=(HealthCheck.too_slow,)
)
def test_settings_are_typed_or_refused(words: list[str]) -> None:
    try:
        found = overrides(words)
    except (UsageError, UnknownName):
        return
    assert len(found) == len(words)


@given(st.text(min_size=1))
@example("7\n")
@example("$(id)")
@example("--")
@settings(
    max_examples=50, deadline=None, database=None, derandomize=True, suppress_health_check=(HealthCheck.too_slow,)
)
def test_a_table_is_known_or_refused(word: str) -> None:
    if word in (*arguments.TABLES, "all"):
        return
    try:
        found = bench.parser().parse_args(["run", f"--table={word}"]).table
    except SystemExit as ended:
        found = [] if ended.code == bench.USAGE else [word]
    assert not found, "only what exists is a table"


@pytest.mark.parametrize("name", [*ODD, "a\nb", "100%", "[red]x[/red]", "\udcff"])
def test_results_may_lie_in_any_folder(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--table", "7", "--scale", "smoke", "--out", str(tmp_path / name)]
    assert bench.main(["render", *words]) in (0, bench.FAILED)
    assert "Traceback" not in capsys.readouterr().err
    assert list(tmp_path.rglob("table-7.md"))
