"""`bench.py profile` refuses every option that it would ignore, and takes every other."""

from __future__ import annotations

import argparse

import pytest

import bench
from benchmarks import arguments
from benchmarks.choices import UsageError
from benchmarks.throughput import registry
from benchmarks.throughput.registry import HEEDS, check

OPTIONS = {
    "raw": "x", "files": "9", "jobs": "1", "device": "cpu", "batch": "2", "steps": "1", "seconds": "9",
    "compare": "a.csv b.csv", "samples": "9", "scale": "smoke", "recipe": "official",
}  # fmt: skip
PLACES = [*HEEDS, ("data", None), ("train", None)]


def parsed(name: str, part: str | None, *words: str) -> argparse.Namespace:
    return bench.parser().parse_args(["profile", name, *(["--part", part] if part else []), *words])


def test_every_option_is_heeded_by_some_profile() -> None:
    known = set(vars(parsed("train", None))) - {"command", "profile", "part", "out"}
    assert known == set(OPTIONS) == set().union(*HEEDS.values())
    assert {name for name, _ in HEEDS} == set(arguments.PROFILES)


@pytest.mark.parametrize(("name", "part"), PLACES)
def test_what_is_not_heeded_is_refused(name: str, part: str | None) -> None:
    check(parsed(name, part))
    heeded = set().union(*(HEEDS[key] for key in HEEDS if key[0] == name and part in (None, key[1])))
    for option, text in OPTIONS.items():
        given = parsed(name, part, f"--{option}", *text.split())
        if option in heeded:
            check(given)
        else:
            with pytest.raises(UsageError, match=f"--{option} belongs to profile .*, not to profile {name}"):
                check(given)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (
            ["gru", "--scale", "smoke"],
            "--scale belongs to profile protocols, train --part step, train --part",
        ),
        (["train", "--part", "step", "--batch", "4"], "gru, train --part pairs, not to profile train --part step"),
        (["kernels", "--recipe", "official"], "--recipe belongs to profile train --part pairs"),
        (["protocols", "--scale", "demo"], "--scale demo: profile protocols has full and smoke"),
    ],
)
def test_the_command_says_so(
    words: list[str], answer: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "measure", lambda *_: [])
    assert bench.main(["profile", *words]) == bench.USAGE
    assert answer in capsys.readouterr().err
