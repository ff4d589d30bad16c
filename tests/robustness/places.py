"""Results and data folders in bad places: full, read-only, vanished, shared by two hosts, without locks; a bad clock.

    python -m tests.robustness.places

Each scene is a function that returns what went wrong in it. Mounting and other host names are for root: without, the
scene is skipped, with the reason. A scene's promise is its docstring.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime
import errno
import fcntl
import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import campaign
from benchmarks.campaign import Campaign
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.running import execute
from benchmarks.tables import TABLES
from tests.benchmarks.datasets import toy
from tests.robustness import forked
from tests.robustness.disk import SMALL
from tests.robustness.folder import contents, differences
from tests.robustness.mounts import Skipped, mounted, remount

SIZES = (64, 128, 256, 4096)  # KiB of a growing disk; every single write has its turn in disk.py
CLONE_NEWUTS = 0x04000000  # of <sched.h>: a host name of its own
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
TABLE = ["--table", "7", "--scale", "smoke"]


class Stage:
    """A folder to play in, and what a quiet command leaves."""

    def __init__(self, place: Path) -> None:
        forked.warm()
        self.place = place
        self.quiet = place / "quiet"
        self.quiet.mkdir()
        done = self.run(self.quiet)
        assert done.code == 0, done
        self.expected = contents(self.quiet)

    def run(self, out: Path, change: forked.Change = forked.nothing) -> forked.Said:
        """The small command, into `out`."""
        return forked.run([*SMALL, "--out", str(out)], self.place, change)

    def ends_well(self, out: Path) -> list[str]:
        """The same command, undisturbed, makes the quiet folder."""
        done = self.run(out)
        lost = [f"exit code {done.code}: {done.out[-500:]}{done.err}"] if done.code else []
        return lost + differences(contents(out), self.expected)


def refused(said: forked.Said, *words: str) -> list[str]:
    """What is wrong with how a command refused: it must end with an error, and one line must hold all words."""
    lost = [] if said.code > 0 else [f"exit code {said.code}"]
    text = said.out + said.err
    if not any(all(word in line for word in words) for line in text.splitlines()):
        lost.append(f"no line has {words}: {text[-1500:]}")
    return [*lost, "a traceback"] if "Traceback" in text else lost


def full_disk(stage: Stage) -> list[str]:
    """On a disk that is too small by more and by less: an error in a line with path and advice; then it goes on."""
    lost = []
    with mounted(stage.place / "full", SIZES[0]) as out:
        refusals = 0
        for size in SIZES:
            remount(out, f"size={size}k")
            said = stage.run(out)
            if said.code == 0:
                break
            refusals += 1
            lost += refused(said, str(out), "No space left", "make space there, then run the same command")
            records = [json.loads(path.read_text()) for path in out.glob("smoke/records/*.json")]
            lost += [f"{size} KiB: failed {record['run']}" for record in records if record["status"] != "ok"]
        if refusals < 2:
            lost.append(f"only {refusals} disks were too small")
        return lost + stage.ends_well(out)


def read_only(stage: Stage) -> list[str]:
    """A folder that cannot be written: said at once, with path and advice; status and render --check still work."""
    with mounted(stage.place / "read-only") as out:
        shutil.copytree(stage.quiet, out, dirs_exist_ok=True)
        gone = next(out.glob("smoke/records/evaluate-*.json"))
        gone.unlink()
        remount(out, "ro")
        lost = refused(stage.run(out), str(out), "Read-only file system", "make it writable", "--out DIR")
        for words in (["status", *TABLE], ["plan", *TABLE], ["render", "--check", *TABLE]):
            said = forked.run([*words, "--out", str(out)], stage.place)
            if said.code not in (0, 3) or "Traceback" in said.err:
                lost.append(f"{words}: exit code {said.code}: {said.err}")
        remount(out, "rw")
        return lost + stage.ends_well(out)


def vanished_data(stage: Stage) -> list[str]:
    """Real data that vanish before or after planning: said with the command that prepares them; nothing recorded."""
    data, out = stage.place / "data", stage.place / "vanished"
    rng = np.random.default_rng(0)
    clips = [
        (
            {"name": f"c{n}", "label": n % 9, "subject": 101 + n % 29, "position": "stand", "correct": 1},
            rng.normal(size=(3, 16, 25, 1)).astype(np.float32),
        )
        for n in range(290)
    ]
    toy.put(data / "irds-16", clips, classes=9, persons=1)
    words = ["run", "--method", "skeletonclr", "--dataset", "irds", "--scale", "full", "--jobs", "1", "--set"]
    words += ["epochs=1", "batch=8", "width=4", "frames=16", "queue=16", "dim=8", "linear_epochs=1", "linear_batch=16"]
    words += ["--data", str(data), "--out", str(out)]
    away = stage.place / "away"

    def leave() -> None:
        do = campaign.run_all

        def vanish(*given, **named):
            data.rename(away)
            return do(*given, **named)

        campaign.run_all = vanish

    says = "bench.py data prepare irds --raw PATH"
    lost = refused(forked.run(words, stage.place, leave), "lost: irds-16 is not prepared", str(data), says)
    lost += refused(forked.run(words, stage.place), str(data), says)
    lost += [f"recorded: {path.name}" for path in out.glob("records/*")]
    away.rename(data)
    done = forked.run(words, stage.place)
    return lost + ([] if done.code == 0 else [f"did not go on: {done.out[-800:]}{done.err}"])


def clock_backwards(stage: Stage) -> list[str]:
    """A clock that is set back again and again: no time is negative, no number and no decision depends on it."""
    out = stage.place / "clock"
    begun = time.time()
    steps = itertools.count(1)

    def earlier() -> float:
        return begun - 3600.0 * next(steps)

    class Dates(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return cls.fromtimestamp(earlier(), tz)

    def change() -> None:
        time.time, time.time_ns = earlier, lambda: int(earlier() * 1e9)
        execute.datetime = Dates

    said = stage.run(out, change)
    lost = [f"exit code {said.code}: {said.err}"] if said.code else []
    if re.search(r"-\d+(:\d\d|\.\d s)", said.out):
        lost.append(f"a negative time: {said.out}")
    for path in out.glob("smoke/records/*.json"):
        record = json.loads(path.read_text())
        if record["seconds"] < 0 or datetime.datetime.fromisoformat(record["finished"]).timestamp() > begun:
            lost.append(f"{record['run']}: {record['seconds']} s, finished {record['finished']}")
    for line in (line for path in out.rglob("log.jsonl") for line in path.read_text().splitlines()):
        lost += [f"log: {line}"] if json.loads(line)["seconds"] < 0 else []
    return lost + differences(contents(out), stage.expected)


def _campaign(out: Path) -> Campaign:
    return Campaign([TABLES["7"]], Settings(scale="smoke"), out, out)


def stale_claims(stage: Stage) -> list[str]:
    """Claim files of a host that died: status calls no run running, and the command does all of them."""
    out = stage.place / "stale"
    store = Store(out / "smoke")
    for run_id in [*(path.name for path in (stage.quiet / "smoke/runs").iterdir()), *_campaign(out).plan.runs]:
        store.folder(run_id).mkdir(parents=True)
        (store.folder(run_id) / "claim").write_text("host-that-died 4242\n")
    said = forked.run(["status", *TABLE, "--out", str(out)], stage.place)
    lost = [] if "0 running" in said.out and "host-that-died" not in said.out else [f"status: {said.out}{said.err}"]
    for run_id in _campaign(out).plan.runs:
        shutil.rmtree(store.folder(run_id))
    return lost + stage.ends_well(out)


def two_hosts(stage: Stage) -> list[str]:
    """Two hosts with one folder: every run is done once, status names the host, the folder equals the quiet one."""
    out = stage.place / "hosts"

    def called(name: str) -> forked.Change:
        def change() -> None:
            ctypes.CDLL(None).unshare(CLONE_NEWUTS)
            socket.sethostname(name)

        return change

    try:
        subprocess.run(["unshare", "--uts", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Skipped(f"a process cannot have a host name of its own here: {error}") from error
    words = [*SMALL, "--out", str(out)]
    both = [forked.Command(words, stage.place, called(name)) for name in ("host-a", "host-b")]
    owners = set()
    while not list(out.glob("smoke/records/evaluate-*.json")) and len(owners) < 100:
        for path in out.glob("smoke/runs/*/claim"):
            owners |= {Store(out / "smoke").claimed(path.parent.name)}
        time.sleep(0.005)
    lost = [f"exit code {said.code}: {said.out}{said.err}" for command in both if (said := command.wait()).code]
    if not any(owner and owner.startswith(("host-a ", "host-b ")) for owner in owners):
        lost.append(f"no host was seen at work: {owners}")
    for path in out.rglob("log.jsonl"):
        lost += [f"done twice: {path}"] if len(path.read_text().splitlines()) != 2 else []
    return lost + differences(contents(out), stage.expected)


def no_locks(stage: Stage) -> list[str]:
    """A file system without flock: said at once, with path and advice; nothing is done; status calls no run running."""
    out, lost = stage.place / "unlocked", []
    store = Store(out / "smoke")
    run_id = next(iter(_campaign(out).plan.runs))
    store.folder(run_id).mkdir(parents=True)
    (store.folder(run_id) / "claim").write_text("host-that-died 4242\n")
    for number in NO_LOCKS:

        def refuse(*_: object, number: int = number) -> None:
            raise OSError(number, os.strerror(number))

        def change() -> None:
            fcntl.flock = refuse

        lost += refused(stage.run(out, change), str(out), "cannot lock", os.strerror(number), "--out DIR")
        lost += [f"done nevertheless: {path}" for path in out.glob("smoke/records/*")]
        said = forked.run(["status", *TABLE, "--out", str(out)], stage.place, change)
        if "0 running" not in said.out:
            lost.append(f"status: {said.out}{said.err}")
    shutil.rmtree(out)
    return lost + stage.ends_well(out)


Scene = Callable[[Stage], list[str]]
SCENES: tuple[Scene, ...] = (
    full_disk, read_only, vanished_data, clock_backwards, stale_claims, two_hosts, no_locks
)  # fmt: skip


def play(scenes: tuple[Scene, ...] = SCENES) -> dict[str, list[str] | str]:
    """Plays scenes; name -> what was lost, or why it was skipped."""
    found: dict[str, list[str] | str] = {}
    with tempfile.TemporaryDirectory() as place:
        stage = Stage(Path(place))
        for scene in scenes:
            try:
                found[scene.__name__] = scene(stage)
            except Skipped as reason:
                found[scene.__name__] = str(reason)
    return found


def main() -> int:
    """Plays all scenes, or those named; prints JSON; returns 1 when something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [scene.__name__ for scene in SCENES]
    parser.add_argument("scenes", nargs="*", choices=[*names, []], help="which (default: all)")
    wanted = parser.parse_args().scenes or names
    found = play(tuple(scene for scene in SCENES if scene.__name__ in wanted))
    print(json.dumps(found, indent=1))
    return 1 if any(isinstance(lost, list) and lost for lost in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
