"""At how many frames a data set is prepared, checked, looked for and drawn; and what `data prepare` returns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bench
from benchmarks import recipes
from benchmarks.campaign import scale_for
from benchmarks.datasets import catalog, check, prepare, store
from benchmarks.figures import skeletons
from benchmarks.figures.base import Drawing
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.tables import TABLES
from tests.benchmarks.datasets import toy

RAW = ["data", "prepare", "ntu60", "--raw", "raw"]


def put(data: Path, frames: int) -> None:
    """Two clips of NTU-60, one on either side of xsub."""
    rows = [{"name": f"S00{s}", "label": 0, "subject": s, "camera": 1, "setup": 1} for s in (1, 3)]
    clips = [(row, np.full((3, frames, 25, 1), row["subject"], np.float32)) for row in rows]
    toy.put(store.folder_of(data, "ntu60", frames), clips, classes=60)


@pytest.mark.parametrize(
    ("recipe", "data", "expected"),
    [("paper", "ntu60", (64,)), ("official", "ntu60", (50, 64)), ("official", "irds", (16,))],
)
def test_the_frames_of_a_recipe(recipe: str, data: str, expected: tuple[int, ...]) -> None:
    assert recipes.frames_of(Settings(recipe), data) == expected
    assert recipes.frames_of(Settings(recipe, overrides=(("frames", 32),)), data) == (32,)


@pytest.mark.parametrize(("words", "expected"), [([], [64]), (["--recipe", "official"], [50, 64])])
@pytest.mark.parametrize("action", ["prepare", "check"])
def test_data_are_prepared_and_checked_at_the_frames_of_the_recipe(
    action: str, words: list[str], expected: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[int] = []

    def pretend(name: str, raw: list[Path], data: Path, frames: int, **options: object) -> None:
        prepared.append(frames)
        put(data, frames)

    monkeypatch.setattr(prepare, "prepare", pretend)
    checked: list[int] = []
    monkeypatch.setattr(
        check, "check", lambda name, frames, data: (checked.append(frames), check.Report([], True, True))[1]
    )
    if action == "check":
        for frames in expected:
            put(tmp_path, frames)
    given = [word if word != "prepare" else action for word in RAW]
    assert bench.main([*given, *words, "--data", str(tmp_path)]) == bench.OK
    assert checked == expected
    assert prepared == (expected if action == "prepare" else [])


@pytest.mark.parametrize(
    ("whole", "sound", "words", "code"),
    [
        (True, True, [], bench.OK),
        (False, True, [], bench.MISSING),
        (False, True, ["--partial"], bench.OK),
        (True, False, ["--partial"], bench.MISSING),
    ],
)
def test_prepare_returns_3_when_its_own_check_says_that_data_are_wrong(
    whole: bool, sound: bool, words: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "prepare", lambda name, raw, data, frames, **options: put(data, frames))
    monkeypatch.setattr(check, "check", lambda *_: check.Report([], whole, sound))
    assert bench.main([*RAW, *words, "--data", str(tmp_path)]) == code


def test_a_scale_and_a_picture_know_data_of_any_of_the_recipe_s_lengths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, 50)
    assert catalog.prepared("ntu60", 50, tmp_path) is None
    tables = [TABLES["7"]]
    assert scale_for(tables, tmp_path, Settings("official")) == "full"
    assert scale_for(tables, tmp_path, Settings("paper")) == "demo"
    assert scale_for(tables, tmp_path, Settings("paper", overrides=(("frames", 50),))) == "full"
    pages: list[tuple[str, int]] = []
    monkeypatch.setattr(skeletons, "recorded_page", lambda name, frames, data: pages.append((name, frames)))
    monkeypatch.setattr(skeletons, "drawn", lambda pages: {})
    skeletons.draw_all(Drawing(Settings("official"), "", Store(tmp_path), tmp_path))
    skeletons.draw_all(Drawing(Settings("paper"), "", Store(tmp_path), tmp_path))
    assert pages == [("ntu60", 50)]
