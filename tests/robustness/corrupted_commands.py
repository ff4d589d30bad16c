"""Damages a file of a results folder, then gives the same command again, as a person does.

Either the command ends well, with all metrics as they were, or it ends otherwise and names the file. What can be
computed again has to be, and whoever sets a file aside says so: of all kinds but records the command must end well.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from benchmarks.records.store import Store
from benchmarks.running.execute import Machine, execute
from benchmarks.runs import Evaluate, Pretrain
from tests.robustness.corruption import Tally
from tests.robustness.damage import DAMAGES, swap
from tests.robustness.folder import REPO

WORDS = ["run", "--method", "skeattnclr", "--scale", "smoke", "--seeds", "2", "--jobs", "2", "--set", "epochs=2"]
KINDS = ("encoder", "checkpoint", "record", "spec.json", "log.jsonl")


def command(out: Path) -> tuple[int, str]:
    """The command with its results in `out`: exit code, and all that it says."""
    words = [sys.executable, str(REPO / "bench.py"), *WORDS, "--out", str(out)]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    return done.returncode, done.stdout


def numbers(out: Path) -> dict[str, object]:
    """The metrics of every record."""
    records = (json.loads(path.read_text()) for path in (out / "smoke" / "records").glob("*.json"))
    return {record["run"]: record["metrics"] for record in records}


def files(store: Store, kind: str, run: Pretrain) -> list[Path]:
    """The files of a kind that belong to a pretraining."""
    folder = store.folder(run.id)
    match kind:
        case "encoder":
            return store.products(run)
        case "record":
            return [store.records / f"{run.id}.json"]
        case "checkpoint":
            return [folder / "checkpoint.pt"]
    return [folder / kind]


def prepare(store: Store, kind: str, run: Pretrain, evaluations: list[Evaluate]) -> None:
    """Takes away what makes the command look at the file: records that were read from it."""
    if kind == "record":
        return
    for evaluation in evaluations:
        (store.records / f"{evaluation.id}.json").unlink()
    if kind in ("checkpoint", "log.jsonl", "spec.json"):
        (store.records / f"{run.id}.json").unlink()
        for encoder in store.products(run):
            encoder.unlink()
        status = execute(str(store.root), run.id, machine=Machine(), stop=lambda: True)
        assert status == "interrupted"


def trials(folder: Path, times: int, seed: int = 0) -> Tally:
    """`times` damages, each followed by the command, in folders below `folder`."""
    rng, tally = random.Random(seed), Tally(Counter(), Counter(), [])
    whole = folder / "whole"
    code, said = command(whole)
    assert code == 0, said
    expected = numbers(whole)
    store = Store(whole / "smoke")
    runs = [store.read_spec(run_id) for run_id in expected]
    pretrainings = [run for run in runs if isinstance(run, Pretrain)]
    damages = [damage for damage in DAMAGES if damage is not swap]
    for number in range(times):
        kind, run = KINDS[number % len(KINDS)], rng.choice(pretrainings)
        evaluations = [e for e in runs if isinstance(e, Evaluate) and e.encoder == run]
        out = folder / f"trial-{number}"
        shutil.copytree(whole, out)
        store = Store(out / "smoke")
        prepare(store, kind, run, evaluations)
        path, damage = rng.choice(files(store, kind, run)), rng.choice(damages)
        damage(path, [], rng)
        what = f"{kind}: {damage.__name__} of {path}"
        code, said = command(out)
        aside = list(out.rglob("*.damaged"))
        if aside and not all(f"is called {path.name} now" in said for path in aside):
            tally.losses.append(f"{what}: it is set aside, and nobody says so: {said}")
        elif code == 0 and numbers(out) == expected:
            tally.harmless[kind] += 1
        elif code == 0:
            tally.losses.append(f"{what}: other numbers")
        elif str(path) not in said.replace("\n", ""):
            tally.losses.append(f"{what}: it is not named: {said}")
        elif kind != "record" and not path.is_dir():
            tally.losses.append(f"{what}: it is not made again: {said}")
        else:
            tally.told[kind] += 1
        shutil.rmtree(out)
    return tally
