"""What the command line asked for: recipe, scale, seeds, and what --set changes. Every table is a function of it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

RECIPES = ("paper", "official")
SCALES = ("smoke", "demo", "full")


@dataclass(frozen=True)
class Settings:
    """What the command line asked for; every table is a function of it."""

    recipe: str = "paper"
    scale: str = "full"
    seeds: tuple[int, ...] = (0,)
    overrides: tuple[tuple[str, Any], ...] = ()  # --set: fields of the methods' configs, and sizes.SIZES

    @property
    def standin(self) -> str | None:
        """The size of the synthetic stand-ins, None for real data."""
        return None if self.scale == "full" else self.scale

    @property
    def title(self) -> str:
        """What they are, in a line for people."""
        return f"recipe {self.recipe}, scale {self.scale}, {len(self.seeds)} seed(s)"

    @property
    def changes(self) -> list[str]:
        """The words of --set, key=value; several numbers have commas between."""
        return [
            f"{key}={','.join(map(str, value)) if isinstance(value, tuple) else value}" for key, value in self.overrides
        ]

    @property
    def words(self) -> list[str]:
        """What a file's name says of them: another recipe than `paper`, and what --set changed."""
        changed = [re.sub(r"[^\w.=-]", "-", word) for word in self.changes]
        return [*([] if self.recipe == "paper" else [self.recipe]), *changed]

    @property
    def options(self) -> str:
        """The words of the command line that ask for them."""
        changed = "".join(f" --set {shlex.quote(word)}" for word in self.changes)
        return f"--scale {self.scale} --recipe {self.recipe} --seeds {len(self.seeds)}{changed}"

    @cached_property
    def made(self) -> dict[Any, Any]:
        """What was made under these settings and is made once: see once.py and TableSpec.cells."""
        return {}

    def but(self, **changes: Any) -> Settings:
        """These settings with changes: one object each time, and with other seeds only it has the same `made`."""
        found = replace(self, **changes)
        key = repr(found)  # == would take 4 for 4.0, which is another run
        if key == repr(self):
            return self
        if repr(replace(found, seeds=())) == repr(replace(self, seeds=())):
            vars(found)["made"] = self.made
        return self.made.setdefault(key, found)
