"""A step of SkeAttnCLR, plain and ours, in pytest-benchmark.

    python -m pytest benchmarks/throughput/test_train.py --benchmark-enable

`profile train --part step` takes turns, knows more forms and grows the sizes.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks.throughput.plain_step import plain
from benchmarks.throughput.step import OURS, PLAIN, forms_on, full, stepping

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize("form", [PLAIN, *forms_on(DEVICE)])
@pytest.mark.parametrize("size", full(DEVICE).forms, ids=str)
def test_step(benchmark: Any, size: Any, form: str) -> None:
    method, run = size.method()
    amp, compiled = forms_on(DEVICE).get(form, forms_on(DEVICE)[OURS])
    step = stepping(plain(method) if form == PLAIN else method, run, DEVICE, amp, compiled)

    def finished() -> None:
        step()
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    benchmark(finished)
