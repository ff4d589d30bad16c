"""A whole training step of SkeAttnCLR with each kernel: views, loss, backward pass, optimiser, momentum, queue."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch

import backbones
import methods
from benchmarks import recipes
from benchmarks.datasets.standin import synthetic
from benchmarks.recipes import Settings
from benchmarks.throughput import clock
from benchmarks.throughput.ceilings import rounding
from benchmarks.throughput.kernel_cases import Case
from methods.kernels import KERNELS, Kernel, unsupported

CPU_BATCH = 4
STEPS = methods.At(0, 0, 100, 100)


class Step(NamedTuple):
    """One kernel's steps."""

    case: Case
    form: str  # asked for, and what ran
    samples: int
    milliseconds: list[float]  # empty with a reason in note
    peak: float  # MB that PyTorch held on the GPU
    note: str = ""


def not_timed(kernel: Kernel, device: str) -> str | None:
    """Why no step is measured with a kernel, or None. Triton's interpreter has right numbers and no meaningful time."""
    if kernel != "triton":
        return None
    if not device.startswith("cuda"):
        return f"Triton compiles for GPUs, and this is a {device.upper()}"
    return unsupported(torch.device(device), torch.float32)


def measure(device: str, kind: str, seconds: float, say: Callable[[str], None]) -> list[Step]:
    """Table 8's batch on a GPU, CPU_BATCH clips on a CPU; the paper's ST-GCN and frames.

    One method whose kernel changes from call to call, in turn: everything else is the same.
    """
    run = recipes.pretraining(Settings(scale="full"), "skeattnclr", "ntu60", "xsub", "joint", 0)
    batch = run.batch if device.startswith("cuda") else CPU_BATCH
    torch.manual_seed(0)
    method = methods.build(run.method, run.config, backbones.build(run.backbone, run.backbone_config), run.stream)
    method.to(device).train()
    mask = method.attention()
    assert mask is not None
    clips = torch.from_numpy(synthetic.generate("ntu60", "smoke", run.data.frames)[0])
    x = clips[torch.arange(batch) % len(clips)].to(device)
    optimiser = torch.optim.SGD(method.parameters(), lr=0.01, momentum=0.9)
    generator = torch.Generator().manual_seed(0)  # on the CPU, as the views want it

    def step(kernel: Kernel) -> None:
        mask.kernel = kernel
        method.before_step(STEPS)
        loss = torch.stack(list(method.loss(method.views(x, generator), STEPS).values())).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        method.after_step(STEPS)

    tokens = run.data.frames // 4 * 25
    case = Case(f"SkeAttnCLR on ST-GCN, batch {batch}", 2 * batch, tokens, method.query.backbone.width, mask.heads)  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]  a SkeAttnCLR, which has both
    found: list[Step] = []
    ran: dict[Kernel, str | None] = {}
    peaks: dict[Kernel, float] = {}
    calls: dict[Kernel, Callable[[], object]] = {}
    with rounding(kind):
        for kernel in KERNELS:
            if reason := not_timed(kernel, device):
                found.append(Step(case, kernel, batch, [], float("nan"), f"n/a: {reason}"))
                continue
            if device.startswith("cuda"):
                torch.cuda.reset_peak_memory_stats()
            step(kernel)
            ran[kernel] = mask.ran
            gpu = device.startswith("cuda")
            peaks[kernel] = torch.cuda.max_memory_allocated() / 1e6 if gpu else float("nan")
            calls[kernel] = partial(step, kernel)
        measured = clock.times(calls, device, 4 * seconds)
    say(f"measured: a training step in {kind}")
    return [Step(case, f"{k} ({ran[k]})", batch, measured[k], peaks[k]) for k in calls] + found
