"""Combinations that make no sense are refused with the method's reason, before anything is trained."""

from __future__ import annotations

import pytest

import backbones
import methods
from backbones import BACKBONES
from methods import METHODS
from tests.methods.test_conformance import SMALL_BACKBONE, SMALL_METHOD
from tests.protocols.small import fitting


def test_heads_that_do_not_divide_the_width_are_unsupported():
    net = backbones.build("stgcn", fitting(BACKBONES["stgcn"].Config, SMALL_BACKBONE))
    config = fitting(METHODS["skeattnclr"].Config, {**SMALL_METHOD, "heads": 3})
    reason = METHODS["skeattnclr"].unsupported(config, net, "joint")
    assert reason is not None
    assert "3 attention heads" in reason
    assert "width 16" in reason
    with pytest.raises(ValueError, match=reason):
        methods.build("skeattnclr", config, net, "joint")


def test_a_stream_that_crossclr_does_not_train_is_unsupported():
    net = backbones.build("stgcn", fitting(BACKBONES["stgcn"].Config, SMALL_BACKBONE))
    config = METHODS["crossclr"].Config(dim=8, queue=32, streams=2)
    assert METHODS["crossclr"].unsupported(config, net, "motion") is None
    with pytest.raises(ValueError, match="CrosSCLR with 2 streams trains joint, motion, not bone"):
        methods.build("crossclr", config, net, "bone")


@pytest.mark.parametrize("method", ["aimclr", "skelemixclr"])
def test_methods_that_need_a_grid_say_so_to_a_sequence_model(method, monkeypatch):
    net = backbones.build("stgcn", fitting(BACKBONES["stgcn"].Config, SMALL_BACKBONE))
    config = fitting(METHODS[method].Config, SMALL_METHOD)
    assert METHODS[method].unsupported(config, net, "joint") is None
    monkeypatch.setattr(net, "grid", lambda frames: None)
    with pytest.raises(ValueError, match=r"CLR needs a \(T', V\) token grid, STGCN has none"):
        methods.build(method, config, net, "joint")
