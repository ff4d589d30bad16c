"""SkeAttnCLR's training step with its views: ours, how it may round, and the plain one; how it grows; where time goes.

Why: pretraining is nearly all that a table costs. The forms take turns, so that a busy machine slows all of them, and
must agree before they are timed. On a CPU each has a process of its own, because ours keeps freed memory.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks import recipes
from benchmarks.datasets.standin import synthetic
from benchmarks.machine import hardware, workers
from benchmarks.recipes import Settings
from benchmarks.running.execute import build_method
from benchmarks.runs import Pretrain
from benchmarks.throughput import plain_views
from benchmarks.throughput.clock import current, wait
from benchmarks.throughput.operations import by_kind
from benchmarks.throughput.plain_step import Training, batches, plain
from methods import At, SkeAttnCLR
from protocols.precision import Amp, autocast, compile_backbones, products

PLAIN, OURS = "plain", "ours"
AT = At(1, 0, 100, 100)
AGREE, TOLERANCE = 3, 1e-6  # steps after which both forms must have gone the same way, and how nearly


@dataclass(frozen=True)
class Size:
    """What a step is measured at; the defaults are where nothing is varied."""

    width: int = 16  # of ST-GCN's first block
    batch: int = 16
    frames: int = 64
    queue: int = 32768

    def method(self) -> tuple[SkeAttnCLR, Pretrain]:
        """SkeAttnCLR on ST-GCN as the recipe has it, at this size."""
        changes = (("width", self.width), ("batch", self.batch), ("frames", self.frames), ("queue", self.queue))
        run = recipes.pretraining(Settings(overrides=changes), "skeattnclr", "ntu60", "xsub", "joint", 0)
        method = build_method(run)
        assert isinstance(method, SkeAttnCLR)
        return method, run

    def __str__(self) -> str:
        return f"width {self.width}, batch {self.batch}, {self.frames} frames, queue {self.queue}"


class Sizes(NamedTuple):
    """What is measured at which sizes."""

    forms: tuple[Size, ...]  # all forms
    grown: Mapping[str, tuple[Size, ...]]  # ours alone, by what varies


def full(device: str) -> Sizes:
    """The paper's batch on a GPU; on a CPU what it can bear; and the releases' width. The largest take 21 GB."""
    gpu = device.startswith("cuda")
    return Sizes(
        (Size(64, 128), Size(16, 128)) if gpu else (Size(16, 16), Size(64, 16)),
        {
            "batch": tuple(Size(batch=count) for count in (16, 32, 64, 128, 256, 512)),
            "width": tuple(Size(width=count) for count in (16, 32, 64, 128)),
            "frames": tuple(Size(frames=count) for count in (32, 64, 128, 256)),
            "queue": tuple(Size(queue=count) for count in (1024, 4096, 16384, 65536)),
        },
    )


SMOKE = Sizes((Size(4, 4, 32, 64),), {"queue": (Size(4, 4, 32, 64), Size(4, 4, 32, 128))})


def forms_on(device: str) -> dict[str, tuple[Amp, bool]]:
    """Ours by name: how it rounds, and whether it is compiled."""
    if not device.startswith("cuda"):
        return {OURS: ("off", False), f"{OURS}, bf16": ("bf16", False)}
    return {
        OURS: ("off", False), f"{OURS}, tf32": ("tf32", False), f"{OURS}, bf16": ("bf16", False),
        f"{OURS}, bf16, compiled": ("bf16", True),
    }  # fmt: skip


def stepping(
    method: SkeAttnCLR, run: Pretrain, device: str, amp: Amp = "off", compiled: bool = False
) -> Callable[[], dict[str, Tensor]]:
    """A function that does one step, views included, of our form or (a method made by `plain`) of the plain one."""
    where = torch.device(device)
    training = Training(method.to(where), run.sgd)
    if compiled:
        compile_backbones(method)
    x = synthetic.repeated(2 * run.batch, run.data.frames)
    if training.is_plain:
        made = plain_views.views(batches(x, run.batch, 1_000_000), device)
    else:
        made = _ours(method, torch.from_numpy(x).to(where), run.batch)

    def step() -> dict[str, Tensor]:
        with products("off"):
            views = next(made)
        with products(amp):
            return training.update(views, AT, lambda: autocast(amp, where))

    return step


def _ours(method: SkeAttnCLR, x: Tensor, batch: int) -> Iterator[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    while True:
        order = torch.randperm(len(x)).to(x.device)
        for rows in order.split(batch):
            yield method.views(x.index_select(0, rows), generator)


def differ(size: Size, device: str) -> float:
    """The largest relative difference between both forms in AGREE steps from the same views.

    Of loss terms, and of the way that the momentum encoder went. On few short clips in float64, so that nothing is
    rounding, and without dropout, of which each form draws its own masks.
    """
    current(device)
    method, run = replace(size, batch=4, frames=32, queue=64).method()
    for module in method.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    method.to(device, torch.float64)
    both = [Training(each, run.sgd) for each in (plain(method), method)]
    before = _flat(method.key)
    x = torch.from_numpy(synthetic.repeated(run.batch, run.data.frames)).to(device)
    generator, found = torch.Generator().manual_seed(0), [0.0]
    for _ in range(AGREE):
        views = {name: view.double() for name, view in method.views(x, generator).items()}
        theirs, mine = (training.update(views, AT, contextlib.nullcontext) for training in both)
        found += [abs(mine[name].item() / term.item() - 1) for name, term in theirs.items()]
    theirs, mine = (_flat(training.method.key) - before for training in both)
    return max(*found, float((mine - theirs).norm() / theirs.norm()))


def _flat(module: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


_ready: dict[str, Callable[[], object]] = {}  # the steps of this process, by form


def prepare(form: str, size: Size, device: str, threads: int) -> None:
    """Makes the step of a form ready in this process; on a CPU each form has one of its own."""
    current(device)
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    method, run = size.method()
    if form == PLAIN:
        _ready[form] = stepping(plain(method), run, device)
    else:
        workers.keep_memory()  # as our runner does; not for the plain form
        _ready[form] = stepping(method, run, device, *forms_on(device)[form])


def turn(form: str, device: str) -> float:
    """Seconds of one step of a form that is ready."""
    return _seconds(_ready[form], device)


def compare(size: Size, device: str, rounds: int, threads: int) -> dict[str, list[float]]:
    """Seconds of a step of every form, once a round, after one that warms up."""
    if (found := alone(differ, size, device)) > TOLERANCE:
        raise ValueError(f"plain and ours differ by {found:.1e}; no time means anything before that is mended")
    forms = [PLAIN, *forms_on(device)]
    with contextlib.ExitStack() as stack, workers.one_thread():
        pools = [
            stack.enter_context(ProcessPoolExecutor(1, mp_context=workers.CONTEXT))
            for _ in (forms if device == "cpu" else forms[:1])
        ]
        places = dict(zip(forms, pools * len(forms), strict=False))
        for form, place in places.items():
            place.submit(prepare, form, size, device, threads).result()
        rounded = [
            {form: place.submit(turn, form, device).result() for form, place in places.items()}
            for _ in range(1 + rounds)
        ]
    return {form: [seconds[form] for seconds in rounded[1:]] for form in forms}


def grow(size: Size, device: str, rounds: int, threads: int) -> tuple[list[float], float]:
    """Seconds of our step, and bytes at the peak. Call it in a process of its own."""
    _begin(device, threads)
    call = stepping(*size.method(), device)
    seconds = [_seconds(call, device) for _ in range(1 + rounds)][1:]
    return seconds, hardware.peak_memory(device)


def _begin(device: str, threads: int) -> None:
    current(device)
    torch.set_num_threads(threads)
    workers.keep_memory()
    torch.manual_seed(0)


def _seconds(call: Callable[[], object], device: str) -> float:
    gc.collect()
    started = time.perf_counter()
    call()
    wait(device)
    return time.perf_counter() - started


def shares(size: Size, device: str, threads: int) -> dict[str, dict[str, float]]:
    """Milliseconds by kind of operation, in a step of both forms. Call it in a process of its own."""
    _begin(device, threads)
    method, run = size.method()
    found: dict[str, dict[str, float]] = {}
    for name, form in ((PLAIN, plain(method)), (OURS, method)):
        call = stepping(form, run, device)
        call()
        found[name] = by_kind(call, device)
    return found


def alone(function: Callable[..., Any], *arguments: object) -> Any:
    with workers.one_thread(), ProcessPoolExecutor(1, mp_context=workers.CONTEXT) as pool:
        return pool.submit(function, *arguments).result()
