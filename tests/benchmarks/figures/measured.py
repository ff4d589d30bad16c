"""Made-up records of real runs, and a check that words in a picture stay on the paper and apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from benchmarks.datasets import catalog
from benchmarks.figures import FIGURES, Drawing, style
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.runs import Evaluate, Fuse, Pretrain, Run


def pretend(store: Store, runs: Iterable[Run], points: int = 40) -> None:
    """A record for every run, with numbers that depend on its id alone."""
    store.prepare()
    for run in runs:
        draw = np.random.default_rng(int(hashlib.sha256(run.id.encode()).hexdigest()[:8], 16))
        data = run.members[0].data if isinstance(run, Fuse) else run.data
        classes = catalog.classes(data.name, data.standin, data.split)
        record: dict[str, Any] = {"run": run.id, "kind": type(run).__name__, "status": "ok", "spec": run.spec()}
        values = draw.uniform(0.2, 0.9, 4).round(4).tolist()
        metrics = dict(zip(("top1", "knn20", "nearest", "logistic"), values, strict=True))
        record["metrics"] = metrics
        if isinstance(run, Pretrain):
            record["history"] = [{"epoch": n, "knn20": 0.3 + 0.01 * n + 0.1 * draw.random()} for n in (10, 20, 30)]
        elif isinstance(run, Evaluate) and run.protocol == "embed":
            metrics |= {"silhouette": -0.004, "silhouette_plane": 0.25, "nearest_plane": 0.5, "perplexity": 20.0}
            label = np.arange(points) % classes
            plane = draw.normal(size=(points, 2)) + 3 * np.random.default_rng(1).normal(size=(classes, 2))[label]
            record["points"] = [[round(x, 3), round(y, 3), int(k)] for (x, y), k in zip(plane, label, strict=True)]
        else:
            record["per_class"] = [None, *draw.uniform(0, 1, classes - 1).round(4).tolist()]
        store.write_record(record)


def drawn(
    name: str, root: Path, settings: Settings, table: str = "", seeds: tuple[int, ...] | None = None, points: int = 40
) -> Figure:
    """The one figure of that name, from made-up records of `seeds` (default: all that the settings ask for)."""
    spec = FIGURES[name]
    measured = settings if seeds is None else Settings(settings.recipe, settings.scale, seeds, settings.overrides)
    pretend(Store(root), spec.runs(measured, table), points)
    with style.settings():
        [figure] = spec.draw(Drawing(settings, table or spec.table, Store(root), root / "data")).values()
    return figure


def words(figure: Figure) -> list[str]:
    """Every text in a picture."""
    return [text.get_text() for text in _texts(figure)]


def _texts(figure: Figure) -> list[Text]:
    found = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible() and bool(artist.get_text()))
    return [text for text in found if isinstance(text, Text)]


def check_words(figure: Figure) -> None:
    """Every text is large enough, on the paper, and covers no other."""
    FigureCanvasAgg(figure).draw()
    hidden = {id(text) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for text in _out_of_view(axis)}
    shown = [(text, text.get_window_extent()) for text in _texts(figure) if id(text) not in hidden]
    for text, box in shown:
        assert float(text.get_fontsize()) >= 9, text.get_text()
        assert min(box.x0, box.y0) >= 0, text.get_text()
        assert box.x1 <= figure.bbox.x1, text.get_text()
        assert box.y1 <= figure.bbox.y1, text.get_text()
    for number, (text, box) in enumerate(shown):
        for other, place in shown[number + 1 :]:
            assert not box.overlaps(place), f"{text.get_text()!r} covers {other.get_text()!r}"


def _out_of_view(axis: Axis) -> list[Text]:
    """matplotlib keeps labels of ticks beyond the limits, and never draws them."""
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if not low - 1e-9 <= tick.get_loc() <= high + 1e-9]
    return [label for tick in ticks for label in (tick.label1, tick.label2)]
