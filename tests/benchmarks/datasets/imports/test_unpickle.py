"""Numbers come out of a pickle, code does not run in it."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import pickletools
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.datasets.imports import unpickle

GOOD = {
    "split": {"xsub_train": ["a", "b"], "none": None},
    "annotations": [
        {"keypoint": np.arange(12, dtype=np.float16).reshape(1, 2, 2, 3), "label": 3, "frame_dir": "a"},
        {"keypoint": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "label": np.int64(7), "ratio": 0.5},
        {"big": np.arange(3, dtype=">i4"), "text": np.array(["x", "yz"]), "empty": np.zeros((0, 3)), "pair": (1, b"q")},
    ],
}


def put(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file.pkl"
    path.write_bytes(content)
    return path


def same(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and np.array_equal(left, right)
    return type(left) is type(right) and left == right


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("module", ["numpy.core", "numpy._core"])
def test_numbers_come_back(tmp_path: Path, protocol: int, module: str) -> None:
    content = pickle.dumps(GOOD, protocol)
    if module == "numpy.core" and protocol < 4:  # text names without a length before them
        content = content.replace(b"numpy._core", b"numpy.core")
    assert same(unpickle.load(put(tmp_path, content)), GOOD)


def test_a_pickle_of_python_2(tmp_path: Path) -> None:
    old = b"(S'names'\np0\n(lp1\nS'S001.skeleton'\np2\naS'caf\\xe9'\np3\natp4\n."
    assert unpickle.load(put(tmp_path, old)) == ("names", ["S001.skeleton", "caf\xe9"])


class Evil:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ((os.system, "touch CANARY"), "posix.system"),
        ((eval, "open('CANARY', 'w')"), "builtins.eval"),
        ((exec, "open('CANARY', 'w')"), "builtins.exec"),
        ((subprocess.Popen, ["touch", "CANARY"]), "subprocess.Popen"),
        ((getattr, os, "system"), "builtins.getattr"),
        ((__import__, "os"), "builtins.__import__"),
        ((io.open, "CANARY", "w"), "open"),
        ((np.fromfile, "/etc/passwd"), "fromfile"),
        ((bytearray, 10**12), "builtins.bytearray"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_is_refused_by_name_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: tuple[Any, ...], name: str, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    if call[0] is getattr:
        content = b"cbuiltins\ngetattr\n(cos\nsystem\nS'x'\ntR."
    else:
        content = pickle.dumps([GOOD, Evil(*call)], protocol)
    with pytest.raises(ValueError, match="is refused, nothing in it was run") as caught:
        unpickle.load(put(tmp_path, content))
    assert name.rpartition(".")[2] in str(caught.value).partition("asks for")[2]
    assert not (tmp_path / "CANARY").exists()


def array(dtype: str = "f4", state: Any = None, shape: Any = (2,), data: Any = b"\0" * 8, order: str = "<") -> bytes:
    """A hand-made protocol 2 pickle of one array, with parts that numpy would not write."""
    text = io.BytesIO()
    pickler = pickle.Pickler(text, 2)

    class Kind:
        def __reduce__(self) -> Any:
            return np.dtype, (dtype, False, True), (3, order, state, None, None, -1, -1, 0)

    class Array:
        def __reduce__(self) -> Any:
            return np.empty(0).__reduce__()[0], (np.ndarray, (0,), b"b"), (1, shape, Kind(), False, data)

    pickler.dump(Array())
    return text.getvalue()


def test_hand_made_arrays(tmp_path: Path) -> None:
    assert same(unpickle.load(put(tmp_path, array())), np.zeros(2, np.float32))
    for content in (
        array(dtype="O8"),
        array(dtype="O"),
        array(dtype="V8"),
        array(dtype="f4,f4"),
        array(dtype="M8"),
        array(state=("f4", (2,))),
        array(order="\0"),
        array(shape=(10**12,)),
        array(shape=(-1, 0)),
        array(shape=(3,)),
        array(shape="ab"),
        array(data=[1, 2]),
        array(data=None),
    ):
        with pytest.raises(ValueError, match=r"is refused|not a readable pickle"):
            unpickle.load(put(tmp_path, content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        b"PK\x03\x04",
        pickle.dumps(GOOD, 4)[:-20],
        b"\x80\x04\x8e" + (2**60).to_bytes(8, "little"),  # bytes of an absurd length
        b"\x80\x05\x96" + (2**62).to_bytes(8, "little"),
        b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",  # a list in a list in a list
        b"Pexternal\n.",
        b"cnumpy\nndarray\n)R.",
        b"cnumpy\ndtype\n(S'f4'\ntR.",  # a dtype alone
        b"cnumpy\ndtype\n}S'x'\nI1\nsb.",  # an attribute for the function
    ],
)
def test_damaged_and_odd_pickles(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ValueError, match=r"file.pkl is (refused|not a readable pickle)"):
        unpickle.load(put(tmp_path, content))


def test_many_references_to_one_list_stay_one(tmp_path: Path) -> None:
    laugh: list[Any] = ["ha"]
    for _ in range(40):
        laugh = [laugh] * 10
    assert unpickle.load(put(tmp_path, pickle.dumps(laugh)))[0] is not None


SEED = pickletools.optimize(pickle.dumps(GOOD, 4))


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(st.integers(0, len(SEED) - 1), st.binary(max_size=6), st.integers(0, 6))
def test_mutated_pickles_give_numbers_or_an_answer(tmp_path_factory: Any, at: int, new: bytes, cut: int) -> None:
    content = SEED[:at] + new + SEED[at + cut :]
    path = tmp_path_factory.getbasetemp() / "mutated.pkl"
    path.write_bytes(content)
    with contextlib.suppress(ValueError):  # and nothing else
        unpickle.load(path)
