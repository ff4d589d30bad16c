"""Shapes in signatures are really checked: a wrong one fails, in any function of the three floors, once a test."""

from __future__ import annotations

import random

import jaxtyping
import pytest
import torch

from backbones import skeleton, streams
from methods import losses
from protocols import knn
from tests import checks


@pytest.mark.parametrize("shape", [(2, 3, 8, 25), (2, 4, 8, 25, 1), (2, 3, 8, 25, 1, 1)])
def test_a_wrong_shape_fails(shape: tuple[int, ...]) -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="B 3 T V M"):
        streams.to_stream(torch.zeros(shape), "joint")


def test_dimensions_of_one_name_are_equal() -> None:
    unit = torch.nn.functional.normalize(torch.randn(4, 8), dim=1)
    with pytest.raises(jaxtyping.TypeCheckError, match="B D"):
        losses.info_nce(unit, unit[:1], torch.randn(8, 5), 0.1)  # would be broadcast in silence


def test_a_wrong_result_and_a_wrong_type_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "take_joints", lambda x, order: x.new_zeros(*x.shape[:4], 7))
    with pytest.raises(jaxtyping.TypeCheckError, match="return value"):
        streams.to_stream(torch.zeros(2, 3, 8, 25, 1), "bone")
    with pytest.raises(jaxtyping.TypeCheckError, match="labels"):
        knn.vote(torch.zeros(2, 3), torch.zeros(2, 3), 4, 0.1)


def test_the_first_call_of_a_test_is_checked_and_python_s_random_numbers_stay() -> None:
    random.seed(0)
    before = random.getstate()
    x = torch.zeros(2, 3, 8, 25, 1)
    assert not checks.seen
    losses.neighbours([torch.zeros(2, 4)] * 3, 1)
    streams.to_stream(x, "joint")
    assert len(checks.seen) == 3
    assert streams.to_stream(x[0], "joint") is not None, "the second call is not"
    assert random.getstate() == before


def test_all_floors_are_decorated() -> None:
    for function in (skeleton.graph, losses.taught, knn.neighbours):
        assert hasattr(function, "__wrapped__")
