"""How much whole-sequence calls gain over the released BiGRU's frame-by-frame form, forward and backward, in one run.

Both compute the same numbers (tests/backbones/test_bigru.py), so only time can differ. The forms take turns, so that a
busy machine slows all of them. The true bidirectional GRU, another network, stands beside them, as PyTorch runs it on
this device and as BiGRU does.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from backbones.bigru import INPUT, BiGRU, ForwardPairs
from backbones.recurrence import run_gru
from benchmarks.machine import hardware
from benchmarks.throughput.clock import wait
from benchmarks.throughput.frame_by_frame import FrameByFrame
from benchmarks.throughput.page import write

PLAIN = "released, a call per frame"


def forms(hidden: int, layers: int, device: str) -> dict[str, Callable[[Tensor], Tensor]]:
    """What is compared: (B, T, inputs) -> (B, T, 2 hidden)."""
    # one each: a second backward pass through the same weights would also add gradients up
    plain, ours = (nn.GRU(INPUT, hidden, layers, batch_first=True, bidirectional=True).to(device) for _ in range(2))
    return {
        PLAIN: FrameByFrame(INPUT, hidden, layers).to(device),
        "released, whole sequences": ForwardPairs(INPUT, hidden, layers).to(device),
        "bidirectional, nn.GRU": lambda x: plain(x)[0],
        "bidirectional, ours": lambda x: run_gru(ours, x),
    }


def measure(
    device: str, batch: int, frames: int, rounds: int, config: BiGRU.Config, say: Callable[[str], None]
) -> pd.DataFrame:
    """Seconds of one forward and backward pass of the recurrent layers, x (batch, frames, 150)."""
    torch.manual_seed(0)
    x = torch.randn(batch, frames, INPUT, device=device)
    seconds: dict[str, list[float]] = {}
    for turn in range(1 + rounds):  # the first warms up
        for name, form in forms(config.hidden_size, config.layers, device).items():
            wait(device)
            started = time.perf_counter()
            form(x).square().mean().backward()
            wait(device)
            spent = time.perf_counter() - started
            if turn:
                seconds.setdefault(name, []).append(spent)
                say(f"  round {turn} of {rounds}: {name}: {spent:.2f} s")
    plain = seconds[PLAIN]
    return pd.DataFrame(
        {
            "form": name,
            "seconds": round(statistics.median(spent), 3),
            "lowest": round(min(spent), 3),
            "highest": round(max(spent), 3),
            "x frame by frame": round(statistics.median(a / b for a, b in zip(plain, spent, strict=True)), 2),
        }
        for name, spent in seconds.items()
    )


def profile(device: str, batch: int, rounds: int, threads: int, out: Path, say: Callable[[str], None]) -> Path:
    """Measures at the size of Table 13, writes `out/gru-<machine>.md` and `.csv`, and returns the first."""
    torch.set_num_threads(threads)
    config, frames = BiGRU.Config(), 64
    found = measure(device, batch, frames, rounds, config, say)
    name = hardware.name(device)
    text = (
        f"`python bench.py profile gru --batch {batch}` on {name}, {threads} threads, PyTorch {torch.__version__}: "
        f"{config.layers} layers of hidden size {config.hidden_size} in each direction, {frames} frames of {INPUT} "
        f"values, batch {batch}; one forward and backward pass, {rounds} rounds after one that warms up, the forms in "
        "turn. Medians; the ratio is the median of the ratios round by round."
    )
    return write(out / f"gru-{name}", "The recurrent layers of BiGRU", text, found)
