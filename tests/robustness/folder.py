"""What must be equal in two results folders, however often the command that filled one of them was killed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
OWN = ("seconds", "finished", "digest", "samples_per_second")  # what two runs of the same work may differ in


def contents(folder: Path) -> dict[str, Any]:
    """Every file below `folder` by its relative path: records and logs without what is a run's own, else checksums.

    A file that is there in one folder and not in the other is a difference too: so leftovers are found.
    """
    found: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.parent.name == "records" and path.suffix == ".json":
            found[name] = _shared(json.loads(path.read_text()))
        elif path.name == "log.jsonl":
            found[name] = [_shared(json.loads(line)) for line in path.read_text().splitlines()]
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _shared(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in OWN}


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """A line for every file that is missing, left over or different; for a record, with its fields."""
    lines = [f"missing: {name}" for name in expected.keys() - found.keys()]
    lines += [f"left over: {name}" for name in found.keys() - expected.keys()]
    for name in expected.keys() & found.keys():
        if found[name] != expected[name]:
            lines.append(f"different: {name}{_fields(found[name], expected[name])}")
    return sorted(lines)


def _fields(found: Any, expected: Any) -> str:
    if not isinstance(found, dict):
        return ""
    keys = sorted(found.keys() | expected.keys())
    return "".join(f"; {k} {found.get(k)!r} for {expected.get(k)!r}" for k in keys if found.get(k) != expected.get(k))
