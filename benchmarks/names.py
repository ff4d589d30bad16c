"""One answer to a wrong name: what it was, the nearest right one, and all that are allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UnknownName(ValueError):
    """A name that does not exist; the message says which do."""


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
