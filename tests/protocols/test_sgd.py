"""Learning-rate schedules against the released tables."""

from __future__ import annotations

import numpy as np

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


def test_a_milestone_counts_finished_epochs() -> None:
    sgd = SGD(lr=1.0, milestones=(2,))
    assert [sgd.rate(epoch) for epoch in range(4)] == [1.0, 1.0, 0.1, 0.1]
