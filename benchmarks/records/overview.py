"""A results folder for those who look at all of it: every record is read and verified once, however often one asks.

<root>/runs/overview.json keeps what thousands of records say in short, each with the inode, size and time of change of
its file; a record whose file differs is read again. It is a memory, not a result: it may be deleted at any time, and
one whose checksum does not agree, or that was kept by another version, is forgotten.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.records.integrity import SCHEMA
from benchmarks.records.store import LONG, MALFORMED, Store
from protocols.files import replacing

WORTH = 100  # records read anew before they are kept for the next command
SETTLED = 1_000_000_000  # ns; a younger file may change again within a step of the file system's clock
FORM = [SCHEMA, *LONG]
BEGIN, MIDDLE = b'{"sha256": "', b'", "kept": '  # around the checksum of what is kept


class Overview(Store):
    """A Store that remembers what its records say in short. Never write to what it returns."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._path = self.runs / "overview.json"
        self._known: dict[str, tuple[list[int], dict[str, Any]]] | None = None
        self._unsaved = 0

    def brief(self, run_id: str) -> dict[str, Any] | None:
        """As Store.brief, and raises as it does; the file is read only when it has changed since."""
        if self._known is None:
            self._known = self._load()
        try:
            file = os.stat(f"{self.records}/{run_id}.json")
        except (FileNotFoundError, NotADirectoryError):
            return None
        seen = [file.st_ino, file.st_size, file.st_ctime_ns]
        if run_id in self._known and self._known[run_id][0] == seen:
            return self._known[run_id][1]
        found = super().brief(run_id)
        if found and time.time_ns() - file.st_ctime_ns > SETTLED:
            self._known[run_id] = (seen, found)
            self._unsaved += 1
        return found

    def briefs(self, run_ids: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """As Store.briefs; keeps what was new."""
        found = super().briefs(run_ids)
        if self._unsaved >= WORTH:
            with contextlib.suppress(OSError), replacing(self._path) as temporary:  # of somebody else: read again
                kept = json.dumps({"form": FORM, "records": self._known}).encode()
                temporary.write_bytes(BEGIN + hashlib.sha256(kept).hexdigest().encode() + MIDDLE + kept + b"}")
            self._unsaved = 0
        return found

    def _load(self) -> dict[str, tuple[list[int], dict[str, Any]]]:
        try:
            content = self._path.read_bytes()
            start = len(BEGIN) + 64 + len(MIDDLE)
            head, text = content[:start], content[start:-1]
            if head != BEGIN + hashlib.sha256(text).hexdigest().encode() + MIDDLE:
                return {}
            kept = json.loads(text)
            return kept["records"] if kept["form"] == FORM else {}
        except (OSError, *MALFORMED):
            return {}
