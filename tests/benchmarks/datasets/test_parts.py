"""Parts in worker processes: what is said does not depend on which worker was faster."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from benchmarks.datasets import parts
from benchmarks.datasets.convert import convert
from benchmarks.datasets.source import Clip, Source
from tests.benchmarks.datasets.test_convert import FACTS, slow


@pytest.mark.parametrize("jobs", [1, 2])
def test_strict_names_the_first_bad_clip_even_when_a_later_part_is_done_first(tmp_path: Path, jobs: int) -> None:
    rows = [{"name": f"{i:04}", "label": i % 2, "subject": i} for i in range(2 * parts.PART)]
    listed = [  # the first part takes a second longer than the second; clips 7, 57 and 107 are bad
        Clip(row, (i, 1.0 if i == 0 else 0.0, str(tmp_path / "trace")), f"{i:04}.txt") for i, row in enumerate(rows)
    ]
    source = Source("slow", listed, partial(slow), "the same")
    for _ in range(2):  # the second time, part of it comes from the journal
        with pytest.raises(ValueError, match=r"--strict: 0007\.txt: line 1: found nothing"):
            convert(tmp_path / "toy-8", source, jobs=jobs, strict=True, **FACTS)
