"""The code that jobs run: a copy made at submission, so that edits made while jobs wait do not change what runs.

A copy is named by the hash of its files and of the commit they are of: submitting the same code twice makes one copy.
The interpreter and its packages are not copied.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from pathlib import Path

from benchmarks.records.provenance import FLOORS, REPO, SNAPSHOT, code
from benchmarks.records.store import write_json

PARTS = (*FLOORS, "bench.py", "pyproject.toml")


def take(root: Path) -> Path:
    """Copies the code to <root>/slurm/code/<hash>, with the commit it is of, and returns that folder."""
    files = sorted(path for part in PARTS for path in _files(REPO / part))
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(REPO).as_posix().encode() + b"\0" + path.read_bytes())
    said = code()
    digest.update(json.dumps(said, sort_keys=True).encode())
    place = root / "slurm" / "code" / digest.hexdigest()[:16]
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    copy = place.with_name(f".copy-{secrets.token_hex(4)}")
    copy.mkdir()
    try:
        for path in files:
            target = copy / path.relative_to(REPO)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        write_json(copy / SNAPSHOT, said)
        copy.rename(place)
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    return place


def _files(part: Path) -> list[Path]:
    if part.is_file():
        return [part]
    return [path for path in part.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
