"""The forms of SkeAttnCLR's mask in pytest-benchmark, over the registry of `profile kernels`.

    python -m pytest benchmarks/throughput/test_kernels.py --benchmark-enable

On a GPU the clock stops when the GPU has finished; `profile kernels` times by events, flushes caches and knows the
roofline. A form that is not right is not timed.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks.throughput.ceilings import kinds_of, rounding
from benchmarks.throughput.kernel_cases import Case, computing, exact, forms_of, make, wrong
from benchmarks.throughput.kernels import PASSES, cases, passes
from methods.kernels import Form

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LINES = [
    pytest.param(case, kind, form, id=f"{case.name}, {kind}, {form}")
    for case in cases(DEVICE)
    for kind in kinds_of(DEVICE)
    for form in forms_of(case, DEVICE)
]


@pytest.mark.parametrize("which", PASSES)
@pytest.mark.parametrize(("case", "kind", "form"), LINES)
def test_form(benchmark: Any, case: Case, kind: str, form: Form, which: str) -> None:
    with rounding(kind):
        inputs = make(case, kinds_of(DEVICE)[kind], DEVICE)
        assert (found := wrong(computing(form), inputs, exact(inputs))) is None, found
        call = passes(computing(form), inputs)[which]

        def finished() -> None:
            call()
            if DEVICE == "cuda":
                torch.cuda.synchronize()

        benchmark(finished)
