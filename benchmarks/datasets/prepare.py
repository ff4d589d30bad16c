"""From what a person downloaded to a prepared data set: pick the reader, see whether all is there, store it.

Why: `python bench.py data prepare NAME --raw ...` is the only way real data enter the harness, so whatever is wrong
with a download has to come to light here, and not as a strange number in a table. Raw files and the prepared files
in circulation take the same road; which of them --raw names is seen from the files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.datasets import catalog, imports, store
from benchmarks.datasets.convert import convert
from benchmarks.datasets.parts import Watch
from benchmarks.datasets.raw import irds, ntu, ntu_names, pku
from benchmarks.datasets.source import Source
from benchmarks.names import known

Say = Callable[[str], None]


class Reader(NamedTuple):
    """How one family of data sets is read, and the options that it takes by name."""

    source: Callable[..., Source]  # (raw, name, frames, say, **options)
    options: tuple[str, ...] = ()


def _irds(raw: Sequence[Path], name: str, frames: int, say: Say) -> Source:
    return irds.source(raw, say)


def _ntu(raw: Sequence[Path], name: str, frames: int, say: Say, **options: Any) -> Source:
    names = options.pop("names", None)
    return _imported(raw, name, frames, names, options) or ntu.source(raw, name, **options)


def _pku(raw: Sequence[Path], name: str, frames: int, say: Say, **options: Any) -> Source:
    names = options.pop("names", None)
    return _imported(raw, name, frames, names, options) or pku.source(raw, name, **options)


def _imported(
    raw: Sequence[Path], name: str, frames: int, names: Path | None, options: dict[str, Any]
) -> Source | None:
    """The one file or folder as a prepared file in circulation, None when it is none of those."""
    found = imports.source(raw[0], name, frames, names) if len(raw) == 1 else None
    if found is None and names is not None:
        raise ValueError("--names belongs to a CTR-GCN file (NTU60_CS.npz and the like); raw files have their names")
    if found is not None and options:
        words = ", ".join("--" + option.replace("_", "-") for option in options)
        raise ValueError(f"{words}: only for raw files; in a {found.kind} this was decided by whoever made it")
    return found


_NTU = Reader(_ntu, ("bodies", "missing_list", "names"))
_PKU = Reader(_pku, ("frame_base", "names"))
READERS: dict[str, Reader] = {"ntu60": _NTU, "ntu120": _NTU, "pku1": _PKU, "pku2": _PKU, "irds": Reader(_irds)}


def prepare(
    name: str,
    raw: Sequence[Path],
    data: Path,
    frames: int,
    *,
    strict: bool = False,
    partial: bool = False,
    jobs: int | None = None,
    say: Say = print,
    watch: Watch = lambda done, total: None,
    **options: Any,
) -> Path:
    """Read `raw`, preprocess to `frames` frames, write `<data>/<name>-<frames>/`. Returns the folder.

    raw: folders, archives, or one prepared file in circulation. strict: stop at the first recording that cannot be
        used, instead of leaving it out. partial: accept less than the complete data set. jobs: worker processes
        (default: one per core). say: gets every line of the report; watch: clips done and in all.
    options: bodies (first-two, by-motion), missing_list and names (files) of NTU RGB+D; frame_base (one, zero) of
        PKU-MMD.
    Raises ValueError for an unknown data set or option, an incomplete or unusable download; FileNotFoundError when
    there is nothing to read; OSError when the folder cannot be written or the disk is full.
    """
    entry = catalog.dataset(name)
    reader = READERS[name]
    for option in options:
        known(f"option of {name}", option, reader.options)
    if frames < 1:
        raise ValueError(f"frames is {frames}, it must be at least 1; the paper uses 64")
    source = reader.source([Path(place) for place in raw], name, frames, say, **options)
    say(f"{source.kind}: {len(source.clips)} recordings of {entry.title}")
    for note in source.notes:
        say(f"  {note}")
    incomplete = lacking(name, [clip.row["name"] for clip in source.clips])
    if incomplete and entry.exact and not partial:
        raise ValueError(f"{incomplete} Fetch the rest, or accept an incomplete data set with --partial.")
    if incomplete:
        say(f"  {incomplete}")
    return convert(
        store.folder_of(data, name, frames),
        replace(source, options={**source.options, **({"partial": True} if incomplete else {})}),
        name=name,
        frames=frames,
        persons=entry.persons,
        classes=entry.classes,
        revision=entry.revision,
        credit=entry.credit,
        raw=[Path(place).name for place in raw],
        strict=strict,
        jobs=jobs or os.cpu_count() or 1,
        say=say,
        watch=watch,
    )


def lacking(name: str, names: Sequence[str]) -> str | None:
    """What the complete data set has and these clips have not, as one sentence; None when nothing is missing."""
    entry = catalog.dataset(name)
    if name in ("ntu60", "ntu120") and ntu_names.PATTERN.match(names[0] if names else ""):
        have = set(names)
        missing = [wanted for wanted in ntu_names.expected(name) if wanted not in have]
        if not missing:
            return None
        first = ", ".join(missing[:5]) + (" and more" if len(missing) > 5 else "")
        return f"{len(missing)} of the {entry.clips} recordings of {entry.title} are missing: {first}."
    if entry.clips is None or len(names) == entry.clips:
        return None
    about = "" if entry.exact else "about "
    return f"{len(names)} recordings found, {about}{entry.clips} expected of {entry.title}."
