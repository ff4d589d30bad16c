"""Identity: the same settings are the same run everywhere, and any other setting is another run."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import runs
from benchmarks.planning.plan import Plan
from benchmarks.recipes import RECIPES, SCALES, Settings
from benchmarks.tables import TABLES
from methods.skeletonclr import SkeletonCLR


def everything(recipe: str, scale: str) -> dict[str, Any]:
    return Plan.of(TABLES.values(), Settings(recipe, scale, (0, 1))).runs


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("scale", SCALES)
def test_specs_round_trip_through_json(recipe: str, scale: str) -> None:
    for run_id, run in everything(recipe, scale).items():
        again = runs.from_spec(json.loads(json.dumps(run.spec())))
        assert again == run
        assert again.id == run_id


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_id_is_the_hash_of_the_spec(recipe: str) -> None:
    for run_id, run in everything(recipe, "full").items():
        text = json.dumps(run.spec(), sort_keys=True, separators=(",", ":"))
        assert run_id == f"{type(run).__name__.lower()}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_has_no_id(value: float) -> None:
    pretraining = next(iter(everything("paper", "smoke").values()))
    with pytest.raises(ValueError, match="not JSON compliant"):
        _ = replace(pretraining, config=replace(pretraining.config, tau=value)).id


def test_different_runs_have_different_ids() -> None:
    seen: dict[str, Any] = {}
    for recipe in RECIPES:
        for scale in SCALES:
            for run_id, run in everything(recipe, scale).items():
                assert seen.setdefault(run_id, run) == run
    assert len(seen) > 500


def leaves(spec: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = spec.items() if isinstance(spec, dict) else enumerate(spec) if isinstance(spec, list) else ()
    return [leaf for key, value in items for leaf in leaves(value, (*path, key))] or [path]


def test_every_single_setting_is_part_of_the_identity() -> None:
    fusion = next(r for r in everything("paper", "full").values() if isinstance(r, runs.Fuse))
    pretraining = fusion.members[0].encoder
    assert isinstance(pretraining, runs.Pretrain)
    spec = pretraining.spec()
    for path in leaves(spec):
        if path[0] in ("kind", "revisions"):
            continue
        changed = json.loads(json.dumps(spec))
        place = changed
        for key in path[:-1]:
            place = place[key]
        old = place[path[-1]]
        place[path[-1]] = (not old) if isinstance(old, bool) else f"{old}x" if isinstance(old, str) else (old or 0) + 1
        canonical = {json.dumps(s, sort_keys=True) for s in (spec, changed)}
        assert len(canonical) == 2, path
        try:
            other = runs.from_spec(changed)
        except (ValueError, KeyError):
            continue  # a name that does not exist
        assert other.id != pretraining.id, path


def test_defaults_are_written_out() -> None:
    pretraining = next(iter(everything("paper", "full").values()))
    assert pretraining.spec()["config"].keys() >= set(SkeletonCLR.Config.__dataclass_fields__)


def test_another_revision_is_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pretraining = next(iter(everything("paper", "full").values()))
    spec, before = pretraining.spec(), pretraining.id
    monkeypatch.setattr(SkeletonCLR, "REVISION", SkeletonCLR.REVISION + 1)
    after = next(iter(everything("paper", "full").values()))
    assert after.id != before
    with pytest.raises(ValueError, match="made with revisions"):
        runs.from_spec(spec)


def test_another_calibration_is_another_control_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything("paper", "smoke")
    controls = {run_id for run_id, run in before.items() if "BN calibrated" in runs.label(run)}
    spec = before[next(iter(controls))].spec()
    assert spec["encoder"]["revisions"].keys() == {"backbone", "calibration"}
    monkeypatch.setattr(runs, "CALIBRATION", runs.CALIBRATION + 1)
    assert before.keys() - everything("paper", "smoke").keys() == controls
    with pytest.raises(ValueError, match="made with revisions"):
        runs.from_spec(spec)


def test_unknown_fields_and_kinds_are_refused() -> None:
    spec = next(iter(everything("paper", "smoke").values())).spec()
    with pytest.raises(ValueError, match="has no field"):
        runs.from_spec(spec | {"colour": 1})
    with pytest.raises(ValueError, match="has no field"):
        runs.from_spec(spec | {"config": spec["config"] | {"colour": 1}})
    with pytest.raises(ValueError, match="name its kind"):
        runs.from_spec({"method": "skeletonclr"})
