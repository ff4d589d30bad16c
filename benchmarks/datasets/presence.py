"""Can a prepared data set be used, and cut as wanted? What can be said in milliseconds, without its checksums.

Why: a copy that was cut short is the most frequent damage, and to read NTU-120 takes a minute.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.datasets import catalog, store


def every(data: Path) -> dict[str, str | None]:
    """Every data set below `data`, as "irds-64", and why it cannot be used (see `trouble`), or None."""
    places = ((name, frames) for name in catalog.DATASETS for frames in store.lengths_of(data, name))
    return {f"{name}-{frames}": trouble(name, store.folder_of(data, name, frames)) for name, frames in places}


def trouble(name: str, folder: Path) -> str | None:
    """Why a prepared data set cannot be used, as one sentence with the command to run; None when nothing is seen."""
    frames = int(folder.name.rpartition("-")[2])
    if reason := catalog.prepared(name, frames, folder.parent):
        return reason
    try:
        clips = store.read_manifest(folder)["counts"]["clips"]
        x = np.load(folder / store.ARRAY, mmap_mode="r", allow_pickle=False)  # an error when the file is too short
        rows = (folder / store.META).read_bytes().count(b"\n") - 1
    except (OSError, ValueError, EOFError) as error:
        return f"{folder / store.ARRAY} cannot be read ({error}); prepare it with: {store.command(folder)}"
    longer = (folder / store.ARRAY).stat().st_size - x.nbytes - getattr(x, "offset", 0)
    if x.ndim != 5 or x.shape[0] != clips or x.shape[2] != frames:
        wrong = f"{store.ARRAY} {x.shape} is not of {clips} clips at {frames} frames"
    elif longer:
        wrong = f"{store.ARRAY} is {longer} bytes longer than its clips"
    elif rows != clips:
        wrong = f"{store.META} has {rows} rows for {clips} clips"
    else:
        return None
    return f"{folder}: {wrong}; prepare it with: {store.command(folder)}"


def uncut(name: str, split: str, frames: int, data: Path) -> str | None:
    """Why a data set that is prepared cannot be cut for a split, as one sentence; None where it can be.

    Some files in circulation do not tell the camera or the subject of a clip. Reads meta, without its checksum.
    """
    import pandas as pd  # commands that have nothing prepared to look at start without it

    cut, folder = catalog.rule(name, split), store.folder_of(data, name, frames)
    try:
        meta = pd.read_csv(folder / store.META, keep_default_na=False, dtype={"name": str})
        cut.sides(meta)
        cut.labels(meta)
    except KeyError as column:
        return (
            f"{folder} cannot be cut for {split}: its files do not tell the {column} of a clip; prepare it from files "
            f"that do with: {store.command(folder)}"
        )
    except (OSError, ValueError, TypeError):
        return None  # damaged: whoever opens it says so
    return None
