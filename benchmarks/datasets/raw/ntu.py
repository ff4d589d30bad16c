"""Reader of NTU RGB+D 60 and 120: `.skeleton` files below folders or inside the official zip files.

Why: they are the paper's main data. Which recordings belong to a data set, and which have no usable skeleton, is known
from names (ntu_names.py); ntu_text.py parses a file, bodies.py chooses the people. Data set specification, section 2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.datasets.raw import ntu_names, ntu_text
from benchmarks.datasets.raw.bodies import BODIES
from benchmarks.datasets.raw.found import File, content, files, fingerprint, first_of_each
from benchmarks.datasets.source import Clip, Loaded, Source
from benchmarks.names import known

ADVICE = (
    "Give the folder, or the zip files, with files such as S001C001P001R001A001.skeleton "
    "(nturgbd_skeletons_s001_to_s017.zip, for NTU RGB+D 120 also nturgbd_skeletons_s018_to_s032.zip)."
)


def source(raw: Sequence[Path], dataset: str, bodies: str = "first-two", missing_list: Path | None = None) -> Source:
    """Every recording of "ntu60" or "ntu120" below `raw`, sorted by name.

    bodies: a key of BODIES. missing_list: a file of names to pass over instead of the official one.
    Raises FileNotFoundError when nothing is found; ValueError for an unknown choice of bodies, a damaged zip file,
    or two different files of one name.
    """
    known("choice of bodies", bodies, BODIES)
    missing = ntu_names.missing(missing_list)
    passed: Counter[str] = Counter()
    strange: list[str] = []
    notes: list[str] = []

    def wanted() -> Iterator[tuple[str, File]]:
        for file in files(raw, (".skeleton",), ADVICE, notes):
            match = ntu_names.PATTERN.match(file.name)
            if match is None:
                passed["files are not named like a recording and are passed over"] += 1
                continue
            name = match[0].upper()
            try:
                if not ntu_names.belongs(name, dataset):
                    passed["recordings belong to NTU RGB+D 120 and not to 60"] += 1
                elif name in missing:
                    passed["recordings on the list of missing skeletons are passed over"] += 1
                else:
                    yield name, file
            except ValueError as error:
                strange.append(f"{file}: {error}")

    chosen, more = first_of_each(wanted())
    if more:
        passed["recordings were found a second time; a loose file goes before a zipped one"] = more
    if not chosen:
        found = "; ".join([*(f"{count} {what}" for what, count in passed.items()), *notes]) or "no .skeleton file"
        raise FileNotFoundError(f"nothing to prepare in {', '.join(map(str, raw))}: {found}. {ADVICE}")
    names = sorted(chosen)
    return Source(
        kind="NTU .skeleton files",
        clips=[Clip(ntu_names.parse(name), chosen[name], f"{name}.skeleton") for name in names],
        load=partial(load, bodies=bodies),
        fingerprint=fingerprint(chosen[name] for name in names),
        options={"bodies": bodies, **({"missing_list": missing_list.name} if missing_list else {})},
        notes=[*(f"{count} {what}" for what, count in passed.items()), *notes],
        refused=sorted(strange),
    )


def load(file: File, bodies: str) -> Loaded:
    """One recording, (3, T, 25, 2) metres. Raises BadClip with line and reason."""
    frames = ntu_text.parse(content(file))
    return Loaded(BODIES[bodies](frames), "bodies with NaN, taken as not seen" if frames.dropped else "")
