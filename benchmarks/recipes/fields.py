"""Fields of configs that --set may change: their types, and which config takes a value.

Why: one name can be two things. `heads` is a number in SkeAttnCLR and a word in CrosSCLR, so a value goes only where
the type of the field takes it.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from dataclasses import fields
from functools import cache
from typing import Any

UNSETTABLE = ("classes", "blocks")  # the data set decides; too long for a word


@cache
def types_of(config: type[Any]) -> dict[str, Any]:
    """The annotations of a config's fields, resolved, but for those that nobody may set."""
    hints = typing.get_type_hints(config)
    return {f.name: hints[f.name] for f in fields(config) if f.name not in UNSETTABLE}


def takes(hint: Any, value: Any) -> bool:
    """Whether a value is of the type: 4 is a number with a point too, True is no number."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return isinstance(value, tuple) and len(value) == len(arguments) and all(map(takes, arguments, value))
    if typing.get_origin(hint) is typing.Literal:
        return value in arguments
    return type(value) in (int, float) if hint is float else type(value) is hint


def taken(config: Any, wanted: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """What a config takes of names and values: its own fields, of their types."""
    hints = types_of(type(config))
    found = {name: value for name, value in wanted if name in hints and takes(hints[name], value)}
    return {name: float(value) if hints[name] is float else value for name, value in found.items()}
