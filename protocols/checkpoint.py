"""Atomic, strict save and load: training checkpoints and exported encoders.

A file is complete or absent: it is written beside its place, flushed to disk and renamed. Loading checks that it
belongs to the run that asks, and that every key fits; nothing is ever loaded in part.
"""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

FORMAT = 1
Module = TypeVar("Module", bound=nn.Module)


def unwritable(path: Path, error: OSError) -> OSError:
    """One sentence: which file or folder cannot be written, why, and what to do about it."""
    advice = "mend that and run the same command to go on, or choose another folder with --out DIR"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "make space there, then run the same command to go on"
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        advice = "make it writable, or choose another folder with --out DIR"
    return OSError(f"cannot write {path}: {error.strerror or error}; {advice}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder that takes the place of `path` when the block ends well.

    After a crash the old file, if any, is untouched. Leftovers are named `.<name>.*.tmp`; see remove_leftovers.

    Raises:
        OSError: when it cannot be written, also in the block: see `unwritable`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = _temporary(path)
    except OSError as error:
        raise unwritable(path, error) from error
    umask = os.umask(0)
    os.umask(umask)
    try:
        yield temporary
        temporary.chmod(0o666 & ~umask)  # mkstemp is private; results are for the group that umask allows
        os.fsync(handle)
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):  # what failed before is what is told
            temporary.unlink(missing_ok=True)
        os.close(handle)


def _temporary(path: Path) -> tuple[int, Path]:
    """A new file beside `path`, locked as long as its writer lives, by which a leftover is known."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with suppress(OSError):  # without locks, leftovers stay; see remove_leftovers
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.exists(name):
            return handle, Path(name)
        os.close(handle)  # it was taken for a leftover before it had its lock


def remove_leftovers(folder: Path, pattern: str = ".*.tmp") -> None:
    """Removes temporary files of `replacing` whose writer was killed; what cannot be locked or removed stays."""
    for path in folder.glob(pattern):
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(handle)


class CheckpointError(RuntimeError):
    """A checkpoint or encoder file that cannot be used, and why."""


def save_training(path: Path, run_id: str, state: dict[str, Any]) -> None:
    """Saves tensors, numbers, strings and containers of them.

    Raises:
        OSError: when it cannot be written.
    """
    data = io.BytesIO()  # PyTorch's own way to a full disk is a RuntimeError that names no file
    torch.save({"format": FORMAT, "run": run_id, **state}, data)
    with replacing(path) as temporary:
        temporary.write_bytes(data.getbuffer())


def load_training(path: Path, run_id: str, device: torch.device) -> dict[str, Any] | None:
    """The saved state, or None when there is no file.

    Raises:
        CheckpointError: when the file is damaged, of another format or of another run.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); delete it and the run starts anew") from error
    if state.get("format") != FORMAT or state.get("run") != run_id:
        raise CheckpointError(
            f"{path} has format {state.get('format')} and belongs to run {state.get('run')}, "
            f"not format {FORMAT} and run {run_id}; delete it and the run starts anew"
        )
    return state


def save_encoder(path: Path, module: nn.Module, header: dict[str, str]) -> None:
    """Writes an encoder, or another trained part, as safetensors; the header (run id, epoch, spec) says what it is.

    Raises:
        OSError: when it cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    # one entry, because safetensors writes several in random order and equal encoders should be equal files
    data = save(tensors, metadata={"about": json.dumps(header, sort_keys=True)})
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def load_encoder(path: Path, build: Callable[[], Module], run_id: str) -> Module:
    """A freshly built encoder (or another part) with the weights of the file, on the CPU, in evaluation mode.

    Raises:
        FileNotFoundError: when there is no such file.
        CheckpointError: when it is damaged, belongs to another run, or its keys or shapes do not fit.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}; run the pretraining {run_id} again")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("about", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); delete it and run {run_id} again") from error
    if header.get("run") != run_id:
        raise CheckpointError(f"{path} belongs to run {header.get('run')}, not {run_id}")
    module = build()
    try:
        module.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit the {type(module).__name__} of run {run_id}: {error}") from error
    return module.eval()
