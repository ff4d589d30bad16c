"""A page at the width of a terminal: every word and number is still there, no line is longer than it need be."""

from __future__ import annotations

import re

import pytest

from benchmarks.pages.render import render_table
from benchmarks.pages.terminal import narrowed
from benchmarks.recipes import Settings
from benchmarks.tables import TABLES
from tests.benchmarks.pages.rendering import all_done, grid

THREE = Settings(seeds=(0, 1, 2))


@pytest.mark.parametrize("table", ["1", "5", "7", "irds"])
def test_a_table_fits_and_loses_nothing(table: str) -> None:
    page = render_table(TABLES[table], THREE, all_done(TABLES[table], THREE)).partition("<details>")[0]
    text = narrowed(page, 80)
    long = [line for line in text.splitlines() if len(line) > 80 and " " in line.strip()]
    assert all(line.startswith(("|", "python")) for line in long), long
    words = r"[^|\s:-]+"
    assert set(re.findall(words, page)) == set(re.findall(words, text))
    whole, (head, *body) = grid(page), grid(text)
    labels = len(TABLES[table].labels)
    assert [line[:labels] for line in body] == [line[:labels] for line in whole[1:]]
    assert whole[0][: len(head)] == head


def test_wide_enough_is_the_page_itself() -> None:
    page = render_table(TABLES["7"], THREE, {}).partition("<details>")[0].rstrip()
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert [line for line in narrowed(page, 400).splitlines() if line.startswith("|")] == tables


def test_commands_headings_quotations_and_lists_stay() -> None:
    page = (
        "## Head that is long\n\n> one two three\n> four\n\n- **a:** one two three\n  four\n- b\n\n"
        "```sh\nlong command line\n```"
    )
    assert narrowed(page, 16).splitlines() == [
        "## Head that is long", "", "> one two three", "> four", "", "- **a:** one two", "  three four", "- b", "",
        "```sh", "long command line", "```",
    ]  # fmt: skip
