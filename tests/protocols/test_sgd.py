"""Learning-rate schedules against the released tables."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from protocols import finetune, linear
from protocols.sgd import SGD


def test_schedules_equal_the_released_ones(golden) -> None:
    arrays = golden("schedules")
    expected = {
        "pretrain_lr": SGD(),
        "linear_lr_skeattn": SGD(lr=3.0, milestones=(60, 100)),
        "linear_lr_aimclr": SGD(lr=3.0, milestones=(80,)),
    }
    for name, sgd in expected.items():
        rates = [sgd.rate(epoch) for epoch in range(len(arrays[name]))]
        np.testing.assert_allclose(rates, arrays[name], atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("nesterov", [False, True])
def test_it_is_pytorchs_bit_for_bit(nesterov: bool) -> None:
    sgd = SGD(lr=0.3, nesterov=nesterov)
    ours, theirs = (torch.nn.Linear(7, 5) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    steps = [
        sgd.build(ours.parameters()),
        torch.optim.SGD(theirs.parameters(), lr=0.3, momentum=0.9, weight_decay=1e-4, nesterov=nesterov, fused=True),
    ]
    for turn in range(4):
        x = torch.randn(3, 7, generator=torch.Generator().manual_seed(turn))
        for module, optimiser in zip((ours, theirs), steps, strict=True):
            optimiser.zero_grad(set_to_none=True)
            module(x).square().sum().backward()
            optimiser.step()
        assert torch.equal(ours.weight, theirs.weight)
        if turn == 1:
            steps[0].load_state_dict(copy.deepcopy(steps[1].state_dict()))
    assert ours.weight.requires_grad


def test_training_does_not_import_a_compiler() -> None:
    script = (
        "import sys; from tests.protocols.test_fit import train; train('skeattnclr', None, epochs=2); "
        "print('torch._dynamo' in sys.modules)"
    )
    repo = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=repo, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("kind", [linear.Config, finetune.Config])
@pytest.mark.parametrize("size", ["epochs", "batch", "every"])
def test_a_training_that_judges_nothing_is_refused(kind: type, size: str) -> None:
    with pytest.raises(ValueError, match=r"epochs, batch and every .* must be at least 1.*; got"):
        kind(**{size: 0})


def test_a_milestone_counts_finished_epochs() -> None:
    sgd = SGD(lr=1.0, milestones=(2,))
    assert [sgd.rate(epoch) for epoch in range(4)] == [1.0, 1.0, 0.1, 0.1]
