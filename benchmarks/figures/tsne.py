"""Figures 5 and 6: t-SNE planes of SkeAttnCLR and SkeletonCLR, with numbers under each so that the eye is not alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks import recipes
from benchmarks.datasets import catalog
from benchmarks.figures.base import Drawing
from benchmarks.figures.style import FAINT, GREY, INK, SIDE, WIDTH, Page, look, title_of
from benchmarks.recipes import Settings
from benchmarks.runs import Evaluate, Run

METHODS = ("skeattnclr", "skeletonclr")
GAP, CAPTION, HEADING = 0.3, 0.62, 0.34  # inches
LEGIBLE = 20  # classes that a legend can name
COLOURS = ("#0b4f94", "#e09a00", "#111111", "#56a5d8", "#c8321b", "#007a5a", "#b565a7", "#8a8a8a", "#7a4a1e", "#a6b800")
MARKERS = ("o", "^", "s", "D", "v", "P")  # ten colours by six markers: sixty classes


@dataclass(frozen=True)
class Plane:
    """What one figure embeds."""

    data: str
    split: str
    streams: tuple[str, ...]

    def runs(self, settings: Settings, table: str = "") -> list[Run]:
        """Embeddings of both methods in every stream, of the first seed."""
        seed = settings.seeds[0]
        return [
            recipes.evaluation(
                settings,
                "embed",
                recipes.pretraining(settings, method, self.data, self.split, stream, seed),
                self.data,
                self.split,
            )
            for method in METHODS
            for stream in self.streams
        ]

    def draw(self, drawing: Drawing) -> Figure:
        """Two rows of streams, or one row when there is one stream."""
        runs = [run for run in self.runs(drawing.settings) if isinstance(run, Evaluate)]
        records = {run.id: drawing.record(run.id) for run in runs}
        return draw(self, drawing.settings, runs, records)


def draw(what: Plane, settings: Settings, runs: list[Evaluate], records: dict[str, dict[str, Any] | None]) -> Figure:
    """One panel per run; a run without a record has an empty one that says so."""
    columns = len(what.streams) if len(what.streams) > 1 else len(METHODS)
    panel = (WIDTH - 2 * SIDE - 2 * GAP) / 3
    width = 2 * SIDE + columns * panel + (columns - 1) * GAP
    rows = -(-len(runs) // columns)
    titles = catalog.class_titles(what.data, settings.standin, what.split)
    named = len(titles) <= LEGIBLE
    across = max(1, int((width - 2 * SIDE) / (0.5 + 0.079 * max(map(len, titles)))))
    key = 0.26 * -(-len(titles) // across) + 0.1 if named else 0.0
    tall = HEADING + panel + CAPTION
    where = f"{catalog.dataset(what.data).title}, {what.split}"
    page = Page(f"t-SNE of {where}", settings, rows * tall + key, _foot(runs, records, titles, named), width)
    for place, run in enumerate(runs):
        x = SIDE + (place % columns) * (panel + GAP)
        y = place // columns * tall + HEADING
        _panel(page, run, records[run.id], x, y, panel)
    if named:
        page.legend([_handle(label, title) for label, title in enumerate(titles)], rows * tall, across, sample=1.0)
    return page.figure


def _look(label: int) -> tuple[str, str]:
    """Colour and marker of a class; neighbours differ in both."""
    return COLOURS[label % len(COLOURS)], MARKERS[(label + label // len(COLOURS)) % len(MARKERS)]


def _handle(label: int, title: str) -> Line2D:
    colour, marker = _look(label)
    return Line2D([], [], linestyle="none", color=colour, marker=marker, markersize=7, label=title)


def _panel(page: Page, run: Evaluate, record: dict[str, Any] | None, x: float, y: float, size: float) -> None:
    axes = page.axes(x, y, size, size)
    axes.set(xticks=[], yticks=[])
    method = getattr(run.encoder, "method", "")
    heading = f"{title_of(method)}, {run.encoder.stream}"
    page.text(x, page.top + y - 0.16, heading, fontsize=12.5, fontweight="bold", color=look(method).color)
    if record is None:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", fontsize=12, color=GREY)
        return
    points = np.array(record["points"], dtype=np.float64)
    for label in np.unique(points[:, 2]).astype(int):
        colour, marker = _look(label)
        of_class = points[points[:, 2] == label]
        axes.scatter(
            of_class[:, 0], of_class[:, 1], s=float(np.clip(8000 / len(points), 5, 60)), color=colour, marker=marker,
            linewidths=0.3, edgecolors="white", rasterized=len(points) > 1500,  # an SVG of a million paths helps nobody
        )  # fmt: skip
    axes.set_box_aspect(1)
    axes.margins(0.04)
    axes.set_facecolor("#fcfcfc")
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    metrics = record["metrics"]
    for line, (suffix, words) in enumerate((("", "features"), ("_plane", "plane"))):
        silhouette = f"{round(metrics[f'silhouette{suffix}'], 2) + 0.0:.2f}".replace("-", "−")  # no minus zero
        text = f"{words}: silhouette {silhouette}, 1-NN {metrics[f'nearest{suffix}']:.1%}"
        page.text(x, page.top + y + size + 0.16 + 0.22 * line, text, color=INK if not line else GREY)


def _foot(runs: list[Evaluate], records: dict[str, Any], titles: list[str], named: bool) -> str:
    """The settings of what is shown, for the reader who wants to repeat it."""
    config, found = runs[0].config, [record for record in records.values() if record]
    sizes = sorted({len(record["points"]) for record in found})
    perplexities = sorted({round(record["metrics"]["perplexity"], 1) for record in found})
    shown = ", ".join(f"{value:g}" for value in perplexities)
    count = ", ".join(map(str, sizes))
    text = (
        f"{config.share:.0%} of every class of the training side (n = {count}), {config.features} features, seed "
        f"{runs[0].seed}. t-SNE of scikit-learn: perplexity {shown}, {config.iterations} iterations, "
        f"early exaggeration {config.exaggeration:g}, learning rate auto, PCA start, fixed random state. Silhouette "
        "(−1 to 1) and leave-one-out 1-NN accuracy: of the features, then of the plane above."
    )
    return text if named else f"{text} {len(titles)} classes, told apart by ten colours and six markers."


def drawer(name: str, what: Plane) -> Callable[[Drawing], dict[str, Figure]]:
    """For the registry: the one file of a figure."""
    return lambda drawing: {name: what.draw(drawing)}
