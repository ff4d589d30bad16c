"""From what a person downloaded to a prepared data set: pick the reader, see whether all is there, store it.

Why: `python bench.py data prepare NAME --raw ...` is the only way real data enter the harness, so whatever is wrong
with a download has to come to light here, and not as a strange number in a table. Raw files and the prepared files
in circulation take the same road; which of them --raw names is seen from the files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.datasets import catalog, imports, store
from benchmarks.datasets.convert import convert
from benchmarks.datasets.parts import Watch
from benchmarks.datasets.raw import irds, ntu, ntu_names, pku
from benchmarks.datasets.source import Source
from benchmarks.machine import limits
from benchmarks.names import known


class Reader(NamedTuple):
    """How raw files of one family of data sets are read."""

    source: Callable[..., Source]  # (raw, name, **options)
    options: tuple[str, ...] = ()  # taken by name
    imports: bool = False  # whether there are prepared files in circulation


_NTU = Reader(ntu.source, ("bodies", "missing_list"), imports=True)
_PKU = Reader(pku.source, ("frame_base",), imports=True)
READERS: dict[str, Reader] = {"ntu60": _NTU, "ntu120": _NTU, "pku1": _PKU, "pku2": _PKU, "irds": Reader(irds.source)}


def _source(name: str, raw: Sequence[Path], frames: int, names: Path | None, options: Mapping[str, Any]) -> Source:
    """Raw files, or the one prepared file or folder in circulation that `raw` names."""
    reader = READERS[name]
    for option in options:
        known(f"option of {name}", option, reader.options)
    found = imports.source(raw[0], name, frames, names) if reader.imports and len(raw) == 1 else None
    if found is None:
        if names is not None:
            raise ValueError(
                "--names belongs to a CTR-GCN file (NTU60_CS.npz and the like); raw files have their names"
            )
        return reader.source(raw, name, **options)
    if options:
        words = ", ".join("--" + option.replace("_", "-") for option in options)
        raise ValueError(f"{words}: only for raw files; in a {found.kind} this was decided by whoever made it")
    return replace(found, options={**found.options, "imported": True})


def prepare(
    name: str,
    raw: Sequence[Path],
    data: Path,
    frames: int,
    *,
    strict: bool = False,
    partial: bool = False,
    jobs: int | None = None,
    say: Callable[[str], None] = print,
    watch: Watch = lambda done, total: None,
    names: Path | None = None,
    **options: Any,
) -> Path:
    """Read `raw`, preprocess to `frames` frames, write `<data>/<name>-<frames>/`. Returns the folder.

    raw: folders, archives, or one prepared file in circulation. strict: stop at the first recording that cannot be
        used, instead of leaving it out. partial: accept less than the complete data set. jobs: worker processes
        (default: one per core). say: gets every line of the report; watch: clips done and in all. names: the list of
        names that a CTR-GCN file was made from.
    options: bodies (first-two, by-motion) and missing_list (a file) of NTU RGB+D; frame_base (one, zero) of PKU-MMD.
    Raises ValueError for an unknown data set or option, an incomplete or unusable download; FileNotFoundError when
    there is nothing to read; OSError when the folder cannot be written or the disk is full.
    """
    entry = catalog.dataset(name)
    if frames < 1:
        raise ValueError(f"frames is {frames}, it must be at least 1; the paper uses 64")
    source = _source(name, [Path(place) for place in raw], frames, names, options)
    say(f"{source.kind}: {len(source.clips)} recordings of {entry.title}")
    for note in source.notes:
        say(f"  {note}")
    told = f"{entry.title} is incomplete: {source.lacking}." if source.lacking else None
    incomplete = told or lacking(name, [clip.row["name"] for clip in source.clips], options.get("missing_list"))
    if incomplete and (entry.exact or told) and not partial:
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
        jobs=jobs or limits.cores(),
        say=say,
        watch=watch,
    )


def lacking(name: str, names: Sequence[str], missing_list: Path | None = None) -> str | None:
    """What the complete data set has and these clips have not, as one sentence; None when nothing is missing.

    missing_list: of NTU RGB+D, a file of recordings that are meant to be missing.
    """
    entry = catalog.dataset(name)
    if name in ("ntu60", "ntu120") and ntu_names.PATTERN.match(names[0] if names else ""):
        have = set(names) | (ntu_names.missing(missing_list) if missing_list else set())
        missing = [wanted for wanted in ntu_names.expected(name) if wanted not in have]
        if not missing:
            return None
        first = ", ".join(missing[:5]) + (" and more" if len(missing) > 5 else "")
        return f"{len(missing)} of the {entry.clips} recordings of {entry.title} are missing: {first}."
    if entry.clips is None or len(names) == entry.clips:
        return None
    about = "" if entry.exact else "about "
    return f"{len(names)} recordings found, {about}{entry.clips} expected of {entry.title}."
