"""Opens pickles of numbers without running what is in them.

Why: the prepared files in circulation are pickles from strangers, and a pickle is a program: `pickle.load` calls
whatever it names. This one knows arrays, dict, list, tuple, str and numbers, and refuses everything else by name.
Nothing of numpy's own unpickling runs either: its few functions are replaced by those below, which check first.
"""

from __future__ import annotations

import os
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

KINDS = "biufSU"  # numpy's letters for truth values, integers, floats and texts
NUMPY = ("numpy.core", "numpy._core")  # before and since numpy 2


class Refused(ValueError):
    """A pickle that is more than arrays, dict, list, tuple, str and numbers; the message says what it asks for."""


class _Name:
    """What a pickle gets when it names a function: a call of ours, with no attributes to change."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setstate__(self, state: Any) -> NoReturn:
        raise Refused("a function to be changed")


class _Dtype:
    """numpy.dtype: a letter and a size first, then the byte order as its state."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or code[:1] not in tuple(KINDS) or not code[1:].isdecimal() or len(code) > 8:
            raise Refused(f"arrays of the dtype {str(code)[:40]!r}, only numbers and texts are known")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise Refused("arrays with fields")
        if state[1] not in ("<", ">", "|", "="):
            raise Refused(f"the byte order {str(state[1])[:40]!r}")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """An array that waits for its state, as `numpy._reconstruct` leaves it."""

    def __init__(self, *_: Any) -> None:
        self.array = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise Refused("an array with an unknown state")
        _, shape, dtype, fortran, data = state
        self.array = _filled(data, dtype, shape, "F" if fortran else "C")


def _filled(data: Any, dtype: Any, shape: Any, order: Any = "C", *_: Any) -> np.ndarray:
    """The array over some bytes; numpy itself refuses a shape that does not fit them."""
    if isinstance(data, str):
        data = data.encode("latin1")  # written by Python 2
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes | bytearray) or order not in ("C", "F"):
        raise Refused(f"an array over a {type(data).__name__}")
    return np.frombuffer(data, dtype.dtype).reshape(shape, order=order)


def _scalar(dtype: Any, data: Any = b"") -> Any:
    return _filled(data, dtype, ())[()]


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """How protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused(f"_codecs.encode to {str(encoding)[:40]!r}")
    return text.encode("latin1")


def _no_bytes(*given: Any) -> bytes:
    """How protocol 2 writes b""."""
    if given:
        raise Refused("bytes made of something")
    return b""


def _never(*_: Any) -> NoReturn:
    raise Refused("a call of numpy.ndarray")


_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _never,  # only ever an argument of _reconstruct
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
} | {
    (f"{numpy}.{module}", name): call
    for numpy in NUMPY
    for module, name, call in (
        ("multiarray", "_reconstruct", _Array),
        ("multiarray", "scalar", _scalar),
        ("numeric", "_frombuffer", _filled),
    )
}


class _Rest:
    """A file of which no more is asked than it has: Python would take the memory before it looks."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.size = file, os.fstat(file.fileno()).st_size
        self.readline = file.readline

    def read(self, count: int) -> bytes:
        """Up to `count` bytes."""
        return self.file.read(min(count, self.size - self.file.tell()))


def _count(file: IO[bytes]) -> None:
    """Goes through the instructions of a pickle without following any, and refuses a place in its memory that no
    pickler uses: one instruction of five bytes makes Python reserve and fill as many gigabytes as it names."""
    known, rest = 0, _Rest(file)
    instructions = {opcode.code: opcode for opcode in pickletools.opcodes}
    while (instruction := instructions[rest.read(1).decode("latin1")]).name != "STOP":
        if instruction.name == "STRING":  # pickletools reads these as ASCII, but Python 2 wrote any letters
            rest.readline()
            continue
        argument = instruction.arg.reader(rest) if instruction.arg else None  # pyright: ignore[reportCallIssue, reportArgumentType]  typeshed has no reader
        if instruction.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            if argument is None or argument > known:
                raise Refused(f"place {argument} of a memory that has {known}")
            known += 1
        elif instruction.name == "MEMOIZE":
            known += 1
    file.seek(0)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        """Raises Refused for every name that is not in the table."""
        if (module, name) not in _KNOWN:
            raise Refused(f"{module}.{name}")
        return _Name(_KNOWN[module, name])

    def persistent_load(self, pid: Any) -> NoReturn:
        """Nothing outside the file."""
        raise Refused(f"the external object {str(pid)[:40]!r}")


def load(path: Path) -> Any:
    """What a pickle holds. Memory is about the size of the file.

    Raises ValueError, with the path, for a pickle that asks for anything but arrays, dict, list, tuple, str, bytes,
    numbers and None, and for a file that is no pickle, or is damaged.
    """
    try:
        with Path(path).open("rb") as file:
            _count(file)
            return _resolved(_Unpickler(file, encoding="latin1").load(), {})
    except Refused as error:
        raise ValueError(f"{path} is refused, nothing in it was run: it asks for {error}") from error
    except OSError:
        raise
    except (Exception, RecursionError) as error:  # damaged pickles raise nearly everything
        raise ValueError(f"{path} is not a readable pickle, or is cut ({type(error).__name__}: {error})") from error


def _resolved(found: Any, seen: dict[int, Any]) -> Any:
    """The same with arrays in the place of what stood for them; every object once, however often it occurs."""
    if isinstance(found, str | bytes | bytearray | bool | int | float | np.ndarray | np.generic) or found is None:
        return found
    if id(found) in seen:
        return seen[id(found)]
    if isinstance(found, _Array):
        result: Any = found.array
    elif isinstance(found, dict):
        result = {}
        seen[id(found)] = result
        result.update((_resolved(key, seen), _resolved(value, seen)) for key, value in found.items())
    elif isinstance(found, list):
        result = []
        seen[id(found)] = result
        result.extend(_resolved(value, seen) for value in found)
    elif isinstance(found, tuple):
        result = tuple(_resolved(value, seen) for value in found)
    else:
        raise Refused(f"a {type(found).__name__}")
    seen[id(found)] = result
    return result
