"""execute(root, run_id, machine): the same function on this machine, in a worker process and in a cluster job.

It reads the spec, does the work, and leaves a record. Everything else it needs (where prepared data lie, which device)
is a Machine, because it changes where a run happens and not what is asked for.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

import backbones
import methods
from benchmarks.datasets import catalog
from benchmarks.datasets import store as prepared
from benchmarks.machine import workers
from benchmarks.records.provenance import REPO, code, environment
from benchmarks.records.store import Store, StoreError, scored
from benchmarks.runs import Evaluate, Fuse, Pretrain, Raw, Run, Untrained, label
from methods import Encoder, moco
from methods.kernels import Kernel, Unsupported
from protocols import PROTOCOLS, Context, Interrupted, Progress, Result, Splits, derive
from protocols.base import never, silent
from protocols.checkpoint import CheckpointError, Damaged, load_encoder, set_aside
from protocols.features import calibrate
from protocols.fuse import fuse
from protocols.precision import Amp, cannot_compile, ordered, products
from protocols.pretrain import encoder_path, pretrain

Status = Literal["ok", "failed", "claimed", "interrupted", "blocked"]
FAULTS = (torch.OutOfMemoryError, torch.AcceleratorError)  # of a GPU, not of what it computes


@dataclass(frozen=True)
class Machine:
    """Where and how runs happen. Nothing in here may change a number by more than rounding."""

    data: str = str(REPO / "data")
    device: str = "cpu"
    threads: int = 1  # on the CPU; another number rounds differently
    kernel: Kernel = "auto"  # of SkeAttnCLR's mask; the forms agree within rounding
    amp: Amp = "off"  # how trainings round; evaluation is float32 always
    compiled: bool = False  # whether trainings compile their backbones


def execute(
    root: str,
    run_id: str,
    machine: Machine,
    report: Callable[[Progress], None] = silent,
    stop: Callable[[], bool] = never,
) -> Status:
    """Does one run, unless it is done, claimed by another process, or waits for a parent.

    A training asks `stop` at every epoch boundary whether to leave. A result that is there stays, when a run is done
    again for its encoders or scores; see Store.

    Returns:
        ok: there is a result now. failed: it raised; the record says what. claimed: another process is at it.
        interrupted: it left at an epoch boundary and will resume. blocked: a parent has no result.
    Raises:
        Damaged: a file of this run, or of a parent, was; it is set aside, and the same command makes it anew.
    """
    store = Store(Path(root))
    run = store.read_spec(run_id)
    with store.claim(run_id) as ours:
        if not ours:
            return "claimed"
        if store.done(run, product=True):
            store.forget_checkpoint(run_id)  # of a process that was killed between its record and this
            return "ok"
        if not all(store.done(parent, product=True) for parent in run.parents):
            return "blocked"
        started = time.monotonic()
        record: dict[str, Any] = {
            "run": run_id,
            "kind": type(run).__name__,
            "label": label(run),
            "spec": run.spec(),
            "parents": [parent.id for parent in run.parents],
            "environment": environment(machine.device, machine.threads)
            | {"amp": machine.amp, "compiled": machine.compiled},
            "code": code(),
            "data": _data(run, machine),
        }
        if again := [parent.id for parent in run.parents if store.again(parent.id)]:
            record["again"] = again
        context = Context(
            torch.device(machine.device), store.folder(run_id), run_id, report, stop, machine.amp, machine.compiled
        )
        try:
            with ordered(context.device), products("off"):  # containers may have switched rounding on
                result = _perform(run, store, machine, context, record["environment"])
        except Interrupted:
            return "interrupted"
        except Damaged as error:
            if aside := set_aside(error):
                raise Damaged(
                    error.path, f"{error.reason}; it is called {aside.name} now, and will be made anew"
                ) from error
            raise
        except (MemoryError, *FAULTS, StoreError, CheckpointError, Unsupported, OSError):
            raise  # the machine's fault, not the run's: nothing is recorded, the run stays to do
        except Exception as error:
            if "allocate memory" in str(error):  # PyTorch's word for the same on a CPU
                raise
            if context.device.type == "cuda":
                torch.cuda.synchronize()  # raises where the GPU has failed, and the run has not
            text = "".join(traceback.format_exception_only(error)).strip()
            if store.done(run):
                raise StoreError(f"{run_id} has a result, whose files cannot be made anew: {text}") from error
            frames = traceback.format_exc().splitlines()
            store.write_record(record | _ended(started) | {"status": "failed", "error": text, "traceback": frames})
            return "failed"
        measured = {"metrics": result.metrics, "history": result.history}
        if result.per_class is not None:
            measured["per_class"] = [None if np.isnan(v) else v for v in result.per_class]
        if result.points is not None:
            measured["points"] = [[round(x, 3), round(y, 3), label] for x, y, label in result.points]
        write = store.write_again if store.done(run) else store.write_record
        write(record | _ended(started) | {"status": "ok", **measured})
        store.forget_checkpoint(run_id)
        return "ok"


def _ended(started: float) -> dict[str, Any]:
    """Seconds since `started`, a reading of time.monotonic(), and the date and time of now."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"seconds": round(time.monotonic() - started, 3), "finished": now}


def _perform(run: Run, store: Store, machine: Machine, context: Context, environment: dict[str, Any]) -> Result:
    torch.set_num_threads(machine.threads)
    workers.keep_memory()
    workers.one_order()
    if machine.compiled and (reason := cannot_compile(context.device)):
        raise Unsupported(f"--compile: {reason}")
    match run:
        case Pretrain():
            return _pretrain(run, machine, context, environment)
        case Evaluate():
            result = _evaluate(run, store, machine, context)
            if not scored(run):
                return result
            labels = _labels(run, machine)
        case Fuse():
            read = [store.read_scores(member.id) for member in run.members]
            labels = read[0][1]
            if any(not np.array_equal(labels, other) for _, other in read):
                raise ValueError("the members of a fusion were not tested on the same samples")
            result = fuse([scores for scores, _ in read], run.weights, labels)
    assert result.scores is not None
    store.write_scores(run.id, result.scores, labels)
    return result


def _data(run: Run, machine: Machine) -> dict[str, Any] | None:
    """Which prepared data set it was, None for stand-ins and fusions: checksums, size, how it was prepared."""
    if isinstance(run, Fuse) or run.data.standin:
        return None
    try:
        manifest = prepared.read_manifest(prepared.folder_of(Path(machine.data), run.data.name, run.data.frames))
    except ValueError as error:
        raise StoreError(str(error)) from error
    return {
        "sha256": manifest["sha256"],
        "clips": manifest["counts"]["clips"],
        "left_out": len(manifest["left_out"]),
        "source": {key: value for key, value in manifest["source"].items() if key != "raw"},  # names of folders
    }


def _splits(run: Pretrain | Evaluate, machine: Machine) -> Splits:
    data = run.data
    try:
        return catalog.splits(data.name, data.split, data.frames, Path(machine.data), data.standin)
    except ValueError as error:  # damaged or outdated data are no result of the run: it stays to do
        raise StoreError(str(error)) from error


def _labels(run: Evaluate, machine: Machine) -> np.ndarray:
    test = _splits(run, machine).test
    return test.y[test.rows]


def build_method(run: Pretrain) -> methods.Method:
    """The method with its initial weights, which depend on the seed alone."""
    torch.manual_seed(derive(run.seed, "init"))
    backbone = backbones.build(run.backbone, run.backbone_config)
    return methods.build(run.method, run.config, backbone, run.stream)


def header_of(run: Pretrain) -> dict[str, str]:
    """What the header of every encoder of a pretraining says; to these come its epoch and why it was chosen."""
    return {"run": run.id, "spec": json.dumps(run.spec(), sort_keys=True)}


def _pretrain(run: Pretrain, machine: Machine, context: Context, environment: dict[str, Any]) -> Result:
    method = build_method(run)
    mask = method.attention()
    if mask is not None:
        mask.kernel = machine.kernel
    result = pretrain(
        method,
        _splits(run, machine),
        sgd=run.sgd,
        batch=run.batch,
        epochs=run.epochs,
        seed=run.seed,
        monitor=run.monitor,
        monitor_every=run.monitor_every,
        run_id=run.id,
        header=header_of(run),
        context=context,
    )
    if mask is not None:
        environment["kernel"] = {"asked": mask.kernel, "ran": mask.ran}
    return result


def _evaluate(run: Evaluate, store: Store, machine: Machine, context: Context) -> Result:
    splits = _splits(run, machine)
    protocol = PROTOCOLS[run.protocol]
    encoder = _encoder(run, store, context, splits)
    return protocol.run(encoder, splits, run.encoder.stream, run.seed, run.config, context)


def _encoder(run: Evaluate, store: Store, context: Context, splits: Splits) -> Encoder | None:
    match run.encoder:
        case Raw():
            return None
        case Untrained() as source:
            torch.manual_seed(derive(source.seed, "init"))
            backbone = backbones.build(source.backbone, source.backbone_config)
            moco.initialise(backbone, source.init)
            encoder = Encoder(backbone, torch.nn.Identity()).to(context.device).eval()
            if source.calibrate:
                calibrate(encoder, splits.train, source.stream, context.device)
            return encoder
        case Pretrain() as source:
            path = encoder_path(store.folder(source.id), run.select)
            expected = header_of(source) | {"select": run.select}
            encoder = load_encoder(path, lambda: build_method(source).encoder(), expected)
            return encoder.to(context.device)
