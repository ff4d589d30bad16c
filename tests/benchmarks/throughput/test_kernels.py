"""`profile kernels`: nothing is timed that is wrong, the counts are those of the equations, the page says it all."""

# pandas annotates what a selection gives too widely
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import bench
from benchmarks.throughput import (
    ceilings,
    clock,
    kernel_check,
    kernel_page,
    kernel_step,
    kernels,
)
from benchmarks.throughput.ceilings import Ceilings, Work, backward_work, forward_work, rounding
from benchmarks.throughput.kernel_cases import CASES, computing, exact, forms_of, forward_and_backward, make, wrong
from methods.kernels import FORMS, choose, rows
from tests.benchmarks.throughput.conftest import LAST, TINY
from tests.conftest import REPO

SHAPE = CASES[0]


def test_counted_work_is_that_of_the_specification_s_floors():
    """Figures of the paper's shape in bfloat16: GFLOP, MB, million exponentials."""
    forward, backward = forward_work(SHAPE, 2), backward_work(SHAPE, 2)
    products = 256 * 400 * 256 * 2  # of one map with a vector as long as it is wide
    assert forward.flops == pytest.approx(2 * products * 400 + products * 256)
    assert forward.flops / 1e9 == pytest.approx(41.9 + 13.4, abs=0.1)
    assert forward.exponentials / 1e6 == pytest.approx(328 + 26, abs=1)
    assert forward.moved / 1e6 == pytest.approx(157 + 105 + 52, rel=0.03)
    assert backward.flops / 1e9 == pytest.approx(105 + 40, abs=1)
    assert (forward + backward).flops == forward.flops + backward.flops


def test_the_floor_is_the_largest_of_three():
    tops = Ceilings(bandwidth=10.0, matmul={"float32": 100.0}, exponentials=5.0)
    assert tops.floor(Work(100, 1, 1), "float32") == (1000, "flops")
    assert tops.floor(Work(1, 20, 1), "float32") == (2000, "bytes")
    assert tops.floor(Work(1, 1, 15), "float32") == (3000, "exp")


def test_rates_of_this_machine_are_measured():
    tops = ceilings.measure("cpu", {"float32": torch.float32}, 0.01)
    assert 1e8 < tops.bandwidth < 1e12
    assert 1e8 < tops.matmul["float32"] < 1e14
    assert 1e7 < tops.exponentials < 1e12


def test_calls_take_turns_and_every_round_counts():
    seen: list[str] = []
    found = clock.times({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, "cpu", 0.0)
    assert seen == ["a", "b"] * (2 + clock.FEWEST)
    assert {name: len(values) for name, values in found.items()} == {"a": clock.FEWEST, "b": clock.FEWEST}
    assert clock.percentiles([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == (2.0, 3.5, 5.0)


def test_rounding_to_tf32_ends_with_its_block():
    before = torch.get_float32_matmul_precision()
    with rounding("tf32"):
        assert torch.get_float32_matmul_precision() == "high"
        with rounding("float32"):
            assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == before


def test_the_float64_answer_does_not_depend_on_how_many_rows_are_done_at_a_time():
    for case in (TINY, LAST):
        inputs = make(case, torch.float32)
        whole = forward_and_backward(computing("reference"), inputs.map(torch.Tensor.double))
        for name, part in exact(inputs, rows=3).items():
            torch.testing.assert_close(part, whole[name])


def test_a_form_that_is_a_little_wrong_is_found():
    inputs = make(TINY, torch.float32)

    def wrong_by(part: float):
        def compute(i):
            f_s, f_ns, k_s, k_ns = computing("reference")(i)
            return f_s, f_ns, k_s * (1 + part), k_ns

        return compute

    assert wrong(wrong_by(0), inputs, exact(inputs)) is None
    assert wrong(wrong_by(1e-5), inputs, exact(inputs)) == "beyond 2e-06: k_s 1.0e-05"
    assert "k_s nan" in (wrong(wrong_by(float("nan")), inputs, exact(inputs)) or "")


def test_nothing_is_timed_on_a_red_gate(monkeypatch: pytest.MonkeyPatch, quick: None):
    right = rows.mask_pool

    def broken(*arguments):
        f_s, f_ns, k_s, k_ns = right(*arguments)
        return f_s, 1.001 * f_ns, k_s, k_ns

    monkeypatch.setattr(rows, "mask_pool", broken)
    said: list[str] = []
    found, sentences = kernels.measure("cpu", 60, said.append)
    lines = found[(found["case"] == "tiny") & found["pass"].isin(kernels.PASSES)]
    untimed = lines[lines["p50, ms"].isna()]
    assert set(untimed["form"]) == {"rows"}
    assert len(untimed) == 2
    assert untimed["note"].str.startswith("not timed: beyond 2e-06: f_ns 1.0e-03").all()
    assert "WRONG: tiny, float32, rows: beyond 2e-06: f_ns 1.0e-03, gradient of weight" in "\n".join(said)
    assert sentences[0] == "Gate: 6 of 7 combinations of form, shape and products are right."


def test_an_exception_is_a_fault():
    def compute(inputs):
        raise torch.OutOfMemoryError("too large")

    inputs = make(TINY, torch.float32)
    assert kernel_check.fault(compute, inputs, exact(inputs)) == "OutOfMemoryError: too large"
    assert kernel_check.main() == 0


def test_page_table_and_picture(tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch, capsys):
    assert bench.main(["profile", "kernels", "--device", "cpu", "--out", str(tmp_path), "--seconds", "60"]) == 0
    printed = capsys.readouterr().out
    [page] = (tmp_path / "throughput").glob("*.md")
    assert page.name.endswith(f"-torch-{torch.__version__.partition('+')[0]}.md")
    text = page.read_text()
    assert text in printed
    assert "Gate: 7 of 7 combinations of form, shape and products are right." in text
    assert "have not run on a GPU yet" in text
    assert text.count("| tiny, last | 12  | 16  | 2       | float32") == 1  # the fastest form of every shape
    assert "compute-sanitizer: not run (no GPU)." in text
    assert {path.suffix for path in page.parent.iterdir()} == {".md", ".csv", ".png", ".svg"}
    found = kernel_page.read(page.with_name(f"{page.name.removesuffix('.md')}.csv"))
    timed = found[found["of the roofline"].notna()]
    assert len(timed) == 2 * 7  # reference, sdpa and rows at two shapes, narrow at one; two passes
    assert (timed["p20, ms"] <= timed["p50, ms"]).all()
    floor = timed["floor, ms"] / timed["p50, ms"]
    assert (floor / timed["of the roofline"] - 1).abs().max() < 1e-2
    persons = timed["R"] / (timed["samples/s"] * timed["p50, ms"] / 1000)
    assert persons.round(1).tolist() == [2.0 if pooling == "mean" else 1.0 for pooling in timed["pooling"]]


def test_what_there_was_no_time_for_is_named(quick: None):
    found, sentences = kernels.measure("cpu", 0.0, print)
    assert "p50, ms" not in found or found["p50, ms"].isna().all()
    assert sentences[-1] == (
        "Left for lack of time: the training step in float32, tiny in float32, tiny, last in float32."
    )


def test_a_page_is_written_although_there_was_no_time_for_anything(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(kernels, "SECONDS", 0.0)
    page = kernels.profile("cpu", None, tmp_path, print)
    text = page.read_text()
    assert "Left for lack of time: the training step in float32, tiny in float32" in text
    assert "## Ceilings, measured in the same run" in text
    assert "roofline.png" not in text
    assert {path.suffix for path in tmp_path.iterdir()} == {".md", ".csv"}
    assert kernel_page.read(next(tmp_path.glob("*.csv")))["p50, ms"].isna().all()


def test_two_files_are_compared_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    line = kernels.row(TINY, "float32", "sdpa", "forward")
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    pd.DataFrame([line | {"p50, ms": 6.0}, line | {"form": "joined", "p50, ms": 1.0}]).to_csv(one, index=False)
    pd.DataFrame([line | {"p50, ms": 2.0}, line | {"form": "rows", "p50, ms": None}]).to_csv(other, index=False)
    assert bench.main(["profile", "kernels", "--compare", str(one), str(other)]) == 0
    printed = capsys.readouterr().out
    assert "| tiny   | 4   | float32    | forward | sdpa   | 6                | 2               | 3 " in printed
    assert "1 lines are in one.csv alone, 0 in other.csv alone." in printed
    assert bench.main(["profile", "gru", "--compare", str(one), str(other)]) == bench.USAGE
    (tmp_path / "none.csv").write_text("a,b\n1,2\n")
    assert bench.main(["profile", "kernels", "--compare", str(one), str(tmp_path / "none.csv")]) == bench.FAILED
    assert "none.csv is no CSV of `profile kernels`" in capsys.readouterr().err


def test_a_whole_training_step_with_every_kernel(monkeypatch: pytest.MonkeyPatch):
    from benchmarks import recipes
    from benchmarks.recipes import Settings

    small = recipes.pretraining(Settings(scale="smoke"), "skeattnclr", "ntu60", "xsub", "joint", 0)
    monkeypatch.setattr(recipes, "pretraining", lambda *_: small)
    found = kernel_step.measure("cpu", "float32", 0.0, print)
    assert [step.form for step in found] == ["auto (narrow)", "sdpa (sdpa)", "reference (reference)", "triton"]
    assert all(len(step.milliseconds) == clock.FEWEST for step in found[:3])
    assert found[3].milliseconds == []  # although the interpreter is on
    assert found[3].note == "n/a: Triton compiles for GPUs, and this is a CPU"


def test_what_a_cpu_chooses_is_among_what_is_checked():
    chosen = {}
    for case in CASES:
        inputs = make(case.reduced(2), torch.float32, layout="channels side by side")
        chosen[case.name] = choose("auto", inputs.x, case.heads, case.pooling)
        assert chosen[case.name] in forms_of(case, "cpu")
    assert {"narrow", "rows", "sdpa"} == set(chosen.values())


def test_a_numbered_gpu_is_the_current_one_where_it_is_measured(monkeypatch: pytest.MonkeyPatch):
    current: list[int] = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    for device in ("cpu", "cuda:1", "cuda"):
        clock.current(device)
    assert current == [1, 0]
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8", "or `ordered` refuses every product there"


def test_every_form_has_a_mark_in_the_picture():
    assert set(FORMS) <= set(kernel_page.COLORS)


def test_the_suite_of_pytest_benchmark_runs():
    words = ["-m", "pytest", "-q", "benchmarks/throughput/test_kernels.py", "-k", "25 and float32 and sdpa"]
    done = subprocess.run([sys.executable, *words], cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
