"""How fast every method trains every backbone: the real training loop on stand-in clips, at the recipe's sizes.

Why: 300 epochs are days; whoever plans them wants samples per second, memory and work per sample before starting. Each
pair has a process of its own, so that its peak of memory is its own too.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import backbones
import methods
from benchmarks import recipes
from benchmarks.datasets.standin import synthetic
from benchmarks.machine import hardware, workers
from benchmarks.recipes import Settings
from benchmarks.runs import Pretrain
from benchmarks.tables.base import unsupported
from benchmarks.throughput import clock
from benchmarks.throughput.page import write
from protocols import knn
from protocols.base import Context, Split, Splits
from protocols.precision import ordered
from protocols.pretrain import pretrain

ROUNDS = 3  # measured epochs, after one that warms up
COUNTED = 4  # samples of the step whose operations are counted: the fewest that every method mixes
CPU_BATCH = 8  # of a full-size step on a CPU, where the paper's 128 take minutes


@dataclass(frozen=True)
class Speed:
    """One pair of method and backbone."""

    parameters: int  # trained
    flops: float  # of one training step per sample, forward and backward, a multiply-add counting two
    rates: tuple[float, ...]  # samples per second, one per round
    memory: float  # bytes, at the peak; NaN where the system does not tell


def pairs(settings: Settings) -> Iterator[Pretrain]:
    """The pretraining of every method on every backbone, NTU-60 cross-subject, joint stream."""
    for method in methods.METHODS:
        for backbone in backbones.BACKBONES:
            yield recipes.pretraining(settings, method, "ntu60", "xsub", "joint", 0, backbone)


def measure(run: Pretrain, device: str, steps: int, threads: int) -> Speed:
    """Trains `steps` steps per round. Call it in a process of its own, or `memory` is of all that came before too."""
    clock.current(device)
    torch.set_num_threads(threads)
    workers.keep_memory()
    torch.manual_seed(0)
    net = backbones.build(run.backbone, run.backbone_config)
    method = methods.build(run.method, run.config, net, run.stream)
    x, cast = synthetic.generate("ntu60", "smoke", run.data.frames)
    rows = np.arange(steps * run.batch) % len(x)
    clips = Split(x, cast["label"].to_numpy(), rows)
    rates: list[float] = []
    flops = _flops(method, clips)
    where = torch.device(device)
    with ordered(where):  # as every run
        pretrain(
            method, Splits(clips, clips._replace(rows=rows[:COUNTED]), int(clips.y.max()) + 1), sgd=run.sgd,
            batch=run.batch, epochs=1 + ROUNDS, seed=0, monitor=knn.Config(ks=(1,), k=1), monitor_every=1 + ROUNDS,
            run_id="profile", header={}, context=Context(where, report=lambda seen: rates.append(seen.rate)),
        )  # fmt: skip
    trained = sum(p.numel() for p in method.parameters() if p.requires_grad)
    return Speed(trained, flops, tuple(rates[1 : 1 + ROUNDS]), hardware.peak_memory(device))


def _flops(method: methods.Method, clips: Split) -> float:
    """Counted by PyTorch, on the CPU: its counter knows neither cuDNN's GRU nor every attention kernel."""
    x, y = clips._replace(rows=clips.rows[:COUNTED]).tensors(torch.device("cpu"))
    views = method.views(x, torch.Generator().manual_seed(0))
    if method.NEEDS_LABELS:
        views["labels"] = y
    method.train()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        terms = method.loss(views, methods.At(0, 0, 1, 1))
        torch.stack(list(terms.values())).sum().backward()
    method.zero_grad(set_to_none=True)
    return counter.get_total_flops() / COUNTED


def row(run: Pretrain, found: Speed | str) -> dict[str, object]:
    """A line of the table; a reason instead of figures for a pair that makes no sense."""
    named: dict[str, object] = {"method": run.method, "backbone": run.backbone}
    if isinstance(found, str):
        return named | {"note": f"n/a: {found}"}
    rate = statistics.median(found.rates)
    return named | {
        "parameters, M": round(found.parameters / 1e6, 3),
        "GFLOP/sample": float(f"{found.flops / 1e9:.3g}"),
        "step, ms": float(f"{1000 * run.batch / rate:.3g}"),
        "samples/s": float(f"{rate:.3g}"),
        "lowest": float(f"{min(found.rates):.3g}"),
        "highest": float(f"{max(found.rates):.3g}"),
        "GFLOP/s": float(f"{rate * found.flops / 1e9:.3g}"),
        "peak memory, GB": float(f"{found.memory / 1e9:.3g}"),
        "note": "",
    }


def profile(settings: Settings, device: str, steps: int, threads: int, out: Path, say: Callable[[str], None]) -> Path:
    """Measures all pairs, writes `out/train-<machine>.md` and `.csv`, and returns the first."""
    rows, batches, frames = [], set(), set()
    for run in pairs(settings):
        found: Speed | str | None = unsupported(run)
        if found is None:
            with ProcessPoolExecutor(1, mp_context=workers.CONTEXT) as pool:
                found = pool.submit(measure, run, device, steps, threads).result()
        rows.append(row(run, found))
        batches.add(run.batch)
        frames.add(run.data.frames)
        what = f"n/a, {found}" if isinstance(found, str) else f"{rows[-1]['samples/s']} samples/s"
        say(f"{run.method} on {run.backbone}: {what}")
    name = hardware.name(device)
    command = f"python bench.py profile train --recipe {settings.recipe} --scale {settings.scale}"
    command += "".join(f" --{key} {value}" for key, value in settings.overrides)
    held = "what PyTorch held on the GPU" if device.startswith("cuda") else "of the whole process"
    text = (
        f"`{command}` on {name}, {threads} threads, PyTorch {torch.__version__}: batch {_range(batches)}, "
        f"{_range(frames)} frames. The real training loop (views, losses, backward pass, "
        f"optimiser, momentum encoder, queue) on stand-in clips, mining off; {ROUNDS} rounds of {steps} steps after "
        "one that warms up, medians. Operations are PyTorch's count of one step, forward and backward, a multiply-add "
        f"counting two. Memory is {held} at its peak."
    )
    return write(
        out / f"train-{name}",
        "Training",
        text,
        pd.DataFrame(rows).astype(object).where(lambda cells: cells.notna(), ""),
    )


def _range(values: set[int]) -> str:
    return str(min(values)) if len(values) == 1 else f"{min(values)} to {max(values)}"
