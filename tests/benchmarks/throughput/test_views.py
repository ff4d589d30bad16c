"""`profile data` measures views as they grow, in turns, and gives process and threads back as they were."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import bench
from benchmarks.datasets.standin import synthetic
from benchmarks.throughput import data, registry, views
from benchmarks.throughput.views import OURS, Place, plain


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "ROUNDS", 2)
    monkeypatch.setattr(views, "SECONDS", 0.0)
    monkeypatch.setattr(views, "FEWEST", 2)


def test_places_cover_what_is_promised() -> None:
    places = views.places(2)
    forms = [place for place in places if place.what == "forms"]
    assert {(place.batch, place.cores) for place in forms} == {(16, 1), (16, 2), (128, 1), (128, 2)}
    assert all({workers for workers, _ in place.plain} == {0, 1, 2} for place in forms)
    grown = {what: [getattr(p, what) for p in places if p.what == what] for what in ("batch", "samples", "frames")}
    assert grown["batch"][0] == 16
    assert grown["batch"][-1] == 512
    assert grown["samples"][0] == 1024
    assert grown["samples"][-1] == 65536
    assert grown["frames"][0] == 32
    assert grown["frames"][-1] == 256
    assert {place.cores for place in views.places(1)} == {1}
    assert len(views.places(1)) == len(places) - 2


@pytest.mark.usefixtures("quick")
def test_every_form_is_measured_and_compared_with_plain_without_workers() -> None:
    place = Place("forms", 4, 10, 32, 1, ((0, False), (1, True), (2, False)))
    lines = views.measure_place(place, synthetic.repeated(10, 32), "cpu")
    assert [line["form"] for line in lines] == [OURS, plain(0), plain(1, lean=True), plain(2)]
    assert lines[1]["x plain"] == 1.0
    assert all(line["lowest"] <= line["samples/s"] <= line["highest"] for line in lines)


@pytest.mark.usefixtures("quick")
def test_the_ratio_says_how_many_times_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    def turns(place: Place, x: np.ndarray, device: str) -> dict[str, Callable[[int], float]]:
        return {OURS: lambda steps: 0.01 * steps, plain(0): lambda steps: 0.08 * steps}

    monkeypatch.setattr(views, "turns", turns)
    monkeypatch.setattr(views, "_seconds", lambda turn, steps: turn(steps))
    ours, other = views.measure_place(Place("forms", 4, 10, 32, 1), synthetic.repeated(10, 32), "cpu")
    assert (ours["samples/s"], ours["x plain"]) == (400, 8.0)
    assert (other["samples/s"], other["x plain"]) == (50, 1.0)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux binds processes to cores")
def test_cores_and_threads_are_given_back_even_after_ctrl_c() -> None:
    before = os.sched_getaffinity(0), torch.get_num_threads()
    with contextlib.suppress(KeyboardInterrupt), views.on_cores(1):
        assert (len(os.sched_getaffinity(0)), torch.get_num_threads()) == (1, 1)
        raise KeyboardInterrupt
    assert (os.sched_getaffinity(0), torch.get_num_threads()) == before


@pytest.mark.usefixtures("quick")
def test_the_page_has_a_line_for_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [Place("forms", 4, 10, 32, 1, ((0, False), (1, True))), Place("frames", 4, 10, 48, 1)]
    monkeypatch.setattr(views, "places", lambda cores: chosen)
    said: list[str] = []
    path = views.profile("cpu", 2, tmp_path, said.append)
    assert path.name.startswith("views-")
    assert "`python bench.py profile data --part views`" in path.read_text()
    found = pd.read_csv(path.with_suffix(".csv"))
    assert found["form"].tolist() == [OURS, plain(0), plain(1, lean=True), OURS, plain(0)]
    assert found["frames"].tolist() == [32, 32, 32, 48, 48]
    assert len(said) == 2


@pytest.mark.parametrize(
    ("words", "pages"), [([], ["data", "views"]), (["--part", "views"], ["views"]), (["--part", "reading"], ["data"])]
)
def test_profile_data_measures_both_or_one(
    words: list[str], pages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "profile", lambda *_: tmp_path / "data")
    monkeypatch.setattr(views, "profile", lambda *_: tmp_path / "views")
    arguments = bench.parser().parse_args(["profile", "data", *words])
    assert [path.name for path in registry.measure(arguments, "cpu", print)] == pages


def test_the_part_of_another_profile_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["profile", "train", "--part", "views"]) == bench.USAGE
    assert "--part views: profile train has step and pairs" in capsys.readouterr().err
    assert bench.main(["profile", "gru", "--part", "step"]) == bench.USAGE
    assert "--part step: profile gru has no parts" in capsys.readouterr().err
