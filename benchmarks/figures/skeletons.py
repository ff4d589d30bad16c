"""Pictures of what is measured: skeletons over time, so that a person can believe (or doubt) the data.

Why it exists: a wrong joint order, a mirrored axis or a lost body never shows up in an accuracy, but at once
in a stick figure. Every file is byte-identical for the same input and version of matplotlib: no dates, no random ids,
no global plot state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from backbones.skeleton import BONES, PARTS, V
from benchmarks import recipes
from benchmarks.datasets import catalog, store
from benchmarks.datasets.standin import synthetic
from benchmarks.figures.base import Drawing
from benchmarks.figures.style import GREY, INK
from benchmarks.recipes import Settings

STEPS, STEP_WIDTH = 7, 1.6  # moments per sequence, metres of paper for each
WIDTH, LEFT, RIGHT = 12.5, 0.135, 0.99  # inches; margins as parts of the width
HEADER, FOOTER, GAP = 0.85, 0.4, 0.1  # inches
HEAD = 3
_SHOWN = ((0, 2), (2, 37), (3, 8), (4, 12), (6, 12), (7, 23), (8, 28), (9, 13))  # (class, n-th recording)
TURN, TILT = np.radians(15.0), np.radians(8.0)  # the drawing looks from a little aside and above
# Sides differ in hue, in lightness, in width and in dashes: they read in grey and for colour-blind eyes.
_STYLE = {
    "left": {"color": "#e07b00", "linewidths": 1.5, "linestyles": (0, (2.2, 0.8))},
    "right": {"color": "#1f4fa3", "linewidths": 2.0, "linestyles": "solid"},
    "trunk": {"color": INK, "linewidths": 2.4, "linestyles": "solid"},
}
_SIDE = {joint: part.split()[0] for part, joints in PARTS.items() for joint in joints}
# The network's graph hangs the hand on the thumb; a picture wants the anatomical finger.
DRAWN = (*(bone for bone in BONES if bone not in {(21, 22), (23, 24)}), (21, 7), (23, 11))


class Sequence3D(NamedTuple):
    """One row of a page."""

    title: str
    x: np.ndarray  # (3, T, 25, M) metres, centred; an absent person is exactly 0


class Page(NamedTuple):
    """One picture: `stem` names the files, `credit` says where the recordings come from."""

    stem: str
    title: str
    credit: str
    rows: Sequence[Sequence3D]


def project(x: np.ndarray) -> np.ndarray:
    """(3, T, V, M) metres -> (2, T, V, M): orthographic, from the sensor's side, so +x runs to the left."""
    cos, sin = np.cos(TURN), np.sin(TURN)
    across, depth = cos * x[0] + sin * x[2], cos * x[2] - sin * x[0]
    return np.stack([-across, np.cos(TILT) * x[1] + np.sin(TILT) * depth])


def placed(row: Sequence3D, step_width: float) -> Iterator[tuple[int, int, int, np.ndarray]]:
    """Step, person, frame and joints (25, 2) of one sequence from left to right, on a page of STEPS steps.

    A partner stands beside the first person in every step.
    """
    picked = np.linspace(0, row.x.shape[1] - 1, STEPS).round().astype(int)
    present = [m for m in range(row.x.shape[3]) if np.any(row.x[..., m])]
    flat = project(row.x[:, picked].astype(np.float64))
    # Leaning people lie to one side of their own shoulders; each stands in the middle of his place instead.
    flat[0] -= (flat[0].max(axis=(0, 1)) + flat[0].min(axis=(0, 1))) / 2
    for step in range(STEPS):
        for order, person in enumerate(present):
            if not np.any(row.x[:, picked[step], :, person]):
                continue  # away at this moment
            aside = 0.0 if len(present) == 1 else (order - 0.5) * 0.5
            points = flat[:, step, :, person].T + np.array([step_width * (step + 0.5 + aside), 0.0])
            yield step, person, int(picked[step]), points


def _draw_row(axes: Axes, row: Sequence3D, step_width: float) -> None:
    """One sequence from left to right, each side of the body in its own style."""
    for step, _, _, points in placed(row, step_width):
        for side, style in _STYLE.items():
            bones = [points[[a, b]] for a, b in DRAWN if _SIDE[a] == side]
            axes.add_collection(LineCollection(bones, **style))
        axes.plot(*points[HEAD], "o", markersize=7, color=INK, markeredgewidth=0)
        if step:
            axes.axvline(step_width * step, color="#e2e2e2", linewidth=0.7, zorder=0)


def span(row: Sequence3D) -> tuple[float, float]:
    """Lowest and highest point of a row's drawing, metres, with air for feet and head."""
    _, up = project(row.x[..., np.any(row.x, axis=(0, 1, 2))].astype(np.float64))
    return up.min() - 0.12, up.max() + 0.16


def draw(page: Page) -> Figure:
    """Rows of sequences under one title and one key; the credit stands at the foot."""
    spans = [span(row) for row in page.rows]
    metre = WIDTH * (RIGHT - LEFT) / (STEP_WIDTH * STEPS)  # inches
    total = sum(metre * (top - low) + GAP for low, top in spans) + HEADER + FOOTER
    figure = Figure(figsize=(WIDTH, total), facecolor="white")
    reached = HEADER
    for row, (low, top) in zip(page.rows, spans, strict=True):
        height = metre * (top - low)
        axes = figure.add_axes((LEFT, 1 - (reached + height) / total, RIGHT - LEFT, height / total))
        reached += height + GAP
        axes.set(xlim=(0, STEP_WIDTH * STEPS), ylim=(low, top), xticks=[], yticks=[])
        _draw_row(axes, row, STEP_WIDTH)
        for spine in axes.spines.values():
            spine.set_color("#cccccc")
        axes.text(-0.012, 0.5, row.title, transform=axes.transAxes, ha="right", va="center", fontsize=12, color=INK)
    figure.text(LEFT, 1 - 0.3 / total, page.title, fontsize=15, fontweight="bold", color=INK, va="center")
    figure.text(LEFT, 1 - 0.62 / total, "time runs from left to right", fontsize=11, color=GREY, va="center")
    figure.text(LEFT, 0.22 / total, page.credit, fontsize=10, color=GREY, va="center")
    key = [
        Line2D([], [], color=s["color"], linewidth=s["linewidths"], linestyle=s["linestyles"], label=label)
        for label, s in (("the person's left", _STYLE["left"]), ("the person's right", _STYLE["right"]))
    ]
    figure.legend(
        handles=key, loc="upper right", bbox_to_anchor=(RIGHT, 1 - 0.52 / total), ncols=2, frameon=False,
        fontsize=11, handlelength=3.2, borderaxespad=0.0,
    )  # fmt: skip
    return figure


def stand_in_page() -> Page:
    """Eight actions of the NTU-60 stand-in, each by another person, the last two by two people."""
    x, meta = synthetic.generate("ntu60", "demo", 32)
    titles = synthetic.class_titles("ntu60", "demo")
    rows = []
    for label, rank in _SHOWN:
        row = int(np.flatnonzero(meta["label"].to_numpy() == label)[rank])
        rows.append(Sequence3D(titles[label].replace(" a ", "\na "), x[row]))
    return Page(
        "skeletons-stand-in",
        "Synthetic stand-in for NTU RGB+D 60, as a network sees it",
        "Generated, not recorded. People are centred on the spine shoulder and turned to face the sensor.",
        rows,
    )


def recorded_page(name: str, frames: int, data: Path) -> Page:
    """The first recording of up to eight classes of a prepared data set, two of them with two people if any are."""
    entry = catalog.dataset(name)
    x, meta, _ = store.load(store.folder_of(data, name, frames))
    label, pairs = meta["label"].to_numpy(), meta["persons"].to_numpy() > 1
    together = _spread(np.flatnonzero(pairs), label, 2)
    shown = np.sort([*together, *_spread(np.flatnonzero(~pairs), label, 8 - len(together))])
    rows = [Sequence3D(f"class {label[row]}", x[row]) for row in shown]
    return Page(f"skeletons-{name}", f"{entry.title}, prepared at {frames} frames", entry.credit, rows)


def _spread(rows: np.ndarray, label: np.ndarray, count: int) -> np.ndarray:
    """The first of `rows` of up to `count` classes, taken at even distance over the classes that occur."""
    first = rows[np.unique(label[rows], return_index=True)[1]]
    return first[:: max(1, -(-len(first) // count))]


def drawn(prepared: Sequence[Page] = ()) -> dict[str, Figure]:
    """Pictures of the stand-ins and of every prepared page (real recordings), by stem.

    Raises ValueError for a page without rows, a row that is not
    (3, T, 25, M), or two pages with one stem.
    """
    pages = [stand_in_page(), *prepared]
    stems = [page.stem for page in pages]
    if len(set(stems)) != len(stems):
        raise ValueError(f"two pages would be written to one file: {', '.join(stems)}; give each its own stem")
    for page in pages:
        if not page.rows:
            raise ValueError(f"page {page.stem!r} has no rows: give at least one sequence")
        for row in page.rows:
            if row.x.ndim != 4 or row.x.shape[0] != 3 or row.x.shape[2] != V:
                raise ValueError(f"{page.stem}: {row.title!r} has shape {row.x.shape}, needed is (3, T, {V}, M)")
            if not np.any(row.x):
                raise ValueError(f"{page.stem}: {row.title!r} holds no person: every coordinate is 0")
    return {page.stem: draw(page) for page in pages}


def draw_all(drawing: Drawing) -> dict[str, Figure]:
    """For the registry: the stand-in, and every data set that is prepared."""
    lengths = {name: recipes.frames_of(Settings(drawing.settings.recipe), name) for name in catalog.DATASETS}
    ready = {  # the longest that is prepared
        name: frames
        for name, numbers in lengths.items()
        for frames in numbers
        if catalog.prepared(name, frames, drawing.data) is None
    }
    return drawn([recorded_page(name, frames, drawing.data) for name, frames in ready.items()])
