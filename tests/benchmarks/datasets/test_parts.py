"""Parts in worker processes: what is said does not depend on which worker was faster."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
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


@pytest.mark.parametrize("victim", [parts.ARRAY, parts.JOURNAL])
def test_what_was_damaged_since_is_done_again(tmp_path: Path, victim: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calm, folder = tmp_path / "calm-8", tmp_path / "toy-8"
    listed = [
        Clip({"name": f"{i:04}", "label": i % 2, "subject": i}, (i, 0.0, str(tmp_path / "trace")), f"{i:04}.txt")
        for i in range(2 * parts.PART)
    ]
    source = Source("slow", listed, partial(slow), "the same")
    convert(calm, source, jobs=1, **FACTS)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[convert.__module__], "_close", die)
        with pytest.raises(KeyboardInterrupt):
            convert(folder, source, jobs=1, **FACTS)
    (path,) = tmp_path.glob(f".toy-8.*.partial/{victim}")
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1
    path.write_bytes(content)
    convert(folder, source, jobs=1, **FACTS)
    for file in calm.iterdir():
        assert file.read_bytes() == (folder / file.name).read_bytes(), file.name


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_that_cannot_reserve(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "posix_fallocate", _refuse(number))
    array = tmp_path / "hidden" / parts.ARRAY
    array.parent.mkdir()
    parts._reserve(array, 1000)
    assert array.stat().st_size == 1000


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, r"^no room .* needs 0\.0 MB .*No space left"),
        (errno.EDQUOT, r"^no room .*quota"),
        (errno.EIO, r"^cannot write .*Input/output error; run the same command again"),
    ],
)
def test_what_is_finished_stays_when_no_more_can_be_written(
    tmp_path: Path, number: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", _refuse(number))
    array = tmp_path / "hidden" / parts.ARRAY
    array.parent.mkdir()
    array.write_bytes(b"finished")
    with pytest.raises(OSError, match=message):
        parts._reserve(array, 1000)
    assert array.read_bytes() == b"finished"
    array.unlink()
    with pytest.raises(OSError, match=message):
        parts._reserve(array, 1000)
    assert not array.parent.exists()  # nothing was done in there


def _refuse(number: int) -> Callable[..., None]:
    def refuse(handle: int, start: int, size: int) -> None:
        raise OSError(number, os.strerror(number))

    return refuse
