"""The page, the picture and the comparison of `profile kernels`, all from its CSV."""

# pandas annotates what a selection gives too widely
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportGeneralTypeIssues=false

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, LogLocator

from benchmarks.figures import style
from benchmarks.figures.style import SIDE, Page
from benchmarks.machine import hardware
from benchmarks.recipes import Settings
from methods.kernels import FORMS

KEY = ["case", "R", "n", "C", "heads", "pooling", "products", "pass", "form"]
FIGURES = ["p20, ms", "p50, ms", "p80, ms", "samples/s", "TFLOP/s", "GB/s", "of the roofline", "bound by", "peak, MB"]
COLORS = {
    "reference": ("#9a9a9a", "o"), "sdpa": ("#0b4f94", "s"), "rows": ("#007a5a", "^"),
    "narrow": ("#7a5a00", "<"),
    "sdpa + pool": ("#e09a00", "D"), "joined": ("#c8321b", "*"), "torch.compile(reference)": ("#5c4a3a", "v"),
    "torch.compile(sdpa)": ("#b565a7", "P"),
}  # fmt: skip


def write(stem: Path, device: str, found: pd.DataFrame, sentences: list[str]) -> Path:
    """Writes stem.csv and .md, and where a form was timed .png and .svg; returns the page."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    lacking = [column for column in (*KEY, *FIGURES, "note") if column not in found]  # when time was over at once
    found = found.reindex(columns=[*found.columns, *lacking])
    found.map(_rounded).to_csv(stem.with_name(f"{stem.name}.csv"), index=False, lineterminator="\n")
    found = read(stem.with_name(f"{stem.name}.csv"))
    on_gpu = device.startswith("cuda")
    clock = (
        "Milliseconds by CUDA events, the L2 cache overwritten before every call."
        if on_gpu
        else "Milliseconds by the wall clock on one thread, as in a run's worker process, at a few rows of attention: "
        "no figure here says anything about a GPU. The Triton kernels are not timed (an interpreter's time means "
        "nothing), and have not run on a GPU yet: tests run them in Triton's interpreter and compile them for one."
    )
    shown = bool(found["of the roofline"].notna().any())
    where = f"{hardware.name(device)}, PyTorch {torch.__version__}"
    text = [
        f"`python bench.py profile kernels --device {device.partition(':')[0]}` on {where}. {clock} Forms take turns, "
        "round by round; p20, p50 and p80 are over rounds. Forward keeps what backward needs. FLOP, bytes and "
        "exponentials are counted, the least that any form must do: a form that moves more has no higher GB/s for it. "
        "The roofline's fraction is the time of that least at this run's own ceilings (below), the largest of the "
        "three, over the time measured; it can pass 1 where a small shape stays in a cache.",
        *sentences,
        *([f"![roofline]({stem.name}.png)", _fastest(found)] if shown else []),
        *_tables(found),
    ]
    page = stem.with_name(f"{stem.name}.md")
    page.write_text("# Attention mask and mask pooling\n\n" + "\n\n".join(text) + "\n", encoding="utf-8")
    if shown:
        with style.settings():
            style.save(picture(found, where), stem.parent, stem.name)
    return page


def read(path: Path) -> pd.DataFrame:
    """A CSV of this command.

    Raises:
        ValueError: when it is none.
    """
    found = pd.read_csv(path)
    if missing := {*KEY, "p50, ms", "note"} - set(found.columns):
        raise ValueError(f"{path} is no CSV of `profile kernels`: it has no column {', '.join(sorted(missing))}")
    return found


def _rounded(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _tables(found: pd.DataFrame) -> list[str]:
    """One table per shape, and one of the ceilings."""
    parts = []
    for name, lines in found.groupby("case", sort=False):
        if name == "ceiling":
            shown = lines[["form", "products", "TFLOP/s", "GB/s", "10⁹/s"]]
            parts.append(f"## Ceilings, measured in the same run\n\n{_markdown(shown)}")
            continue
        first = lines.iloc[0]
        shape = f"R {first['R']:.0f}, n {first['n']:.0f}, C {first['C']:.0f}, {first['heads']:.0f} heads"
        columns = [c for c in ("products", "pass", "form", *FIGURES, "note") if lines[c].notna().any()]
        parts.append(f"## {name}\n\n{shape}, pooling {first['pooling']}.\n\n{_markdown(lines[columns])}")
    return parts


def _fastest(found: pd.DataFrame) -> str:
    """What `auto` should take: the fastest form, forward and backward, of every shape and kind of products."""
    timed = found[(found["pass"] == "forward + backward") & found["form"].isin(FORMS) & found["p50, ms"].notna()]
    if timed.empty:
        return ""
    best = timed.loc[timed.groupby(["case", "products"], sort=False)["p50, ms"].idxmin()]
    plain = timed[timed["form"] == "reference"].set_index(["case", "products"])["p50, ms"]
    gain = [plain.get((case, kind), np.nan) for case, kind in zip(best["case"], best["products"], strict=True)]
    shown = best[["case", "n", "C", "heads", "products", "form", "p50, ms"]].assign(**{"x reference": gain})
    shown["x reference"] /= best["p50, ms"]
    return (
        "## The fastest form\n\nForward and backward together, without those that torch.compile makes. Lines of a GPU "
        f"belong into MEASURED of `methods/kernels/choice.py`.\n\n{_markdown(shown)}"
    )


def _markdown(lines: pd.DataFrame) -> str:
    def shown(value: object) -> object:
        if not isinstance(value, float):
            return value
        return "" if np.isnan(value) else f"{value:.0f}" if value >= 1000 else f"{value:.3g}"

    return lines.map(shown).to_markdown(index=False, disable_numparse=True)


def picture(found: pd.DataFrame, where: str) -> Figure:
    """The roofline of every kind of products at the first shape: FLOP per byte against TFLOP/s, a mark per form."""
    timed = found[found["of the roofline"].notna()]
    shown = timed[timed["case"] == timed["case"].iloc[0]] if len(timed) else timed
    kinds = list(dict.fromkeys(shown["products"]))
    tops = found[found["case"] == "ceiling"]
    bandwidth = float(tops.loc[tops["form"] == "copy", "GB/s"].iloc[0]) / 1000  # TB/s
    first = shown.iloc[0]
    notes = (
        f"{where}. {first['case']}: R {first['R']:.0f}, n {first['n']:.0f}, C {first['C']:.0f}. Filled: forward; open: "
        "forward + backward. Counted FLOP and bytes; slope and level are ceilings measured in the same run, copying "
        "and torch.mm; a dashed line, where there is one, is what exponentials alone allow the forward pass."
    )
    columns = min(2, len(kinds))
    height, step = 4.2, (style.WIDTH - 2 * SIDE) / columns
    rows = -(-len(kinds) // columns)
    page = Page("How far from the roofline", Settings(scale="full"), height * rows + 0.9, notes)
    for at, kind in enumerate(kinds):
        axes = page.axes(
            SIDE + 0.75 + (at % columns) * step, 0.25 + height * (at // columns), step - 1.0, height - 0.95
        )
        level = float(tops.loc[(tops["form"] == "torch.mm") & (tops["products"] == kind), "TFLOP/s"].iloc[0])
        lines = shown[shown["products"] == kind]
        ends = [*lines["FLOP/byte"], level / bandwidth]  # where slope and level meet
        x = np.geomspace(min(ends) / 4, max(ends) * 4, 200)
        axes.loglog(x, np.minimum(bandwidth * x, level), color="#222222", lw=1.5)
        forward = lines[(lines["pass"] == "forward") & (lines["bound by"] == "exp")]
        if len(forward):
            peak = float((forward["TFLOP/s"] / forward["of the roofline"]).iloc[0])
            axes.axhline(peak, color="#9c1c00", lw=1, ls="--")
        for line in lines.to_dict("records"):
            color, marker = COLORS[line["form"]]
            face = color if line["pass"] == "forward" else "white"
            axes.plot(line["FLOP/byte"], line["TFLOP/s"], marker, color=color, mfc=face, ms=8)
        axes.set_title(kind, fontsize=11, loc="left")
        axes.set_xlabel("FLOP per byte")
        axes.set_ylabel("TFLOP/s")
        axes.tick_params(which="minor", labelbottom=False, labelleft=False)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.grid(color="#e2e2e2", lw=0.6)
    names = list(dict.fromkeys(shown["form"]))
    handles = [Line2D([], [], color=COLORS[n][0], marker=COLORS[n][1], ls="", label=n) for n in names]
    page.legend(handles, height * rows + 0.2, 4, 1.0)
    return page.figure


def compare(before: Path, after: Path) -> str:
    """Two CSVs line by line: p50 of both and how many times faster the second is, and what only one of them has."""
    one, other = (read(path).dropna(subset=["p50, ms"])[[*KEY, "p50, ms"]] for path in (before, after))
    both = one.merge(other, on=KEY, suffixes=(" before", " after"))
    if both.empty:
        raise ValueError(f"{before} and {after} have no measured line in common")
    both["times faster"] = both["p50, ms before"] / both["p50, ms after"]
    alone = f"{len(one) - len(both)} lines are in {before.name} alone, {len(other) - len(both)} in {after.name} alone."
    shown = ["case", "R", "products", "pass", "form", "p50, ms before", "p50, ms after", "times faster"]
    return f"before: {before.name}\nafter: {after.name}\n\n{_markdown(both[shown])}\n\n{alone}"
