"""`profile gru` compares forms in turn, and says how many times faster each is."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from backbones import BiGRU
from benchmarks.throughput import gru


def test_every_form_is_measured_in_every_round() -> None:
    said: list[str] = []
    found = gru.measure("cpu", 2, 4, 2, BiGRU.Config(hidden_size=4, layers=1), said.append)
    assert found["form"].tolist() == list(gru.forms(4, 1, "cpu"))
    assert found["x frame by frame"].tolist()[0] == 1.0
    for lowest, median, highest in zip(found["lowest"], found["seconds"], found["highest"], strict=True):
        assert lowest <= median <= highest
    assert len(said) == 2 * len(found)
    assert said[0].startswith("  round 1 of 2: released, a call per frame: ")


def test_the_ratio_is_above_one_for_a_faster_form(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.ones(1, requires_grad=True)

    def slow(x: Tensor) -> Tensor:
        time.sleep(0.05)
        return x * weight

    monkeypatch.setattr(gru, "forms", lambda *_: {gru.PLAIN: slow, "fast": lambda x: x * weight})
    found = gru.measure("cpu", 1, 2, 1, BiGRU.Config(), lambda line: None)
    assert found["x frame by frame"].tolist()[1] > 1


def test_the_page_names_its_command_and_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gru, "measure", lambda *_: pd.DataFrame({"form": ["a"], "seconds": [1.5]}))
    path = gru.profile("cpu", 3, 1, 1, tmp_path, print)
    text = path.read_text()
    assert "`python bench.py profile gru --batch 3`" in text
    assert "3 layers of hidden size 1024 in each direction, 64 frames of 150 values, batch 3" in text
    assert pd.read_csv(path.with_suffix(".csv"))["seconds"].tolist() == [1.5]
