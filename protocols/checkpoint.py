"""Strict save and load: training checkpoints and exported encoders, in files that are complete or absent.

Every file holds a checksum. Loading checks it, that the file belongs to the run that asks, and that every key fits;
nothing is ever loaded in part, and nothing of a checkpoint is parsed before its checksum is right.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from protocols.files import replacing

MARK = b"checkpoint 3 "  # before the checksum, in hexadecimal digits, and a line end; then what torch.save writes
DIGITS = 64  # of a sha256
LARGEST_HEADER = 2**20  # bytes of a safetensors header; the largest of ours has some 20,000
Module = TypeVar("Module", bound=nn.Module)


class CheckpointError(RuntimeError):
    """A checkpoint or encoder file that cannot be used, and why."""


class Damaged(CheckpointError):
    """A file that is not what was written there. Whatever made it can make it again, see `set_aside`."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(f"{path} is damaged: {reason}")
        self.path, self.reason = path, reason
        self.seen = _identity(path)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_ino, status.st_ctime_ns


def set_aside(damaged: Damaged) -> Path | None:
    """Gives a damaged file the name <name>.damaged, so that it is absent and will be made again.

    Returns:
        The new path; None when the file is gone, or is another one since it was read.
    """
    path = damaged.path
    if damaged.seen is None or _identity(path) != damaged.seen:
        return None
    number, aside = 1, path.with_name(f"{path.name}.damaged")
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{number}")
    path.rename(aside)
    return aside


def save_training(path: Path, run_id: str, state: dict[str, Any]) -> None:
    """Saves tensors, numbers, strings and containers of them.

    Raises:
        OSError: when it cannot be written.
    """
    content = io.BytesIO()  # PyTorch's own way to a full disk is a RuntimeError that names no file
    torch.save({"run": run_id, **state}, content)
    checksum = hashlib.sha256(content.getbuffer()).hexdigest().encode()
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(MARK + checksum + b"\n")
        file.write(content.getbuffer())


def load_training(path: Path, run_id: str) -> dict[str, Any] | None:
    """The saved state, on the CPU whatever the device is busy with, or None when there is no file.

    Raises:
        Damaged: when the file was changed since it was written, is of another format or of another run.
    """
    if path.is_dir():
        raise Damaged(path, "it is a folder")
    try:
        whole = path.read_bytes()
    except FileNotFoundError:
        return None
    if not whole.startswith(MARK):
        raise Damaged(path, "it does not begin as a checkpoint of this version")
    start = len(MARK) + DIGITS + 1
    checksum, content = whole[len(MARK) : start], whole[start:]
    if checksum != hashlib.sha256(content).hexdigest().encode() + b"\n":
        raise Damaged(path, "its checksum does not agree")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        owner = state["run"]
    except Exception as error:  # made by something else, as the checksum is right; PyTorch raises nearly everything
        raise Damaged(path, f"it holds no training ({type(error).__name__}: {error})") from error
    if owner != run_id:
        raise Damaged(path, f"it belongs to run {owner}, not {run_id}")
    return state


def save_encoder(path: Path, state: Mapping[str, Tensor], header: Mapping[str, str]) -> None:
    """Writes the state of an encoder, or of another trained part, as safetensors.

    The header (run id, epoch, spec) says what it is.

    Raises:
        FloatingPointError: when a weight is not finite.
        OSError: when it cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    if bad := _not_finite(tensors):
        raise FloatingPointError(f"{path.name} is not written: {bad} holds numbers that are not finite")
    about = {**header, "sha256": _checksum(tensors, header)}
    # one entry, because safetensors writes several in random order and equal encoders should be equal files
    content = save(tensors, metadata={"about": json.dumps(about, sort_keys=True)})
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def load_encoder(path: Path, build: Callable[[], Module], expected: Mapping[str, str]) -> Module:
    """A freshly built encoder (or another part) with the weights of the file, on the CPU, in evaluation mode.

    Args:
        expected: entries that the file's header must have: "run", and "select" and "spec" where they are known.
    Raises:
        FileNotFoundError: when there is no such file.
        Damaged: when it was changed since it was written, or is another run's, another epoch's choice, or of another
            spec; when keys, shapes or types do not fit; when a weight is not finite.
    """
    run_id = expected["run"]
    if not os.path.lexists(path):
        raise FileNotFoundError(f"there is no {path}; run the pretraining {run_id} again")
    header, tensors = _read_encoder(path)
    for key, value in expected.items():
        if header.get(key) != value:
            found = "another spec" if key == "spec" else f"{key} {header.get(key)}"
            wanted = f"the one of {run_id}" if key == "spec" else value
            raise Damaged(path, f"it belongs to {found}, not {wanted}")
    checksum = header.pop("sha256", None)
    if checksum is None and header.keys() != {*expected, "epoch"}:  # older versions wrote these and no checksum
        raise Damaged(path, "its header has no checksum")
    if checksum is not None and checksum != _checksum(tensors, header):
        raise Damaged(path, "its checksum does not agree")
    if bad := _not_finite(tensors):
        raise Damaged(path, f"{bad} holds numbers that are not finite")
    module = build()
    own = module.state_dict()
    types = [name for name in own.keys() & tensors.keys() if own[name].dtype != tensors[name].dtype]
    if types:
        raise Damaged(path, f"{min(types)} is {tensors[min(types)].dtype}, expected {own[min(types)].dtype}")
    try:
        module.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise Damaged(path, f"it does not fit the {type(module).__name__} of run {run_id}: {error}") from error
    return module.eval()


def _read_encoder(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and tensors of a safetensors file, neither of them checked yet."""
    if path.is_dir():
        raise Damaged(path, "it is a folder")
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if length > LARGEST_HEADER:
            raise Damaged(path, f"its header has {length} bytes, expected at most {LARGEST_HEADER}")
        content = start + file.read()
    try:
        header = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["about"])
        tensors = load(content)  # safe_open of safetensors 0.8 loses memory with every tensor
    except Exception as error:  # damaged files raise nearly everything
        raise Damaged(path, f"it is no readable encoder ({type(error).__name__}: {error})") from error
    if not isinstance(header, dict) or not all(isinstance(value, str) for value in header.values()):
        raise Damaged(path, "its header is not a list of texts")
    return header, tensors


def _checksum(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    """Of all that an encoder file says: its header and every tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(json.dumps(dict(header), sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor with a number that is not finite."""
    return next((name for name in sorted(tensors) if not torch.isfinite(tensors[name]).all()), None)
