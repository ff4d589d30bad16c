"""Kills a command at random moments of its life, again and again, and compares what it leaves with a quiet run.

    python -m tests.robustness.kill --times 100

A folder is filled by the same command, which is killed until it reaches its end; then another folder. Every other
folder's trainings have several epochs and a checkpoint after each. What is counted: a trial is a start of the command,
a hit is a signal to a process that lived, a loss is any difference from the quiet folder, or a promise not kept.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.robustness.folder import REPO, contents, differences
from tests.robustness.processes import workers_of

TABLE = ["run", "--table", "7", "--scale", "smoke", "--jobs", "2"]
ONE = ["run", "--method", "skeattnclr", "--scale", "smoke", "--jobs", "1", "--set", "epochs=3"]
COMMANDS = {
    "table": [sys.executable, str(REPO / "bench.py"), *TABLE],
    "one": [sys.executable, "-m", "tests.robustness.often", *ONE],
    "epochs": [sys.executable, "-m", "tests.robustness.often", *TABLE, "--set", "epochs=3"],
}
GO_ON = "Stopped. Finished runs are saved, trainings every 20 seconds; run the same command to go on."
LEAVE = 5.0  # seconds in which a command leaves after SIGTERM or SIGINT, and its workers after it
STOPPED = 130
BEGUN = 0.5  # seconds after which Python has begun with bench.py: before, nobody listens to signals
VICTIMS = ("parent", "group", "worker")
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@dataclass
class Tally:
    """What happened so far."""

    trials: int = 0
    hits: Counter[str] = field(default_factory=Counter)  # "SIGKILL parent" -> how often
    folders: int = 0
    slowest: float = 0.0  # seconds from SIGTERM or SIGINT to the end
    early: int = 0  # signals before Python had begun with bench.py
    losses: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.trials} starts, {self.hits.total()} kills that hit, {self.folders} folders compared"]
        lines += [f"  {what}: {count}" for what, count in sorted(self.hits.items())]
        lines += [f"  before bench.py had begun: {self.early}", f"  slowest to leave: {self.slowest:.1f} s"]
        return "\n".join([*lines, f"{len(self.losses)} losses", *(f"  {loss}" for loss in self.losses)])


def session(leader: int) -> list[int]:
    """The living processes of a session, the leader first."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, _, owner = (place / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(owner) == leader and state not in "ZX":
                found.append(int(place.name))
    return sorted(found, key=lambda process: process != leader)


class Trials:
    """Kills commands below one folder and keeps the tally."""

    def __init__(self, place: Path, seed: int) -> None:
        self.place, self.random, self.tally = place, random.Random(seed), Tally()
        self.expected: dict[str, dict] = {}
        self.lasts: dict[str, float] = {}  # seconds that a quiet command lasts

    def quiet(self, kind: str) -> None:
        """Fills a folder that nobody disturbs."""
        if kind in self.expected:
            return
        out, started = self.place / f"quiet-{kind}", time.monotonic()
        done = subprocess.run([*COMMANDS[kind], "--out", str(out)], cwd=REPO, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        self.lasts[kind] = time.monotonic() - started
        self.expected[kind] = contents(out)

    def folder(self, kind: str, until: float = float("inf"), most: int = 1_000_000) -> None:
        """Kills the command in one folder until it reaches its end; undisturbed when it is late or enough."""
        self.quiet(kind)
        out = Path(tempfile.mkdtemp(prefix="killed-", dir=self.place))
        while not self._start(kind, out, self.tally.hits.total() < most and time.monotonic() < until):
            pass
        self.tally.folders += 1
        lost = differences(contents(out), self.expected[kind])
        self.tally.losses += [f"{out.name} ({kind}): {line}" for line in lost]
        if not lost:
            shutil.rmtree(out)

    def _start(self, kind: str, out: Path, disturb: bool) -> bool:
        """One start of the command; returns whether it reached its end."""
        self.tally.trials += 1
        errors = out.with_name(out.name + ".err")
        with errors.open("w") as file:
            process = subprocess.Popen(
                [*COMMANDS[kind], "--out", str(out)],
                cwd=REPO,
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,
            )
        what, early = "nothing", False
        if disturb:
            after = self.random.uniform(0.0, self.lasts[kind] * 0.8)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(after)
            what, early = self._strike(process), after < BEGUN
            what += f" after {after:.2f} of {self.lasts[kind]:.2f} s"
        try:
            process.wait(180)
        except subprocess.TimeoutExpired:
            self._lose(out, f"{what}: still there after 180 s")
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._nobody_is_left(process.pid, out, what)
        said = errors.read_text()
        errors.unlink()
        code = process.returncode
        if early and code in (-signal.SIGTERM, -signal.SIGINT):
            self.tally.early += 1
        elif code not in (0, STOPPED, -signal.SIGKILL) or said.strip() != (GO_ON if code == STOPPED else ""):
            self._lose(out, f"{what}: exit code {code}: {said[-3000:]}")
        return code == 0

    def _strike(self, process: subprocess.Popen[bytes]) -> str:
        """Sends a signal to somebody, and sees that the command keeps its promise. Returns what was done."""
        number, victim = self.random.choice(SIGNALS), self.random.choice(VICTIMS)
        crew = workers_of(process.pid) if number == signal.SIGKILL and victim == "worker" else []
        if victim == "worker" and not crew:
            victim = "parent"
        what = f"{number.name} {victim}"
        if process.poll() is not None:
            return "nothing"
        self.tally.hits[what] += 1
        if victim == "worker":
            with contextlib.suppress(ProcessLookupError):  # it was about to end
                os.kill(self.random.choice(crew), number)
            return what
        sent = time.monotonic()
        (os.killpg if victim == "group" else os.kill)(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LEAVE)
            self.tally.slowest = max(self.tally.slowest, time.monotonic() - sent)
            return what
        self._lose(self.place, f"{what}: did not leave within {LEAVE:.0f} s")
        return what

    def _nobody_is_left(self, leader: int, out: Path, what: str) -> None:
        """Workers, and what multiprocessing started beside them, end with the command."""
        deadline = time.monotonic() + LEAVE
        while left := session(leader):
            if time.monotonic() > deadline:
                self._lose(out, f"{what}: processes {left} outlived the command")
                os.killpg(leader, signal.SIGKILL)
                return
            time.sleep(0.05)

    def _lose(self, out: Path, what: str) -> None:
        self.tally.losses.append(f"{out.name}: {what}")


def main() -> int:
    """Kills as often as the command line says; returns 1 when something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=100, metavar="N", help="kills that hit a living process")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the moments, signals and victims")
    parser.add_argument("--place", type=Path, metavar="DIR", help="where to work (default: a temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        trials = Trials(arguments.place or Path(temporary), arguments.seed)
        trials.place.mkdir(parents=True, exist_ok=True)
        for number in itertools.count():
            if trials.tally.hits.total() >= arguments.times:
                break
            trials.folder(list(COMMANDS)[number % len(COMMANDS)], most=arguments.times)
            print(f"{trials.tally}\n", flush=True)
    return 1 if trials.tally.losses else 0


if __name__ == "__main__":
    sys.exit(main())
