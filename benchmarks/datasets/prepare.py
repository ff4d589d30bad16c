"""From raw files to a prepared data set: pick the reader, run it, store and count what it gives.

Why: `python bench.py data prepare NAME --raw DIR` is the only way real data enter the harness, so whatever is
wrong with a download has to come to light here, and not as a strange number in a table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.datasets import catalog, irds, store
from benchmarks.names import known

Reader = Callable[..., irds.Recordings]

# Reader and the options that it takes by name. The other data sets of the catalog have no reader yet.
READERS: dict[str, tuple[Reader, tuple[str, ...]]] = {"irds": (irds.read, ("skip_bad", "partial"))}


def prepare(
    name: str,
    raw: Sequence[Path],
    data: Path,
    frames: int,
    *,
    say: Callable[[str], None] = print,
    **options: bool,
) -> Path:
    """Read `raw` (folders or archives), preprocess to `frames` frames, write `<data>/<name>-<frames>/`.

    options of irds: skip_bad (leave bad files out), partial (accept other counts than the release's).
    say: gets every progress and report line. Returns the folder.
    Raises ValueError for an unknown data set or option, a data set without a reader, and bad raw files;
    FileNotFoundError when there is nothing to read; OSError when the folder cannot be written.
    """
    entry = catalog.dataset(name)
    if name not in READERS:
        raise ValueError(f"{entry.title} ({name}) cannot be read from raw files yet; readable: {', '.join(READERS)}")
    read, allowed = READERS[name]
    for option in options:
        known(f"option of {name}", option, allowed)
    if frames < 1:
        raise ValueError(f"frames is {frames}, it must be at least 1; the paper uses 64")
    recordings = read([Path(place) for place in raw], frames, say=say, **options)
    source: dict[str, Any] = {"raw": [Path(place).name for place in raw], **options}
    folder = store.write(
        store.folder_of(data, name, frames),
        recordings.clips,
        name=name,
        classes=entry.classes,
        revision=entry.revision,
        credit=entry.credit,
        source=source,
        left_out=recordings.left_out,
    )
    say(check(name, frames, data))
    return folder


def check(name: str, frames: int, data: Path) -> str:
    """Verify a prepared data set and count every split: a report for people, raising as `store.load` does."""
    entry = catalog.dataset(name)
    folder = store.folder_of(data, name, frames)
    lines = [store.check(folder)]
    meta = store.load(folder).meta
    lines.append(_line("clips", entry.clips, len(meta), True))
    for split, cut in entry.splits.items():
        expected = cut.expected or (None, None)
        for side, count, mask in zip(("train", "test"), expected, cut.sides(meta), strict=True):
            lines.append(_line(f"{split} {side}", count, int(mask.sum()), cut.verified))
    reason = catalog.outdated(entry, store.read_manifest(folder)["revision"], folder)
    return "\n".join(lines + ([f"  {reason}"] if reason else []))


def _line(what: str, expected: int | None, found: int, verified: bool) -> str:
    known = "unknown" if expected is None else f"{expected}" if verified else f"about {expected}"
    mark = "  <-- differs" if expected is not None and verified and expected != found else ""
    return f"  {what:<20} expected {known:>12}  found {found:>6}{mark}"
