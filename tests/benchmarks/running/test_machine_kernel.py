"""The kernel is the machine's choice: it is in the record, not in the run, and an impossible one is no result."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

import bench
from benchmarks import arguments, commands, recipes
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.running.execute import Machine, execute
from benchmarks.runs import Run
from methods.kernels import KERNELS, Form, Kernel, choice

SETTINGS = Settings(scale="smoke", overrides=(("epochs", 1),))


def record(root: Path, run: Run, machine: Machine) -> dict[str, Any]:
    store = Store(root)
    store.prepare()
    store.write_spec(run)
    assert execute(str(root), run.id, machine=machine) == "ok"
    found = store.record(run.id)
    assert found
    return found


def test_the_record_says_what_was_asked_for_and_what_ran(tmp_path: Path) -> None:
    run = recipes.pretraining(SETTINGS, "skeattnclr", "irds", "xsub", "joint", 0)
    assert "kernel" not in str(run.spec())
    losses = {}
    pairs: tuple[tuple[Kernel, Form], ...] = (("reference", "reference"), ("auto", "narrow"))
    for kernel, ran in pairs:
        found = record(tmp_path / kernel, run, Machine(kernel=kernel))
        assert found["environment"]["kernel"] == {"asked": kernel, "ran": ran}
        losses[kernel] = found["history"][0]["salient"]
    assert losses["reference"] == pytest.approx(losses["auto"], rel=1e-3)


def test_a_method_without_a_mask_has_no_kernel(tmp_path: Path) -> None:
    run = recipes.pretraining(SETTINGS, "skeletonclr", "irds", "xsub", "joint", 0)
    assert "kernel" not in record(tmp_path, run, Machine(kernel="reference"))["environment"]


def test_an_impossible_kernel_leaves_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "unsupported", lambda device, dtype: "no compiler here")
    store = Store(tmp_path)
    store.prepare()
    run = recipes.pretraining(SETTINGS, "skeattnclr", "irds", "xsub", "joint", 0)
    store.write_spec(run)
    with pytest.raises(choice.Unsupported, match="no compiler here"):
        execute(str(tmp_path), run.id, machine=Machine(kernel="triton"))
    assert store.record(run.id) is None


def test_the_command_line_refuses_it_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "unsupported", lambda device, dtype: "no compiler here")
    words = ["run", "--method", "skeattnclr", "--scale", "smoke", "--out", str(tmp_path), "--device", "cpu"]
    assert bench.main([*words, "--kernel", "triton"]) == bench.USAGE
    assert "--kernel triton cannot be used here: no compiler here" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.json"))
    with pytest.raises(SystemExit):
        bench.main([*words, "--kernel", "flash"])
    assert "invalid choice: 'flash'" in capsys.readouterr().err


def test_the_front_door_and_the_kernels_agree_on_names() -> None:
    assert arguments.KERNELS == KERNELS
    given = bench.parser().parse_args(["run", "--table", "1", "--kernel", "sdpa"])
    assert isinstance(given, argparse.Namespace)
    assert given.kernel == "sdpa"
