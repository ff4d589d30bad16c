"""bench.py in a fork of this process, with forked workers: a whole command in a second, hundreds of them in minutes.

A command of its own takes three seconds to import PyTorch, and each of its workers as long. What is lost by this is
the start of Python and of the workers, which kill.py covers.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import time
import traceback
from pathlib import Path
from typing import NamedTuple

import bench
from benchmarks import commands, workers
from benchmarks.execute import Machine
from benchmarks.provenance import code, environment
from tests.robustness.events import Fault, Layer


class Said(NamedTuple):
    """How a command ended."""

    code: int  # exit code, or minus the signal
    out: str
    err: str
    seconds: float


def warm() -> None:
    """Imports and asks once what every fork would; computes nothing, because threads do not survive a fork."""
    import pandas  # noqa: F401
    import sklearn.neighbors  # noqa: F401

    assert commands
    code()
    environment(Machine().device, Machine().threads)
    gc.freeze()


def run(words: list[str], place: Path, fault: Fault | None = None, timeout: float = 120.0) -> Said:
    """Runs `bench.py WORDS` with the fault; `place` is a folder for what it says."""
    started = time.monotonic()
    process = os.fork()
    if not process:
        _child(words, place, fault)
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - started > timeout:
            os.killpg(process, 9)
        time.sleep(0.01)
    return Said(
        os.waitstatus_to_exitcode(status),
        (place / "out").read_text(),
        (place / "err").read_text(),
        time.monotonic() - started,
    )


def _child(words: list[str], place: Path, fault: Fault | None) -> None:
    """The command, in the new process; does not return."""
    code = 99
    try:
        os.setsid()
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        workers.CONTEXT = multiprocessing.get_context("fork")  # pyright: ignore[reportAttributeAccessIssue]
        if fault:
            Layer(fault).install()
        code = bench.main(words)
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
