"""Everything about one run, for a terminal: `bench.py show`, and what a command for one run ends with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.durations import clock
from benchmarks.pages.outcomes import last_line

MEANINGS = {  # of accuracies, by the beginning of their name
    "top1_best": "of the best epoch, which looks at the test set",
    "top1_last": "of the last epoch",
    "top1": "accuracy, as tables show it",
    "top5": "the right class is among five",
    "best_knn": "KNN of k neighbours, of the encoder best-knn",
    "knn": "KNN of k neighbours, of the last encoder, or the one judged",
}
REST = {"history": "every epoch", "per_class": "every class", "points": "every point"}  # too long for a terminal


def about(record: dict[str, Any], path: Path, brief: bool) -> Iterator[str]:
    """Lines about a run, from its record and where that is: how it ended, its metrics.

    Unless `brief`, also traceback, data, machine, code and spec, and what else is in the record.
    """
    yield f"{record['run']}  {record.get('label', '')}  {record['status']}  {clock(record.get('seconds', 0.0))}"
    if record["status"] == "failed":
        yield "  " + (record.get("error") or last_line(record))
    yield from (f"  {line}" for line in metric_lines(record.get("metrics", {})))
    where = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    if brief:
        yield f"  in {where}"
        return
    yield from (f"  {line}" for line in record.get("traceback", ()))
    yield f"finished: {record.get('finished', 'not recorded')}"
    if "again" in record:
        yield f"built on what was computed again, with other numbers than its record has: {', '.join(record['again'])}"
    for key in ("data", "parents", "environment", "code", "spec"):
        yield f"{key}: {json.dumps(record.get(key), indent=1, ensure_ascii=False)}"
    rest = " and ".join(words for key, words in REST.items() if record.get(key))
    yield f"the whole record{', with ' * bool(rest)}{rest}: {where}"


def metric_lines(metrics: Mapping[str, float]) -> list[str]:
    """A line for each metric of a run; accuracies in percent, with what they mean."""
    lines = []
    for name, value in metrics.items():
        meaning = next((meaning for start, meaning in MEANINGS.items() if name.startswith(start)), None)
        lines.append(f"{name:12} {value:.4g}" if meaning is None else f"{name:12} {100 * value:5.1f} %  {meaning}")
    return lines
