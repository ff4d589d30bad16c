"""Killed at any moment, by any signal: nothing is lost, nothing is left over. kill.py has the machinery."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.machine import workers
from tests.robustness.folder import REPO
from tests.robustness.kill import GO_ON, LEAVE, STOPPED, Trials

SWALLOWS = """
import bench, time
def main():
    print("ready", flush=True)
    while True:
        try: time.sleep(60)
        except KeyboardInterrupt: pass
bench.main = main
bench.command()
"""


BREAKS = """
import bench, time
def main():
    print("ready", flush=True)
    try: time.sleep(60)
    except KeyboardInterrupt: raise AttributeError("a module that is half imported") from None
bench.main = main
bench.command()
"""


def test_killed_for_a_while(tmp_path: Path) -> None:
    trials = Trials(tmp_path, seed=0)
    trials.quiet("one")
    until = time.monotonic() + 8
    while time.monotonic() < until:
        trials.folder("one", until)
    assert not trials.tally.losses, str(trials.tally)
    assert trials.tally.hits


@pytest.mark.nightly
def test_killed_a_hundred_times(tmp_path: Path) -> None:
    trials = Trials(tmp_path, seed=int(time.time()))
    while trials.tally.hits.total() < 100:
        for kind in ("table", "epochs"):
            trials.folder(kind, most=100)
    assert not trials.tally.losses, str(trials.tally)


@pytest.mark.parametrize("program", [SWALLOWS, BREAKS], ids=["swallows", "breaks"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_a_library_swallows_ends_the_command_nevertheless(number: signal.Signals, program: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    for _ in range(2):  # the second must not disturb
        if process.poll() is None:
            process.send_signal(number)
        time.sleep(0.1)
    _, error = process.communicate(timeout=LEAVE)
    assert process.returncode == STOPPED
    assert error.strip() == GO_ON


CAUGHT = """import ctypes, bench
def main(words=None):
    run = ctypes.pythonapi.PyRun_String  # as extensions do while they are imported
    run.restype, run.argtypes = ctypes.py_object, [ctypes.c_char_p, ctypes.c_int, ctypes.py_object, ctypes.py_object]
    run(b"raise KeyboardInterrupt", 257, {}, {})
bench.main = main
bench.command()
"""


def test_an_interrupt_that_an_extension_saw_first_gives_the_same_exit_code(tmp_path: Path) -> None:
    (tmp_path / "caught.py").write_text(CAUGHT)
    words = [sys.executable, "-m", "caught"]
    where = os.environ | {"PYTHONPATH": f"{REPO}:{tmp_path}"}
    done = subprocess.run(words, env=where, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (STOPPED, GO_ON)


ABORTS = """import os, time
print("ready", flush=True)
try: time.sleep(60)
except BaseException: os.abort()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_raised_in_an_import_where_an_extension_would_abort(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "aborts.py").write_text(ABORTS)
    program = "import bench\ndef main(): import aborts\nbench.main = main\nbench.command()"
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": f"{REPO}:{tmp_path}"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, error = process.communicate(timeout=LEAVE)
    assert (process.returncode, error.strip()) == (STOPPED, GO_ON)


def test_a_worker_that_is_being_started_hears_no_ctrl_c() -> None:
    with workers.deaf():
        process = subprocess.Popen(["sleep", "60"])
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    assert process.poll() is None
    process.kill()
    process.wait()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
