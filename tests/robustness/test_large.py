"""Many records, many of them failed, and many seeds: the short form of large.py and seeds.py."""

from __future__ import annotations

from pathlib import Path

import pytest

import bench
from benchmarks.recipes import Settings
from benchmarks.tables import TABLES
from tests.robustness import large, seeds

SHOWN = ("7", "irds")  # one with a reference row, one with three and with rows that know no seed


def command(capsys: pytest.CaptureFixture[str]) -> large.Command:
    """bench.py in this process."""

    def do(words: list[str]) -> tuple[int, str]:
        code = bench.main(words)
        said = capsys.readouterr()
        return code, said.out + said.err

    return do


@pytest.mark.parametrize(
    ("records", "failed", "seconds"),
    [(600, 120, 20.0), pytest.param(5000, 1000, 60.0, marks=pytest.mark.nightly)],
)
def test_a_fifth_of_the_records_failed(
    records: int, failed: int, seconds: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = large.fill(tmp_path, records, failed)
    assert (filled.records >= records, len(filled.failed)) == (True, failed)
    found, wrong = large.look(filled, command(capsys))
    assert not wrong
    assert max(look.seconds for look in found) < seconds, found


def test_the_page_of_ten_seeds_is_what_numpy_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large.fill(tmp_path, 0, 0, least=10, tables=SHOWN)
    words = ["--table", *SHOWN, "--scale", large.SCALE, "--seeds", "10", "--out", str(tmp_path)]
    ask = command(capsys)
    assert ask(["render", *words])[0] == bench.OK
    for table in SHOWN:
        found = seeds.verify(table, 10, tmp_path / large.SCALE)
        assert not found.wrong
        assert found.whole > 0
        assert found.partial == 0
        assert found.differences > 0
    lost = next(iter(TABLES["7"].cells(Settings(scale="smoke", seeds=tuple(range(10)))))).seeds[3]
    (tmp_path / large.SCALE / "records" / f"{lost.id}.json").unlink()
    ask(["render", *words])
    found = seeds.verify("7", 10, tmp_path / large.SCALE)
    assert not found.wrong
    assert found.partial > 0


@pytest.mark.nightly
def test_ten_trained_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["seeds", "--seeds", "10"])
    assert seeds.main() == 0
