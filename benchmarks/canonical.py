"""The canonical form of frozen dataclasses, and the identity that follows from it: every field, defaults written out.

A run's identity is the sha256 of its canonical form and of the REVISION of method, backbone, protocol and data set.
Never a difference from defaults, never a path, a device or a number of workers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache, cached_property
from json.encoder import encode_basestring_ascii
from typing import Any


def digits(text: str) -> str:
    """The 16 hexadecimal digits, 64 bits of a sha256, by which a canonical form is known."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Identified:
    """A frozen dataclass that is known by its canonical form; what all kinds of runs are."""

    @cached_property
    def id(self) -> str:
        """kind-xxxxxxxxxxxxxxxx, 64 bits of the sha256 of the canonical form."""
        return f"{type(self).__name__.lower()}-{digits(self._text)}"

    @cached_property
    def _text(self) -> str:
        """The spec as JSON, keys sorted; a pretraining's is made once for all that judge it."""
        parts = {name: _json(getattr(self, name)) for name in _names(type(self))}
        parts["kind"] = _json(type(self).__name__)
        parts["revisions"] = _object({name: _json(number) for name, number in self.revisions.items()})
        return _object(parts)

    def spec(self) -> dict[str, Any]:
        """The canonical form: nested dicts, lists, strings and numbers, everything included."""
        return _plain(self)

    @property
    def revisions(self) -> dict[str, int]:
        """REVISION of everything whose change changes the numbers."""
        raise NotImplementedError


def _plain(value: Any) -> Any:
    """Dataclasses to dicts (runs with kind and revisions), tuples to lists; anything else must be a JSON scalar."""
    if is_dataclass(value) and not isinstance(value, type):
        plain = {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
        if isinstance(value, Identified):
            plain |= {"kind": type(value).__name__, "revisions": value.revisions}
        return plain
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} has no canonical form: {value!r}")


@cache
def _names(cls: type[Any]) -> tuple[str, ...]:
    return tuple(sorted(f.name for f in fields(cls)))


def _object(parts: dict[str, str]) -> str:
    return "{" + ",".join([f'"{name}":{parts[name]}' for name in sorted(parts)]) + "}"


_SCALARS: dict[type, Callable[[Any], str]] = {
    str: encode_basestring_ascii,
    int: int.__repr__,
    float: json.JSONEncoder(allow_nan=False).encode,
}


def _json(value: Any) -> str:
    """json.dumps(_plain(value)), fast: thousands of runs are hashed before a plan is printed."""
    if encode := _SCALARS.get(type(value)):
        return encode(value)
    if isinstance(value, Identified):
        return value._text
    if isinstance(value, tuple):
        return f"[{','.join([_json(item) for item in value])}]"
    if is_dataclass(value) and not isinstance(value, type):
        if "_json" not in vars(value):  # configs are frozen, and thousands of runs share them
            vars(value)["_json"] = _object({name: _json(getattr(value, name)) for name in _names(type(value))})
        return vars(value)["_json"]
    return json.dumps(_plain(value), allow_nan=False)
