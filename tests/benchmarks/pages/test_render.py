"""Rendering with invented records: the header, the order of rows, the same bytes every time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks.pages.outcomes import Summary, summary
from benchmarks.pages.render import render_table
from benchmarks.recipes import Settings
from benchmarks.tables import TABLES, Skip, TableSpec
from tests.benchmarks.pages import rendering
from tests.benchmarks.pages.rendering import DEMO, ONE, THREE, all_done, failed, grid, ok, runs_of


@pytest.fixture(name="toy")
def _toy() -> Callable[..., TableSpec]:
    return rendering.toy()


@pytest.mark.parametrize("scale", ["demo", "smoke"])
def test_stand_ins_are_loud_and_alone(scale: str) -> None:
    spec, settings = TABLES["1"], Settings(scale=scale)
    text = render_table(spec, settings, all_done(spec, settings, 0.5))
    assert f"> **NOT COMPARABLE WITH THE PAPER: synthetic stand-ins at {scale} scale.**" in text
    cells = {cell for line in grid(text)[1:] for cell in line[2:]}
    assert cells == {"50.0", "–"}
    for printed in ("80.3", "68.3", "72.0", "39.1"):
        assert printed not in text
    assert "real recordings" not in text
    assert "40 subjects" not in text  # a fact about the real set


def test_rows_stand_in_the_papers_order_and_quoted_ones_are_marked() -> None:
    text = render_table(TABLES["1"], ONE, {})
    assert [line[:2] for line in grid(text)[1:4]] == [["Baseline †", "J"], ["Baseline*", "J"], ["Ours", "J"]]
    assert "- † The paper took the numbers of this row from another publication.\n" in text
    assert "†" not in render_table(TABLES["15"], ONE, {})


def test_header_says_what_the_runs_say() -> None:
    text = " ".join(render_table(TABLES["1"], THREE, {}).split())
    assert "**Data:** real recordings: NTU RGB+D 60 xsub (20 of 40 subjects train), xview (" in text
    assert "**Recipe:** `paper` at scale `full` -" in text
    net = "stgcn (width {}, out 256, dropout 0.5, edge importance True, graph {})"
    assert f"**Backbone:** {net.format(64, 'agcn')}; Baseline: {net.format(16, 'stgcn')} -" in text
    size = "initial weights `released`, {} frames, batch 128, 300 epochs from learning rate 0.1"
    assert f"**Training:** {size.format(64)}; Baseline: {size.format(50)} -" in text
    assert "`best-knn`, the one with the best KNN accuracy on the test set, as the paper does; Baseline: `last`" in text
    assert "linear `last`, of the last of 100 epochs; Baseline: linear `best`, of the one of 100 epochs that" in text
    assert "**KNN:**" not in text
    assert "**Cells:** 0 of 62 complete, 62 missing" in text
    for command in ("run   ", "render"):
        assert f"python bench.py {command}".rstrip() in text
    raw = render_table(TABLES["1"], THREE, {})
    assert "\npython bench.py render --table 1 --scale full --recipe paper --seeds 3\n" in raw
    assert "\npython bench.py run    --table 1 --scale full --recipe paper --seeds 3\n" in raw
    knn = render_table(TABLES["15"], ONE, {})
    assert "- **KNN:** k = 20, cosine similarity, embedding features\n" in knn


def test_under_official_no_row_differs() -> None:
    text = " ".join(render_table(TABLES["15"], Settings(recipe="official"), {}).split())
    assert "linear `best`, of the one of 150 epochs that does best on the test set" in text
    assert "**Checkpoint:** `last`, the one after the last epoch -" in text


def test_changed_settings_are_said_and_repeated_in_the_command() -> None:
    text = render_table(TABLES["7"], replace(DEMO, overrides=(("lam", 4.0), ("key_init", "a b"))), {})
    assert "- **Changed:** lam = 4.0, key_init = a b, in every method that has it\n" in text
    assert "--seeds 1 --set lam=4.0 --set 'key_init=a b'\n" in text
    assert "**Changed" not in render_table(TABLES["7"], DEMO, {})


def test_seeds_that_the_command_line_cannot_ask_for() -> None:
    text = render_table(TABLES["7"], replace(DEMO, seeds=(3, 5)), {})
    assert "python bench.py" not in text
    assert "seeds=(3, 5)" in text


def test_irds_has_no_paper_side_and_its_own_n() -> None:
    spec = TABLES["irds"]
    text = render_table(spec, THREE, all_done(spec, THREE))
    head, *body = grid(text)
    raw = ["80.0" if column.startswith(("KNN", "Linear ")) else "–" for column in head[1:]]
    calibrated = ["–" if column.startswith(("Finetune", "Semi")) else "80.0 ± 0.0" for column in head[1:]]
    assert body[0] == ["Raw coordinates", *raw]
    assert body[2] == ["Random, BN calibrated", *calibrated]
    assert all(line[1:] == ["80.0 ± 0.0"] * (len(head) - 1) for line in (body[1], *body[3:]))
    assert "n = 3; Raw coordinates: n = 1" in text
    assert " / " not in "".join("".join(line) for line in body)
    filled = len(body) * (len(head) - 1) - raw.count("–") - calibrated.count("–")
    assert summary(spec, THREE, all_done(spec, THREE)) == Summary(filled, 0, 0, 0)


def test_runs_are_listed() -> None:
    spec = TABLES["7"]
    runs = runs_of(spec, THREE, "✓/✓/✓", "Xsub")
    records = {runs[0].id: ok(runs[0].id, top1=0.8), runs[2].id: failed(runs[2].id, "x")}
    text = render_table(spec, THREE, records)
    assert f"- ✓/✓/✓ · Xsub: `{runs[0].id}`, `{runs[1].id}` ·, `{runs[2].id}` ✗\n" in text
    assert "<summary>Runs (24)</summary>\n\n- " in text
    assert text.endswith("\n\n</details>\n")


@pytest.mark.parametrize("table", list(TABLES))
@pytest.mark.parametrize("scale", ["smoke", "demo", "full"])
def test_same_records_same_bytes(table: str, scale: str) -> None:
    """Whatever order, time, machine or seconds the records come with."""
    spec, settings = TABLES[table], Settings(scale=scale, seeds=(0, 1))
    records = all_done(spec, settings, 0.123456789)
    gone, broken = list(records)[1], list(records)[3]
    del records[gone]
    records[broken] = failed(broken, "ValueError: no")
    text = render_table(spec, settings, records)
    again = {
        run: record | {"seconds": 99.0, "environment": {"host": "b"}} for run, record in reversed(list(records.items()))
    }
    assert render_table(spec, settings, again).encode() == text.encode()
    assert all(line == line.rstrip() for line in text.splitlines())
    assert sum(line.startswith("|:-") for line in text.splitlines()) == 2
    head, *body = grid(text)
    assert len(head) == len(spec.labels) + len({cell.column for cell in spec.cells(settings)})
    assert len(body) == len({cell.row for cell in spec.cells(settings)})


def test_prose_never_starts_a_block_by_accident(toy: Callable[..., TableSpec]) -> None:
    reason = "word " * 21 + "- # 1. > + 12) * end"
    text = render_table(toy(("A", "x", Skip(reason))), DEMO, {})
    assert reason.split() == re.search(r"- ¹ (.*?)\n(?=\n|-)", text, re.DOTALL).group(1).split()  # type: ignore[union-attr]  fails loudly on None
    assert not re.search(r"^ +([-#>+*]|\d+[.)])", text, re.MULTILINE)


def test_pipes_in_headings_do_not_make_cells(toy: Callable[..., TableSpec]) -> None:
    assert grid(render_table(toy(("a|b", "c|d", 1.0)), DEMO, {})) == [["Method", r"c\|d"], [r"a\|b", "·"]]


def test_malformed_tables_are_refused(toy: Callable[..., TableSpec]) -> None:
    with pytest.raises(ValueError, match=r"row 'A'.*there twice"):
        render_table(toy(("A", "x", 1.0), ("A", "x", 2.0)), DEMO, {})
    with pytest.raises(ValueError, match="has no runs"):
        render_table(toy(("A", "x", 1.0)), replace(DEMO, seeds=()), {})
    with pytest.raises(ValueError, match="row 'A' does not have the labels Method/Stream"):
        render_table(toy(("A", "x", 1.0), labels=("Method", "Stream")), DEMO, {})


def test_versions_devices_and_rounding_that_differ_are_told() -> None:
    spec = TABLES["7"]
    records = all_done(spec, ONE)
    for record in records.values():
        record |= {"code": {"commit": "a" * 40, "dirty": False}, "environment": {"device": "cpu", "amp": "off"}}
    whole = render_table(spec, ONE, records)
    assert "mixed" not in whole
    assert "**Rounding:**" not in whole
    run = runs_of(spec, ONE, "✓/✓/✓", "Xsub")[0]
    records[run.id] |= {"code": {"commit": "b" * 40, "dirty": True}, "environment": {"device": "NVIDIA H100"}}
    other = runs_of(spec, ONE, "✓/✓/✓", "Xview")[0]
    for trained, amp in ((run.encoder.id, "bf16"), (other.encoder.id, "off")):
        records[trained] = ok(trained) | {"environment": {"device": "cpu", "amp": amp}}
    text = " ".join(render_table(spec, ONE, records).split())
    assert "- **Code:** **mixed**, number of runs (`+`: with uncommitted changes): `aaaaaaa` 7, `bbbbbbb+` 1 " in text
    assert "- **Devices:** **mixed**, number of runs: cpu 9, NVIDIA H100 1 " in text
    assert "- **Rounding:** **mixed**, number of runs: bf16 1, float32 1 " in text
    records[run.id]["again"] = [run.encoder.id]
    assert "- **Trained again:** 1 run judges what was computed again" in " ".join(
        render_table(spec, ONE, records).split()
    )
