"""Importer of CTR-GCN's npz files (`NTU60_CS.npz`, `NTU120_CSet.npz`) and of MAMP's for PKU-MMD (`PKUv1_XSub.npz`).

Why: supervised work starts from these. Data set specification, section 4.2. An array in them has 10 to 20 GB and cannot
be memory-mapped, so rows are read one after the other. There are no names: where the numbers of clips are those of the
complete data set, they are rebuilt from the order in which the files were made, and checked against every label.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import weakref
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from benchmarks.datasets import rules
from benchmarks.datasets.preprocess import only_first
from benchmarks.datasets.raw import ntu_names
from benchmarks.datasets.raw.found import NOT_A_ZIP, most_unpacked
from benchmarks.datasets.source import BadClip, Clip, Loaded, Source

NUMBERS = 150  # of one frame: x, y, z of 25 joints, of two people
MOST_FRAMES = 10_000  # the files in circulation have 300; a row of more is not read into memory
MOST_LABELS = 2**28  # bytes; y of 113,945 clips and 120 classes takes less than half
_SPLITS = {
    "cs": "xsub",
    "csub": "xsub",
    "xsub": "xsub",
    "cv": "xview",
    "xview": "xview",
    "cset": "xset",
    "xset": "xset",
}
_OWN = (("ntu", re.compile(r"ntu\D*(60|120)(?!\d)")), ("pku", re.compile(r"(?:pku\D*|^v)([12])(?!\d)")))


class Row(NamedTuple):
    """Where one clip is."""

    path: str
    member: str
    number: int
    tracked: bool  # bodies were chosen by motion (NTU), and are not the two that the sensor gave (PKU)


def source(path: Path, dataset: str, names: Path | None = None) -> Source:
    """Every clip of the file, training side first.

    names: the list `skes_available_name.txt` of the same preparation; without it the official list is tried.
    Raises ValueError for a file whose name tells another data set or does not tell the split, arrays of other shapes,
    and given names that do not fit the labels.
    """
    told = next((f"{family}{found[1]}" for family, own in _OWN if (found := own.search(path.stem.lower()))), dataset)
    if told != dataset:
        command = f"python bench.py data prepare {told} --raw {shlex.quote(str(path))}"
        raise ValueError(f"{path} is of {told} by its name, not of {dataset}; use {command}, or rename the file")
    split = _SPLITS.get(path.stem.lower().rpartition("_")[2])
    if split is None or (split == "xset" and dataset != "ntu120"):
        raise ValueError(f"{path}: the name should tell the split, as NTU60_CS, NTU120_CSet or PKUv1_XSub do")
    labels = {side: _labels(path, f"y_{side}") for side in ("train", "test")}
    for side, label in labels.items():
        shape, _ = _shape(path, f"x_{side}")
        if len(shape) != 3 or shape[0] != len(label) or shape[1] > MOST_FRAMES or shape[2] != NUMBERS:
            wanted = f"({len(label)}, at most {MOST_FRAMES} frames, {NUMBERS})"
            raise ValueError(f"{path}: x_{side} has shape {shape}, expected {wanted}")
        _verify(path, f"x_{side}")
    rows, note = _rows(path, dataset, split, labels, names)
    tracked = dataset in ("ntu60", "ntu120")
    places = [Row(str(path), f"x_{side}", i, tracked) for side in labels for i in range(len(labels[side]))]
    status = path.stat()
    return Source(
        kind="CTR-GCN npz",
        clips=[Clip(row, place, row["name"]) for row, place in zip(rows, places, strict=True)],
        load=load,
        fingerprint=f"{path.name} {status.st_size} {status.st_mtime_ns}",
        options={"split": split},
        notes=[note],
    )


@contextlib.contextmanager
def _member(path: Path, member: str) -> Iterator[IO[bytes]]:
    """An array of the file, open; whatever is wrong with the file becomes a ValueError that names it."""
    try:
        with zipfile.ZipFile(path) as pack:
            info = pack.getinfo(f"{member}.npy")
            most = MOST_LABELS if member.startswith("y_") else most_unpacked(info.compress_size)
            if info.file_size > most:
                raise ValueError(f"{member} unpacks to {info.file_size} bytes, expected at most {most}")
            with pack.open(info) as file:
                yield file
    except KeyError:
        raise ValueError(f"{path} has no array {member}; expected x_train, y_train, x_test and y_test") from None
    except Exception as error:  # damaged zip files and headers raise nearly everything
        raise ValueError(f"{path} is not a readable npz, or is cut ({error}); fetch it again") from error


def _verify(path: Path, member: str) -> None:
    """Reads an array once for its checksum, which reading rows here and there would never see."""
    with _member(path, member) as file:
        while file.read(2**20):
            pass


def _shape(path: Path, member: str) -> tuple[tuple[int, ...], np.dtype]:
    with _member(path, member) as file:
        shape, _, dtype = _read_header(file)
    return shape, dtype


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def _labels(path: Path, member: str) -> np.ndarray:
    """Class numbers from the one-hot array."""
    shape, dtype = _shape(path, member)
    if len(shape) != 2 or dtype.kind not in "fiub" or dtype.itemsize * int(np.prod(shape, dtype=object)) > MOST_LABELS:
        raise ValueError(f"{path}: {member} has shape {shape} of {dtype}, expected one row of zeros and a one per clip")
    with _member(path, member) as file:
        return np.lib.format.read_array(file, allow_pickle=False).argmax(axis=1)


def _rows(
    path: Path, dataset: str, split: str, labels: dict[str, np.ndarray], names: Path | None
) -> tuple[list[dict[str, Any]], str]:
    """Meta rows in the order of the file, training side first, and what to say about them."""
    counts = {side: len(label) for side, label in labels.items()}
    if dataset in ("ntu60", "ntu120"):
        listed = _listed(names) if names else ntu_names.expected(dataset)
        sides = _ordered(listed, dataset, split)
        fits = {side: len(rows) for side, rows in sides.items()} == counts
        wrong = [
            row["name"]
            for side, rows in sides.items()
            for row, label in zip(rows, labels[side], strict=False)
            if row["label"] != label
        ]
        if fits and not wrong:
            return [*sides["train"], *sides["test"]], "names rebuilt from the list, every label agrees"
        if names:
            why = (
                f"{len(wrong)} labels differ, the first at {wrong[0]}"
                if fits
                else f"it gives other numbers than {counts}"
            )
            raise ValueError(f"{names} is not the list of {path}: {why}")
    rows = [
        {"name": f"{side}-{i + 1:06}", "label": int(label), "subject": rules.UNTOLD, split: side}
        for side, values in labels.items()
        for i, label in enumerate(values)
    ]
    return rows, f"no names: only the split {split} can be told; --names FILE gives the list they were made from"


def _listed(path: Path) -> list[str]:
    words = path.read_text(encoding="utf-8", errors="replace").split()
    return [ntu_names.parse(word)["name"] for word in words]


def _ordered(names: Sequence[str], dataset: str, split: str) -> dict[str, list[dict[str, Any]]]:
    """Rows of both sides in the order of CTR-GCN's scripts: by subject, camera or setup, then as listed."""
    column = {"xsub": "subject", "xview": "camera", "xset": "setup"}[split]
    training = {
        "xsub": rules.NTU60_TRAIN if dataset == "ntu60" else rules.NTU120_TRAIN,
        "xview": (2, 3),
        "xset": tuple(range(2, 33, 2)),
    }[split]
    groups: dict[int, list[dict[str, Any]]] = {}
    for name in names:
        row = ntu_names.parse(name)
        groups.setdefault(row[column], []).append(row)
    others = sorted(groups.keys() - set(training))
    return {
        "train": [row for key in training for row in groups.get(key, [])],
        "test": [row for key in others for row in groups[key]],
    }


class _Stream:
    """The rows of one array, read forwards; going back opens it again. Closed when nobody has it any more."""

    def __init__(self, path: str, member: str) -> None:
        self.path, self.member = path, member
        self._close: Callable[[], object] = lambda: None
        self._open()

    def _open(self) -> None:
        self._close()
        with zipfile.ZipFile(self.path) as pack:
            self.file = pack.open(f"{self.member}.npy")  # is read on when the pack is closed
        self._close = weakref.finalize(self, self.file.close)
        self.shape, fortran, self.dtype = _read_header(self.file)
        if fortran or self.dtype.kind != "f":
            raise BadClip(f"{self.member} is an array of {self.dtype} in an order that cannot be read in rows")
        self.bytes = int(np.prod(self.shape[1:])) * self.dtype.itemsize
        self.start, self.next = self.file.tell(), 0

    def row(self, index: int) -> np.ndarray:
        """Row `index`, (frames, 150)."""
        if index < self.next:
            self._open()
        if index > self.next:
            self.file.seek(self.start + index * self.bytes)
        content = self.file.read(self.bytes)
        self.next = index + 1
        return np.frombuffer(content, self.dtype).reshape(self.shape[1:])


@lru_cache(maxsize=2)
def _stream(path: str, member: str) -> _Stream:
    return _Stream(path, member)


def load(place: Row) -> Loaded:
    """One clip, (3, T, 25, 2) metres without the frames of zeros at its end; a copied second person is taken out.

    Of NTU only the frames in which the first actor is seen, as `bodies.by_motion` gives them: he may come late.
    Raises BadClip for a clip without content, and where the file is cut.
    """
    try:
        values = _stream(place.path, place.member).row(place.number)
    except (*NOT_A_ZIP, OSError) as error:
        _stream.cache_clear()
        raise BadClip(f"cannot be read ({error}); fetch {place.path} again") from error
    seen = np.flatnonzero(values.any(axis=1))
    if not len(seen):
        raise BadClip("all coordinates are 0")
    x = values[: seen[-1] + 1].astype(np.float64).reshape(-1, 2, 25, 3).transpose(3, 0, 2, 1)
    x = only_first(x) if place.tracked else x
    if np.array_equal(x[..., 0], x[..., 1]) and x.any():
        x[..., 1] = 0.0
        return Loaded(x, "second person a copy of the first, taken out")
    return Loaded(x)
