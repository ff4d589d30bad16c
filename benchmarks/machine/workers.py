"""How a worker process of this machine behaves: one thread, deaf to Ctrl-C, and gone when its parent is gone."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # what numerical libraries read
CONTEXT = multiprocessing.get_context("spawn")  # a fork would copy locks that threads of numerical libraries hold


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Numerical libraries of a worker size their thread pools when they load; one process per core is the plan."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """A process that is started in here hears no Ctrl-C until `begin`; this one hears it afterwards."""
    resource_tracker.ensure_running()  # otherwise started with the first worker, and it clears the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@functools.cache
def keep_memory() -> None:
    """Freed memory stays with the process: a step on a CPU frees and takes the same gigabyte, and pages cost time.

    Of glibc; elsewhere nothing happens. Without it a step of an ST-GCN takes a tenth to a quarter longer.
    """
    m_trim_threshold, m_mmap_max = -1, -4
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, 2**31 - 1)


def one_order() -> None:
    """Before CUDA starts: without this PyTorch refuses products of a GPU within `protocols.precision.ordered`."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def end_with_parent() -> None:
    """The kernel kills this process when its parent ends, even by SIGKILL; where it does not, `begin` watches."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def begin(parent: int) -> None:
    """To be called first in a worker: the parent decides about Ctrl-C, and its end is this process's end."""
    gc.freeze()  # what was imported stays; bench.py has told the collector to wait for it
    gc.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # see deaf
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
