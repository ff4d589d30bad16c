"""Prepared files in circulation, told from raw ones: which importer reads what --raw names.

Why: many people have these files and not the raw ones. Data set specification, section 4; one file per format.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.datasets.imports import crossclr, ctrgcn, pyskl
from benchmarks.datasets.source import Source


def source(path: Path, dataset: str, frames: int, names: Path | None = None) -> Source | None:
    """The prepared file, or folder of files, as a Source; None for anything else, which is then taken for raw files.

    names: for CTR-GCN's NTU, its list of names. Raises ValueError for a file of a known format that cannot be used, and
    for names that would do nothing.
    """
    found = _source(path, dataset, frames, names)
    if found is not None and names is not None and (found.kind != "CTR-GCN npz" or not dataset.startswith("ntu")):
        raise ValueError(
            f"--names: only for CTR-GCN's npz files of NTU RGB+D, and {path} is a {found.kind} of {dataset}"
        )
    return found


def _source(path: Path, dataset: str, frames: int, names: Path | None) -> Source | None:
    if path.is_dir():
        parts = crossclr.parts(path)
        return crossclr.source(parts, dataset, frames) if parts else None
    if path.suffix == ".npy":
        raise ValueError(f"{path} is one of four files; give its folder, with {crossclr.FILES}")
    if not path.is_file():
        return None
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04" and path.suffix.lower() == ".npz":
        return ctrgcn.source(path, dataset, names)
    if path.suffix.lower() in (".pkl", ".pickle"):
        return pyskl.source(path, dataset)
    return None
