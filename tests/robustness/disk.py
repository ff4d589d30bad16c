"""A full disk, a failing disk and a kill at every single thing that a command does to its files.

    python -m tests.robustness.disk

For N = 1, 2, 3, ... until the command goes through: a fresh folder, the command with the fault at its N-th event, then
the same command without. What is demanded: a full disk is told in one line that names a file and says what to do, with
an exit code; earlier records stay; the second command makes a folder that equals the quiet one in every file.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.robustness import forked
from tests.robustness.events import NEEDS_SPACE, Fault, Layer, events
from tests.robustness.folder import contents, differences

WHATS = ("full", "once", "kill", "group")
SMALL = ["run", "--method", "skeattnclr", "--scale", "smoke", "--jobs", "1", "--set", "epochs=2"]
ADVICE = "run the same command"


@dataclass
class Tally:
    """What happened so far."""

    trials: Counter[str] = field(default_factory=Counter)  # full | once | kill | group -> trials
    hits: Counter[str] = field(default_factory=Counter)  # the same, of faults that were reached
    sites: set[str] = field(default_factory=set)  # where they struck
    losses: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{what}: {count} trials, {self.hits[what]} faults struck" for what, count in self.trials.items()]
        lines += [f"{len(self.sites)} different places", f"{len(self.losses)} losses"]
        return "\n".join([*lines, *(f"  {loss}" for loss in self.losses)])


class Trials:
    """Commands below one folder, each with a fault and then without."""

    def __init__(self, place: Path, words: list[str], seed: int = 0) -> None:
        forked.warm()
        self.random = random.Random(seed)
        self.place, self.words, self.tally = place, words, Tally()
        self.log = place / "events"
        out = place / "quiet"
        layer = Layer(Fault(str(out), str(self.log), 0))
        done = forked.run([*words, "--out", str(out)], place, layer.install)
        assert done.code == 0, done
        self.expected, self.sites = contents(out), events(self.log)

    def trial(self, number: int, what: str) -> None:
        """One fault in a fresh folder, then the command again."""
        out = self.place / f"{what}-{number}"
        self.log.unlink(missing_ok=True)
        layer = Layer(Fault(str(out), str(self.log), number, what))
        said = forked.run([*self.words, "--out", str(out)], self.place, layer.install)
        passed = events(self.log)
        self.tally.trials[what] += 1
        where = f"{what} at {number}"
        if len(passed) >= number:
            self.tally.hits[what] += 1
            self.tally.sites.add(passed[number - 1])
            where = f"{where} ({passed[number - 1]})"
        losses = []
        if what == "full" and any(event.split()[0] in NEEDS_SPACE for event in passed[number - 1 :]):
            losses = _told(said, out)  # a full disk hinders nobody who only removes files
        if "Traceback" in said.err or "Traceback" in said.out:
            losses.append(f"a traceback: {said.err[-1500:]}")
        before = {name: found for name, found in contents(out).items() if name.startswith("smoke/records/pre")}
        losses += [f"failed: {name}" for name, record in before.items() if record["status"] != "ok"]
        if what in ("kill", "group"):  # and once more, while it goes on
            layer = Layer(Fault(str(out), str(self.log), self.random.randrange(len(self.sites)) + len(passed), what))
            forked.run([*self.words, "--out", str(out)], self.place, layer.install)
        again = forked.run([*self.words, "--out", str(out)], self.place)
        if again.code:
            losses.append(f"the same command again ended with {again.code}: {again.out[-800:]}{again.err}")
        losses += differences(contents(out), self.expected)
        self.tally.losses += [f"{where}: {loss}" for loss in losses]
        shutil.rmtree(out)


def _told(said: forked.Said, out: Path) -> list[str]:
    """What is wrong with the words of a command whose disk became full."""
    lines = [line for line in (said.out + said.err).splitlines() if os.strerror(28) in line]
    losses = [] if said.code > 0 else [f"exit code {said.code}"]
    if not lines:
        return [*losses, f"nobody said that the disk is full: {said.out}{said.err}"]
    vague = [line for line in lines if str(out) not in line or ADVICE not in line]
    return losses + [f"not said where, or what to do: {line}" for line in vague]


def main() -> int:
    """Does what the command line says; returns 1 when something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, metavar="K", help="K events and faults by chance (default: all)")
    parser.add_argument("--what", nargs="+", choices=WHATS, default=list(WHATS), help="which faults (default: all)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of what is left to chance")
    parser.add_argument("--first", type=int, default=1, metavar="N", help="the event to begin with")
    parser.add_argument("--seconds", type=float, default=1e9, metavar="S", help="stop after so many")
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        trials = Trials(Path(place), SMALL, arguments.seed)
        print(f"{len(trials.sites)} events at {len(set(trials.sites))} places", flush=True)
        numbers = range(arguments.first, len(trials.sites) + 1)
        wanted = [(number, what) for number in numbers for what in arguments.what]
        for number, what in trials.random.sample(wanted, arguments.sample) if arguments.sample else wanted:
            if time.monotonic() - started > arguments.seconds:
                print(f"go on with --first {number}")
                break
            trials.trial(number, what)
        print(trials.tally)
    return 1 if trials.tally.losses else 0


if __name__ == "__main__":
    sys.exit(main())
