"""How every picture looks: one colour, marker and dash per method, a page with title and foot, bytes that never change.

Why in one place: a reader who has learnt that SkeAttnCLR is the red star must find it in every picture. Methods also
differ in marker and dashes, so that a copy in grey, and colour-blind eyes, can tell them apart.
"""

from __future__ import annotations

import hashlib
import textwrap
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from benchmarks.recipes import Settings
from benchmarks.runs import Evaluate, Fuse, Pretrain, Raw, Run, Untrained
from methods import METHODS
from protocols.files import replacing

INK, GREY, FAINT = "#222222", "#6b6b6b", "#e2e2e2"
WARNING = "#9c1c00"
WIDTH, SIDE, TOP, LINE = 12.5, 0.35, 0.62, 0.22  # inches: page, margin, title, a line of notes


class Look(NamedTuple):
    """Colour, marker, size of the marker against others, and dashes of one method."""

    color: str
    marker: str
    size: float
    dash: Any  # matplotlib's linestyle


METHOD_STYLE: dict[str, Look] = {
    "skeletonclr": Look("#0b4f94", "o", 1.0, "solid"),
    "crossclr": Look("#56a5d8", "s", 0.95, (0, (5, 1.5))),
    "aimclr": Look("#007a5a", "^", 1.1, (0, (1, 1))),
    "hiclr": Look("#b565a7", "D", 0.85, (0, (6, 1.5, 1, 1.5))),
    "skelemixclr": Look("#e09a00", "v", 1.1, (0, (3, 1, 1, 1, 1, 1))),
    "skeattnclr": Look("#c8321b", "*", 1.6, "solid"),
    "supervised": Look("#111111", "X", 1.1, (0, (9, 2))),
    "untrained": Look("#9a9a9a", "<", 1.0, (0, (2, 2))),
    "untrained-calibrated": Look("#7a7a7a", ">", 1.0, (0, (4, 3))),
    "raw": Look("#5c4a3a", "P", 1.1, (0, (1, 3))),
}
_SPARE = ("#5f6f00", "#8c4a9e", "#00828c", "#a0522d", "#3d4fd1", "#7d2248")
_MARKERS = ("p", "h", "d", "8", "H", "o", "s", "^", "v", "D")
_DASHES = ((0, (7, 2, 2, 2)), (0, (2, 1)), (0, (4, 1, 1, 1)), (0, (1, 2)), (0, (8, 3)))


def look(name: str, variant: int = 0) -> Look:
    """The look of a method; a newcomer's follows from its name. Variants of one method keep its colour."""
    number = hashlib.sha256(name.encode()).digest()[0]
    spare = Look(_SPARE[number % len(_SPARE)], _MARKERS[number % 5], 1.0, _DASHES[number % len(_DASHES)])
    usual = METHOD_STYLE.get(name, spare)
    if not variant:
        return usual
    others = [(m, d) for m, d in zip(_MARKERS, _DASHES * 2, strict=True) if m != usual.marker]
    marker, dash = others[(variant - 1) % len(others)]
    return Look(usual.color, marker, 1.0, dash)


def name_of(run: Run | Untrained | Raw) -> str:
    """The key of METHOD_STYLE of whatever made the encoder behind a run."""
    match run:
        case Pretrain():
            return run.method
        case Untrained():
            return "untrained-calibrated" if run.calibrate else "untrained"
        case Raw():
            return "raw"
        case Fuse():
            return name_of(run.members[0])
        case Evaluate():
            return name_of(run.encoder)


def title_of(method: str) -> str:
    """A method as its authors write it."""
    return METHODS[method].__name__ if method in METHODS else method


def settings(extra: dict[str, str] | None = None) -> AbstractContextManager[None]:
    """matplotlib's own defaults, whatever the user's matplotlibrc says, so that bytes do not depend on it."""
    defaults: Any = {k: v for k, v in matplotlib.rcParamsDefault.items() if k != "backend"}
    return matplotlib.rc_context(defaults | (extra or {}))


def save(figure: Figure, out: Path, stem: str) -> list[Path]:
    """Writes `out/stem.png` and `out/stem.svg` atomically, the same bytes for the same figure; creates `out`."""
    files = [out / f"{stem}.png", out / f"{stem}.svg"]
    with settings({"svg.hashsalt": stem, "svg.fonttype": "path"}):
        with replacing(files[0]) as temporary, temporary.open("wb") as file:
            FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})
        with replacing(files[1]) as temporary, temporary.open("wb") as file:
            FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None, "Creator": None})
    return files


def banner(chosen: Settings) -> str:
    """What must stand in a picture of stand-ins; empty for real data."""
    return f"synthetic stand-in, {chosen.scale} scale: not comparable with the paper" if chosen.standin else ""


class Page:
    """A figure measured in inches from its top left corner: title, banner, notes at the foot, panels between."""

    def __init__(self, title: str, chosen: Settings, body: float, notes: str, width: float = WIDTH) -> None:
        """`body`: inches of height between title and notes, which are wrapped to the width."""
        lines = textwrap.wrap(notes, int((width - 2 * SIDE) * 13.8))
        warning = banner(chosen)
        self.width, self.top = width, TOP + (0.3 if warning else 0.0)
        self.height = self.top + body + 0.2 + LINE * len(lines)
        self.figure = Figure(figsize=(width, self.height), facecolor="white")
        self.text(SIDE, 0.34, title, fontsize=15, fontweight="bold")
        if warning:
            self.text(SIDE, 0.68, warning, fontsize=11.5, fontweight="bold", color=WARNING)
        for number, line in enumerate(lines):
            self.text(SIDE, self.height - 0.2 - LINE * (len(lines) - 1 - number), line, fontsize=10, color=GREY)

    def text(self, x: float, y: float, words: str, **style: Any) -> None:
        """Words at (x, y) inches from the top left corner, vertically centred."""
        usual = {"color": INK, "va": "center", "fontsize": 11}
        self.figure.text(x / self.width, 1 - y / self.height, words, **usual | style)

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes whose top left corner is (x, y), below the title; plain spines, faint grid left to the caller."""
        y += self.top
        box = (x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(box)
        axes.tick_params(labelsize=10, color="#bbbbbb", labelcolor=INK)
        for spine in axes.spines.values():
            spine.set_color("#bbbbbb")
        return axes

    def legend(self, handles: list[Any], y: float, columns: int, sample: float = 3.4) -> None:
        """One key for all panels, its upper edge `y` inches below the title; `sample` is the length of a line in it."""
        columns = -(-len(handles) // -(-len(handles) // columns))  # as even as that many rows allow
        self.figure.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(SIDE / self.width, 1 - (self.top + y) / self.height),
            ncols=columns, frameon=False, fontsize=11, handlelength=sample, borderaxespad=0.0, columnspacing=1.8,
        )  # fmt: skip
