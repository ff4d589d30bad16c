"""What this machine is: its processor, a name of it for files, and the most memory that this process has held."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import torch


def processor() -> str:
    """The name of the processor, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def name(device: str = "cpu") -> str:
    """For example "intel-r-xeon-r-processor-2-cores", or the name of the GPU."""
    on_gpu = device.startswith("cuda")
    words = re.sub(r"[^a-z0-9]+", "-", (torch.cuda.get_device_name(device) if on_gpu else processor()).lower())
    return words.strip("-") if on_gpu else f"{words.strip('-')}-{os.cpu_count()}-cores"


def peak_memory(device: str) -> float:
    """Most bytes that this process has held so far: on the GPU by PyTorch, else resident; NaN where nobody tells."""
    if device.startswith("cuda"):
        return float(torch.cuda.max_memory_allocated(device))
    try:  # getrusage would count what a parent held before it started this process
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return float("nan")
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), float("nan"))
