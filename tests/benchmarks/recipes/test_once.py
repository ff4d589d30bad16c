"""What settings remember: tables share it, and it never confuses two settings that Python calls equal."""

from __future__ import annotations

import pytest

from benchmarks import canonical
from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings, evaluation, pretraining
from benchmarks.tables import TABLES


def test_a_run_that_two_tables_want_is_one_object() -> None:
    settings = Settings(seeds=(0, 1))
    first, again = (pretraining(settings, "skeattnclr", "ntu60", "xsub", "joint", 1) for _ in range(2))
    assert first is again
    judged = [evaluation(settings, "linear", first, "ntu60", "xsub") for _ in range(2)]
    assert judged[0] is judged[1]
    other = pretraining(settings, "skeattnclr", "ntu60", "xsub", "joint", 0)
    assert other.config is first.config
    assert evaluation(settings, "linear", other, "ntu60", "xsub").config is judged[0].config
    assert evaluation(settings, "linear", first, "ntu60", "xsub", epochs=7).config != judged[0].config


def test_four_is_not_four_point_nought() -> None:
    """1 == 1.0 == True, but their canonical forms differ, and so do the runs."""
    settings = Settings()
    ids = {pretraining(settings, "skeattnclr", "ntu60", "xsub", "joint", 0, lam=lam).id for lam in (4, 4.0)}
    assert len(ids) == 2
    for kept, other in ((4, 4.0), (4.0, 4)):
        changed = settings.but(overrides=(("lam", kept),))
        assert repr(changed.but(overrides=(("lam", other),)).overrides) == repr((("lam", other),))


def test_other_seeds_share_what_is_made_for_a_seed_and_other_recipes_do_not() -> None:
    one = Settings()
    assert one.but(seeds=(0,)) is one
    more = one.but(seeds=(0, 1))
    assert more is one.but(seeds=(0, 1))
    assert [len(TABLES["1"].cells(settings)[0].seeds) for settings in (more, one)] == [2, 1]
    words = ("skeletonclr", "ntu60", "xsub", "joint", 0)
    assert pretraining(more, *words) is pretraining(one, *words)
    assert pretraining(one.but(recipe="official"), *words).id != pretraining(one, *words).id


def test_each_config_is_written_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """More seeds make more runs, not more configs to hash."""
    written: list[str] = []
    names = canonical._names
    monkeypatch.setattr(canonical, "_names", lambda cls: written.append(cls.__name__) or names(cls))
    counts = []
    for seeds in (1, 5):
        written.clear()
        assert Plan.of(TABLES.values(), Settings(seeds=tuple(range(seeds)))).runs
        counts.append(written.count("Config"))
    assert counts[1] <= counts[0]  # what recipes share is written out with the first plan of a process
