#!/usr/bin/env python3
"""The front door: understands the command line, calls benchmarks/commands.py, turns errors into sentences.

Nothing slow is imported before the command line is understood, so that help is instant.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import NoReturn

from benchmarks.arguments import completion, parser, understood
from benchmarks.exits import FAILED, MISSING, OK, STOPPED, USAGE

__all__ = ["FAILED", "MISSING", "OK", "STOPPED", "USAGE", "command", "main", "parser"]
_STOPPING = threading.Event()  # somebody has asked for the end
PATIENCE = 3.0  # seconds from SIGTERM or Ctrl-C to an end by force
GO_ON = "\nStopped. Finished runs are saved, trainings every 20 seconds; run the same command to go on."
HERE = Path(__file__).resolve().parent
INSTALL = f"install what is needed with: cd {HERE} && pip install -e ."


def main(words: list[str] | None = None) -> int:
    """Runs one command; returns its exit code (0 all cells present, 2 usage, 3 cells missing, 4 cells failed)."""
    words = sys.argv[1:] if words is None else words
    if words and words[0].startswith("--") and words[0] != "--help":  # the user's own words: bench.py --table 1
        words = ["run", *words]
    if not words:
        parser().print_help(sys.stderr)
        return USAGE
    arguments = understood(words)
    if arguments.command == "completion":
        return completion(arguments.shell)
    try:
        return _dispatch(arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def command() -> NoReturn:
    """Runs the command of this process, which leaves soon after SIGTERM or Ctrl-C, and ends the process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        code = main()
        _deaf()
    except BaseException as error:
        # whatever an interrupted library, or a half imported module, has made of the interrupt
        if isinstance(error, KeyboardInterrupt) or _STOPPING.is_set():
            sys.stdout.flush()
            _end()  # at once: Python's own end takes another code when a library had caught the interrupt before
        raise
    sys.exit(code)


def _stop(_: int, frame: FrameType | None) -> NoReturn:
    """Interrupts main; where a library swallows that, or something hangs, the process ends nevertheless.

    At once within an import: an extension may abort the process when its Python raises, and nothing is being written.
    """
    _STOPPING.set()
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            _end()
        frame = frame.f_back
    _deaf()  # a second signal must not disturb the leaving
    timer = threading.Timer(PATIENCE, _end)
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt


def _end() -> NoReturn:
    if sys.stdout.isatty():
        os.write(sys.stdout.fileno(), b"\x1b[?25h")  # a progress line hides the cursor
    print(GO_ON, file=sys.stderr, flush=True)
    os._exit(STOPPED)  # workers end with this process


def _deaf() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _dispatch(arguments: argparse.Namespace) -> int:
    try:
        from benchmarks import commands  # slow: everything heavy is behind this line
    except ModuleNotFoundError as error:
        if not error.name or (HERE / error.name.partition(".")[0]).exists():
            raise
        print(f"bench.py: there is no package {error.name} for {sys.executable}; {INSTALL}", file=sys.stderr)
        return FAILED

    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    try:
        return getattr(commands, arguments.command)(arguments)
    except commands.WRONG_WORDS as error:
        print(f"bench.py: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        raise
    except commands.EXPECTED as error:
        print(f"bench.py: {error}", file=sys.stderr)
        return FAILED


if __name__ in ("__main__", "__mp_main__"):  # until _dispatch, in a worker until workers.begin
    gc.disable()  # nothing that is imported is garbage: to look for some, now and at the end, takes a third of the time
if __name__ == "__mp_main__":
    from benchmarks.machine.workers import end_with_parent

    end_with_parent()  # already now: the imports that come next take seconds
if __name__ == "__main__":
    command()
