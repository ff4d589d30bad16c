"""`profile train --part step`: both forms compute the same step, every form is timed, operations have their kinds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from backbones.dropout import Dropout
from benchmarks.throughput import operations, plain_step, step, step_page
from benchmarks.throughput.step import OURS, PLAIN, Size

SMALL = Size(width=4, batch=4, frames=32, queue=64)


def test_both_forms_have_the_same_losses_step_after_step() -> None:
    assert step.differ(SMALL, "cpu") < step.TOLERANCE / 4


@pytest.mark.parametrize("name", ["mix order", "momentum"])
def test_another_computation_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "momentum":
        follow = plain_step.Training._follow
        monkeypatch.setattr(plain_step.Training, "_follow", lambda self, at: [follow(self, at), follow(self, at)])
    else:
        forward = plain_step.PlainGraphConv.forward
        monkeypatch.setattr(
            plain_step.PlainGraphConv, "forward", lambda s, x, g: forward(s, x, g._replace(adjacency=g.adjacency.mT))
        )
    assert step.differ(SMALL, "cpu") > 4 * step.TOLERANCE


def test_the_plain_form_has_nothing_of_ours() -> None:
    method, _ = SMALL.method()
    plain = plain_step.plain(method)
    assert sum(isinstance(module, Dropout) for module in plain.modules()) == 0
    assert sum(isinstance(module, nn.Dropout) for module in plain.modules()) == 20
    assert plain.state_dict().keys() == method.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), method.parameters(), strict=True))
    assert not {id(p) for p in plain.parameters()} & {id(p) for p in method.parameters()}


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("aten::convolution_backward", "convolution"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu", "attention and softmax"),
        ("aten::native_batch_norm_backward", "BatchNorm and LayerNorm"),
        ("aten::bernoulli_", "random numbers"),
        ("aten::index_select", "copies and indices"),
        ("aten::addmm", "products of matrices"),
        ("aten::add_", operations.OTHER),
    ],
)
def test_operations_have_their_kind(operation: str, kind: str) -> None:
    assert operations.kind_of(operation) == kind


@pytest.mark.nightly  # half a minute; its parts have tests of their own
def test_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (step, step_page):
        monkeypatch.setattr(module, "alone", lambda function, *arguments: function(*arguments))
    said: list[str] = []
    pages = list(step_page.profile(step.SMOKE, "cpu", 2, tmp_path, said.append))
    steps, kinds = (pd.read_csv(page.with_suffix(".csv")) for page in pages)
    assert steps["form"].tolist() == [PLAIN, OURS, f"{OURS}, bf16", OURS, OURS]
    assert steps["x plain"].tolist()[0] == 1.0
    assert (steps["lowest"].to_numpy() <= steps["step, ms"].to_numpy()).all()
    assert steps["peak memory, GB"].notna().tolist() == [False] * 3 + [True] * 2
    assert kinds["ours, share"].to_numpy().sum() == pytest.approx(1, abs=0.01)
    assert kinds.set_index("operations").loc["convolution", "plain, ms"] > 0
    assert "`python bench.py profile train --part step --scale smoke` on " in pages[0].read_text()
    assert len(said) == 5
