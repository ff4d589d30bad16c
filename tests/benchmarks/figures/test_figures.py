"""Pictures of records: legible words, the same bytes, one colour per method, and the records' own numbers."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from benchmarks import arguments
from benchmarks.figures import FIGURES, Absent, Drawing, style
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.runs import Evaluate, Pretrain
from benchmarks.tables import TABLES
from benchmarks.tables.paper import paper
from methods import METHODS
from tests.benchmarks.figures.measured import check_words, drawn, pretend, words

THREE = Settings(seeds=(0, 1, 2))
DEMO = Settings(scale="demo", seeds=(0, 1))
PICTURES = [
    *(("5", "", settings) for settings in (THREE, DEMO)),
    ("6", "", Settings(scale="smoke")),
    *(("tsne-irds", "", settings) for settings in (THREE, DEMO)),
    *((name, table, THREE) for name in ("knn", "dots") for table in TABLES),
    ("knn", "1", DEMO),
    ("dots", "1", DEMO),
    ("dots", "4", Settings()),
    *(("per-class", table, settings) for table in ("1", "irds") for settings in (THREE, DEMO)),
]


def test_the_command_line_knows_every_figure() -> None:
    assert tuple(FIGURES) == arguments.FIGURES


@pytest.mark.parametrize(("name", "table", "settings"), PICTURES)
def test_words_are_legible_and_apart(name: str, table: str, settings: Settings, tmp_path: Path) -> None:
    figure = drawn(name, tmp_path, settings, table)
    check_words(figure)
    warned = [text for text in words(figure) if "not comparable with the paper" in text]
    assert len(warned) == (settings.standin is not None)


@pytest.mark.parametrize("name", [name for name, spec in FIGURES.items() if spec.needs and not spec.folders])
def test_same_bytes_whatever_was_set_before(name: str, tmp_path: Path) -> None:
    first = style.save(drawn(name, tmp_path / "store", DEMO), tmp_path / "a", name)
    with matplotlib.rc_context({"svg.hashsalt": "other", "lines.linewidth": 9, "font.size": 30, "savefig.dpi": 30}):
        again = style.save(drawn(name, tmp_path / "store", DEMO), tmp_path / "b", name)
    for one, two in zip(first, again, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name
    assert b"<dc:date>" not in first[1].read_bytes()


def test_methods_differ_without_colour_and_newcomers_have_a_look_of_their_own() -> None:
    assert set(METHODS) <= set(style.METHOD_STYLE)
    plain = [(look.marker, look.dash) for look in style.METHOD_STYLE.values()]
    assert len(set(plain)) == len(plain)
    assert len({look.color for look in style.METHOD_STYLE.values()}) == len(plain)
    newcomer = style.look("newcomer")
    assert newcomer == style.look("newcomer") not in style.METHOD_STYLE.values()
    variants = [style.look("skeattnclr", number) for number in range(6)]
    assert len({(look.marker, look.dash) for look in variants}) == 6
    assert len({look.color for look in variants}) == 1


def test_a_method_has_one_colour_in_all_pictures(tmp_path: Path) -> None:
    ours, theirs = style.METHOD_STYLE["skeattnclr"].color, style.METHOD_STYLE["skeletonclr"].color
    rows = {"SkeAttnCLR": ours, "SkeletonCLR": theirs}
    legend = {text.get_text(): handle for text, handle in _legend(drawn("knn", tmp_path, THREE))}
    dots: Any = drawn("dots", tmp_path, THREE).axes[0]
    names = [label.get_text() for label in dots.get_yticklabels()]
    at = {names[int(line.get_ydata()[0])]: line for line in dots.lines if line.get_marker() in ("*", "o")}
    bars = {to_hex(bar.get_edgecolor()) for bar in _bars(drawn("per-class", tmp_path, THREE))}
    tsne = [text for text in drawn("tsne-irds", tmp_path, THREE).texts if text.get_text().endswith(", joint")]
    headings = {text.get_text().partition(",")[0]: text.get_color() for text in tsne}
    for name, colour in rows.items():
        assert legend[name].get_color() == colour
        assert at[name].get_color() == colour
    assert bars == {ours, theirs}
    assert headings == rows


def _legend(figure: Figure) -> list[tuple[Any, Any]]:
    return list(zip(figure.legends[0].get_texts(), figure.legends[0].legend_handles, strict=True))


def _bars(figure: Figure) -> list[Rectangle]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]


def test_a_line_is_the_mean_of_the_records(tmp_path: Path) -> None:
    axes: Any = drawn("knn", tmp_path, THREE).axes[0]
    runs = [run for run in FIGURES["knn"].runs(THREE) if isinstance(run, Pretrain)]
    ours = [run for run in runs if run.method == "aimclr" and run.data.split == "xsub"]
    records = [Store(tmp_path).record(run.id) for run in ours]
    assert len(records) == 3
    expected = [100 * statistics.fmean(r["history"][n]["knn20"] for r in records if r) for n in range(3)]
    [line] = [line for line in axes.lines if line.get_marker() == style.METHOD_STYLE["aimclr"].marker]
    np.testing.assert_allclose(np.asarray(line.get_ydata()), expected)
    assert list(np.asarray(line.get_xdata())) == [10, 20, 30]


def test_dots_are_means_bars_deviations_diamonds_the_paper(tmp_path: Path) -> None:
    axes: Any = drawn("dots", tmp_path, THREE, "1").axes[0]
    spec = TABLES["1"]
    cells = [cell for cell in spec.cells(THREE) if cell.column == "NTU-60 xsub"]
    values = [[100 * (Store(tmp_path).record(run.id) or {})["metrics"]["top1"] for run in cell.seeds] for cell in cells]
    measured = {int(c.lines[0].get_ydata()[0]): c for c in axes.containers}
    for row, percent in enumerate(values):
        line, _, [bar] = measured[row].lines
        assert line.get_xdata()[0] == pytest.approx(statistics.fmean(percent))
        [segment] = bar.get_segments()
        assert np.ptp(segment[:, 0]) == pytest.approx(2 * statistics.stdev(percent))
    printed = {int(line.get_ydata()[0]): line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"}
    table = paper("1")
    rows = {row: cell.row for row, cell in enumerate(cells) if cell.row in table.rows}  # a fusion of ours has no number
    assert printed == {row: table.value(name, "NTU-60 xsub") for row, name in rows.items()}
    assert len(printed) == len(cells) - 1
    for standin in drawn("dots", tmp_path / "demo", DEMO, "1").axes:
        assert not [line for line in standin.lines if line.get_marker() == "D"]


def test_fewer_seeds_are_shown_and_said(tmp_path: Path) -> None:
    figure = drawn("dots", tmp_path, THREE, "4", seeds=(0, 1))
    assert any("A small pale dot has fewer seeds" in text for text in words(figure))
    assert not any("pale" in text for text in words(drawn("dots", tmp_path / "whole", THREE, "4")))


def test_bars_are_differences_paired_by_seed(tmp_path: Path) -> None:
    figure = drawn("per-class", tmp_path, THREE)
    found = {}
    for run in FIGURES["per-class"].runs(THREE):
        assert isinstance(run, Evaluate)
        assert isinstance(run.encoder, Pretrain)
        assert not run.config.standardise
        found[run.encoder.method, run.seed] = (Store(tmp_path).record(run.id) or {})["per_class"]
    differences = [
        100 * statistics.fmean(found["skeattnclr", seed][k] - found["skeletonclr", seed][k] for seed in THREE.seeds)
        for k in range(1, 9)  # class 0 has no test samples
    ]
    widths = [bar.get_width() for bar in _bars(figure)]
    np.testing.assert_allclose(widths, sorted(differences, reverse=True))
    assert "1 of 9 classes have no test samples" in " ".join(words(figure))


def test_two_named_runs_are_compared_and_others_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    table = [run for cell in TABLES["irds"].cells(Settings()) for run in cell.seeds]
    pretend(store, [*table, *FIGURES["knn"].runs(Settings())])
    nine, eighteen = (
        next(run for run in table if isinstance(run, Evaluate) and run.data.split == s) for s in ("xsub", "xsub18")
    )
    pretraining = FIGURES["knn"].runs(Settings())[0]

    def named(*run_ids: str) -> Figure:
        with style.settings():
            return FIGURES["per-class"].draw(Drawing(Settings(), "", store, tmp_path, run_ids))["per-class"]

    figure = named(table[4].id, table[7].id)
    check_words(figure)
    assert "First: " in " ".join(words(figure))
    with pytest.raises(ValueError, match=r"has 9 classes and .* has 18; compare like with like"):
        named(nine.id, eighteen.id)
    with pytest.raises(ValueError, match="is a Pretrain without accuracy per class"):
        named(nine.id, pretraining.id)
    with pytest.raises(Absent, match="evaluate-0 has no result"):
        named(nine.id, "evaluate-0")


def test_a_table_without_both_methods_has_no_difference() -> None:
    with pytest.raises(ValueError, match="Table 7 has no linear evaluation of SkeletonCLR"):
        FIGURES["per-class"].runs(Settings(), "7")


def test_planes_say_their_numbers_and_what_is_missing(tmp_path: Path) -> None:
    runs = FIGURES["5"].runs(Settings())
    assert len({run.id for run in runs}) == 6
    pretend(Store(tmp_path), runs[1:])
    with style.settings():
        [figure] = FIGURES["5"].draw(Drawing(Settings(), "", Store(tmp_path), tmp_path)).values()
    said = words(figure)
    foot = " ".join(said)
    assert said.count("not measured") == 1
    metrics = (Store(tmp_path).record(runs[1].id) or {})["metrics"]
    assert f"features: silhouette 0.00, 1-NN {metrics['nearest']:.1%}" in said  # never minus zero
    assert "perplexity 20, 1000 iterations" in foot
    assert "60 classes, told apart by ten colours" in foot
    clouds = [c for axes in figure.axes for c in axes.collections if isinstance(c, PathCollection)]
    assert sum(len(np.asarray(cloud.get_offsets())) for cloud in clouds) == 5 * 40


def test_names_of_files_say_what_differs() -> None:
    changed = Settings("official", overrides=(("lam", 4.0),))
    assert FIGURES["5"].stems(Settings()) == ["figure-5"]
    assert FIGURES["dots"].stems(Settings(), "3") == ["dots-3"]
    assert FIGURES["knn"].stems(changed) == ["knn-irds-official-lam=4.0"]
    assert "skeletons-irds" in FIGURES["skeletons"].stems(changed)
    assert len({stem for spec in FIGURES.values() for stem in spec.stems(Settings())}) == 13
