"""What a measurement was made on, in a few words that can be part of a file name."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


def processor() -> str:
    """The name of the processor, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def machine() -> str:
    """For example "intel-r-xeon-r-processor-2-cores"."""
    words = re.sub(r"[^a-z0-9]+", "-", processor().lower()).strip("-")
    return f"{words}-{os.cpu_count()}-cores"
