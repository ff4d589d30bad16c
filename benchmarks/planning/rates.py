"""Training samples per second from a table of `bench.py profile train`, as speeds from which cost.py tells any run's.

A pretraining then takes clips * epochs / rate, plus its KNN monitor. What else a backbone does, extraction and
finetuning, goes at the median speed that the methods' rates imply for one pass of it. Runs of other widths or lengths
than the profiled recipe are scaled by their work; a GPU does small networks (IRDS, demo) less fast than that.
"""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path

from backbones import BACKBONES
from benchmarks import recipes
from benchmarks.names import known
from benchmarks.planning.cost import CORE, Speeds, step_of
from benchmarks.recipes import Settings
from benchmarks.runs import Evaluate, Pretrain, Run, Untrained
from methods import METHODS

COLUMNS = ("method", "backbone", "samples/s")
MAKE = "make one with: python bench.py profile train"

Rates = Mapping[tuple[str, str], float]  # (method, backbone) -> training samples per second


def read(path: Path) -> Rates:
    """The rates in a CSV file; lines without one (n/a) are left out.

    Raises:
        ValueError: when it is no such table; the message says where and what is expected.
        OSError: when it cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (table.fieldnames or ())]
            if missing:
                instead = path.with_suffix(".csv")
                hint = f"; did you mean {instead}?" if path != instead and instead.exists() else f"; {MAKE}"
                raise ValueError(f"{path} has no column {', '.join(missing)}: {', '.join(COLUMNS)} are needed{hint}")
            rates: dict[tuple[str, str], float] = {}
            for row in table:
                where = f"{path}, line {table.line_num}"
                pair = (
                    known("method", row["method"] or "", METHODS),
                    known("backbone", row["backbone"] or "", BACKBONES),
                )
                if not row["samples/s"]:
                    continue
                if pair in rates:
                    raise ValueError(f"{where}: {pair[0]} on {pair[1]} is there twice")
                rates[pair] = _rate(row["samples/s"], where)
    except FileNotFoundError as error:
        raise ValueError(f"there is no {path}; {MAKE}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV file ({error}); {MAKE}") from error
    if not rates:
        raise ValueError(f"{path} has no samples/s of any method; {MAKE}")
    return rates


def _rate(text: str, where: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < math.inf:
        raise ValueError(f"{where}: samples/s must be a number above 0, got {text!r}")
    return rate


def speeds(rates: Rates, settings: Settings, runs: Iterable[Run]) -> Speeds:
    """The machine on which these rates were measured, at the recipe and scale of the settings, for these runs.

    Raises:
        ValueError: when a run needs a rate that is not there.
    """
    measured = Settings(settings.recipe, settings.scale)
    factors: dict[str, dict[str, float]] = {}  # backbone -> method -> how much longer a step takes than on CORE
    for (method, backbone), rate in rates.items():
        run = recipes.pretraining(measured, method, "ntu60", "xsub", "joint", 0, backbone)
        factors.setdefault(backbone, {})[method] = run.batch / rate / step_of(run)
    needed = {pair for run in runs if (pair := _pair(run))}
    absent = sorted({f"{m} on {b}" if m else b for m, b in needed if b not in factors or (m and m not in factors[b])})
    if absent:
        raise ValueError(f"the profile has no samples/s of {', '.join(absent)}; {MAKE}")
    usual = {backbone: statistics.median(found.values()) for backbone, found in factors.items()}
    return Speeds(
        {
            name: CORE.backbones[name]._replace(
                clip=CORE.backbones[name].clip * factor, launch=CORE.backbones[name].launch * factor
            )
            for name, factor in usual.items()
        },
        {(m, b): factor / usual[b] for b, found in factors.items() for m, factor in found.items()},
    )


def _pair(run: Run) -> tuple[str, str] | None:
    """Method and backbone whose rate a run needs, the method "" where none is trained; None where no backbone is."""
    match run:
        case Pretrain():
            return run.method, run.backbone
        case Evaluate(encoder=Pretrain() | Untrained() as encoder):
            return "", encoder.backbone
        case _:
            return None
