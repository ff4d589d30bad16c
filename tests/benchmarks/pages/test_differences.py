"""Differences paired by seed: an interval worked out by hand, what pairing is worth, and what is not computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from benchmarks.pages.differences import Difference, differences, paired
from benchmarks.pages.outcomes import Outcome, Reading, outcomes
from benchmarks.pages.render import render_table
from benchmarks.tables import TABLES, Cell, Skip, TableSpec
from tests.benchmarks.pages import rendering
from tests.benchmarks.pages.rendering import DEMO, ONE, THREE, Records, all_done, failed, grid, ok, runs_of

T2 = 4.302652729911275  # 97.5 % of Student's t with 2 degrees of freedom, from a printed table


@pytest.fixture(name="toy")
def _toy() -> Callable[..., TableSpec]:
    return rendering.toy()


def outcome(*values: float | None) -> Outcome:
    return Outcome(Cell("A", "x", Skip("invented")), tuple(Reading(str(i), value) for i, value in enumerate(values)))


def measured(spec: TableSpec, rows: Mapping[str, Sequence[float | None]], column: str = "x") -> Records:
    """Records of three seeds for some rows of one column; None for a seed that is missing."""
    return {
        run.id: ok(run.id, top1=value)
        for row, values in rows.items()
        for run, value in zip(runs_of(spec, THREE, row, column), values, strict=True)
        if value is not None
    }


def test_an_interval_by_hand() -> None:
    """Differences 0.01, 0.02, 0.06: mean 0.03, sample variance (4 + 1 + 9) / 2 = 7 in units of 0.0001."""
    difference = paired(outcome(0.51, 0.72, 0.96), outcome(0.50, 0.70, 0.90))
    assert difference.values == pytest.approx((0.01, 0.02, 0.06))
    assert difference.mean == pytest.approx(0.03)
    assert difference.deviation == pytest.approx(0.01 * math.sqrt(7))
    assert difference.half == pytest.approx(T2 * 0.01 * math.sqrt(7 / 3))  # 0.0657, more than the mean
    assert difference.complete
    assert difference.noise is True


def test_pairing_is_by_seed() -> None:
    """The same six numbers: a steady lead in every seed, and nothing once the seeds are shuffled."""
    ours, theirs = outcome(0.52, 0.63, 0.72), outcome(0.50, 0.60, 0.70)
    lead = paired(ours, theirs)
    assert lead.noise is False
    shuffled = paired(replace(ours, readings=(ours.readings[2], ours.readings[0], ours.readings[1])), theirs)
    assert shuffled.mean == pytest.approx(lead.mean)
    assert shuffled.noise is True


def test_the_sign_does_not_matter_for_noise() -> None:
    assert paired(outcome(0.50, 0.60, 0.70), outcome(0.52, 0.63, 0.72)).noise is False


def test_a_missing_seed_pairs_with_none() -> None:
    difference = paired(outcome(0.5, None, 0.7), outcome(0.4, 0.9, 0.5))
    assert difference.by_seed == (pytest.approx(0.1), None, pytest.approx(0.2))
    assert len(difference.values) == 2
    assert not difference.complete


def test_one_seed_has_no_interval() -> None:
    difference = paired(outcome(0.5), outcome(0.4))
    assert (difference.deviation, difference.half, difference.noise) == (None, None, None)
    assert difference.complete
    assert not Difference(()).complete


def test_equal_in_every_seed_is_noise() -> None:
    assert Difference((0.0, 0.0)).noise is True
    assert Difference((0.25, 0.25)).noise is False


def test_cells_with_other_numbers_of_runs_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="A has 2 runs under x, A has 1; only cells with one run per seed"):
        paired(outcome(0.5, 0.6), outcome(0.4))


@pytest.mark.parametrize("table", list(TABLES))
def test_every_reference_is_there_and_nothing_is_compared_twice(table: str) -> None:
    spec = TABLES[table]
    pairs = differences(spec, outcomes(spec, THREE, {}), 3)
    assert {reference.split("/")[0] for _, reference in pairs} == {entry.split("/")[0] for entry in spec.against}
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    assert all(row != reference for row, reference in pairs)


def test_what_the_tables_compare() -> None:
    pairs = {table: set(differences(spec, outcomes(spec, THREE, {}), 3)) for table, spec in TABLES.items()}
    assert {("Ours/J", "Baseline*/J"), ("Baseline/3S", "Baseline*/3S")} <= pairs["1"]
    assert {("Ours/3S", "SkeletonCLR/3S"), ("Random/J", "SkeletonCLR/J")} <= pairs["3"]
    assert pairs["7"] == {(row, "✓/✓/✓") for row in ("×/✓/✓", "×/✓/×", "✓/✓/×")}
    assert [{reference for _, reference in pairs[table]} for table in ("15", "16", "17")] == [{"2"}, {"0.5"}, {"8"}]
    assert {("AimCLR", "SkeletonCLR"), ("AimCLR", "Random, BN calibrated")} <= pairs["irds"]
    assert ("SkeletonCLR", "Random, BN calibrated") in pairs["irds"]
    assert "Raw coordinates" not in {row for row, _ in pairs["irds"]}  # one run for all seeds


def test_the_table_of_differences(toy: Callable[..., TableSpec]) -> None:
    spec = toy(("A", "x", 1.0), ("B", "x", 2.0), ("C", "x", 3.0), ("A", "y", 4.0), ("C", "y", 5.0), against=("B",))
    rows = {"A": (0.51, 0.72, 0.96), "B": (0.50, 0.70, 0.90), "C": (0.40, 0.61, 0.80)}
    text = render_table(spec, THREE, measured(spec, rows))
    half = 100 * T2 * 0.01 / math.sqrt(9)  # of C: −10, −9, −10 points; sample deviation 1 / √3
    assert grid(text, 1) == [
        ["Method", "minus", "x", "y"],
        ["A", "B", "noise +3.0 ± 6.6", "–"],
        ["C", "B", f"−9.7 ± {half:.1f}", "–"],
    ]
    words = " ".join(text.split())
    assert "n = 3 differences, one per seed, ± half of its 95 % interval (Student's t)" in words
    assert "`noise`: within noise, the interval contains 0" in words
    assert "so it is for 1 of 2. Each interval is for one difference, not corrected" in words
    assert "`–` not compared." in words
    assert text.index("### Differences, paired by seed") < text.index("<details>")


def test_incomplete_differences_are_not_computed(toy: Callable[..., TableSpec]) -> None:
    spec = toy(
        ("A", "x", 1.0), ("B", "x", 2.0), ("C", "x", 3.0), ("D", "x", 4.0), ("E", "x", Skip("no")), against=("B",)
    )
    records = measured(spec, {"A": (0.5, None, 0.6), "B": (0.4, 0.5, 0.6), "C": (0.4, 0.5, 0.6), "D": (0.4, 0.5, None)})
    broken = runs_of(spec, THREE, "D", "x")[2].id
    text = render_table(spec, THREE, records | {broken: failed(broken, "ValueError: no")})
    assert grid(text, 1)[1:] == [["A", "B", "·"], ["C", "B", "noise 0.0 ± 0.0"], ["D", "B", "·"]]
    assert "`·` not every seed is in both cells." in " ".join(text.split())
    assert "not corrected" not in text  # for a single one


def test_no_table_without_seeds_or_pairs(toy: Callable[..., TableSpec]) -> None:
    spec = toy(("A", "x", 1.0), ("B", "x", 2.0), against=("B",))
    for settings in (ONE, DEMO):
        text = render_table(spec, settings, all_done(spec, settings))
        assert "### Differences" not in text
        assert "one seed, so no spread is known, and of no difference between rows an interval." in text
    assert "### Differences" not in render_table(spec, THREE, measured(spec, {"A": (0.5, 0.6, 0.7)}))
    alone = replace(spec, against=())
    assert "interval" not in render_table(alone, ONE, {})
    assert "### Differences" not in render_table(alone, THREE, all_done(alone, THREE))


def test_quoted_rows_are_compared_by_what_was_measured() -> None:
    spec = TABLES["1"]
    rows = {"Baseline/J": (0.60, 0.61, 0.62), "Baseline*/J": (0.50, 0.51, 0.52)}
    text = render_table(spec, THREE, measured(spec, rows, "NTU-60 xsub"))
    line = next(line for line in grid(text, 1) if line[:3] == ["Baseline", "J", "Baseline*/J"])
    assert line[3] == "+10.0 ± 0.0"
    nothing = render_table(spec, THREE, measured(spec, {"Ours/J": (0.6, 0.6, 0.6)}, "NTU-60 xsub"))
    assert "### Differences" not in nothing
