"""Training: exact resume, what a seed changes, errors that name the step, checkpoints that cannot be mistaken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from methods import METHODS
from methods.mhsam import AttentionMask
from protocols import Context, Interrupted, Progress, Result, knn
from protocols.checkpoint import CheckpointError, load_encoder, load_training, save_training
from protocols.files import replacing
from protocols.fit import fit
from protocols.pretrain import attention_path, encoder_path, pretrain
from protocols.sgd import SGD
from tests.protocols.small import method, splits

REPO = Path(__file__).resolve().parents[2]
OURS = {"run": "pretrain-test"}
MONITOR = knn.Config(ks=(5,), k=5)


def train(name: str, folder: Path | None, epochs: int = 4, seed: int = 0, sgd: SGD | None = None, **context: Any):
    """Pretrains a small method; returns it and the result."""
    model = method(name)
    result = pretrain(
        model,
        splits(),
        sgd=sgd or SGD(lr=0.05, milestones=(3,)),
        batch=8,
        epochs=epochs,
        seed=seed,
        monitor=MONITOR,
        monitor_every=2,
        run_id="pretrain-test",
        header={},
        context=Context(folder=folder, checkpoint_seconds=0, **context),
    )
    return model, result


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("leave_after", [1, 2, 3])
def test_a_run_that_left_goes_on_bit_for_bit(name: str, leave_after: int, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole, expected = train(name, tmp_path / "whole")
    left = iter([False] * (leave_after - 1) + [True] * 10)
    with pytest.raises(Interrupted, match=f"left after epoch {leave_after} of 4"):
        train(name, tmp_path / "parts", stop=lambda: next(left))
    resumed, result = train(name, tmp_path / "parts")
    assert result.history == expected.history
    for key, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[key]), key
    for select in ("best-knn", "last"):
        files = [encoder_path(tmp_path / part, select).read_bytes() for part in ("whole", "parts")]
        assert files[0] == files[1]


@pytest.mark.parametrize("name", ["skeattnclr", "supervised"])
def test_no_epochs_leave_the_untrained_encoder_judged_once(name: str, tmp_path: Path) -> None:
    model, result = train(name, tmp_path, epochs=0)
    assert result.history == [{"epoch": 0, "knn5": result.metrics["knn5"]}]
    assert result.metrics == {"knn5": result.history[0]["knn5"], "best_knn5": result.metrics["knn5"], "best_epoch": 0}
    initial = method(name).state_dict()
    assert all(torch.equal(tensor, initial[key]) for key, tensor in model.state_dict().items())
    for select in ("best-knn", "last"):
        encoder = load_encoder(encoder_path(tmp_path, select), model.encoder, OURS).state_dict()
        assert all(torch.equal(tensor, encoder[key]) for key, tensor in method(name).encoder().state_dict().items())


@pytest.mark.nightly  # half a minute; its parts have tests of their own
def test_a_training_killed_by_sigkill_goes_on_bit_for_bit(tmp_path: Path) -> None:
    """A real kill at a moment nobody chose, not a polite request to leave."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    script = (
        f"from tests.protocols.test_fit import train, Path; train('skeattnclr', Path({str(tmp_path / 'parts')!r}), 60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=REPO, env=os.environ | {"OMP_NUM_THREADS": "1"})
    log, deadline = tmp_path / "parts" / "log.jsonl", time.monotonic() + 60
    while not log.exists() or len(log.read_text().splitlines()) < 7:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert (tmp_path / "parts" / "checkpoint.pt").exists()
    resumed, result = train("skeattnclr", tmp_path / "parts", 60)
    whole, expected = train("skeattnclr", tmp_path / "whole", 60)
    assert result.history == expected.history
    assert all(torch.equal(tensor, resumed.state_dict()[key]) for key, tensor in whole.state_dict().items())
    epochs = [json.loads(line)["epoch"] for line in log.read_text().splitlines()]
    assert epochs == list(range(1, 61)), "an epoch is logged once, however often it was begun"


def test_the_seed_changes_everything_random_and_nothing_else_does() -> None:
    first, again, other = (train("skeletonclr", None, seed=seed)[1].history for seed in (0, 0, 1))
    assert first == again
    assert first[0]["info"] != other[0]["info"]


def test_log_has_one_line_per_epoch(tmp_path: Path) -> None:
    train("skeletonclr", tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert [line["lr"] for line in lines] == pytest.approx([0.05, 0.05, 0.05, 0.005])
    assert "knn5" in lines[1]
    assert "knn5" not in lines[0]


def test_a_loss_that_is_not_finite_is_named_with_its_step() -> None:
    with pytest.raises(FloatingPointError, match=r"epoch 1, step [23] of 3: info nan"):
        train("skeletonclr", None, sgd=SGD(lr=1e30))


def overflow(epochs: int = 1, **options: Any) -> None:
    """Trains one weight on a finite loss of 1e30 times that weight: a step at the rate 1e10 leaves float32."""
    module = torch.nn.Linear(1, 1, bias=False)
    fit(
        module,
        lambda x, y, at, generator: {"loss": 1e30 * module.weight.sum()},
        (torch.zeros(8, 1), torch.zeros(8)),
        sgd=SGD(lr=1e10, milestones=(), momentum=0.0, weight_decay=0.0),
        batch=8,
        epochs=epochs,
        seed=0,
        run_id="pretrain-test",
        **options,
    )


@pytest.mark.parametrize("epochs", [1, 3])
def test_weights_that_are_not_finite_after_a_finite_loss_are_named_with_the_epoch(epochs: int, tmp_path: Path) -> None:
    context = Context(folder=tmp_path, checkpoint_seconds=0)
    with pytest.raises(
        FloatingPointError, match=r"^weight is not finite after epoch 1.*a lower learning rate \(now 1e"
    ):
        overflow(epochs, context=context)
    assert not (tmp_path / "checkpoint.pt").exists(), "who goes on from it would fail again"


def test_what_an_evaluation_finds_not_finite_is_named_with_the_epoch() -> None:
    def poisoned(epoch: int, history: list[dict[str, Any]]) -> dict[str, Any]:
        if epoch:
            raise FloatingPointError("the features are not finite")
        return {}

    with pytest.raises(FloatingPointError, match=r"^after epoch 2: the features are not finite$"):
        overflow(3, context=Context(), after_epoch=poisoned, rate=lambda epoch, history: 0.0)


def test_too_few_samples_for_a_batch() -> None:
    with pytest.raises(ValueError, match="3 training samples do not fill one batch of 8"):
        fit(
            torch.nn.Linear(1, 1),
            lambda x, y, at, g: {},
            (torch.zeros(3, 1), torch.zeros(3)),
            sgd=SGD(),
            batch=8,
            epochs=1,
            seed=0,
            run_id="",
            context=Context(),
        )


def test_best_knn_is_the_earliest_best_and_last_is_last(tmp_path: Path) -> None:
    from safetensors import safe_open

    _, result = train("skeletonclr", tmp_path)
    accuracies = {entry["epoch"]: entry["knn5"] for entry in result.history if "knn5" in entry}
    best = max(accuracies, key=lambda epoch: (accuracies[epoch], -epoch))
    for select, epoch in (("best-knn", best), ("last", 4)):
        with safe_open(encoder_path(tmp_path, select), "pt") as file:
            assert json.loads(file.metadata()["about"])["epoch"] == str(epoch)
    assert result.metrics["best_epoch"] == best


def test_record_and_file_are_of_one_epoch_though_redone_epochs_come_out_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after epoch 4, the best so far, before its checkpoint; done again, epoch 4 is worse: 2 is the best."""
    seen: list[torch.Tensor] = []
    accuracies = iter([0.4, 0.5, 0.3])

    def judge(encoder: nn.Module, *_: object) -> Result:
        seen.append(torch.nn.utils.parameters_to_vector(encoder.parameters()).detach())
        return Result({"knn5": next(accuracies)})

    class Killed(BaseException): ...

    def report(progress: Progress) -> None:
        if len(seen) == 2 and progress.done == 4:
            raise Killed

    monkeypatch.setattr(knn, "evaluate", judge)
    with pytest.raises(Killed):
        train("skeletonclr", tmp_path, report=report)
    trained, result = train("skeletonclr", tmp_path)
    assert result.metrics == {"knn5": 0.3, "best_knn5": 0.4, "best_epoch": 2}
    encoder = load_encoder(encoder_path(tmp_path, "best-knn"), trained.encoder, OURS | {"epoch": "2"})
    assert torch.equal(torch.nn.utils.parameters_to_vector(encoder.parameters()), seen[0])


def test_the_accuracy_that_chooses_is_in_the_result_though_no_other_was_asked_for() -> None:
    model = method("skeletonclr")
    result = pretrain(
        model, splits(), sgd=SGD(lr=0.05), batch=8, epochs=1, seed=0, monitor=knn.Config(ks=(3,), k=5),
        monitor_every=1, run_id="r", header={}, context=Context(),
    )  # fmt: skip
    assert result.metrics.keys() == {"knn3", "knn5", "best_knn3", "best_knn5", "best_epoch"}


def test_encoders_load_strictly_and_only_for_their_run(tmp_path: Path) -> None:
    trained, _ = train("skeattnclr", tmp_path)
    path = encoder_path(tmp_path, "last")
    loaded = load_encoder(path, lambda: method("skeattnclr").encoder(), OURS)
    x = torch.randn(2, 3, 16, 25, 1)
    torch.testing.assert_close(loaded(x).pooled, trained.encoder().eval()(x).pooled)
    with pytest.raises(CheckpointError, match="belongs to run pretrain-test, not another"):
        load_encoder(path, lambda: method("skeattnclr").encoder(), {"run": "another"})
    with pytest.raises(CheckpointError, match="does not fit"):
        load_encoder(path, lambda: method("skeletonclr").encoder(), OURS)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="is damaged"):
        load_encoder(path, lambda: method("skeattnclr").encoder(), OURS)


def test_training_checkpoints_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    assert load_training(path, "a") is None
    save_training(path, "a", {"value": torch.ones(2)})
    with pytest.raises(CheckpointError, match="belongs to run a"):
        load_training(path, "b")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match="is damaged"):
        load_training(path, "a")


def test_replacing_keeps_the_old_file_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_only_a_method_with_an_attention_mask_keeps_one(tmp_path: Path) -> None:
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    trained, _ = train("skeattnclr", tmp_path / "with")
    path, mask = attention_path(tmp_path / "with", "last"), trained.attention()
    assert mask is not None
    loaded = load_encoder(path, lambda: AttentionMask(16, heads=2, lam=2.0), OURS)
    tokens = torch.randn(2, 5, 16)
    torch.testing.assert_close(loaded(tokens), mask.eval()(tokens))
    assert attention_path(tmp_path / "with", "best-knn").exists()
    with pytest.raises(CheckpointError, match="belongs to run pretrain-test, not another"):
        load_encoder(path, lambda: AttentionMask(16, heads=2, lam=2.0), {"run": "another"})
    train("skeletonclr", tmp_path / "without")
    assert not list((tmp_path / "without").glob("attention-*"))
