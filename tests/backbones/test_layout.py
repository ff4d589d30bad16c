"""Persons moved together: the same values as moved one by one, and constants that are sent to a device once."""

from __future__ import annotations

import pytest
import torch

from backbones import layout, skeleton


@pytest.mark.parametrize("persons", [1, 2, 3])
def test_joints_are_taken_for_any_number_of_persons(persons):
    x = torch.randn(2, 3, 5, 25, persons)
    assert torch.equal(layout.take_joints(x, skeleton.FLIP), x[:, :, :, list(skeleton.FLIP)])
    assert torch.equal(layout.take_joints(x, (3, 3, 20)), x[:, :, :, [3, 3, 20]])
    assert torch.equal(layout.parted(layout.joined(x)), x)


def test_two_persons_are_one_element_without_a_copy_and_a_strided_batch_works():
    x = torch.randn(4, 3, 5, 25, 2)
    assert layout.joined(x).shape == x.shape[:4]
    assert layout.parted(layout.joined(x)).data_ptr() == x.data_ptr()
    swapped = x.transpose(3, 4).contiguous().transpose(3, 4)
    assert torch.equal(layout.take_joints(swapped, skeleton.FLIP), x[:, :, :, list(skeleton.FLIP)])


def test_gradients_pass():
    x = torch.randn(2, 3, 5, 25, 2, requires_grad=True)
    layout.take_joints(x, (1,) * 25)[..., 0].sum().backward()
    assert x.grad is not None
    assert x.grad.sum() == x.grad[:, :, :, 1, 0].sum() == 2 * 3 * 5 * 25


def test_a_constant_is_sent_to_a_device_once():
    cpu, meta = torch.device("cpu"), torch.device("meta")
    assert layout.constant((4, 2), cpu) is layout.constant((4, 2), cpu)
    assert layout.constant((4, 2), cpu).tolist() == [4, 2]
    assert layout.constant((4, 2), meta).is_meta
