"""`profile kernels` as it goes on a GPU, played on a CPU: events, flushes, memory, every kind of products and form."""

# pandas annotates what a selection gives too widely
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import torch

from benchmarks.throughput import ceilings, clock, kernel_cases, kernel_check, kernel_page, kernels
from benchmarks.throughput.ceilings import Ceilings

pytest.importorskip("triton")


class Event:
    """A CUDA event; the stream is a list."""

    stream: ClassVar[list[object]] = []

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        self.stream.append(self)

    def elapsed_time(self, end: Event) -> float:
        return 1.5 * (self.stream.index(end) - self.stream.index(self))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors stay on the CPU, and the kernels in Triton's interpreter."""
    if torch.cuda.is_available():
        pytest.skip("there is a real one")
    Event.stream.clear()
    monkeypatch.setattr(torch.cuda, "Event", Event)
    for name in ("synchronize", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    for name, number in (("memory_allocated", 1_000_000), ("max_memory_allocated", 3_000_000)):
        monkeypatch.setattr(torch.cuda, name, lambda number=number: number)
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: Event.stream.append("ahead"))
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Made-up GPU")
    place = kernel_cases.make

    class Cache:
        def zero_(self) -> None:
            Event.stream.append("flush")

    monkeypatch.setattr(clock, "_cache", lambda device: Cache())
    for module in (kernels, kernel_check):
        monkeypatch.setattr(module, "make", lambda case, dtype, device: place(case, dtype))


def test_events_stand_around_a_call_behind_a_flush(gpu: None):
    found = clock.times({"a": lambda: Event.stream.append("a")}, "cuda", 0.0)
    assert found == {"a": [3.0] * clock.FEWEST}  # begin, call, end
    kinds = [type(item).__name__ if isinstance(item, Event) else item for item in Event.stream]
    assert kinds == ["flush", "ahead", "Event", "a", "Event"] * (2 + clock.FEWEST)


@pytest.mark.nightly  # half a minute; its parts have tests of their own
def test_the_whole_command_for_a_gpu(gpu: None, quick: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    rates = dict.fromkeys(ceilings.kinds_of("cuda"), 1e14)
    monkeypatch.setattr(ceilings, "measure", lambda *_: Ceilings(3e12, rates, 4e12))
    monkeypatch.setattr(kernels, "PASS_SECONDS", {"cuda": 0.0})
    monkeypatch.setattr(clock, "FEWEST", 1)
    page = kernels.profile("cuda", 500, tmp_path, print)
    assert page.name.startswith("kernels-made-up-gpu-torch-")
    assert "Milliseconds by CUDA events" in page.read_text()
    found = kernel_page.read(page.with_name(f"{page.name.removesuffix('.md')}.csv"))
    lines = found[found["pass"].isin(kernels.PASSES)]
    timed = lines[lines["p50, ms"].notna()]
    ours = timed[timed["form"].isin(["sdpa + pool", "joined"])]
    assert set(ours["products"]) == {"float32", "tf32", "float16"}
    assert (timed["peak, MB"] == 2).all()
    untimed = lines[lines["p50, ms"].isna()]
    assert set(untimed["products"]) == {"bfloat16"}, "which the interpreter computes wrongly, and the gate sees it"
    assert set(untimed["form"]) == {"sdpa + pool", "joined"}


def test_the_chain_of_exponentials_is_one():
    from benchmarks.throughput import exponentials

    x = torch.zeros(exponentials.BLOCK, device="cuda" if torch.cuda.is_available() else "cpu")
    exponentials.launch(x)
    value = 0.0
    for _ in range(exponentials.CHAIN):
        value = 2**-value
    assert x.tolist() == pytest.approx([value] * exponentials.BLOCK)


def test_the_sanitizer_s_answer_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    tool = tmp_path / "compute-sanitizer"
    monkeypatch.setattr(kernel_check.shutil, "which", lambda name: None)
    assert kernel_check.sanitizer("cuda") == "compute-sanitizer: not run (not installed)."
    monkeypatch.setattr(kernel_check.shutil, "which", lambda name: str(tool))
    for script, answer in (("exit 0", "memcheck: no error"), ("echo bad; exit 9", "FAILED with exit code 9: 'bad")):
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        assert answer in kernel_check.sanitizer("cuda")
    tool.write_text("#!/bin/sh\nsleep 5\n")
    monkeypatch.setattr(kernel_check, "SANITIZER_SECONDS", 0.2)
    assert "not finished within" in kernel_check.sanitizer("cuda")
