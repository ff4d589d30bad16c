"""`bench.py doctor`: is this machine ready, and what to do where it is not."""

from __future__ import annotations

import argparse
import os
import platform

import torch

from benchmarks.campaign import unprepared
from benchmarks.datasets import catalog
from benchmarks.slurm.queue import slurm_version
from benchmarks.store import Store, StoreError


def doctor(arguments: argparse.Namespace) -> int:
    """Checks what a run needs, says what is wrong and how to mend it."""
    import numpy
    import pandas
    import safetensors

    versions = {"python": platform.python_version()}
    versions |= {module.__name__: module.__version__ for module in (torch, numpy, pandas, safetensors)}
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    print(f"{os.cpu_count()} cores, {torch.get_num_threads()} threads in this process")
    print(f"cuda: {torch.cuda.get_device_name() if torch.cuda.is_available() else 'none, runs use the CPU'}")
    print(f"slurm: {slurm_version()}")
    try:
        Store(arguments.out).prepare()
        print(f"results: {arguments.out} can be written")
        good = True
    except StoreError as error:
        good = False
        print(f"results: {error}")
    for name in catalog.DATASETS:
        print(f"{name}: {unprepared(name, arguments.data) or 'prepared'}")
    print("all well" if good else "see above")
    return 0 if good else 4
