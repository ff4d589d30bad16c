"""bench.py in a fork of this process, with forked workers: a whole command in a second, hundreds of them in minutes.

A command of its own takes three seconds to import PyTorch, and each of its workers as long. What is lost by this is
the start of Python and of the workers, which kill.py covers.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import bench
from benchmarks import commands
from benchmarks.machine import workers
from benchmarks.records.provenance import code, environment
from benchmarks.running.execute import Machine
from tests.robustness.often import checkpoints


class Said(NamedTuple):
    """How a command ended."""

    code: int  # exit code, or minus the signal
    out: str
    err: str


Change = Callable[[], object]


def nothing() -> None:
    """Changes nothing."""


def warm() -> None:
    """Imports and asks once what every fork would; computes nothing, because threads do not survive a fork."""
    import pandas  # noqa: F401  imported once, for all forks
    import sklearn.neighbors  # noqa: F401  imported once, for all forks

    assert commands
    checkpoints()
    code()
    environment(Machine().device, Machine().threads)
    gc.freeze()


class Command:
    """A command that goes on. `change` is called in its process, before it begins."""

    def __init__(self, words: list[str], place: Path, change: Change = nothing) -> None:
        """`place`: a folder for what it says."""
        self.place = Path(tempfile.mkdtemp(prefix="said-", dir=place))
        self.process = os.fork()
        if not self.process:
            _child(words, self.place, change)

    def wait(self, timeout: float = 120.0) -> Said:
        """Waits for its end; kills it when that takes longer than `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            ended, status = os.waitpid(self.process, os.WNOHANG)
            if ended:
                break
            if time.monotonic() > deadline:
                os.killpg(self.process, signal.SIGKILL)
            time.sleep(0.01)
        out, err = ((self.place / name).read_text() for name in ("out", "err"))
        shutil.rmtree(self.place)
        return Said(os.waitstatus_to_exitcode(status), out, err)


def run(words: list[str], place: Path, change: Change = nothing) -> Said:
    """Runs `bench.py WORDS` to its end."""
    return Command(words, place, change).wait()


def _child(words: list[str], place: Path, change: Change) -> None:
    """The command, in the new process; does not return."""
    code = 99
    try:
        os.setsid()
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        workers.CONTEXT = multiprocessing.get_context("fork")  # pyright: ignore[reportAttributeAccessIssue]  of another kind of start
        change()
        code = bench.main(words)
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
