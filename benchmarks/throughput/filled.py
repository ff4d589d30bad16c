"""A results folder as full as after months, with invented numbers: to measure what it costs to look at one.

Every record has the form, the digest and the length of a real one at full scale: a history of all its epochs.
"""

from __future__ import annotations

import json
import random
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.digest import digest
from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.records.integrity import SCHEMA
from benchmarks.records.provenance import code, environment
from benchmarks.records.store import Store
from benchmarks.running.execute import Machine
from benchmarks.runs import Evaluate, Pretrain, Run, label
from benchmarks.tables import TABLES

MONITORED = ("knn10", "knn20", "knn40")


def fill(root: Path, records: int) -> int:
    """Writes so many records below `root`; returns how many seeds of every table are complete, at least 1."""
    wanted: dict[str, Run] = {}
    plan, seeds = Plan.of((), Settings()), 0
    while len(wanted) < records:
        plan = Plan.of(TABLES.values(), Settings(seeds=tuple(range(seeds + 1))))
        wanted |= plan.runs  # what fewer seeds wanted stays in front
        seeds += len(plan.runs) <= records
    metrics = metrics_of(plan)
    store = Store(root)
    store.prepare()
    rng = random.Random(0)
    for run_id, run in islice(wanted.items(), records):
        put(store, record_of(run, sorted(metrics.get(run_id, ())), rng))
    return max(1, seeds)


def metrics_of(plan: Plan) -> dict[str, set[str]]:
    """The metrics that cells read, by run id."""
    found: dict[str, set[str]] = {}
    for cells in plan.tables.values():
        for cell in cells:
            for run in cell.seeds:
                found.setdefault(run.id, set()).add(cell.metric)
    return found


def put(store: Store, record: dict[str, Any]) -> None:
    """Writes a record, but not in the store's way, which waits for the disk each time."""
    text = json.dumps(record | {"digest": digest(record)}, indent=1, sort_keys=True)
    (store.records / f"{record['run']}.json").write_text(text + "\n")


def record_of(run: Run, metrics: list[str], rng: random.Random) -> dict[str, Any]:
    """As execute.py writes it for a run that went well."""
    entries, epochs = ["lr", "loss"], getattr(getattr(run, "config", None), "epochs", 0)
    if isinstance(run, Pretrain):
        entries, epochs = ["lr", "info", "salient", "nonsalient"], run.epochs
        metrics = [*metrics, *MONITORED, *(f"best_{name}" for name in MONITORED)]
    history: list[dict[str, Any]] = []
    for epoch in range(1, epochs + 1):
        monitored = MONITORED if isinstance(run, Pretrain) and epoch % run.monitor_every == 0 else ()
        history.append({"epoch": epoch, **{name: rng.random() for name in (*entries, *monitored)}})
    machine = Machine()
    return {
        "schema": SCHEMA,
        "run": run.id,
        "kind": type(run).__name__,
        "label": label(run),
        "spec": run.spec(),
        "parents": [parent.id for parent in run.parents],
        "environment": dict(environment(machine.device, machine.threads)),
        "code": code(),
        "data": None,
        "seconds": round(3600 * rng.random(), 3),
        "finished": "2000-01-01T00:00:00+00:00",
        "status": "ok",
        "metrics": {name: rng.random() for name in metrics or ["top1"]},
        "history": history,
        **({"per_class": [rng.random() for _ in range(60)]} if isinstance(run, Evaluate) else {}),
    }
