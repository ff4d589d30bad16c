"""Ours and the plain form of view generation in pytest-benchmark, at the sizes of `profile data`.

    python -m pytest benchmarks/throughput/test_views.py --benchmark-enable

On one core, sixteen batches at a time; a time is that of all of them. `profile data` takes turns and grows the sizes.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks.datasets.standin import synthetic
from benchmarks.throughput.views import BATCHES, COUNT, LENGTH, OURS, PLAIN, Place, on_cores, plain, turns

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
STEPS = 16


@pytest.mark.parametrize("form", [OURS, *(plain(*form) for form in PLAIN)])
@pytest.mark.parametrize("batch", BATCHES)
def test_form(benchmark: Any, batch: int, form: str) -> None:
    place = Place("batch", batch, COUNT, LENGTH, 1, PLAIN)
    with on_cores(1):
        turn = turns(place, synthetic.repeated(COUNT, LENGTH), DEVICE)[form]
        turn(STEPS)  # starts the workers
        benchmark(turn, STEPS)
