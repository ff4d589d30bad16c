"""--set gives a value to the fields that are of its kind, and to no others of that name."""

from __future__ import annotations

import shlex
from typing import Any, Literal

import pytest

from benchmarks import arguments, choices, recipes
from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.recipes.fields import taken, takes
from benchmarks.runs import Pretrain
from benchmarks.tables import TABLES
from methods.skeattnclr import SkeAttnCLR


def heads(word: str) -> dict[str, Any]:
    """`heads` by method, in the pretrainings of Table 3 with --set."""
    runs = Plan.of([TABLES["3"]], Settings(scale="smoke", overrides=choices.overrides([word]))).runs.values()
    return {run.method: run.config.heads for run in runs if isinstance(run, Pretrain) and hasattr(run.config, "heads")}


def test_a_name_that_means_two_things_goes_where_its_value_belongs() -> None:
    assert heads("heads=4") == {"skeattnclr": 4, "crossclr": "own"}
    assert heads("heads=shared") == {"skeattnclr": 8, "crossclr": "shared"}


def test_a_value_that_nobody_takes_is_told_what_each_wants() -> None:
    with pytest.raises(choices.UsageError, match=r"Allowed: own, shared\.; or: --set heads wants a whole number"):
        choices.overrides(["heads=many"])
    with pytest.raises(choices.UsageError, match=r"^--set heads wants a whole number, got 'shared'$"):
        choices.overrides(["heads=shared"], "skeattnclr")


def test_random_weights_are_drawn_as_set_says_as_those_of_a_pretraining_are() -> None:
    for settings, expected in ((Settings(), "released"), (Settings(overrides=(("init", "torch"),)), "torch")):
        control = recipes.untrained(settings, "skeletonclr", "ntu60", "joint", 0)
        trained = recipes.pretraining(settings, "skeletonclr", "ntu60", "xsub", "joint", 0)
        assert (control.init, trained.config.init) == (expected, expected)


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (int, 4, True), (int, 4.0, False), (int, True, False), (int, "4", False), (float, 4, True),
        (float, True, False), (bool, True, True), (bool, 1, False), (str, "agcn", True),
        (Literal["own", "shared"], "own", True), (Literal["own", "shared"], 8, False),
        (tuple[int, int], (3, 4), True), (tuple[int, int], (3,), False), (tuple[int, int], (3, 0.5), False),
    ],
)  # fmt: skip
def test_which_type_takes_which_value(hint: Any, value: Any, expected: bool) -> None:
    assert takes(hint, value) is expected


def test_what_a_config_takes_is_of_its_types() -> None:
    found = taken(SkeAttnCLR.Config(), (("lam", 4), ("heads", "own"), ("classes", 3), ("width", 8)))
    assert repr(found) == "{'lam': 4.0}"


@pytest.mark.parametrize(
    "word",
    [
        "mix_parts=2,3", "tau=1e-05", "tau=2", "queue=64", "opposition=true", "opposition=False", "heads=4",
        "heads=shared", "momentum_schedule=constant", "graph=agcn", "epochs=0", "finetune_lr=0.1",
    ],
)  # fmt: skip
def test_what_a_page_prints_asks_for_the_same_settings(word: str) -> None:
    """Of every kind: the command above a table, typed as it stands, gives the same values of the same types."""
    settings = Settings(overrides=choices.overrides([word]))
    asked = arguments.parser().parse_args(["render", "--table", "7", *shlex.split(settings.options)])
    assert repr(choices.overrides(asked.set)) == repr(settings.overrides)
    assert (asked.scale, asked.recipe, asked.seeds) == ("full", "paper", 1)


def test_the_file_of_a_table_with_several_numbers() -> None:
    assert Settings(overrides=(("mix_parts", (2, 3)),)).words == ["mix_parts=2-3"]
