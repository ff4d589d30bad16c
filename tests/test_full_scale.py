"""The full-scale path, from raw NTU files to a table beside the paper's numbers, on real recordings.

Recordings of NTU RGB+D may not be part of a repository, so real IRDS recordings are rewritten as a genuine NTU tree.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bench
from benchmarks.records.store import Store
from tests.benchmarks.datasets.raw.ntu_files import irds_tree

SHORT = [
    "epochs=1", "batch=8", "width=4", "frames=16", "queue=16", "dim=8", "linear_epochs=1", "linear_batch=16"
]  # fmt: skip


def test_raw_files_to_table_1(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    irds_tree(shared, tmp_path / "raw", 120)
    data, out = tmp_path / "data", tmp_path / "out"
    places = ["--data", str(data), "--out", str(out)]
    prepare = ["data", "prepare", "ntu60", "--raw", str(tmp_path / "raw"), "--frames", "16", "--data", str(data)]
    assert bench.main(prepare) == bench.FAILED
    assert "56458 of the 56578 recordings of NTU RGB+D 60 are missing" in capsys.readouterr().err
    assert (
        bench.main([*prepare, "--partial"]) == bench.MISSING
    )  # few recordings under many names: its check sees copies
    assert "the same array as a training clip" in capsys.readouterr().out
    assert bench.main(["data", "check", "ntu60", "--frames", "16", "--data", str(data)]) == bench.MISSING
    report = capsys.readouterr().out
    assert re.search(r"xsub train +expected +40091 +found +\d\d  <-- differs", report)
    assert (data / "figures" / "ntu60-16.png").stat().st_size > 10_000

    table = ["--table", "1", "--scale", "full", "--set", *SHORT, "--jobs", "2", *places]
    assert bench.main(table) == bench.MISSING  # the other data sets are not there
    text = capsys.readouterr().out
    assert "- **Cells:** 26 of 62 complete, 36 missing" in text
    assert "**Changed:** epochs = 1, batch = 8, width = 4, frames = 16" in text
    assert "**Prepared:** **not as in the paper**: ntu60: incomplete, 120 clips" in text
    rows = [line.split("|") for line in text.splitlines() if line.startswith(("| Baseline*", "| Ours"))]
    rows = [row for row in rows if "released weights" not in row[2]]  # a fusion that the paper does not print
    assert len(rows) == 8
    for row in rows:
        for cell in row[3:5]:
            assert re.search(r"\d+\.\d / \d\d\.\d \([+−]\d+\.\d\)", cell)
        for cell in row[5:9]:
            assert re.fullmatch(r" +· / \d\d\.\d +", cell)
    for name, cells in (("ntu120-16", 18), ("pku1-16", 9), ("pku2-16", 9)):
        assert f"{cells} cells cannot be measured here: {name} is not prepared" in text
    record = next(iter(Store(out).records.glob("pretrain-*.json"))).read_text()
    assert '"partial": true' in record
    assert str(tmp_path) not in record
    written = sorted(path.name for path in (out / "tables").iterdir())
    assert written == ["table-1-epochs=1-batch=8-width=4-frames=16-queue=16-dim=8-linear_epochs=1-linear_batch=16.md"]
    assert bench.main(["status", *table[:-6], *places]) == bench.MISSING
    assert "44 done, 0 running, 0 failed, 0 missing" in capsys.readouterr().out
