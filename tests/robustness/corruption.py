"""Damages files of a results folder and of a prepared data set, and looks whether anybody believes them.

    python -m tests.robustness.corruption --times 1000 --commands 24

A trial damages one file of a kind and then does what the harness does with it. Either it is told, with the path, or
what comes out is what came out before. Anything else is a loss: a wrong number, or an error that does not say where.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.campaign import Campaign
from benchmarks.datasets import store as prepared
from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.records import overview
from benchmarks.records.store import Store, StoreError
from benchmarks.running.execute import Machine, build_method, execute, header_of
from benchmarks.runs import Evaluate, Pretrain
from benchmarks.tables import TABLES
from protocols.checkpoint import Damaged, load_encoder, load_training, save_training, set_aside
from tests.benchmarks.datasets import toy
from tests.robustness.damage import DAMAGES

SETTINGS = Settings(scale="smoke")
PAIRS = 2  # pretrainings, each with its evaluation


@dataclass(frozen=True)
class Kind:
    """A kind of files: where they are, what is made of all of them, and whether they can be made again."""

    files: tuple[Path, ...]
    use: Callable[[], Any]
    repair: Callable[[Damaged | StoreError | ValueError], object] | None = None
    prepare: Callable[[], object] = lambda: None  # before each trial


class Site:
    """A results folder with a few runs, checkpoints of two of them, and a prepared data set."""

    def __init__(self, folder: Path) -> None:
        self.root, self.data = folder / "out" / "smoke", folder / "data"
        plan = Plan.of([TABLES["7"]], SETTINGS)
        self.store = Store(self.root)
        self.store.prepare()
        machine = Machine(data=str(self.data))
        self.evaluations = [run for run in plan.runs.values() if isinstance(run, Evaluate)][:PAIRS]
        self.pretrainings = [run.encoder for run in self.evaluations if isinstance(run.encoder, Pretrain)]
        for run in (*self.pretrainings, *self.evaluations):
            self.store.write_spec(run)
            assert execute(str(self.root), run.id, machine=machine) == "ok"
        for run in self.pretrainings:
            method = build_method(run)
            state = {"module": method.state_dict(), "history": [{"epoch": 1, "lr": 0.1}]}
            save_training(self._checkpoint(run), run.id, state)
        self.sets = [self._prepared(name) for name in ("toy-8", "other-8")]
        self._cache = self.root / "runs" / "overview.json"
        self._remember()

    def _remember(self) -> None:
        """Fills the cache anew: what it kept of records that were put back since is of no use."""
        self._cache.unlink(missing_ok=True)
        with _remembering():
            overview.Overview(self.root).briefs()

    def _prepared(self, name: str) -> Path:
        rng = np.random.default_rng(len(name))
        clips = [
            ({"name": f"{i}", "label": i % 2, "subject": i}, rng.normal(size=(3, 8, 25, 2)).astype(np.float32))
            for i in range(4)
        ]
        return toy.put(self.data / name, clips)

    def _checkpoint(self, run: Pretrain) -> Path:
        return self.store.folder(run.id) / "checkpoint.pt"

    def kinds(self) -> dict[str, Kind]:
        """Every kind of file that can be damaged."""
        folders = [self.store.folder(run.id) for run in self.pretrainings]
        judged = [self.store.folder(run.id) for run in self.evaluations]
        encoders = [folder / f"encoder-{select}.safetensors" for folder in folders for select in ("best-knn", "last")]
        own = (*self.pretrainings, *self.evaluations)
        return {
            "checkpoint": Kind(tuple(map(self._checkpoint, self.pretrainings)), self._checkpoints, _set_aside),
            "encoder": Kind(tuple(encoders), self._encoders, _set_aside),
            "record": Kind(tuple(self.store.records / f"{run.id}.json" for run in own), self._tables),
            "scores.npz": Kind(tuple(folder / "scores.npz" for folder in judged), self._scores, _set_aside),
            "spec.json": Kind(tuple(folder / "spec.json" for folder in (*folders, *judged)), self._specs),
            "overview.json": Kind((self._cache,), self._overview, prepare=self._remember),
            "x.npy": Kind(tuple(folder / "x.npy" for folder in self.sets), self._sets),
            "meta.csv": Kind(tuple(folder / "meta.csv" for folder in self.sets), self._sets),
            "manifest.json": Kind(tuple(folder / "manifest.json" for folder in self.sets), self._sets),
        }

    def _checkpoints(self) -> Any:
        states = [load_training(self._checkpoint(run), run.id) for run in self.pretrainings]
        return [_bytes(state["module"]) + repr(state["history"]).encode() for state in states if state]

    def _encoders(self) -> Any:
        found = []
        for run in self.pretrainings:
            for select in ("best-knn", "last"):
                path = self.store.folder(run.id) / f"encoder-{select}.safetensors"
                expected = header_of(run) | {"select": select}
                module = load_encoder(path, lambda run=run: build_method(run).encoder(), expected)
                found.append(_bytes(module.state_dict()))
        return found

    def _tables(self) -> Any:
        return Campaign([TABLES["7"]], SETTINGS, self.root.parent, self.data).tables()

    def _scores(self) -> Any:
        return [values.tobytes() for run in self.evaluations for values in self.store.read_scores(run.id)]

    def _specs(self) -> Any:
        return [self.store.read_spec(run.id) for run in (*self.pretrainings, *self.evaluations)]

    def _overview(self) -> Any:
        return overview.Overview(self.root).briefs()

    def _sets(self) -> Any:
        found = [prepared.load(folder) for folder in self.sets]
        return [(part.x.tobytes(), part.meta.to_csv(), part.manifest) for part in found]


@contextlib.contextmanager
def _remembering() -> Iterator[None]:
    """Lets the overview keep few and young records too."""
    worth, settled = overview.WORTH, overview.SETTLED
    overview.WORTH, overview.SETTLED = 1, -1
    try:
        yield
    finally:
        overview.WORTH, overview.SETTLED = worth, settled


def _bytes(state: dict[str, torch.Tensor]) -> bytes:
    return b"".join(name.encode() + tensor.numpy().tobytes() for name, tensor in state.items())


def _set_aside(error: Damaged | StoreError | ValueError) -> object:
    assert isinstance(error, Damaged), "it is not known that this file can be made again"
    return set_aside(error)


@dataclass
class Tally:
    """Trials, and how they ended."""

    told: Counter[str]
    harmless: Counter[str]
    losses: list[str]

    @property
    def trials(self) -> int:
        """All of them."""
        return self.told.total() + self.harmless.total() + len(self.losses)

    def __str__(self) -> str:
        """One line per kind, then every loss."""
        lines = [f"{'':14}{'trials':>8}{'told':>8}{'as before':>10}"]
        for kind in sorted(self.told | self.harmless):
            told, harmless = self.told[kind], self.harmless[kind]
            lines.append(f"{kind:14}{told + harmless:>8}{told:>8}{harmless:>10}")
        return "\n".join([*lines, f"{self.trials} damages, {len(self.losses)} losses", *self.losses])


def one(kind: Kind, name: str, expected: Any, rng: random.Random, tally: Tally) -> None:
    """Damages a file, looks, and puts everything back."""
    kind.prepare()
    path, damage = rng.choice(kind.files), rng.choice(DAMAGES)
    others = [other for other in kind.files if other != path]
    before = {file: file.read_bytes() for file in kind.files}
    damage(path, others, rng)
    changed = [file for file in kind.files if file.is_dir() or file.read_bytes() != before[file]]
    what = f"{name}: {damage.__name__} of {path}"
    try:
        if kind.use() == expected:
            tally.harmless[name] += 1
        else:
            tally.losses.append(f"{what}: believed")
    except (Damaged, StoreError, ValueError, FileNotFoundError) as error:
        if not any(str(file) in str(error) for file in changed):
            tally.losses.append(f"{what}: the error does not name it: {error}")
        else:
            tally.told[name] += 1
        if kind.repair and not isinstance(error, FileNotFoundError):
            kind.repair(error)
            if all(file.exists() for file in kind.files):
                tally.losses.append(f"{what}: is still there")
    except Exception as error:  # whatever else is a loss, and the trials go on
        tally.losses.append(f"{what}: {type(error).__name__}: {error}")
    for file, content in before.items():
        for leaving in (file, *file.parent.glob(f"{file.name}.damaged*")):
            shutil.rmtree(leaving) if leaving.is_dir() else leaving.unlink(missing_ok=True)
        file.write_bytes(content)


def trials(site: Site, times: int, seed: int = 0) -> Tally:
    """`times` damages, spread evenly over the kinds of files."""
    rng, tally = random.Random(seed), Tally(Counter(), Counter(), [])
    kinds = site.kinds()
    expected = {name: kind.use() for name, kind in kinds.items()}
    for number in range(times):
        name = list(kinds)[number % len(kinds)]
        one(kinds[name], name, expected[name], rng, tally)
    return tally


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1000, help="damages in this process (default 1000)")
    parser.add_argument("--commands", type=int, default=0, help="damages before a whole command (default none)")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(trials(Site(Path(folder)), chosen.times, chosen.seed))
    if chosen.commands:
        from tests.robustness import corrupted_commands

        with tempfile.TemporaryDirectory() as folder:
            print(corrupted_commands.trials(Path(folder), chosen.commands, chosen.seed))


if __name__ == "__main__":
    main()
