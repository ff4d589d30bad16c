"""What SkeAttnCLR calls salient: its mask M_s (equation 4) drawn on the joints of skeletons over time."""

from __future__ import annotations

import matplotlib
import numpy as np
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from backbones.streams import to_stream
from benchmarks import recipes
from benchmarks.datasets import catalog
from benchmarks.figures import skeletons
from benchmarks.figures.base import Absent, Drawing
from benchmarks.figures.style import FAINT, GREY, SIDE, WIDTH, Page, title_of
from benchmarks.recipes import Settings
from benchmarks.running.execute import build_method, header_of
from benchmarks.runs import Pretrain, Run
from benchmarks.tables import TABLES
from methods import Encoder
from protocols.checkpoint import load_encoder
from protocols.pretrain import attention_path, encoder_path

METHOD, STREAM = "skeattnclr", "joint"
SAMPLES, LEFT, GAP, BAR = 4, 1.75, 0.1, 0.85  # rows; inches for their names, between them, for the colour bar
DOTS = (10.0, 90.0)  # square points of the least and of the most salient joint
DARKER = LinearSegmentedColormap.from_list("darker", matplotlib.colormaps["magma_r"](np.linspace(0.12, 0.92, 64)))


def runs(settings: Settings, table: str) -> list[Run]:
    """The method's pretraining on the joint stream of the table's first data set and split, first seed."""
    data, split = TABLES[table].data[0]
    return [recipes.pretraining(settings, METHOD, data, split, STREAM, settings.seeds[0])]


def upsampled(mask: np.ndarray, frames: int) -> np.ndarray:
    """(M, T', V) -> (M, T, V): a token stands in the middle of the frames that it covers, values between are linear."""
    steps = mask.shape[1]
    centres = (np.arange(steps) + 0.5) * frames / steps - 0.5
    series = mask.transpose(0, 2, 1).reshape(-1, steps)
    dense = np.stack([np.interp(np.arange(frames), centres, values) for values in series])
    return dense.reshape(mask.shape[0], mask.shape[2], frames).transpose(0, 2, 1)


@torch.no_grad()
def salience(encoder: Encoder, mask: torch.nn.Module, x: torch.Tensor) -> np.ndarray:
    """M_s of clean samples x (B, 3, T, V, M), mean over channels and upsampled: (B, M, T, V), 0 to 1.

    Raises:
        ValueError: when the backbone's tokens form no grid of frames and joints.
    """
    frames = x.shape[2]
    grid = encoder.backbone.grid(frames)
    if grid is None:
        raise ValueError(f"{type(encoder.backbone).__name__} has no (T', V) grid to draw on a skeleton")
    tokens = encoder(x).tokens
    values = mask(tokens.flatten(0, 1), encoder.backbone.mask_pooling).mean(dim=-1)
    values = values.view(*tokens.shape[:2], *grid).numpy()
    return np.stack([upsampled(sample, frames) for sample in values])


def draw(drawing: Drawing) -> dict[str, Figure]:
    """A row per sample, of different classes, from the test side; one colour scale for all."""
    [run] = runs(drawing.settings, drawing.table)
    assert isinstance(run, Pretrain)
    select = recipes.resolve(drawing.settings, METHOD, run.data.name, STREAM).select
    folder = drawing.store.folder(run.id)
    if not attention_path(folder, select).exists():
        raise Absent(
            f"{folder} holds no attention mask: the encoder was trained before masks were kept, or elsewhere. Pretrain "
            f"it again: remove that folder and {drawing.store.records / run.id}.json, and run the same command"
        )
    expected = header_of(run) | {"select": select}
    encoder = load_encoder(encoder_path(folder, select), lambda: build_method(run).encoder(), expected)
    mask = load_encoder(attention_path(folder, select), lambda: _mask(run), expected)
    data = run.data
    test = catalog.splits(data.name, data.split, data.frames, drawing.data, data.standin).test
    first = test.rows[np.unique(test.y[test.rows], return_index=True)[1]]  # of every class
    picked = first[np.linspace(0, len(first) - 1, min(SAMPLES, len(first))).round().astype(int)]
    titles = catalog.class_titles(data.name, data.standin, data.split)
    x = test.x[picked]
    rows = [skeletons.Sequence3D(_broken(titles[test.y[n]]), sample) for n, sample in zip(picked, x, strict=True)]
    return {
        "attention": picture(
            drawing.settings, run, rows, salience(encoder, mask, to_stream(torch.from_numpy(x), STREAM))
        )
    }


def _mask(run: Pretrain) -> torch.nn.Module:
    mask = build_method(run).attention()
    assert mask is not None
    return mask


def _broken(title: str) -> str:
    """A class title in lines that fit beside a row."""
    words, lines = title.split(), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > 17:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def picture(settings: Settings, run: Pretrain, rows: list[skeletons.Sequence3D], values: np.ndarray) -> Figure:
    """The page; values (rows, M, T, V)."""
    present = [np.any(row.x, axis=0) for row in rows]  # (T, V, M)
    seen = [value[there.transpose(2, 0, 1)] for value, there in zip(values, present, strict=True)]
    means = [float(some.mean()) for some in seen]  # clips differ more than joints do: each is seen against its own mean
    values = np.stack([value - mean for value, mean in zip(values, means, strict=True)])
    shown = np.concatenate([some - mean for some, mean in zip(seen, means, strict=True)])
    scale = Normalize(float(shown.min()), float(shown.max()), clip=True)  # a joint at the origin is not in `shown`
    width = WIDTH - 2 * SIDE - LEFT
    metre = width / (skeletons.STEP_WIDTH * skeletons.STEPS)
    spans = [skeletons.span(row) for row in rows]
    heights = [metre * (top - low) for low, top in spans]
    where = f"{catalog.dataset(run.data.name).title}, {run.data.split}"
    notes = (
        f"{where}, test side, clean samples; {run.backbone}, {STREAM} stream, seed {run.seed}. Mask M_s of equation 4, "
        "mean over channels, interpolated between tokens in time. The larger and darker a joint, the more salient."
    )
    page = Page(f"What {title_of(run.method)} calls salient", settings, sum(heights) + GAP * len(rows) + BAR, notes)
    y = 0.0
    for row, value, mean, (low, top), height in zip(rows, values, means, spans, heights, strict=True):
        axes = page.axes(SIDE + LEFT, y, width, height)
        axes.set(xlim=(0, skeletons.STEP_WIDTH * skeletons.STEPS), ylim=(low, top), xticks=[], yticks=[])
        for step, person, frame, points in skeletons.placed(row, skeletons.STEP_WIDTH):
            axes.add_collection(
                LineCollection([points[[a, b]] for a, b in skeletons.DRAWN], colors=GREY, linewidths=1.0)
            )
            weight = scale(value[person, frame])
            order = np.argsort(weight)  # the most salient are drawn last
            size = DOTS[0] + (DOTS[1] - DOTS[0]) * np.asarray(weight)
            axes.scatter(*points[order].T, s=size[order], c=value[person, frame][order], cmap=DARKER, norm=scale,
                         linewidths=0.4, edgecolors="white", zorder=3)  # fmt: skip
            if step:
                axes.axvline(skeletons.STEP_WIDTH * step, color=FAINT, linewidth=0.7, zorder=0)
        middle = page.top + y + height / 2
        page.text(SIDE + LEFT - 0.15, middle, row.title, ha="right", linespacing=1.3)
        page.text(SIDE + LEFT - 0.15, middle + 0.45, f"mean {mean:.3f}", ha="right", color=GREY)
        y += height + GAP
    page.text(SIDE + LEFT + width, 0.34, "time runs from left to right", ha="right", color=GREY)
    bar = page.axes(SIDE + LEFT, y + 0.12, 5.0, 0.16)
    page.figure.colorbar(ScalarMappable(scale, DARKER), cax=bar, orientation="horizontal", ticks=MaxNLocator(5))
    bar.tick_params(labelsize=10)
    page.text(SIDE + LEFT + 5.3, page.top + y + 0.2, "M_s, mean over channels, minus the clip's own mean")
    return page.figure
