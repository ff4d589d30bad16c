"""Everything about one run, for a terminal: `bench.py show`, and what a command for one run ends with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.durations import clock
from benchmarks.pages.outcomes import last_line
from benchmarks.records.store import Store

MEANINGS = {  # of accuracies, by the beginning of their name
    "top1_best": "of the best epoch, which looks at the test set",
    "top1_last": "of the last epoch",
    "top1": "accuracy, as tables show it",
    "top5": "the right class is among five",
    "best_knn": "KNN of k neighbours, of the encoder best-knn",
    "knn": "KNN of k neighbours, of the last encoder, or the one judged",
}


def about(store: Store, run_id: str, brief: bool) -> Iterator[str]:
    """Lines about a run: how it ended and its metrics; unless `brief`, also spec, machine, code and traceback."""
    record = store.record(run_id)
    if record is None:
        yield f"{run_id}: no record yet"
        if not brief:
            yield json.dumps(store.read_spec(run_id).spec(), indent=1)
        return
    yield f"{run_id}  {record.get('label', '')}  {record['status']}  {clock(record.get('seconds', 0.0))}"
    if record["status"] == "failed":
        yield "  " + (record.get("error") or last_line(record))
    yield from (f"  {line}" for line in metric_lines(record.get("metrics", {})))
    if brief:
        yield f"  in {_short(store.records / f'{run_id}.json')}"
        return
    yield from (f"  {line}" for line in record.get("traceback", ()))
    for key in ("parents", "environment", "code", "spec"):
        yield f"{key}: {json.dumps(record.get(key), indent=1, ensure_ascii=False)}"


def metric_lines(metrics: Mapping[str, float]) -> list[str]:
    """A line for each metric of a run; accuracies in percent, with what they mean."""
    lines = []
    for name, value in metrics.items():
        meaning = next((meaning for start, meaning in MEANINGS.items() if name.startswith(start)), None)
        lines.append(f"{name:12} {value:.4g}" if meaning is None else f"{name:12} {100 * value:5.1f} %  {meaning}")
    return lines


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
