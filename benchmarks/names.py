"""Names in sentences: the answer to a wrong one (the nearest right one, all that are allowed), and a few of many."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UnknownName(ValueError):
    """A name that does not exist; the message says which do."""


def few(words: Iterable[str], most: int = 5) -> str:
    """The first of some words, in their order, and that there are more."""
    words = list(words)
    return ", ".join(words[:most]) + (", ..." if len(words) > most else "")


def known(kind: str, name: str, allowed: Iterable[str]) -> str:
    """The name itself.

    Raises:
        UnknownName: when it is not one of those allowed.
    """
    allowed = list(allowed)
    if name not in allowed:
        near = difflib.get_close_matches(name.lower(), allowed, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownName(f"Unknown {kind} {name!r}.{hint} Allowed: {', '.join(allowed)}.")
    return name
