"""`profile train` runs the real loop for every supported pair, counts its work, and gives reasons for the others."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from backbones import BACKBONES
from benchmarks.recipes import Settings
from benchmarks.throughput import train
from methods import METHODS

SMOKE = Settings(scale="smoke")
PAIRS = {(run.method, run.backbone): run for run in train.pairs(SMOKE)}


def test_all_pairs_are_there() -> None:
    assert set(PAIRS) == {(method, backbone) for method in METHODS for backbone in BACKBONES}


def test_operations_are_those_of_the_products() -> None:
    """Of a GRU layer and direction: 2 T 3H (I + H) forward, twice that backward; the classifier is the rest."""
    found = train.measure(PAIRS["supervised", "bigru"], "cpu", steps=2, threads=1)
    hidden, frames = 16, 16
    products = sum(2 * 2 * frames * 3 * hidden * (inputs + hidden) for inputs in (150, 2 * hidden, 2 * hidden))
    assert 1.0 <= found.flops / (3 * products) < 1.01
    assert len(found.rates) == train.ROUNDS
    assert min(found.rates) > 0
    assert 50e6 < found.memory < 20e9  # a process with PyTorch, and a small network
    assert 20_000 < found.parameters < 30_000


def test_a_page_with_figures_and_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [PAIRS["skeattnclr", "bigru"], PAIRS["skelemixclr", "bigru"]]
    monkeypatch.setattr(train, "pairs", lambda settings: chosen)
    said: list[str] = []
    path = train.profile(SMOKE, "cpu", 1, 1, tmp_path, said.append)
    text = path.read_text()
    assert "`python bench.py profile train --recipe paper --scale smoke` on " in text
    assert ": batch 16, 16 frames. The" in text
    found = pd.read_csv(path.with_suffix(".csv"))
    reason = "SkeleMixCLR needs a (T', V) token grid, BiGRU has none"
    assert found["note"].tolist()[1] == f"n/a: {reason}"
    assert found["samples/s"].isna().tolist() == [False, True]
    assert said[1] == f"skelemixclr on bigru: n/a, {reason}"
    assert found["step, ms"].tolist()[0] == pytest.approx(1000 * 16 / found["samples/s"].tolist()[0], rel=0.01)
