"""A page on a terminal: as wide as that is, with nothing left out. Files and logs have it as it is written."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Iterator

_MARKER = re.compile(r"(?:[-*>] |[⁰¹²³⁴⁵⁶⁷⁸⁹]+ )?")
_FENCE = "```"


def narrowed(text: str, width: int) -> str:
    """Markdown whose prose is filled to `width` characters and whose wider pipe tables are cut into several.

    Each part of a table has the labels of its lines again. What cannot be narrower stays as it is.
    """
    return "\n".join(_lines(text.splitlines(), width))


def _lines(lines: list[str], width: int) -> Iterator[str]:
    fenced = False
    for table, group in itertools.groupby(lines, lambda line: line.startswith("|")):
        if table:
            yield from _parts([_cells(line) for line in group], width)
            continue
        paragraph: list[str] = []
        for line in group:
            fence = line.startswith(_FENCE)
            begins = fenced or fence or not line or line.startswith("#") or (_marker(line) and line[0] != ">")
            if paragraph and begins:
                yield from _filled(paragraph, width)
                paragraph = []
            if fenced or fence or not line or line.startswith("#"):
                yield line
            else:
                paragraph.append(line)
            fenced ^= fence
        yield from _filled(paragraph, width)


def _filled(paragraph: list[str], width: int) -> list[str]:
    if not paragraph:
        return []
    first = _marker(paragraph[0])
    rest = first if first.startswith(">") else " " * len(first)
    words = " ".join(line.removeprefix(first if line.startswith(first) else rest).strip() for line in paragraph)
    return textwrap.wrap(
        words, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def _marker(line: str) -> str:
    found = _MARKER.match(line)
    return found[0] if found else ""


def _cells(line: str) -> list[str]:
    return re.split(r"(?<!\\)\|", line.strip())[1:-1]


def _parts(rows: list[list[str]], width: int) -> Iterator[str]:
    """The lines of a pipe table, its numbers, which are aligned to the right, divided among tables that fit."""
    labels = sum(not cell.endswith(":") for cell in rows[1])
    sizes = [len(cell) + 1 for cell in rows[0]]
    room = width - 1 - sum(sizes[:labels])
    parts: list[list[int]] = [[]]
    for column in range(labels, len(sizes)):
        if parts[-1] and sum(sizes[c] for c in parts[-1]) + sizes[column] > room:
            parts.append([])
        parts[-1].append(column)
    for number, part in enumerate(parts):
        if number:
            yield ""
        for row in rows:
            yield f"|{'|'.join([*row[:labels], *(row[column] for column in part)])}|"
