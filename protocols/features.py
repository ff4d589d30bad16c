"""What a frozen encoder makes of a data set: extracted once, in evaluation mode, without augmentation.

Linear, KNN and t-SNE all start here. Caching is exact, because nothing random and nothing that depends on the batch is
left in the encoder. What a process extracted last it remembers, in memory only, by the values it was computed from.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import weakref
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from backbones.streams import to_stream
from methods import Encoder
from protocols.base import Split, derive
from protocols.precision import exactly

KEPT = 2  # features that a process remembers: both sides of a split, of the encoder that was judged last
PERSON_FRAMES = 2048  # of a batch on a CPU: more leaves its caches, fewer pay for more calls


def _batch(device: torch.device, x: np.ndarray) -> int:
    return max(1, PERSON_FRAMES // (x.shape[2] * x.shape[4])) if device.type == "cpu" else 512


def _fetch(split: Split, rows: Tensor, device: torch.device) -> Tensor:
    """These rows of the data set on the device; a GPU goes on computing while they are read and sent."""
    x = torch.from_numpy(split.x[rows.numpy()])
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)


def _finite(rows: Tensor) -> Tensor:
    """The rows (n, C) themselves. A row whose length overflows counts too: made 1 long, it would be all zeros.

    Raises:
        FloatingPointError: when a row is not finite.
    """
    bad = ~torch.isfinite(torch.linalg.vector_norm(rows, dim=1))
    if bad.any():
        raise FloatingPointError(
            f"the features of {int(bad.sum())} of {len(rows)} clips are not finite, or too large; the encoder has "
            "diverged, a lower learning rate usually helps"
        )
    return rows


@contextlib.contextmanager
def _evaluated(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for the block, also when it fails; then every module has the mode that it had."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@torch.no_grad()
def extract(
    encoder: Encoder, split: Split, stream: str, device: torch.device, batch: int | None = None
) -> tuple[Float[Tensor, "n C"], Int[Tensor, " n"]]:
    """Pooled features (n, C) and labels (n,) of one side of a split, on the device.

    `batch` rows at a time; by default as many as suit the device, which changes speed and memory alone. Modes of all
    modules are as before when it returns.

    Raises:
        FloatingPointError: when a feature is not finite.
    """
    batch = batch or _batch(device, split.x)
    batches = torch.from_numpy(split.rows).split(batch)
    with _evaluated(encoder), exactly():
        pooled = [encoder(to_stream(_fetch(split, rows, device), stream)).pooled for rows in batches]
    return _finite(torch.cat(pooled)), torch.from_numpy(split.y[split.rows]).to(device)


class _Remembered(NamedTuple):
    x: weakref.ref[np.ndarray]  # the data set, not kept alive; an address alone could be another array's by now
    key: tuple[bytes, bytes, str, str]  # encoder, rows, stream, device
    pooled: Tensor


_remembered: list[_Remembered] = []  # the latest first


def _plain(value: object) -> bool:
    """Whether its repr says all of it: what holds tensors or objects is derived from buffers, or has an address."""
    return all(map(_plain, value)) if isinstance(value, tuple) else isinstance(value, int | float | str)


def _contents(encoder: Encoder) -> bytes:
    """A hash of all that pooled features depend on: the backbone's modules, their plain settings, every value.

    Also whether a module is compiled, which changes no more than rounding.
    """
    found = hashlib.sha256()
    for name, module in encoder.backbone.named_modules():
        plain = {k: v for k, v in vars(module).items() if k != "training" and _plain(v)}
        compiled = module._compiled_call_impl is not None
        found.update(repr((name, type(module).__qualname__, sorted(plain.items()), compiled)).encode())
    for name, tensor in itertools.chain(encoder.backbone.named_parameters(), encoder.backbone.named_buffers()):
        found.update(repr((name, tensor.dtype, tuple(tensor.shape))).encode())
        found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return found.digest()


def extract_once(
    encoder: Encoder, split: Split, stream: str, device: torch.device
) -> tuple[Float[Tensor, "n C"], Int[Tensor, " n"]]:
    """extract, or what it returned when this process last asked for the same: never write to the features.

    The same is: an encoder of equal values, the same array, equal rows, stream and device. Only arrays that cannot be
    written to are remembered, as those of the catalogue are; of another, nobody could say whether it is still the same.
    """
    if split.x.flags.writeable:
        return extract(encoder, split, stream, device)
    key = (_contents(encoder), hashlib.sha256(split.rows.tobytes()).digest(), stream, str(device))
    found = next((kept for kept in _remembered if kept.key == key and kept.x() is split.x), None)
    if found is None:
        found = _Remembered(weakref.ref(split.x), key, extract(encoder, split, stream, device)[0])
    others = [kept for kept in _remembered if kept is not found and kept.x() is not None]
    _remembered[:] = [found, *others][:KEPT]
    return found.pooled, torch.from_numpy(split.y[split.rows]).to(device)


@torch.no_grad()
def represent(
    encoder: Encoder, split: Split, stream: str, features: Literal["embedding", "backbone"], device: torch.device
) -> tuple[Float[Tensor, "n C"], Int[Tensor, " n"]]:
    """Rows of length 1 (n, D), after the head or the pooled feature before it, and labels (n,).

    Modes of modules, and errors, are as in extract.
    """
    pooled, labels = extract_once(encoder, split, stream, device)
    if features == "backbone":
        return F.normalize(pooled, dim=1), labels
    with _evaluated(encoder.head):
        embedded = encoder.embed(pooled)
    return _finite(embedded), labels


@torch.no_grad()
def calibrate(encoder: Encoder, split: Split, stream: str, device: torch.device, batch: int = 256) -> None:
    """Sets every BatchNorm of the encoder to the statistics of the data, weights untouched.

    An untrained network in evaluation mode would otherwise normalise by mean 0 and variance 1, which describe
    nothing. It is the fair form of the "random initialisation" control.

    Statistics are the mean over batches of `batch` rows, in a random order that is always the same: rows that lie side
    by side in a file are alike. A short last batch, which would count as much as a whole one, is left out unless it is
    the only one. All but BatchNorm is in evaluation mode meanwhile. Modes are as before when it returns.
    """
    norms = [m for m in encoder.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    order = torch.randperm(len(split.rows), generator=torch.Generator().manual_seed(derive(0, "calibrate")))
    batches = torch.from_numpy(split.rows)[order].split(batch)
    try:
        with _evaluated(encoder), exactly():
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # cumulative average over the pass
                norm.train()
            for rows in [rows for rows in batches if len(rows) == batch] or batches:
                encoder(to_stream(_fetch(split, rows, device), stream))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
