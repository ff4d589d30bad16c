"""A soak: the harness at work for an hour while it is disturbed; what grows, what differs, what is left behind.

    python -m tests.robustness.soak --minutes 60

Two things take turns on one core. A long campaign (smoke scale, Table 7, many seeds) has one parent and one worker that
live for thousands of runs: their memory, file handles and threads must stay flat. Beside it short campaigns are killed,
stopped, left without disk space, and find damaged files: every table that they finish must be the undisturbed one.
A line of figures a minute; a summary at the end, also after SIGTERM or Ctrl-C. Exit code 0 when nothing was wrong.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.robustness.faults import Disturber, start, table_of
from tests.robustness.processes import Sample, kill, sample, trend, workers_of

EVERY = 2.0  # seconds between two samples
GROWTH = 0.03  # of its memory that a process may gain between the second and the last third of its life
SLACK = 4.0  # MiB that it may gain in any case
HANDLES = 3  # file handles or threads that a look may find more: a file that is being read


@dataclass
class LongCampaign:
    """Campaigns of many seeds, one after the other, with samples of parent and worker."""

    folder: Path
    seeds: int
    finished: int = 0
    runs: int = 0  # of finished campaigns
    tables: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    lives: list[tuple[str, list[Sample]]] = field(default_factory=list)  # of processes that ended
    process: subprocess.Popen[str] | None = None
    now: dict[str, list[Sample]] = field(default_factory=dict)
    last: float = 0.0

    @property
    def out(self) -> Path:
        """The results folder of the campaign that is going on."""
        return self.folder / "long"

    def done(self) -> int:
        """Runs that the present campaign has finished."""
        records = self.out / "smoke" / "records"
        return sum(name.endswith(".json") for name in os.listdir(records)) if records.is_dir() else 0

    def tick(self) -> None:
        """Starts a campaign, or looks at the one that runs."""
        if self.process is None:
            shutil.rmtree(self.out, ignore_errors=True)
            temporary = self.folder / "long-tmp"
            temporary.mkdir(parents=True, exist_ok=True)
            self.process = start(self.out, temporary, "--seeds", str(self.seeds))
        elif self.process.poll() is not None:
            self._end()
        elif time.monotonic() - self.last > EVERY:
            self.last = time.monotonic()
            done = self.done()
            roles = [("parent", self.process.pid), *(("worker", pid) for pid in workers_of(self.process.pid))]
            for role, pid in roles:
                if done and (found := sample(pid, done)):
                    self.now.setdefault(role, []).append(found)

    def _end(self) -> None:
        assert self.process is not None
        if self.process.returncode:
            self.wrong.append(f"a long campaign ended with exit code {self.process.returncode}")
        else:
            self.tables.add(table_of(self.out).read_text())
        left = (
            list(self.out.rglob("*.tmp")) + list(self.out.rglob("claim")) + list((self.folder / "long-tmp").glob("*"))
        )
        if left:
            self.wrong.append(f"a long campaign left {len(left)} temporary files, as {left[0].name}")
        self.finished += 1
        self.runs += self.done()
        self._bury()

    def _bury(self) -> None:
        self.lives += self.now.items()
        self.now, self.process = {}, None

    def stop(self) -> None:
        """Ends the campaign that is going on; what was seen of it counts."""
        if self.process is not None:
            self.runs += self.done()
            kill(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=60)
            self._bury()

    def figures(self) -> str:
        """What the processes use now."""
        words = []
        for role, samples in self.now.items():
            _, rss, handles, threads = samples[-1]
            words.append(f"{role} {rss:.0f} MiB {handles} handles {threads} threads")
        temporary = len(list(self.out.rglob("*.tmp")))
        return ", ".join([f"{self.runs + self.done()} runs", *words, f"{temporary} temporary files"])

    def judge(self) -> list[str]:
        """A line for every process that lived long enough, and whatever grew is added to `wrong`."""
        lines = []
        for role, samples in self.lives:
            runs = [s.runs for s in samples]
            memory = trend(runs, [s.rss for s in samples])
            handles = trend(runs, [s.handles for s in samples])
            threads = trend(runs, [s.threads for s in samples])
            if not (memory and handles and threads):
                continue
            lines.append(
                f"{role}: {runs[-1]} runs, memory {memory.before:.1f} -> {memory.after:.1f} MiB "
                f"({memory.slope:+.2f} MiB per 1000 runs), handles {handles.before:g} -> {handles.after:g}, "
                f"threads {threads.before:g} -> {threads.after:g}"
            )
            if memory.after > memory.before * (1 + GROWTH) + SLACK:
                self.wrong.append(f"the memory of a {role} grew")
            for what, found in (("file handles", handles), ("threads", threads)):
                if found.after > found.before + HANDLES:
                    self.wrong.append(f"the {what} of a {role} grew")
        if len(self.tables) > 1:
            self.wrong.append(f"{self.finished} long campaigns made {len(self.tables)} different tables")
        return lines


@dataclass
class Soak:
    """Both strands, the clock, and what is said."""

    folder: Path
    minutes: float
    seeds: int
    seed: int
    started: float = field(default_factory=time.monotonic)
    said: int = 0
    stopped: bool = False

    def run(self) -> bool:
        """Until time is up or somebody stops it; whether nothing was wrong."""
        self.long = LongCampaign(self.folder, self.seeds)
        self.disturber = Disturber(self.folder, self._undisturbed(), random.Random(self.seed), self._tick)
        while not self._tick():
            self.disturber.cycle()
        self.long.stop()
        return self._summary()

    def _undisturbed(self) -> str:
        out, temporary = self.folder / "undisturbed", self.folder / "undisturbed-tmp"
        temporary.mkdir(parents=True)
        process = start(out, temporary)
        while process.poll() is None:
            time.sleep(0.1)
            if self.stopped:
                kill(process.pid)
        if process.returncode:
            raise SystemExit(f"the undisturbed command failed: see {out}.log")
        return table_of(out).read_text()

    def _tick(self) -> bool:
        self.long.tick()
        passed = (time.monotonic() - self.started) / 60
        if int(passed) > self.said:
            self.said = int(passed)
            self._say(f"{self.said:3} min  {self._counts()}; long: {self.long.figures()}")
        return self.stopped or passed >= self.minutes

    def _counts(self) -> str:
        faults = self.disturber.faults
        count = sum(faults.values()) - faults["none"]
        wrong = len(self.disturber.wrong) + len(self.long.wrong)
        return f"{self.disturber.cycles} disturbed tables, {count} faults, {wrong} wrong"

    def _summary(self) -> bool:
        passed = (time.monotonic() - self.started) / 60
        lines = self.long.judge()
        wrong = self.disturber.wrong + self.long.wrong
        faults = ", ".join(f"{kind} {count}" for kind, count in sorted(self.disturber.faults.items()) if kind != "none")
        self._say(f"\nSOAK {passed:.1f} minutes (seed {self.seed}){', stopped' if self.stopped else ''}")
        self._say(f"disturbed tables finished: {self.disturber.cycles}; faults: {faults or 'none'}")
        self._say(f"long campaigns finished: {self.long.finished}, runs: {self.long.runs}")
        for line in lines or ["no process lived long enough to say whether it grows"]:
            self._say(f"  {line}")
        for line in wrong:
            self._say(f"  WRONG: {line}")
        self._say("nothing lost, nothing grew" if not wrong else f"{len(wrong)} WRONG; see {self.folder}")
        return not wrong

    def _say(self, line: str) -> None:
        print(line, flush=True)


def main() -> int:
    """Reads the command line and runs the soak."""
    parser = argparse.ArgumentParser(prog="python -m tests.robustness.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, default=100, help="of a long campaign: 16 runs each (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--cores", type=int, default=1, help="that it may use (default 1)")
    parser.add_argument("--out", type=Path, help="an empty folder (default: a temporary one, removed if all is well)")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-arguments.cores :])
    folder = arguments.out or Path(tempfile.mkdtemp(prefix="soak-"))
    soak = Soak(folder.resolve(), arguments.minutes, arguments.seeds, arguments.seed)

    def stop(*_: object) -> None:
        soak.stopped = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    good = soak.run()
    if good and not arguments.out:
        shutil.rmtree(folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
