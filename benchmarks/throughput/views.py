"""How fast views are made, in batch where the data lie, against the plain way, sample by sample in a DataLoader.

Why: an epoch makes two views and a mix of every sample; where that is slower than the network, a GPU waits. Both start
with samples in memory and end with SkeAttnCLR's three views on the device. They take turns, so that a busy machine
slows both, each turn a shuffled epoch of its own.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

import backbones
import methods
from backbones.stgcn import STGCN
from benchmarks.datasets.standin import synthetic
from benchmarks.machine import hardware
from benchmarks.throughput import plain_views
from benchmarks.throughput.clock import wait
from benchmarks.throughput.page import write
from methods import Method
from methods.skeattnclr import SkeAttnCLR

BATCHES, FRAMES, SAMPLES = (16, 32, 64, 128, 256, 512), (32, 64, 128, 256), (1024, 4096, 16384, 65536)
BATCH, LENGTH, COUNT = 128, 64, 1024  # where not varied
COMPARED = (16, 128)  # batches at which all forms are measured
PLAIN = ((0, False), (1, False), (2, False), (0, True), (1, True))
OURS = "ours, in batch"
ROUNDS, SECONDS = 5, 0.2  # a turn takes about so long
FEWEST = 2  # batches of a turn


@dataclass(frozen=True)
class Place:
    """What is measured where: one line of the table for each form."""

    what: str
    batch: int
    samples: int
    frames: int
    cores: int
    plain: tuple[tuple[int, bool], ...] = ((0, False),)  # workers, and whether the shear is lean


def plain(workers: int, lean: bool = False) -> str:
    """The name of a plain form."""
    return f"{'lean' if lean else 'plain'}, {workers} worker{'' if workers == 1 else 's'}"


def places(cores: int) -> list[Place]:
    """All forms on one core and on all, then ours and plain without workers as batch, data set and clips grow."""
    found = [Place("forms", batch, COUNT, LENGTH, c, PLAIN) for batch in COMPARED for c in dict.fromkeys((1, cores))]
    found += [Place("batch", batch, COUNT, LENGTH, 1) for batch in BATCHES]
    found += [Place("samples", BATCH, samples, LENGTH, 1) for samples in SAMPLES]
    return found + [Place("frames", BATCH, COUNT, frames, 1) for frames in FRAMES]


def method() -> Method:
    """SkeAttnCLR with the paper's augmentation around a small network: it is the views that are wanted."""
    net = backbones.build("stgcn", STGCN.Config(width=4, out=8))
    return methods.build("skeattnclr", SkeAttnCLR.Config(dim=8, queue=8), net, "joint")


@contextlib.contextmanager
def on_cores(cores: int) -> Iterator[None]:
    """This process, and the workers that it starts, on so many cores with so many threads; as before afterwards."""
    threads = torch.get_num_threads()
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    try:
        torch.set_num_threads(cores)
        if allowed:
            os.sched_setaffinity(0, sorted(allowed)[:cores])
        yield
    finally:
        torch.set_num_threads(threads)
        if allowed:
            os.sched_setaffinity(0, allowed)


def turns(place: Place, x: np.ndarray, device: str) -> dict[str, Callable[[int], None]]:
    """Every form as a function that makes so many batches of views."""
    made, resident, generator = method(), torch.from_numpy(x).to(device), torch.Generator().manual_seed(0)

    def ours(steps: int) -> None:
        order = torch.randperm(len(resident)).to(device)
        for step in range(steps):
            first = step * place.batch % (len(order) - place.batch + 1)
            made.views(resident.index_select(0, order[first : first + place.batch]), generator)
        wait(device)

    def plainly(workers: int, lean: bool) -> Callable[[int], None]:
        kept: dict[int, DataLoader[Any]] = {}  # the last: its workers live on from turn to turn
        data = plain_views.Samples(x, lean)

        def turn(steps: int) -> None:
            if steps not in kept:
                kept.clear()
                kept[steps] = plain_views.loader(data, place.batch, steps, workers)
            for _ in plain_views.views(kept[steps], device):
                pass
            wait(device)

        return turn

    return {OURS: ours} | {plain(*form): plainly(*form) for form in place.plain}


def measure_place(place: Place, x: np.ndarray, device: str) -> list[dict[str, Any]]:
    """A line per form. The ratio is to the plain form without workers, the median of the ratios round by round."""
    with on_cores(place.cores):
        forms = turns(place, x, device)
        steps = {name: _steps(turn) for name, turn in forms.items()}
        for name, turn in forms.items():
            turn(steps[name])  # starts the workers
        rates: dict[str, list[float]] = {name: [] for name in forms}
        for _ in range(ROUNDS):
            for name, turn in forms.items():
                rates[name].append(steps[name] * place.batch / _seconds(turn, steps[name]))
    base = rates[plain(0)]
    return [
        {
            "varied": place.what,
            "batch": place.batch,
            "samples": place.samples,
            "frames": place.frames,
            "cores": place.cores,
            "form": name,
            "samples/s": round(statistics.median(found)),
            "lowest": round(min(found)),
            "highest": round(max(found)),
            "x plain": round(statistics.median(a / b for a, b in zip(found, base, strict=True)), 1),
        }
        for name, found in rates.items()
    ]


def _seconds(turn: Callable[[int], None], steps: int) -> float:
    started = time.perf_counter()
    turn(steps)
    return time.perf_counter() - started


def _steps(turn: Callable[[int], None]) -> int:
    """So many batches that a turn takes about SECONDS."""
    turn(FEWEST)
    return max(FEWEST, round(FEWEST * SECONDS / _seconds(turn, FEWEST)))


def profile(device: str, cores: int, out: Path, say: Callable[[str], None]) -> Path:
    """Measures, writes `out/views-<machine>.md` and `.csv`, and returns the first."""
    lines: list[dict[str, Any]] = []
    x = synthetic.repeated(0, LENGTH)
    for place in places(cores):
        if x.shape[0] != place.samples or x.shape[2] != place.frames:
            x = synthetic.repeated(place.samples, place.frames)
        lines += measure_place(place, x, device)
        ours = lines[-1 - len(place.plain)]
        say(
            f"  {place.what}: batch {place.batch}, {place.samples} samples, {place.frames} frames, {place.cores} "
            f"core(s): {ours['samples/s']} samples/s, {ours['x plain']} x plain"
        )
    name = hardware.name(device)
    text = (
        f"`python bench.py profile data --part views` on {name}, PyTorch {torch.__version__}: SkeAttnCLR's three views "
        "(crop and shear twice, mixing once) of clips of two persons, from samples in memory. "
        f"{ROUNDS} rounds of about {SECONDS} s, the forms in turn, medians; the ratio is to plain without workers, the "
        "median of the ratios round by round. The plain form augments each sample in NumPy, as the releases do, in a "
        "DataLoader that collates and, with workers, copies between processes; the training loop converts to float32 "
        "and mixes. The lean form is the same with the best shear that NumPy has, in float32. Cores are what the "
        "process and its workers may use."
    )
    return write(out / f"views-{name}", "Making views", text, pd.DataFrame(lines))
