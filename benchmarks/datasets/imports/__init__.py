"""Prepared files in circulation, told from raw ones: which importer reads what --raw names.

Why: many people have these files and not the raw ones. Data set specification, section 4; one file per format.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.datasets.imports import crossclr, ctrgcn, pyskl
from benchmarks.datasets.source import Source


def source(path: Path, dataset: str, frames: int, names: Path | None = None) -> Source | None:
    """The prepared file, or folder of files, as a Source; None for anything else, which is then taken for raw files.

    names: for CTR-GCN, its list of names. Raises ValueError for a file of a known format that cannot be used.
    """
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
