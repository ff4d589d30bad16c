"""What a measured machine would need for each table of the paper, from the CSV of `profile train`: hours behind `plan`.

Every run of a table at full size, whether or not there are records of it; runs that tables share are counted in each of
them, and once in the last line.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.planning import rates
from benchmarks.planning.cost import cost
from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.tables import TABLES, TableSpec
from benchmarks.throughput import page

MEASURED = [spec for spec in TABLES.values() if spec.id != "irds"]


def hours(profile: Path, recipe: str = "paper") -> pd.DataFrame:
    """A line per table and one for all: runs of each kind, and hours of one such GPU, or of one such core.

    Raises:
        ValueError: when the profile lacks a rate that a table needs.
    """
    settings, measured = Settings(recipe), rates.read(profile)
    lines = []
    tables: list[tuple[str, list[TableSpec]]] = [(spec.id, [spec]) for spec in MEASURED]
    for name, specs in [*tables, ("all", MEASURED)]:
        plan = Plan.of(specs, settings)
        speeds = rates.speeds(measured, settings, plan.runs.values())
        counts = {kind: shared for kind, (_, shared) in plan.counts().items()}
        seconds = sum(cost(run, speeds) for run in plan.runs.values())
        lines.append({"table": name, **counts, "hours": round(seconds / 3600, 1)})
    return pd.DataFrame(lines)


def write(profile: Path, recipe: str, unit: str, out: Path, name: str) -> Path:
    """Writes `out/hours-<machine>.md` and `.csv`; returns the first. `unit`: "GPU", or "machine" for all its cores."""
    text = (
        f"From [{profile.stem}]({profile.with_suffix('.md').name}), recipe {recipe}, one seed: predicted, not "
        f"measured. Hours are of one {unit}. A run that tables share is counted in each of them and once under `all`."
    )
    return page.write(out / f"hours-{name}", "Predicted hours for the paper's tables", text, hours(profile, recipe))
