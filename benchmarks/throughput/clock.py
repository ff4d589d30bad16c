"""Times calls that take turns: CUDA events with a flushed cache on a GPU, the wall clock on a CPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import torch

from benchmarks.machine import workers

FLUSH = 2**29  # bytes: ten times an H100's L2 cache
AHEAD = 4_000_000  # cycles, some two milliseconds, by which Python is ahead of the GPU: else small calls time Python
FEWEST, MOST = 5, 60  # rounds


Name = TypeVar("Name", bound=str)


def times(calls: Mapping[Name, Callable[[], object]], device: str, seconds: float) -> dict[Name, list[float]]:
    """Milliseconds of every call, once per round, in turn, so that a busy machine slows all of them.

    Two rounds warm up. Then as many rounds as fit `seconds`, FEWEST to MOST. On a GPU the cache is overwritten before
    each call, and events on the stream mark its begin and end; on a CPU the caches stay as the other calls left them.
    """
    sample = _on_gpu(device) if device.startswith("cuda") else _on_cpu
    started = time.perf_counter()
    for _ in range(2):
        for call in calls.values():
            sample(call)
    wait(device)
    round_seconds = (time.perf_counter() - started) / 2
    rounds = int(np.clip(seconds / max(round_seconds, 1e-9), FEWEST, MOST))
    found: dict[Name, list[Callable[[], float]]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(sample(call))
    wait(device)
    return {name: [read() for read in reads] for name, reads in found.items()}


def percentiles(milliseconds: list[float]) -> tuple[float, float, float]:
    """p20, p50, p80."""
    p20, p50, p80 = np.percentile(milliseconds, (20, 50, 80))
    return float(p20), float(p50), float(p80)


def current(device: str) -> None:
    """First in a process that measures: a GPU becomes the current one, of which events, counters and launches are."""
    workers.one_order()
    if device.startswith("cuda"):
        torch.cuda.set_device(torch.device(device).index or 0)


def wait(device: str) -> None:
    """Until a GPU has done what it was given; a CPU has."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _on_cpu(call: Callable[[], object]) -> Callable[[], float]:
    started = time.perf_counter()
    call()
    spent = 1000 * (time.perf_counter() - started)
    return lambda: spent


def _cache(device: str) -> torch.Tensor:
    return torch.empty(FLUSH, dtype=torch.int8, device=device)


def _on_gpu(device: str) -> Callable[[Callable[[], object]], Callable[[], float]]:
    cache = _cache(device)

    def sample(call: Callable[[], object]) -> Callable[[], float]:
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        cache.zero_()
        torch.cuda._sleep(AHEAD)
        begin.record()
        call()
        end.record()
        return lambda: begin.elapsed_time(end)  # to be read when the stream has passed both

    return sample
