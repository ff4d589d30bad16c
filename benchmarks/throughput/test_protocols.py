"""Evaluation in pytest-benchmark, over the forms of `profile protocols`.

    python -m pytest benchmarks/throughput/test_protocols.py --benchmark-enable

Small sizes: what the forms cost against each other, not what a data set takes. `profile protocols` measures that.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks.throughput.evaluation_forms import OURS, PLAIN, clips, knn_forms, linear_forms, network
from protocols import linear
from protocols.features import extract

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def finished(call: Any) -> Any:
    """What the call returns, when the device has computed it."""
    found = call()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return found


@pytest.mark.parametrize("form", [PLAIN, OURS])
def test_linear(benchmark: Any, form: str) -> None:
    config = linear.Config(epochs=10, batch=32)
    forms = linear_forms(network(8, out=64), clips(64, 16), config, torch.device(DEVICE))
    assert benchmark(finished, forms[form]).weight.isfinite().all()


@pytest.mark.parametrize("form", [PLAIN, OURS])
def test_knn(benchmark: Any, form: str) -> None:
    scores = benchmark(finished, knn_forms(4000, 1000, 128, DEVICE)[form])
    assert scores[20].shape == (1000, 60)


@pytest.mark.parametrize("frames", [16, 64])
def test_extraction(benchmark: Any, frames: int) -> None:
    device = torch.device(DEVICE)
    encoder, data = network(8, out=64).to(device), clips(64, frames)
    pooled, _ = benchmark(finished, lambda: extract(encoder, data.train, "joint", device))
    assert pooled.shape == (64, 64)
