"""What is made of the same words under the same settings is made once: tables share most of their runs.

Why: a plan of five thousand runs is one of a thousand different configs, and whoever asks for a table's state waits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from benchmarks.recipes.settings import Settings


Words = ParamSpec("Words")
Made = TypeVar("Made")


def once(make: Callable[Concatenate[Settings, Words], Made]) -> Callable[Concatenate[Settings, Words], Made]:
    """A function of settings that makes immutable things, with a memory in the settings (Settings.made).

    Words are told apart by the id of a run, else as they are written: == takes 4 for 4.0, which is another run.
    """

    @wraps(make)
    def made(settings: Settings, /, *words: Words.args, **named: Words.kwargs) -> Made:
        given = [getattr(word, "id", None) or repr(word) for word in words]
        key = (make.__name__, *given, repr(named))
        if key not in settings.made:
            settings.made[key] = make(settings, *words, **named)
        return settings.made[key]

    return made
