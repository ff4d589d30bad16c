"""A made data set of 64,000 clips: seconds and peak memory of everything that reads or writes all of it.

    python -m tests.robustness.large_data --place DIR
    python -m tests.robustness.large_data --place DIR --stages check knn

Each stage is a process of its own, so that its peak is its own. The peak counts pages of x.npy that are mapped, which
the system can take back; "private" is what it cannot; "computing" are seconds of processors, whoever else is at work.
The network is the smoke scale's: figures are of the harness, not of an ST-GCN.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks import recipes
from benchmarks.datasets import catalog, store
from benchmarks.datasets.check import check
from benchmarks.datasets.convert import convert
from benchmarks.datasets.rules import NTU60_TRAIN
from benchmarks.datasets.source import Clip, Loaded, Source
from benchmarks.recipes import Settings
from benchmarks.records.provenance import REPO, environment
from benchmarks.running.execute import build_method
from protocols import PROTOCOLS, Context, Splits
from protocols.features import calibrate
from protocols.pretrain import pretrain

MODULE = "tests.robustness.large_data"
NAME, FRAMES, CLASSES, PEOPLE = "ntu60", 16, 60, 40


def load(number: int) -> Loaded:
    """Clip (3, T, 25, 2), metres: a posture of its class, and noise of its own; every third has a second person."""
    label = number % CLASSES
    posture = np.random.default_rng(label).normal(0, 0.3, (3, 1, 25, 1))
    x = posture + np.random.default_rng(CLASSES + number).normal(0, 0.1, (3, FRAMES, 25, 2))
    x[..., 1] *= number % 3 == 0
    return Loaded(x.astype(np.float32))


def write(place: Path, clips: int) -> str:
    """The prepared set, by the one way there is to write one."""
    subjects = [*NTU60_TRAIN, *(s for s in range(1, PEOPLE + 1) if s not in NTU60_TRAIN)]
    listed = []
    for n in range(clips):
        row = {"name": f"made-{n:06}", "label": n % CLASSES, "subject": subjects[n // CLASSES % PEOPLE],
               "camera": n // CLASSES % 3 + 1}  # fmt: skip
        listed.append(Clip(row, n, f"made-{n:06}"))
    source = Source(clips=listed, load=load, fingerprint=f"made {clips}", kind="made", parallel=True, finished=True)
    folder = convert(
        store.folder_of(place, NAME, FRAMES), source, name=NAME, frames=FRAMES, persons=2, classes=CLASSES,
        revision=catalog.dataset(NAME).revision, credit="nobody", jobs=os.cpu_count() or 1, say=lambda line: None,
    )  # fmt: skip
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    return f"{(folder / store.ARRAY).stat().st_size / 1e6:,.0f} MB, largest worker {worker:,.0f} MB"


def checked(place: Path, clips: int) -> str:
    """`data check`, without its picture."""
    report = check(NAME, FRAMES, place)
    return f"{len(report.lines)} lines, {sum('wrong' in line for line in report.lines)} with <-- wrong"


def opened(place: Path, clips: int) -> str:
    """What a run does first: both checksums, the table, the split."""
    data = _splits(place)
    return f"{len(data.train.rows)} training clips, {len(data.test.rows)} test clips"


def judged(protocol: str) -> Callable[[Path, int], str]:
    """An evaluation of an encoder with random weights and statistics of the data: its features, then the protocol."""

    def run(place: Path, clips: int) -> str:
        data, pretraining = _splits(place), _pretraining()
        encoder = build_method(pretraining).encoder().eval()
        calibrate(encoder, data.train, "joint", torch.device("cpu"))
        config = recipes.evaluation(_settings(), protocol, pretraining, NAME, "xsub").config
        found = PROTOCOLS[protocol].run(encoder, data, "joint", 0, config, Context())
        return f"top-1 {found.metrics['top1']:.1%}"

    return run


def epoch(place: Path, clips: int) -> str:
    """One epoch of SkeletonCLR, and the KNN monitor after it."""
    run, data = _pretraining(), _splits(place)
    result = pretrain(
        build_method(run), data, sgd=run.sgd, batch=run.batch, epochs=1, seed=0, monitor=run.monitor,
        monitor_every=1, run_id=run.id, header={}, context=Context(),
    )  # fmt: skip
    return f"{len(data.train.rows) // run.batch} steps of {run.batch}, KNN {result.metrics['knn20']:.1%}"


STAGES: dict[str, Callable[[Path, int], str]] = {
    "write": write, "check": checked, "open": opened, "knn": judged("knn"), "linear": judged("linear"), "epoch": epoch,
}  # fmt: skip


def _settings() -> Settings:
    return Settings(scale="smoke", overrides=(("batch", 128), ("queue", 512), ("frames", FRAMES)))


def _pretraining():
    return recipes.pretraining(_settings(), "skeletonclr", NAME, "xsub", "joint", 0)


def _splits(place: Path) -> Splits:
    return catalog.splits(NAME, "xsub", FRAMES, place)


def _private() -> float:
    """MB of this process that no file backs."""
    return int(re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1e3  # pyright: ignore[reportOptionalSubscript]  fails loudly on None


def _computed() -> float:
    """Seconds that this process and its ended workers have computed, whoever else was at it on the machine."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _one(stage: str, place: Path, clips: int) -> None:
    """Runs a stage and prints its line."""
    torch.set_num_threads(1)
    privates, over = [_private()], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            privates.append(_private())

    before = privates[0]
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    started, before_it = time.monotonic(), _computed()
    said = STAGES[stage](place, clips)
    seconds, computed = time.monotonic() - started, _computed() - before_it
    over.set()
    watcher.join()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    memory = f"{peak:>9,.0f} MB{max(privates):>9,.0f} MB (begun {before:,.0f})"
    print(f"{stage:8}{seconds:>9.1f} s{computed:>9.1f} s{memory}  {said}")


def main() -> int:
    """Prints a line per stage; returns 1 when one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--place", type=Path, required=True, metavar="DIR", help="where the data set is or will be")
    parser.add_argument("--clips", type=int, default=64_000, metavar="N")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES), metavar="S", help="default: all")
    parser.add_argument("--one", choices=STAGES, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        _one(chosen.one, chosen.place, chosen.clips)
        return 0
    about = environment("cpu", 1)
    print(f"{chosen.clips} clips (3, {FRAMES}, 25, 2); {about['cpu']}, {about['cores']} cores, one thread per process")
    print(f"{'':8}{'seconds':>11}{'computing':>11}{'peak':>12}{'private':>12}", flush=True)
    code = 0
    for stage in chosen.stages:
        words = ["--place", str(chosen.place.resolve()), "--clips", str(chosen.clips), "--one", stage]
        code |= subprocess.run([sys.executable, "-m", MODULE, *words], cwd=REPO).returncode
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main())
