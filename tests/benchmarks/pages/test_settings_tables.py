"""Tables 8 to 14 beside the `paper` recipe: one known drift, and a new one would be seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import recipes
from benchmarks.pages.settings import METHODS, render_settings, settings_tables
from benchmarks.tables.paper import paper_settings

OURS, BASELINE = METHODS


@pytest.mark.parametrize("table", ["8", "9", "10", "11", "12", "13", "14"])
def test_the_paper_recipe_is_the_papers(table: str) -> None:
    found = settings_tables()[table]
    assert found.drift == (("dropout",) if table == "14" else ())  # the release accepts it and never applies it
    assert [s.name for s in found.settings] == list(paper_settings(table).values)
    for setting in found.settings:
        assert setting.resolved[OURS] is not None or setting.where.startswith("no setting: ")


def test_values_come_from_the_recipe() -> None:
    eight = {s.name: s for s in settings_tables()["8"].settings}
    assert eight["queue size"].resolved == {OURS: 32768, BASELINE: 32768}
    assert eight["lambda(λ)"].resolved == {OURS: 2.0, BASELINE: None}
    twelve = {s.name: s for s in settings_tables()["12"].settings}
    assert twelve["class number"].resolved[OURS] == twelve["class number"].printed == "60 (or 120)"
    thirteen = {s.name: s for s in settings_tables()["13"].settings}
    assert thirteen["hidden size"].resolved == {OURS: 1024, BASELINE: 1024}
    fourteen = {s.name: s for s in settings_tables()["14"].settings}
    assert fourteen["number of heads"].resolved == {OURS: 8, BASELINE: None}
    assert fourteen["config list"].differs(OURS) is False
    assert twelve["edge_importance_weighting"].resolved[OURS] is True


def test_a_drift_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    own = recipes.PAPER["skeattnclr"]
    drifted = replace(
        own,
        config=replace(own.config, tau=0.07, mix_parts=(3, 5)),
        backbone_config=replace(own.backbone_config, graph="none"),
    )
    monkeypatch.setitem(recipes.PAPER, "skeattnclr", drifted)
    tables = settings_tables()
    drift = {table: found.drift for table, found in tables.items() if found.drift}
    assert drift == {"8": ("temperature",), "11": ("spacial_u",), "12": ("graph_args",), "14": ("dropout",)}
    line = next(line for line in render_settings("8").splitlines() if "temperature" in line and "|" in line)
    assert [cell.strip() for cell in line.split("|")][2:5] == ["0.2", "≠ 0.07", "0.2"]
    assert "Differs from the paper: temperature." in render_settings("8")


def test_markdown_is_stable_and_rectangular() -> None:
    text = render_settings("9")
    assert text == render_settings("9")
    assert text.startswith("## Table 9 · SGD optimizer settings\n")
    assert "Nothing differs." in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 3
    assert len({line.count("|") for line in lines}) == len({len(line) for line in lines}) == 1
    assert "| weight_decay | 1.00E-04 | 0.0001 " in " ".join(text.split())


def test_unknown_table() -> None:
    with pytest.raises(ValueError, match=r"'15'.*Allowed: 8, 9, 10, 11, 12, 13, 14"):
        render_settings("15")
