"""`bench.py profile train --part step`: measures SkeAttnCLR's training step and writes its two pages."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks.machine import hardware
from benchmarks.throughput.operations import KINDS, OTHER
from benchmarks.throughput.page import write
from benchmarks.throughput.step import AGREE, OURS, PLAIN, SMOKE, Size, Sizes, alone, compare, grow, shares


def line(what: str, size: Size, form: str, seconds: list[float], base: list[float] | None, memory: float) -> Any:
    """A row of the table; the ratio is to plain, the median of the ratios round by round."""
    middle = statistics.median(seconds)
    ratio = statistics.median(a / b for a, b in zip(base, seconds, strict=True)) if base else float("nan")
    return {
        "varied": what,
        "width": size.width,
        "batch": size.batch,
        "frames": size.frames,
        "queue": size.queue,
        "form": form,
        "step, ms": float(f"{1000 * middle:.4g}"),
        "lowest": float(f"{1000 * min(seconds):.4g}"),
        "highest": float(f"{1000 * max(seconds):.4g}"),
        "samples/s": float(f"{size.batch / middle:.3g}"),
        "x plain": float(f"{ratio:.3g}"),
        "peak memory, GB": float(f"{memory / 1e9:.3g}"),
    }


def profile(sizes: Sizes, device: str, rounds: int, out: Path, say: Callable[[str], None]) -> Iterator[Path]:
    """Measures; writes `out/step-<machine>` and `out/operations-<machine>`, .md and .csv; gives the pages."""
    threads, name = 1, hardware.name(device)
    command = f"python bench.py profile train --part step{' --scale smoke' * (sizes is SMOKE)}"
    rows: list[Any] = []
    absent: list[str] = []
    for size in sizes.forms:
        seconds = compare(size, device, rounds, threads)
        for form, spent in seconds.items():
            rows.append(line("form", size, form, spent, seconds[PLAIN], float("nan")))
            say(f"{size}: {form}: {rows[-1]['step, ms']} ms, {rows[-1]['x plain']} x plain")
    for what, grown in sizes.grown.items():
        for size in grown:
            try:
                spent, memory = alone(grow, size, device, 1, threads)
            except (MemoryError, RuntimeError) as error:  # also a process that the system ended for its memory
                say(f"{what}: {size}: not measured: {str(error).splitlines()[0]}")
                absent.append(str(size))
                continue
            rows.append(line(what, size, OURS, spent, None, memory))
            say(f"{what}: {size}: {rows[-1]['step, ms']} ms")
    system = "one thread, as in a run; " if device == "cpu" else ""
    text = (
        f"`{command}` on {name}, {system}PyTorch {torch.__version__}: a whole step of "
        "SkeAttnCLR on ST-GCN, all else as in the paper, two persons: views, loss, backward pass, optimiser, momentum "
        f"encoder, queue. Forms: {rounds} rounds after one that warms up, in turn, medians; the ratio is the median of "
        "the ratios round by round. Plain is the releases' way (benchmarks/throughput/plain_step.py); without dropout "
        f"and rounding both have the same losses in {AGREE} steps, and the same momentum encoder after them. What is "
        "varied: one step after one that warms up, in a process of its own, whose peak of memory it is."
        + (f" More than this machine's memory: {'; '.join(absent)}." if absent else "")
    )
    table = pd.DataFrame(rows).astype(object)
    yield write(out / f"step-{name}", "A training step", text, table.where(lambda cells: cells.notna(), ""))

    found = {str(size): alone(shares, size, device, threads) for size in sizes.forms}
    kinds = pd.DataFrame(
        {
            "size": size,
            "operations": kind,
            f"{PLAIN}, ms": round(both[PLAIN][kind], 1),
            f"{OURS}, ms": round(both[OURS][kind], 1),
            f"{PLAIN}, share": round(both[PLAIN][kind] / sum(both[PLAIN].values()), 3),
            f"{OURS}, share": round(both[OURS][kind] / sum(both[OURS].values()), 3),
        }
        for size, both in found.items()
        for kind in [*KINDS, OTHER]
    )
    text = (
        f"`{command}` on {name}, {system}PyTorch {torch.__version__}: time by kind of "
        f"operation in one step as torch.profiler counts it, which slows small operations; see step-{name}.md for what "
        "a step takes. NumPy's part of the plain views is not among them."
    )
    yield write(out / f"operations-{name}", "Where the time of a step goes", text, kinds)
