"""`show` tells everything about a run, or where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import bench
from benchmarks.records.store import Store

RECORD: dict[str, Any] = {
    "run": "evaluate-00", "status": "ok", "label": "", "seconds": 1.0, "metrics": {"top1": 0.5}, "spec": {"seed": 0},
}  # fmt: skip
FULL = RECORD | {
    "finished": "2026-11-27T18:56:59+00:00", "data": {"sha256": {"x.npy": "c24960ff"}}, "again": ["pretrain-01"],
    "per_class": [0.25, None], "history": [{"epoch": 1}],
}  # fmt: skip


@pytest.mark.parametrize("record", [RECORD, FULL])
def test_show_tells_all_of_a_record(record: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path)
    store.prepare()
    store.write_record(record)
    assert bench.main(["show", "evaluate-00", "--out", str(tmp_path)]) == bench.OK
    text = capsys.readouterr().out
    assert f"finished: {record.get('finished', 'not recorded')}\n" in text
    assert ('"x.npy": "c24960ff"' in text) == ("data" in record)
    again = "built on what was computed again, with other numbers than its record has: pretrain-01\n"
    assert (again in text) == ("again" in record)
    rest = ", with every epoch and every class" if "history" in record else ""
    assert text.endswith(f"\nthe whole record{rest}: {store.records / 'evaluate-00.json'}\n")
