"""What is prepared, and is it what it should be? Checksums, published counts, lengths, persons, copies, empty classes.

Why: split counts are the fastest way to see that two laboratories do not train on the same data.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.datasets import catalog, findings, store
from benchmarks.datasets.prepare import lacking
from benchmarks.datasets.raw import irds

BINS, BAR = 10, 40  # of the histogram of lengths: most rows, characters of the longest bar
_COUNTS = {"irds": irds.counts}  # what is known beyond the splits


def overview(data: Path) -> str:
    """Every data set: what it is, at how many frames it is prepared or how to prepare it, and where to get it."""
    lines = []
    for name, entry in catalog.DATASETS.items():
        lengths = store.lengths_of(data, name)
        states = [f"{t} frames: {catalog.prepared(name, t, data) or 'prepared'}" for t in lengths]
        states = states or [f"not prepared; with the files: python bench.py data prepare {name} --raw PATH"]
        about = f"{entry.title}, {entry.classes} classes, splits {', '.join(entry.splits)}"
        for first, text in ((f"{name:8}", about), *((" " * 8, line) for line in [*states, f"get it: {entry.access}"])):
            wrap = textwrap.TextWrapper(79, initial_indent=first, subsequent_indent=" " * 10, break_on_hyphens=False)
            lines.append(wrap.fill(text))
    return "\n".join(lines)


class Report(NamedTuple):
    """What was found, for people, and whether it is what it should be."""

    lines: list[str]
    whole: bool  # every count is the published one
    sound: bool  # nothing is wrong with the clips that there are

    @property
    def good(self) -> bool:
        """Both."""
        return self.whole and self.sound

    def __str__(self) -> str:
        return "\n".join(self.lines)


def check(name: str, frames: int, data: Path) -> Report:
    """Verify one prepared data set. Raises as `store.load` does, and ValueError for numbers that are not finite."""
    entry = catalog.dataset(name)
    folder = store.folder_of(data, name, frames)
    x, meta, manifest = store.load(folder)
    clips, names = findings.read(folder, x, meta), meta["name"].to_numpy(dtype=object)
    source = {key: value for key, value in manifest["source"].items() if key not in ("kind", "raw")}
    options = f"; {json.dumps(source)}" if source else ""
    lines = [
        f"{entry.title} at {x.shape[2]} frames, up to {x.shape[4]} person(s): {folder}",
        f"  from {manifest['source'].get('kind', 'unknown files')} ({', '.join(manifest['source']['raw'])}){options}",
        f"  both checksums agree; x.npy is {manifest['sha256'][store.ARRAY][:16]}...; revision {manifest['revision']}",
    ]
    differs, wrongs = list[bool](), list[bool]()

    def count(what: str, expected: int | None, found: int, verified: bool = True) -> None:
        known = "unknown" if expected is None else f"{expected}" if verified else f"about {expected}"
        differs.append(verified and expected is not None and expected != found)
        mark = "  <-- differs" if differs[-1] else ""
        lines.append(f"  {what:<20} expected {known:>12}  found {found:>6}{mark}")

    def tell(where: str, told: Iterable[findings.Finding]) -> None:
        for text, wrong in told:
            wrongs.append(wrong)
            lines.append(f"  {where:<20} {text}{'  <-- wrong' if wrong else ''}")

    count("clips", entry.clips, len(meta), entry.exact)
    for split, cut in entry.splits.items():
        try:
            train, test = cut.sides(meta)
            labels = cut.labels(meta)
        except KeyError as column:
            lines.append(f"  {split:<20} cannot be cut: these files do not tell the {column} of a clip")
            continue
        for side, expected, mask in zip(("train", "test"), cut.expected or (None, None), (train, test), strict=True):
            count(f"{split} {side}", expected, int(mask.sum()), cut.verified)
        tell(split, findings.sides(clips, names, labels, train, test, catalog.classes(name, None, split)))
    for what, expected, found in _COUNTS.get(name, lambda meta: [])(meta):
        count(what, expected, found)
    tell("all", findings.clips(clips, names))
    if incomplete := lacking(name, meta["name"].tolist()):
        lines.append(f"  {incomplete}")
    left_out = manifest["left_out"]
    lines += [f"  left out: {len(left_out)}", *(f"    {line}" for line in left_out[:5])]
    lines += ["    ..."] if len(left_out) > 5 else []
    lines += _shape(meta)
    if reason := catalog.outdated(entry, manifest["revision"], folder):
        lines.append(f"  {reason}")
        wrongs.append(True)
    return Report(lines, not any(differs), not any(wrongs))


def _shape(meta: pd.DataFrame) -> list[str]:
    """Histogram of the lengths before resampling, and the share of clips with two people."""
    length = meta["length"].to_numpy()
    if not length.any():
        return []
    most = np.linspace(0, np.quantile(length, 0.98), BINS)  # a single endless clip must not squeeze the rest
    edges = np.unique([*most.round().astype(int), length.max()])
    counts: Any = np.histogram(length, edges + 0.5)[0]  # from more than one edge up to the next, that one included
    lines = [f"  frames with a first person: {length.min()} to {length.max()}, median {int(np.median(length))}"]
    for low, high, clips in zip(edges, edges[1:], counts, strict=False):
        bar = "#" * int(np.ceil(clips / counts.max() * BAR))
        lines.append(f"    {low + 1:>4} to {high:>4}  {bar:<{BAR}} {clips}")
    return [*lines, f"  clips with two people: {100 * (meta['persons'] > 1).mean():.1f} %"]
