"""Words and numbers as markdown: filled prose, bullets, footnotes, inline code, pipe tables.

Why by hand: a line of prose must not become a list by accident, nor a `|` in a name a cell, and the same words must
give the same bytes.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

from tabulate import tabulate

WIDTH = 108  # of prose in the markdown source; tables are as wide as they must be
LONGEST = 300  # characters of an error that are shown
MOST = 30  # footnotes of a table
FURTHER = (
    "something else; `bench.py status` with the words of this table says what, `bench.py show RUN` all about a run"
)
MINUS = "−"
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
# What would start a list, a heading or a quotation if a line of markdown began with it.
_BLOCK = re.compile(r" (?=(?:[-+*>#=]+|\d+[.)])(?: |$))")


class Footnotes:
    """Numbered in reading order; equal texts, and errors that are alike, share a number."""

    def __init__(self) -> None:
        self._notes: dict[str, tuple[int, str, dict[str, None]]] = {}  # by what is alike: number, first text, runs

    def mark(self, text: str, runs: Iterable[str] = (), like: str | None = None) -> str:
        """The superscript of a text, and the runs that it is about. `like`: the same for texts that share a number.

        From the MOST-th on, further ones share the last: a thousand errors must not make a page of a thousand notes.
        """
        key = like or text
        if key not in self._notes and len(self._notes) >= MOST - 1:
            key, text = FURTHER, FURTHER
        number, _, known = self._notes.setdefault(key, (len(self._notes) + 1, text, {}))
        known.update(dict.fromkeys(runs))
        return str(number).translate(_SUPERSCRIPT)

    def lines(self) -> list[str]:
        """One bullet per footnote."""
        lines = []
        for number, text, runs in self._notes.values():
            where = ""
            if runs:
                first, *more = runs
                where = f" ({code(first)}" + (f" and {len(more)} more" if more else "") + ")"
            lines.append(f"{str(number).translate(_SUPERSCRIPT)} {text}{where}")
        return lines


def signed(value: float) -> str:
    """One decimal with its sign, U+2212 for minus; no sign for 0.0."""
    text = f"{abs(value):.1f}"
    return text if text == "0.0" else f"{MINUS if value < 0 else '+'}{text}"


def pipe_table(labels: Sequence[str], columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A pipe table: the labels of a line on the left, its cells on the right."""
    return tabulate(
        [[_escaped(cell) for cell in line] for line in lines],
        headers=[_escaped(heading) for heading in (*labels, *columns)],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=("left",) * len(labels) + ("right",) * len(columns),
    )


def fill(text: str, first: str = "", rest: str = "") -> str:
    """Prose in lines of WIDTH, none of which begins a new block of markdown by accident."""
    filled = textwrap.fill(
        _BLOCK.sub("\0", text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return filled.replace("\0", " ")


def bullets(texts: Iterable[str]) -> list[str]:
    """A list, each item filled."""
    return [fill(text, "- ", "  ") for text in texts]


def code(text: str) -> str:
    """Text as inline code, whatever is in it."""
    return f"`{plain(text.replace('`', chr(39)))}`"


def plain(text: str) -> str:
    """Text in one line, whatever is in it: printable, and no longer than LONGEST."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    return clean if len(clean) <= LONGEST else clean[:LONGEST] + "…"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
