"""The first page of a results folder: every table and figure, what of it was measured, and with what.

Why it exists: a rendered table shows the paper's numbers whether or not anything stands beside them. Here one sees at a
glance what has been measured, when, with which code, on which machine and for how many hours, and what is only the
paper's word. A function of its arguments: the same records and files give the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from benchmarks.pages.markdown import bullets, fill, pipe_table
from benchmarks.pages.outcomes import Outcome, Records, count, outcomes
from benchmarks.pages.settings import SettingsTable, settings_tables
from benchmarks.recipes import RECIPES, Settings
from benchmarks.runs import closure
from benchmarks.tables import TABLES, TableSpec
from benchmarks.tables.paper import paper

UNKNOWN, NONE = "not recorded", "–"
SHOWN = 3  # names in one cell
COLUMNS = ("Cells measured", "of the paper's", "Seeds", "Last run", "Commit", "Machine", "Time spent")


class Picture(NamedTuple):
    """A figure of the page: the stems of its files in figures/, the runs behind it and how many of them are done."""

    title: str
    about: str  # one sentence
    stems: Sequence[str]
    wanted: int = 0
    measured: int = 0


class _Row(NamedTuple):
    recipe: str
    spec: TableSpec
    found: list[Outcome]
    ids: set[str]  # all runs behind the table, pretrainings included


def render_index(settings: Settings, records: Records, files: Collection[str], pictures: Sequence[Picture] = ()) -> str:
    """The markdown of README.md in a results folder.

    Of the settings only scale and seeds matter: the page is about all tables, under recipe paper, and under recipe
    official where one of its own runs has a record. records are all that the folder has; files are the paths in it,
    such as "tables/table-1.md", and what is not among them is not linked. Images that no picture names come last.
    """
    rows = _rows(settings.but(overrides=()), records)
    behind = set().union(*(row.ids for row in rows)) & set(records)
    others = len(set(records) - behind)
    sections = [
        ["# Results"],
        [fill(_introduction(settings))],
        [_tables(rows, settings, records, files)],
        [fill(f"In total {_runs(len(behind))}, each counted once: {_spent(records[run] for run in behind)}.")],
        [fill(f"{_runs(others)} more belong to none of these tables.")] if others else [],
        ["## Settings", "", _settings(settings_tables().values(), files)],
        *_pictures(pictures, files),
        _speed(files),
    ]
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def _introduction(settings: Settings) -> str:
    text = (
        "Written by `python bench.py render` from the records; do not edit. A cell counts as measured as soon as one "
        'seed is in; "of the paper\'s" are the cells that the paper fills. Time is what the runs behind a table took, '
        "pretrainings included and shared ones counted in every table; of a run that was stopped and went on, its last "
        "stretch. A `+` behind a commit: with changes that are in no commit."
    )
    if settings.standin is None:
        return text
    return f"**Synthetic stand-ins at {settings.scale} scale: nothing here compares with the paper.** {text}"


def _rows(settings: Settings, records: Records) -> list[_Row]:
    """Every table under recipe paper; under another where a run is recorded that no table has under paper."""
    rows: list[_Row] = []
    for recipe in RECIPES:
        usual = set().union(*(row.ids for row in rows if row.recipe == "paper"))
        if recipe != "paper" and not set(records) - usual:
            continue
        for spec in TABLES.values():
            try:
                found = outcomes(spec, settings.but(recipe=recipe), records)
            except ValueError:
                if recipe == "paper":
                    raise
                continue  # a new method whose release's settings nobody has written down yet
            ids = {run.id for outcome in found for wanted in outcome.cell.seeds for run in closure(wanted)}
            if recipe == "paper" or (ids - usual) & set(records):
                rows.append(_Row(recipe, spec, found, ids))
    return rows


def _tables(rows: list[_Row], settings: Settings, records: Records, files: Collection[str]) -> str:
    lines = []
    for recipe, spec, found, ids in rows:
        name = spec.id if recipe == "paper" else f"{spec.id}-{recipe}"
        title = spec.title if recipe == "paper" else f"{spec.title}, recipe {recipe}"
        there = [records[run] for run in sorted(ids & set(records))]
        measured = [outcome for outcome in found if outcome.values]
        cells = [_state(found, measured, spec.paper and settings.standin is None), _papers(spec, measured)]
        if there:
            cells += [
                _seeds(measured, len(settings.seeds)), _last(there), _named(map(_commit, there)),
                _named(map(_machine, there)), _spent(there),
            ]  # fmt: skip
        lines.append([_link(name, files), title, *cells, *[NONE] * (len(COLUMNS) - len(cells))])
    return pipe_table(("Table", "Subject", *COLUMNS), (), lines)


def _state(found: list[Outcome], measured: list[Outcome], published: bool) -> str:
    summary = count(found)
    text = f"{len(measured)} of {summary.ok + summary.missing + summary.failed}"
    if summary.failed:
        text += f", {summary.failed} failed"
    if not measured:
        text += ": only the paper's numbers" if published else ": nothing yet"
    return text


def _papers(spec: TableSpec, measured: list[Outcome]) -> str:
    """Measured cells of those that the paper fills."""
    if not spec.paper:
        return NONE
    table = paper(spec.id)
    filled = {key for key in table.cells if table.value(*key) is not None}
    return f"{len(filled & {(outcome.cell.row, outcome.cell.column) for outcome in measured})} of {len(filled)}"


def _seeds(measured: list[Outcome], seeds: int) -> str:
    """How many seeds the measured cells have; cells that know no seed have no say."""
    numbers = {len(outcome.values) for outcome in measured if len(outcome.readings) == seeds}
    if not numbers:
        return NONE
    return f"{min(numbers)} to {max(numbers)}" if len(numbers) > 1 else str(*numbers)


def _last(there: list[dict[str, Any]]) -> str:
    dates = [record["finished"][:10] for record in there if record.get("finished")]
    if not dates:
        return UNKNOWN
    return max(dates) + (f", of {len(there) - len(dates)} runs {UNKNOWN}" if len(dates) < len(there) else "")


def _commit(record: dict[str, Any]) -> str:
    code = record.get("code") or {}
    return f"`{code['commit'][:7]}`{'+' if code.get('dirty') else ''}" if code.get("commit") else UNKNOWN


def _machine(record: dict[str, Any]) -> str:
    """Where, and what was let go there for speed: "AMD EPYC, 2 cores, trained in bf16"."""
    environment = record.get("environment") or {}
    rounded = f", trained in {environment['amp']}" if environment.get("amp", "off") != "off" else ""
    return _device(environment) + rounded + (", compiled" if environment.get("compiled") else "")


def _device(environment: dict[str, Any]) -> str:
    if environment.get("device", "cpu") != "cpu":
        return environment["device"]
    if not environment.get("cpu"):
        return f"CPU {UNKNOWN}" + (f", {environment['cores']} cores" if environment.get("cores") else "")
    return f"{environment['cpu']}, {environment['cores']} cores"


def _named(names: Iterable[str]) -> str:
    """Different names, the most frequent first, and how many more there are."""
    ordered = sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))
    shown = "; ".join(name for name, _ in ordered[:SHOWN])
    return shown + (f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else "")


def _spent(there: Iterable[dict[str, Any]]) -> str:
    """Hours of CPU cores (a run keeps `threads` of them busy) and of GPUs."""
    hours = {"CPU core-hours": 0.0, "GPU-hours": 0.0}
    for record in there:
        environment = record.get("environment") or {}
        on_cpu = environment.get("device", "cpu") == "cpu"
        threads = environment.get("threads", 1) if on_cpu else 1
        hours["CPU core-hours" if on_cpu else "GPU-hours"] += record.get("seconds", 0.0) * threads / 3600
    spent = [f"{'under 0.1' if value < 0.05 else f'{value:.1f}'} {unit}" for unit, value in hours.items() if value]
    return ", ".join(spent) or "no time"


def _settings(tables: Iterable[SettingsTable], files: Collection[str]) -> str:
    lines = []
    for table in tables:
        settings, drift = len(table.settings), len(table.drift)
        differ = "none differs from the paper"
        if table.drift:
            differ = f"{drift} differ{'s' * (drift == 1)} from the paper: {', '.join(table.drift)}"
        lines.append([_link(table.id, files), table.title.rstrip("."), f"{settings} settings, {differ}"])
    return pipe_table(("Table", "Subject", "State"), (), lines)


def _pictures(pictures: Sequence[Picture], files: Collection[str]) -> list[list[str]]:
    """A heading, then a section per picture, then the images that belong to none."""
    named = {stem for picture in pictures for stem in picture.stems}
    pictures_there = (path for path in files if path.startswith("figures/") and path.endswith(".png"))
    drawn = {path.removeprefix("figures/").removesuffix(".png") for path in pictures_there}
    sections = []
    for picture in pictures:
        there = [stem for stem in picture.stems if stem in drawn]
        state = f" Runs: {picture.measured} of {picture.wanted} measured." if picture.wanted else ""
        state += "" if there else " Not drawn yet."
        images = [line for stem in there for line in ("", _image(stem, picture.title, files))]
        sections.append([f"### {picture.title}", "", fill(picture.about + state), *images])
    sections += [[_image(stem, stem, files)] for stem in sorted(drawn - named)]
    return [["## Figures"], *sections] if sections else []


def _image(stem: str, title: str, files: Collection[str]) -> str:
    image, vector = f"![{title}](figures/{stem}.png)", f"figures/{stem}.svg"
    return f"[{image}]({vector})" if vector in files else image


def _speed(files: Collection[str]) -> list[str]:
    pages = sorted(path for path in files if path.startswith("throughput/") and path.endswith(".md"))
    links = (f"[{page.removeprefix('throughput/').removesuffix('.md')}]({page})" for page in pages)
    return ["## Speed", "", *bullets(links)] if pages else []


def _link(name: str, files: Collection[str]) -> str:
    path = f"tables/table-{name}.md"
    return f"[{name}]({path})" if path in files else name


def _runs(number: int) -> str:
    return f"{number} run{'s' * (number != 1)}"
