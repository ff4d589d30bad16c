"""What the tests of `profile kernels` share: two shapes that take no time, and rates that need no measuring."""

from __future__ import annotations

import pytest

from benchmarks.throughput import ceilings, kernel_step, kernels
from benchmarks.throughput.ceilings import Ceilings
from benchmarks.throughput.kernel_cases import Case

TINY = Case("tiny", 4, 12, 16, 2)
LAST = Case("tiny, last", 4, 12, 16, 2, "last", 1)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "CASES", (TINY, LAST))
    monkeypatch.setattr(kernels, "COMPILED", 0)
    monkeypatch.setattr(kernels, "PASS_SECONDS", {"cpu": 0.01})
    monkeypatch.setattr(kernels, "cases", lambda device: (TINY, LAST))
    monkeypatch.setattr(ceilings, "measure", lambda *_: Ceilings(1e10, {"float32": 1e11}, 1e9))
    step = kernel_step.Step(TINY, "auto (sdpa)", 2, [3.0, 4.0, 5.0], float("nan"))
    monkeypatch.setattr(kernel_step, "measure", lambda *_: [step, step._replace(form="triton", milliseconds=[])])
