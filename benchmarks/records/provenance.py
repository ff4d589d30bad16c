"""What a record says about where its numbers come from: the code and the machine."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine.hardware import processor

REPO = Path(__file__).resolve().parents[2]
FLOORS, DOORS = ("backbones", "methods", "protocols", "benchmarks"), ("bench.py", "pyproject.toml")
SNAPSHOT = "code.json"  # beside a copy of the code that is no checkout: what `code` said where it was copied


@functools.cache
def code() -> dict[str, Any]:
    """Commit, whether the code differs from it (new files count, pages and results do not), and its hash."""
    digest = hashlib.sha256()
    for folder in FLOORS:
        for path in sorted((REPO / folder).rglob("*.py")):
            digest.update(path.relative_to(REPO).as_posix().encode() + path.read_bytes())
    found: dict[str, Any] = {"sources": digest.hexdigest()[:16], "commit": None, "dirty": None}
    if (REPO / SNAPSHOT).exists():
        copied = json.loads((REPO / SNAPSHOT).read_text())
        return found | {"commit": copied["commit"], "dirty": copied["dirty"]}
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        git = functools.partial(subprocess.run, cwd=REPO, capture_output=True, text=True, timeout=10, check=True)
        found["commit"] = git(["git", "rev-parse", "HEAD"]).stdout.strip()
        found["dirty"] = bool(git(["git", "status", "--porcelain", "--", *FLOORS, *DOORS]).stdout.strip())
    return found


@functools.cache
def environment(device: str, threads: int) -> dict[str, Any]:
    """Versions, processor and device."""
    if device.startswith("cuda"):
        device = torch.cuda.get_device_name(torch.device(device))
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "device": device,
        "cpu": processor(),
        "threads": threads,
        "cores": os.cpu_count(),
    }
