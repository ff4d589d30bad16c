"""No training step waits for the device: every method on every backbone, on a device that can answer no question.

Tensors of the device "meta" have no values, so whoever asks for one fails: `.item()`, `if tensor`, `nonzero`, a boolean
mask as an index, a copy to the host. Copies from the host must be declared as not waiting, and `HostWork` sees to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from methods import Method
from tests.methods.test_conformance import AT, LATER, every_pair, forward, joints, make, total

META = torch.device("meta")
FRAMES = 8  # a GRU counts them one by one here


class Waits(AssertionError):
    """A step would have waited for the device, or for a copy to it."""


class HostWork(TorchDispatchMode):
    """Raises Waits for a copy from the host that waits, made openly or because an operation got tensors of both."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket in (torch.ops.aten.index_put_, torch.ops.aten.index_put):
            masks = [index for index in args[1] if index is not None and index.dtype == torch.bool]
            if masks:
                raise Waits("values for a boolean mask as an index are counted first; take torch.where or masked_fill")
        result = func(*args, **kwargs)
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
        on_host = [tensor for tensor in tensors if tensor.is_cpu and tensor.dim()]
        copies = func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
        declared = copies and (kwargs.get("non_blocking") or args[2:3] == (True,))
        if on_host and any(tensor.is_meta for tensor in tensors) and not declared:
            raise Waits(f"{func} has tensors of both host and device")
        return result


class Constants(TorchFunctionMode):
    """Raises Waits where Python's numbers are sent to the device, which no `HostWork` sees: as a tensor or an index."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in (torch.tensor, torch.as_tensor) and result.is_meta:
            raise Waits("a tensor made from Python's numbers; keep it on the device (backbones/layout.py)")
        if func in (Tensor.__getitem__, Tensor.__setitem__):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            if any(isinstance(part, list) for part in index):
                raise Waits("a list as an index; keep it on the device (backbones/layout.py)")
        return result


def step(method: Method, x: Tensor, at: Any) -> None:
    """As the trainer does it, without the optimiser."""
    total(forward(method, at=at, x=x)).backward()
    method.after_step(at)


@every_pair
def test_no_step_waits_for_the_device(method, backbone):
    made, x = make(method, backbone, "bone").to(META), joints()[:, :, :FRAMES].to(META)
    step(made, x, AT)  # what is kept for later steps is sent in the first
    with HostWork(), Constants():
        for at in (AT, LATER):
            step(made, x, at)


@pytest.mark.parametrize(
    "waits",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.masked_select(x > 0),
        lambda x: x.cpu(),
        lambda x: x.tolist(),
        lambda x: x.unique(),
        lambda x: x.repeat_interleave(torch.ones(2, dtype=torch.long, device=META)),
        lambda x: torch.equal(x, x),
        lambda x: x[[1, 0]],
        lambda x: x[None, [1, 0]],
        lambda x: x[torch.tensor([1, 0])],
        lambda x: x + torch.ones(2).to(META),
        lambda x: x + torch.tensor([1.0, 2.0], device=META),
        lambda x: x.copy_(torch.ones(2)),
        lambda x: x.__setitem__(x > 0, x[:1]),
    ],
)
def test_what_waits_is_noticed(waits: Callable[[Tensor], object]):
    x = torch.ones(2, device=META)
    with HostWork(), Constants(), pytest.raises((Waits, RuntimeError, NotImplementedError)):
        waits(x)


def test_what_does_not_wait_passes():
    x = torch.ones(2, device=META)
    with HostWork(), Constants():
        y = x + torch.ones(2).to(META, non_blocking=True) * 2
        y = torch.where(x > 0, y, x).index_select(0, torch.arange(2, device=META))
        x.copy_(torch.ones(2), non_blocking=True)
        x.masked_fill_(x > 0, 0.0)
        assert (y * torch.rand(())).shape == (2,)
