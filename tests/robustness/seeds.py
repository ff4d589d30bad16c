"""A table of ten seeds: every mean, deviation and interval that stands there, computed again with NumPy and SciPy.

    python -m tests.robustness.seeds --table 7 --seeds 10        # trains them, at smoke scale

What is compared is the text of the rendered page, cell by cell, with the records read as plain JSON.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

from benchmarks.recipes import Settings
from benchmarks.tables import TABLES, Cell
from tests.robustness.folder import REPO


class Found(NamedTuple):
    """What was compared: cells with all seeds, cells with some, differences; and a line for whatever was wrong."""

    whole: int
    partial: int
    differences: int
    wrong: list[str]


def verify(table: str, seeds: int, root: Path) -> Found:
    """Compares the rendered page of a table below `root`, a results folder of scale smoke, with its records."""
    spec = TABLES[table]
    cells = list(spec.cells(Settings(scale="smoke", seeds=tuple(range(seeds)))))
    values = {(cell.row, cell.column): _values(cell, root / "records") for cell in cells if cell.seeds}
    main, *others = _grids((root / "tables" / f"table-{table}.md").read_text())
    wrong, whole, partial, differences = [], 0, 0, 0
    for labels, column, text in _read(main, len(spec.labels)):
        known = values.get(("/".join(labels), column))
        if known is None or not (number := int(np.isfinite(known).sum())):
            continue
        whole += number == len(known)
        partial += number < len(known)
        if (shown := re.sub(r"(?: ✗[⁰¹²³⁴⁵⁶⁷⁸⁹]+)*$", "", text)) != (expected := _cell(known)):
            wrong.append(f"{'/'.join(labels)}, {column}: '{shown}' and not '{expected}'")
    for grid in others:
        for (*labels, reference), column, text in _read(grid, len(spec.labels) + 1):
            row = "/".join(labels)
            pair = [values.get((key, column), np.empty(0)) for key in (row, reference)]
            expected = _difference(pair[0] - pair[1]) if {len(known) for known in pair} == {seeds} else "–"
            differences += expected not in ("–", "·")
            if text != expected:
                wrong.append(f"{row} minus {reference}, {column}: '{text}' and not '{expected}'")
    return Found(whole, partial, differences, wrong)


def _cell(known: np.ndarray) -> str:
    """A cell as the page shows it: mean, sample deviation, and of how many seeds where some have no result."""
    there = known[np.isfinite(known)]
    text = f"{there.mean():.1f}" + (f" ± {there.std(ddof=1):.1f}" if len(there) > 1 else "")
    return text + (f" ({len(there)}/{len(known)})" if len(there) < len(known) else "")


def _values(cell: Cell, records: Path) -> np.ndarray:
    """Percent of every seed, (seeds,); NaN where there is no result."""
    found = []
    for run in cell.seeds:
        path = records / f"{run.id}.json"
        record = json.loads(path.read_text()) if path.exists() else {}
        found.append(100 * record["metrics"][cell.metric] if record.get("status") == "ok" else np.nan)
    return np.array(found)


def _difference(by_seed: np.ndarray) -> str:
    """A difference as the page shows it: mean and half of its 95 % interval, and whether that contains 0."""
    if not np.isfinite(by_seed).all():
        return "·"
    mean, deviation = by_seed.mean(), by_seed.std(ddof=1)
    half = stats.t.ppf(0.975, len(by_seed) - 1) * deviation / np.sqrt(len(by_seed))
    text = f"{abs(mean):.1f}"
    sign = "" if text == "0.0" else "−" if mean < 0 else "+"
    return f"{'noise ' if abs(mean) <= half else ''}{sign}{text} ± {half:.1f}"


def _grids(page: str) -> list[list[list[str]]]:
    """Every pipe table of a page: its cells, the heading first."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        lines = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
        found.append([lines[0], *lines[2:]])
    return found


def _read(grid: list[list[str]], labels: int) -> list[tuple[list[str], str, str]]:
    """Labels, column and text of every cell."""
    head, *body = grid
    return [
        ([label.replace(" †", "") for label in line[:labels]], column, text)
        for line in body
        for column, text in zip(head[labels:], line[labels:], strict=True)
    ]


def main() -> int:
    """Reads the command line, runs the table and prints what was compared."""
    parser = argparse.ArgumentParser(prog="python -m tests.robustness.seeds", description=__doc__)
    parser.add_argument("--table", choices=TABLES, default="7")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    out = Path(tempfile.mkdtemp(prefix="seeds-"))
    words = ["--table", arguments.table, "--scale", "smoke", "--seeds", str(arguments.seeds)]
    words += ["--jobs", str(arguments.jobs), "--device", "cpu", "--out", str(out)]
    code = subprocess.run([sys.executable, "bench.py", "run", *words], cwd=REPO, stdout=subprocess.DEVNULL).returncode
    whole, partial, differences, wrong = verify(arguments.table, arguments.seeds, out / "smoke")
    print(
        f"SEEDS table {arguments.table}, {arguments.seeds} seeds, exit code {code}: {whole} cells with all seeds, "
        f"{partial} with some, {differences} differences, {len(wrong)} wrong"
    )
    for line in wrong:
        print(f"  WRONG: {line}")
    if wrong or code:
        print(f"see {out}")
        return 1
    shutil.rmtree(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
