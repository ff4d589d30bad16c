"""A table as markdown: what was measured, beside the paper where the two are comparable.

Why so much above the table: a number without its data, checkpoint, epoch, seeds and command is a rumour. What
is incomplete is marked, never averaged in silence. Rendering starts no run and reads no clock and no record of
its own accord: the same records give the same bytes.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.datasets import catalog
from benchmarks.pages.differences import Difference, differences
from benchmarks.pages.facts import facts, labels, mixture, preparation
from benchmarks.pages.markdown import Footnotes, bullets, code, fill, pipe_table, signed
from benchmarks.pages.outcomes import Outcome, Records, alike, count, outcomes
from benchmarks.recipes import Settings
from benchmarks.tables.base import Skip, TableSpec
from benchmarks.tables.paper import PaperTable, paper

ABSENT, FAILED, SKIPPED, EMPTY, QUOTED = "·", "✗", "n/a", "–", "†"
NOISE = "noise"


def render_table(spec: TableSpec, settings: Settings, records: Records) -> str:
    """The markdown of one table.

    settings chose the runs; records maps run ids to records, with fractions in "metrics". At scale `full` the
    cells of a paper's table read "measured / paper (difference)"; at `demo` and `smoke`, where the data are
    synthetic stand-ins, no number of the paper is shown at all.

    Raises:
        ValueError: for a row key that does not have the spec's labels, or cells that clash.
    """
    found = outcomes(spec, settings, records)
    published = paper(spec.id) if spec.paper else None
    beside = published is not None and settings.standin is None
    footnotes = Footnotes()
    table, shown = _table(spec, found, published, beside, footnotes)
    sections = [
        [f"## Table {spec.id} · {spec.title}"],
        _banner(settings),
        _about(spec, settings, found, records),
        _commands(spec, settings),
        [fill(_legend(spec, len(settings.seeds), found, shown, beside))],
        [table],
        bullets([*footnotes.lines(), *_notes(spec, published)]),
        _differences(spec, len(settings.seeds), found, published),
        _details(found),
    ]
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def _banner(settings: Settings) -> list[str]:
    if settings.standin is None:
        return []
    text = (
        f"**NOT COMPARABLE WITH THE PAPER: synthetic stand-ins at {settings.scale} scale.** Every number "
        "below was measured on made-up skeletons, with networks and schedules cut down to take minutes. It shows "
        "that the whole path runs, and says nothing about which method is better."
    )
    return [fill(text, "> ", "> ")]


def _about(spec: TableSpec, settings: Settings, found: list[Outcome], records: Records) -> list[str]:
    """Data, recipe, selection, seeds and how much of the table is there."""
    names = list(dict.fromkeys(name for name, _ in spec.data))
    kind = "real recordings" if settings.standin is None else "synthetic stand-ins"
    sets = []
    for name in names:
        splits = [split for owner, split in spec.data if owner == name]
        if settings.standin is None:  # the rules' words count subjects and videos of the real set
            splits = [f"{split} ({catalog.rule(name, split).title})" for split in splits]
        else:
            splits[-1] += f" ({catalog.classes(name, settings.standin)} classes)"
        sets.append(f"{catalog.dataset(name).title} {', '.join(splits)}")
    entries = {
        "Data": f"{kind}: {'; '.join(sets)}",
        "Recipe": f"`{settings.recipe}` at scale `{settings.scale}`",
    }
    if prepared := preparation(found, records):
        entries["Prepared"] = f"**not as in the paper**: {prepared}"
    if settings.overrides:
        changes = ", ".join(f"{key} = {value}" for key, value in settings.overrides)
        entries["Changed"] = f"{changes}, in every method that has it"
    if drawn := labels(found, records):
        entries["Labels"] = drawn
    entries |= facts(found)
    entries["Seeds"] = f"{', '.join(map(str, settings.seeds))}; {entries.pop('Runs')}"
    entries |= mixture(found, records)
    entries["Cells"] = str(count(found))
    return bullets(f"**{name}:** {text}" for name, text in entries.items())


def _commands(spec: TableSpec, settings: Settings) -> list[str]:
    """The commands that fill and that write this table."""
    seeds = settings.seeds
    if seeds != tuple(range(len(seeds))):
        return [f"Seeds that the command line cannot ask for: `{settings!r}` from Python."]
    common = f"--table {spec.id} {settings.options}"
    return ["```sh", f"python bench.py run    {common}", f"python bench.py render {common}", "```"]


def _legend(spec: TableSpec, n: int, found: list[Outcome], shown: str, beside: bool) -> str:
    """How to read a cell; only marks that occur are explained."""
    text = "Accuracy in percent; "
    unknown = "no spread is known" + (", and of no difference between rows an interval" if spec.against else "")
    text += f"mean ± sample standard deviation of n = {n} seeds." if n > 1 else f"one seed, so {unknown}."
    if beside:
        whole = ", the difference only where every seed is in" if n > 1 else ""
        text += f" Each cell: measured / paper (difference){whole}."
    meanings = {
        ABSENT: "not run yet",
        FAILED: "failed",
        SKIPPED: "cannot be run",
        EMPTY: "empty in the paper" if spec.paper else "not part of the table",
    }
    marks = [f"`{mark}` {meaning}" for mark, meaning in meanings.items() if mark in shown]
    if any(0 < len(outcome.values) < len(outcome.readings) for outcome in found):
        marks.append(f"`(k/{n})` mean over only k of {n} seeds")
    return f"{text} {', '.join(marks)}." if marks else text


def _order(found: list[Outcome], published: PaperTable | None) -> tuple[list[str], list[str]]:
    """Rows and columns as the paper has them, then what it does not have."""
    rows = dict.fromkeys([*(published.rows if published else ()), *(outcome.cell.row for outcome in found)])
    columns = dict.fromkeys([*(published.columns if published else ()), *(o.cell.column for o in found)])
    return list(rows), list(columns)


def _table(
    spec: TableSpec, found: list[Outcome], published: PaperTable | None, beside: bool, footnotes: Footnotes
) -> tuple[str, str]:
    """The pipe table in the paper's order, and all its cells as one text."""
    at = {(outcome.cell.row, outcome.cell.column): outcome for outcome in found}
    rows, columns = _order(found, published)
    lines = []
    for row in rows:
        labels = row.split("/", len(spec.labels) - 1)
        if len(labels) != len(spec.labels):
            raise ValueError(f"Table {spec.id}: row {row!r} does not have the labels {'/'.join(spec.labels)}")
        if published and row in published.quoted:
            labels[0] += f" {QUOTED}"
        cells = []
        for column in columns:
            outcome = at.get((row, column))
            text = _measured(outcome, footnotes)
            if published and beside:
                inside = row in published.rows and column in published.columns
                text = _beside(text, outcome, published.value(row, column) if inside else None)
            cells.append(text)
        lines.append([*labels, *cells])
    text = pipe_table(spec.labels, columns, lines)
    return text, " ".join(cell for line in lines for cell in line[len(spec.labels) :])


def _measured(outcome: Outcome | None, footnotes: Footnotes) -> str:
    if outcome is None:
        return EMPTY
    if isinstance(outcome.cell.runs, Skip):
        return SKIPPED + footnotes.mark(outcome.cell.runs.reason)
    parts = []
    if outcome.values:
        parts.append(f"{_mean(outcome):.1f}")
        if len(outcome.values) > 1:
            parts.append(f"± {100 * statistics.stdev(outcome.values):.1f}")
        if len(outcome.values) < len(outcome.readings):
            parts.append(f"({len(outcome.values)}/{len(outcome.readings)})")
    for failure in outcome.failures:
        error = failure.error or ""
        mark = FAILED + footnotes.mark(code(error), [failure.culprit or failure.run], alike(error))
        parts += [mark] if mark not in parts else []
    return " ".join(parts) or ABSENT


def _beside(text: str, outcome: Outcome | None, published: float | None) -> str:
    """measured / paper (difference)."""
    if published is None:
        return text if text == EMPTY else f"{text} / {EMPTY}"
    difference = ""
    if outcome is not None and outcome.status == "ok":
        # of the two numbers that stand there, so that a reader who subtracts finds the same
        difference = f" ({signed(round(_mean(outcome), 1) - published)})"
    return f"{text} / {published:.1f}{difference}"


def _mean(outcome: Outcome) -> float:
    return 100 * statistics.fmean(outcome.values)


def _notes(spec: TableSpec, published: PaperTable | None) -> list[str]:
    notes = list(spec.notes)
    if published and published.quoted:
        notes.append(f"{QUOTED} The paper took the numbers of this row from another publication.")
    return notes


def _differences(spec: TableSpec, n: int, found: list[Outcome], published: PaperTable | None) -> list[str]:
    """What was measured of `spec.against`: never a number of the paper. Nothing for one seed or no pair of cells."""
    rows, columns = _order(found, published)
    pairs = differences(spec, sorted(found, key=lambda outcome: rows.index(outcome.cell.row)), n)
    known = [difference for cells in pairs.values() for difference in cells.values() if difference.complete]
    if n == 1 or not known:
        return []
    lines = [
        [*row.split("/", len(spec.labels) - 1), reference, *(_difference(cells.get(column)) for column in columns)]
        for (row, reference), cells in pairs.items()
    ]
    table = pipe_table([*spec.labels, "minus"], columns, lines)
    noise = sum(bool(difference.noise) for difference in known)
    text = (
        f"A row minus another, in points: the mean of n = {n} differences, one per seed, ± half of its 95 % interval "
        f"(Student's t). `{NOISE}`: within noise, the interval contains 0 and these seeds do not say which row is "
        f"better; so it is for {noise} of {len(known)}."
    )
    if len(known) > 1:
        text += (
            " Each interval is for one difference, not corrected for their number: where rows do not differ at "
            "all, one in twenty looks as if they did."
        )
    meanings = {ABSENT: "not every seed is in both cells", EMPTY: "not compared"}
    shown = {cell for line in lines for cell in line}
    marks = [f"`{mark}` {meaning}" for mark, meaning in meanings.items() if mark in shown]
    text += f" {', '.join(marks)}." if marks else ""
    return ["### Differences, paired by seed", "", fill(text), "", table]


def _difference(difference: Difference | None) -> str:
    if difference is None:
        return EMPTY
    if not difference.complete or difference.half is None:
        return ABSENT
    text = f"{signed(100 * difference.mean)} ± {100 * difference.half:.1f}"
    return f"{NOISE} {text}" if difference.noise else text


def _details(found: Sequence[Outcome]) -> list[str]:
    """Which runs are behind which cell."""
    lines = []
    for outcome in found:
        if isinstance(outcome.cell.runs, Skip):
            continue
        runs = []
        for reading in outcome.readings:
            mark = FAILED if reading.error else "" if reading.value is not None else ABSENT
            runs.append(f"{code(reading.run)} {mark}".strip())
        lines.append(f"- {outcome.cell.row} · {outcome.cell.column}: {', '.join(runs)}")
    total = len({reading.run for outcome in found for reading in outcome.readings})
    return ["<details>", f"<summary>Runs ({total})</summary>", "", *lines, "", "</details>"]
