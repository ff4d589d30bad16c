"""Records, claims and run folders: all state is files, and every file is complete or absent.

    <root>/records/<run_id>.json    one record per run: spec, metrics, environment, status ok | failed
    <root>/runs/<run_id>/           spec.json, checkpoint, encoders, scores.npz, log.jsonl, claim, again.json

A record with status ok is a result, and stays: when its encoders or scores are not there, as in a fresh clone, and are
made anew with other numbers, those are in again.json. A failed run has a record too, with its error; it is never
counted, and never in the way of other runs. Two processes never do the same run: see claims.py. A killed process leaves
at most what `Store.tidy` removes; what a full, failing or read-only disk refuses is told in one sentence and leaves no
record.
"""

from __future__ import annotations

import contextlib
import json
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import runs
from benchmarks.digest import digest
from benchmarks.records import claims, scores
from benchmarks.records.integrity import SCHEMA, wrong
from benchmarks.runs import Run
from protocols import PROTOCOLS
from protocols.files import remove_leftovers, replacing, unwritable
from protocols.pretrain import encoder_path

MALFORMED = (ValueError, TypeError, LookupError, AttributeError, RecursionError)  # what JSON of other shape raises
LONG = ("history", "per_class", "points", "spec", "traceback")  # what a brief leaves out


class StoreError(RuntimeError):
    """A file of the store that cannot be used or written, and what to do about it."""


class Store:
    """All runs below one root folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.records = root / "records"
        self.runs = root / "runs"

    def prepare(self) -> None:
        """Makes the folders.

        Raises:
            StoreError: when the root cannot be written, or files in it cannot be locked.
        """
        try:
            self.records.mkdir(parents=True, exist_ok=True)
            self.runs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(str(unwritable(self.root, error))) from error
        try:
            with replacing(self.runs / ".writable") as temporary:
                unlockable = claims.unlockable(temporary)
            (self.runs / ".writable").unlink(missing_ok=True)  # of another process that does the same
        except OSError as error:
            raise StoreError(str(error)) from error
        if unlockable:
            raise StoreError(f"{self.root}: {unlockable}")

    def tidy(self, wanted: Mapping[str, Run]) -> None:
        """Removes what killed processes left: claims, checkpoints of runs that are done, temporary files.

        The checkpoint of a run that is done again for its encoders or scores stays, what a living process is at stays,
        and so does what cannot be removed.
        """
        with contextlib.suppress(OSError, StoreError):
            for run_id, run in wanted.items():
                if not any((self.folder(run_id) / name).exists() for name in ("claim", "checkpoint.pt")):
                    continue
                with self.claim(run_id) as ours:
                    if ours and self.done(run, product=True):
                        self.forget_checkpoint(run_id)
        for folder in (self.root, self.records, self.runs, self.root / "tables", self.root / "figures"):
            remove_leftovers(folder)

    def forget_checkpoint(self, run_id: str) -> None:
        """Removes the checkpoint of a run that is done."""
        (self.folder(run_id) / "checkpoint.pt").unlink(missing_ok=True)

    def folder(self, run_id: str) -> Path:
        """The folder of a run, which may not exist yet."""
        return self.runs / run_id

    # Specs

    def write_spec(self, run: Run) -> None:
        """Leaves the canonical form for whoever executes the run, in the place of one that cannot be used."""
        with contextlib.suppress(StoreError):
            self.read_spec(run.id)
            return
        write_json(self.folder(run.id) / "spec.json", run.spec())

    def read_spec(self, run_id: str) -> Run:
        """The run of that id.

        Raises:
            StoreError: when there is none, or when it does not hash to its id.
        """
        path = self.folder(run_id) / "spec.json"
        try:
            run = runs.from_spec(json.loads(path.read_text()))
        except FileNotFoundError as error:
            raise StoreError(f"there is no run {run_id} in {self.root}") from error
        except (OSError, *MALFORMED) as error:
            raise StoreError(f"{path} cannot be used ({error}); run the same command again") from error
        if run.id != run_id:
            raise StoreError(f"{path} describes {run.id}; run the same command again")
        return run

    # Records

    def write_record(self, record: dict[str, Any]) -> None:
        """Writes one record atomically, with schema and digest."""
        record = {"schema": SCHEMA, **record}
        write_json(self.records / f"{record['run']}.json", record | {"digest": digest(record)})

    def write_again(self, record: dict[str, Any]) -> None:
        """Keeps what a run gave whose files were made anew; nothing where that is what its record says."""
        path = self._again(record["run"])
        kept = self.record(record["run"]) or {}
        if all(kept.get(key) == json.loads(json.dumps(record.get(key))) for key in ("metrics", "history")):
            path.unlink(missing_ok=True)
        else:
            write_json(path, record)

    def again(self, run_id: str) -> bool:
        """Whether the files of a run were made anew, with other numbers than those of its record."""
        return self._again(run_id).exists()

    def _again(self, run_id: str) -> Path:
        return self.folder(run_id) / "again.json"

    def record(self, run_id: str) -> dict[str, Any] | None:
        """The record of a run, ok or failed, or None.

        Raises:
            StoreError: when the file is damaged, of another schema, or another run's.
        """
        path = self.records / f"{run_id}.json"
        again = "delete it and run the same command again"
        try:
            record = json.loads(path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}; {again}") from error
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{path} is not JSON ({error}); {again}") from error
        if reason := wrong(record, run_id):
            raise StoreError(f"{path} {reason}; {again}")
        return record

    def forget_failure(self, run_id: str) -> None:
        """Removes the record of a failed run, which is then missing; a result stays."""
        record = self.record(run_id)
        if record and record["status"] == "failed":
            (self.records / f"{run_id}.json").unlink()

    def brief(self, run_id: str) -> dict[str, Any] | None:
        """A record without what is LONG, and with the seed of its spec, if it has one; raises as `record` does."""
        record = self.record(run_id)
        if record is None:
            return None
        seed = record.get("spec", {}).get("seed")
        return {key: value for key, value in record.items() if key not in LONG} | (
            {} if seed is None else {"seed": seed}
        )

    def briefs(self, run_ids: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """What there is of these, or of all runs, in short."""
        if run_ids is None:
            run_ids = sorted(path.stem for path in self.records.glob("*.json"))
        return {run_id: brief for run_id in run_ids if (brief := self.brief(run_id))}

    def done(self, run: Run, product: bool = False) -> bool:
        """Whether a run has a result and, if asked, also the file that runs after it read.

        A fresh clone has records but no encoders: what is only looked at need not run again, what is built upon
        must.
        """
        record = self.brief(run.id)
        if record is None or record["status"] != "ok":
            return False
        return not product or all(path.exists() for path in self.products(run))

    def products(self, run: Run) -> list[Path]:
        """What a run leaves for others: a pretraining its encoders, an evaluation its scores if it has any."""
        folder = self.folder(run.id)
        if isinstance(run, runs.Pretrain):
            return [encoder_path(folder, select) for select in typing.get_args(runs.Select)]
        return [folder / "scores.npz"] if scored(run) else []

    # Scores

    def write_scores(self, run_id: str, values: np.ndarray, labels: np.ndarray) -> None:
        """Scores (n, classes) float32 and labels (n,) of the test side."""
        scores.write(self.folder(run_id) / "scores.npz", run_id, values, labels)

    def read_scores(self, run_id: str) -> tuple[np.ndarray, np.ndarray]:
        """What write_scores wrote; raises FileNotFoundError, or Damaged for a file that is not that."""
        return scores.read(self.folder(run_id) / "scores.npz", run_id)

    # Claims, see claims.py

    def claim(self, run_id: str) -> contextlib.AbstractContextManager[bool]:
        """Yields whether the run is now ours alone; raises OSError when its folder cannot be written or locked.

        Whoever has a run has its files: what a killed owner left half written is removed.
        """
        leftovers = (self.folder(run_id), ".*.tmp"), (self.records, f".{run_id}.json.*.tmp")
        return claims.claim(self.folder(run_id) / "claim", leftovers)

    def claimed(self, run_id: str) -> str | None:
        """Who is working on a run ("host pid"), or None. For display only: it may be over in a moment."""
        return claims.owner(self.folder(run_id) / "claim")


def scored(run: Run) -> bool:
    """Whether a run ends with scores of every test sample; a pretraining and a picture do not."""
    if isinstance(run, runs.Evaluate):
        return getattr(PROTOCOLS[run.protocol], "SCORES", True)
    return isinstance(run, runs.Fuse)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes one JSON file atomically.

    Raises:
        StoreError: when it cannot be written.
    """
    try:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
    except OSError as error:
        raise StoreError(str(error)) from error


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically.

    Raises:
        StoreError: when it cannot be written.
    """
    try:
        with replacing(path) as temporary:
            temporary.write_text(text)
    except OSError as error:
        raise StoreError(str(error)) from error
