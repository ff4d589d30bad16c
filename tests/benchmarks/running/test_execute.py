"""A result that is there stays, also when its encoders are not and are made anew."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import recipes
from benchmarks.recipes import Settings
from benchmarks.records.store import Store, StoreError
from benchmarks.running import execute as module
from benchmarks.running.execute import Machine, execute
from benchmarks.runs import Evaluate, Pretrain
from protocols import Result

Pair = tuple[Store, Pretrain, Evaluate]


@pytest.fixture
def trained(tmp_path: Path) -> Pair:
    """A pretraining that is done and whose encoders are gone, as in a fresh clone, and a run that judges it."""
    settings = Settings(scale="smoke")
    encoder = recipes.pretraining(settings, "skeletonclr", "ntu60", "xsub", "joint", 0)
    judged = recipes.evaluation(settings, "knn", encoder, "ntu60", "xsub")
    store = Store(tmp_path)
    store.prepare()
    for run in (encoder, judged):
        store.write_spec(run)
    assert execute(str(tmp_path), encoder.id, Machine()) == "ok"
    for path in store.products(encoder):
        path.unlink()
    return store, encoder, judged


def test_the_same_numbers_again_are_no_news(trained: Pair) -> None:
    store, encoder, judged = trained
    before = (store.records / f"{encoder.id}.json").read_bytes()
    assert [execute(str(store.root), run.id, Machine()) for run in (encoder, judged)] == ["ok", "ok"]
    assert (store.records / f"{encoder.id}.json").read_bytes() == before
    assert not store.again(encoder.id)
    assert "again" not in (store.record(judged.id) or {})


def test_other_numbers_stand_beside_the_record_and_who_builds_on_them_says_so(trained: Pair) -> None:
    store, encoder, judged = trained
    record = store.record(encoder.id)
    assert record
    del record["digest"]
    store.write_record(record | {"metrics": record["metrics"] | {"knn20": 0.123}})  # another machine's
    assert [execute(str(store.root), run.id, Machine()) for run in (encoder, judged)] == ["ok", "ok"]
    assert (store.record(encoder.id) or {})["metrics"]["knn20"] == 0.123
    assert store.again(encoder.id)
    assert (store.record(judged.id) or {})["again"] == [encoder.id]


def test_a_result_is_not_replaced_by_a_failure(trained: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    store, encoder, _ = trained

    def fails(*_: object) -> None:
        raise FloatingPointError("the loss is not finite")

    monkeypatch.setattr(module, "_pretrain", fails)
    with pytest.raises(StoreError, match=r"has a result, whose files cannot be made anew: .*not finite"):
        execute(str(store.root), encoder.id, Machine())
    assert store.done(encoder)


@pytest.mark.parametrize("fault", [torch.AcceleratorError, torch.OutOfMemoryError])
def test_what_a_gpu_does_is_no_failure_of_the_run(
    fault: type[RuntimeError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recipes.pretraining(Settings(scale="smoke"), "skeletonclr", "ntu60", "xsub", "joint", 0)
    store = Store(tmp_path)
    store.prepare()
    store.write_spec(run)

    def faults(*_: object) -> None:
        raise fault("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(module, "_pretrain", faults)
    with pytest.raises(fault):
        execute(str(tmp_path), run.id, Machine())
    assert store.record(run.id) is None


def test_runs_are_float32_where_the_environment_says_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in containers that set TORCH_ALLOW_TF32_CUBLAS_OVERRIDE."""
    run = recipes.pretraining(Settings(scale="smoke"), "skeletonclr", "ntu60", "xsub", "joint", 0)
    store = Store(tmp_path)
    store.prepare()
    store.write_spec(run)
    seen: list[str] = []

    def looked_at(*_: object) -> Result:
        seen.append(torch.get_float32_matmul_precision())
        return Result({"knn20": 0.5})

    monkeypatch.setattr(module, "_pretrain", looked_at)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        assert execute(str(tmp_path), run.id, Machine()) == "ok"
    finally:
        torch.set_float32_matmul_precision(before)
    assert seen == ["highest"]
