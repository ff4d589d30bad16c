"""The training loop of every encoder: epochs, learning rate, log, checkpoint, early leave.

What is trained says how one batch becomes named loss terms; everything that costs people weeks when it is
wrong is here and tested once. Checkpoints fall on epoch boundaries and all randomness is derived from (seed, purpose,
epoch), so a killed run goes on bit for bit; on a GPU as far as `precision.ordered` goes. The host waits for the device
at the end of an epoch only.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from methods import At
from protocols import checkpoint, files
from protocols.base import Context, Interrupted, Progress, after, derive
from protocols.precision import autocast, compile_backbones, products
from protocols.sgd import SGD

TermsOf = Callable[[Tensor, Tensor, At, torch.Generator], dict[str, Tensor]]


def _log(context: Context, entry: dict[str, Any]) -> None:
    if not context.folder:
        return
    path = context.folder / "log.jsonl"
    try:
        with path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
    except OSError as error:
        raise files.unwritable(path, error) from error


def _rewind_log(context: Context, epochs: int) -> None:
    """Forgets what a killed process logged after its last checkpoint: those epochs are done again."""
    path = context.folder / "log.jsonl" if context.folder else None
    if path and path.exists():
        kept = [line for line in path.read_text(errors="replace").splitlines()[:epochs] if line.endswith("}")]
        with files.replacing(path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in kept))


def _check_finite(totals: Tensor, terms: dict[str, Tensor], epoch: int) -> None:
    """Raises FloatingPointError naming the first step of the epoch whose loss is not finite."""
    bad = (~torch.isfinite(totals)).nonzero()
    if len(bad):
        step = int(bad[0])
        values = ", ".join(f"{name} {values[step].item():g}" for name, values in terms.items())
        raise FloatingPointError(
            f"the loss is not finite in epoch {epoch + 1}, step {step + 1} of {len(totals)}: {values}; "
            "a lower learning rate or a higher temperature usually helps"
        )


def _check_weights(module: nn.Module, epoch: int, lr: float) -> None:
    """Raises FloatingPointError when the last step of an epoch, after a finite loss, left weights that are not."""
    state = module.state_dict()
    finite = torch.stack([torch.isfinite(tensor).all() for tensor in state.values()])  # one wait for the device
    if not finite.all():
        name = list(state)[int((~finite).nonzero()[0])]
        raise FloatingPointError(
            f"{name} is not finite after epoch {epoch + 1}, though the loss was; a lower learning rate (now {lr:g}) "
            "usually helps"
        )


def fit(
    module: nn.Module,
    terms_of: TermsOf,
    data: tuple[Shaped[Tensor, "n ..."], Shaped[Tensor, " n"]],
    *,
    sgd: SGD,
    batch: int,
    epochs: int,
    seed: int,
    run_id: str,
    context: Context,
    stage: str = "pretrain",
    kept: dict[str, Any] | None = None,
    rate: Callable[[int, list[dict[str, Any]]], float] | None = None,
    mode: Callable[[nn.Module], object] = nn.Module.train,
    before_step: Callable[[At], None] = lambda at: None,
    after_step: Callable[[At], None] = lambda at: None,
    after_epoch: Callable[[int, list[dict[str, Any]]], dict[str, Any]] = lambda epoch, history: {},
) -> list[dict[str, Any]]:
    """Trains `module` in place.

    Args:
        terms_of: (x, y, at, generator) -> named scalar terms; their sum is minimised.
        data: x (n, 3, T, V, M) and y (n,) on the device. Each epoch drops its last short batch.
        stage: what the person who waits is told.
        kept: what after_epoch wants to find again, tensors and containers of them: saved with the history, in one file,
            so that both are always of the same epochs.
        rate: (epoch, history) -> learning rate; the milestones of `sgd` when not given. A function of what the history
            holds, so that a schedule has no state of its own to lose.
        mode: puts the module into the mode in which it is trained, before every epoch.
        after_epoch: (epoch, history) -> further entries for the history, for example a KNN accuracy.
    Returns:
        One dict per epoch: epoch (from 1), lr, loss terms, and after_epoch's entries. The log has the times as well.
    Raises:
        ValueError: when the data do not fill one batch.
        FloatingPointError: when a loss is not finite, with epoch and step; when weights are not after an epoch, or what
            after_epoch makes of them.
        Interrupted: when context.stop() became true; a checkpoint was written.
    """
    x, y = data
    steps = len(x) // batch
    if not steps:
        raise ValueError(f"{len(x)} training samples do not fill one batch of {batch}; lower `batch`")
    optimiser = sgd.build(module.parameters())
    path = context.folder / "checkpoint.pt" if context.folder else None
    history: list[dict[str, Any]] = []
    saved = checkpoint.load_training(path, run_id) if path else None
    if saved:
        module.load_state_dict(saved["module"], strict=True)
        optimiser.load_state_dict(saved["optimiser"])
        history = saved["history"]
        if kept is not None:
            kept.clear()
            kept.update(saved["kept"])
    _rewind_log(context, len(history))
    if context.compiled:
        compile_backbones(module)
    views = torch.Generator()  # on the CPU: the same views on every device
    last_save = time.monotonic()

    for epoch in range(len(history), epochs):
        started = time.monotonic()
        lr = rate(epoch, history) if rate else sgd.rate(epoch)
        for group in optimiser.param_groups:
            group["lr"] = lr
        order_generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
        order = torch.randperm(len(x), generator=order_generator).to(x.device)
        views.manual_seed(derive(seed, "views", epoch))
        torch.manual_seed(derive(seed, "dropout", epoch))
        mode(module)
        collected: list[dict[str, Tensor]] = []
        for step in range(steps):
            at = At(epoch, step, steps, epochs)
            rows = order[step * batch : (step + 1) * batch]
            before_step(at)
            with products(context.amp):
                with autocast(context.amp, x.device):
                    terms = terms_of(x.index_select(0, rows), y.index_select(0, rows), at, views)
                optimiser.zero_grad(set_to_none=True)
                torch.stack(list(terms.values())).sum().backward()
            optimiser.step()
            after_step(at)
            collected.append({name: value.detach() for name, value in terms.items()})
        curves = {name: torch.stack([entry[name] for entry in collected]) for name in collected[0]}
        _check_finite(torch.stack(list(curves.values())).sum(dim=0), curves, epoch)
        _check_weights(module, epoch, lr)
        seconds = time.monotonic() - started
        entry: dict[str, Any] = {
            "epoch": epoch + 1,
            "lr": lr,
            **{name: curve.mean().item() for name, curve in curves.items()},
        }
        with after(epoch):
            entry |= after_epoch(epoch, history)
        history.append(entry)
        speed = steps * batch / seconds if seconds > 0 else math.inf
        _log(context, entry | {"seconds": round(seconds, 3), "samples_per_second": round(speed, 1)})
        note = "  ".join(f"{k} {v:.3f}" for k, v in entry.items() if k not in ("epoch", "lr"))
        context.report(Progress(stage, epoch + 1, epochs, note, speed))

        if epoch + 1 == epochs:
            break  # no checkpoint: whoever resumes takes at least one step, so that its record knows how
        leave = context.stop()
        due = time.monotonic() - last_save >= context.checkpoint_seconds
        if path and (leave or due):
            parts = {"module": module.state_dict(), "optimiser": optimiser.state_dict()}
            checkpoint.save_training(path, run_id, parts | {"history": history, "kept": kept or {}})
            last_save = time.monotonic()
        if leave:
            raise Interrupted(f"left after epoch {epoch + 1} of {epochs}; run the same command to go on")
    return history
