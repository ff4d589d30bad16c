"""`bench.py profile kernels`: is every form of SkeAttnCLR's mask right, and how fast is each, against the roofline?

One command does all of it: the gate (kernel_check.py), the ceilings, forward and forward + backward of every form at
every shape and kind of products, a whole training step with each kernel, CSV, page and picture. A form that fails the
gate is not timed. On a CPU the same happens at smaller shapes, on the wall clock, without the Triton kernels.

Written where there was no GPU: what is said about one has been compiled (tests/methods/kernels/test_compiled.py) and
interpreted, but has not run there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from benchmarks.machine import hardware
from benchmarks.throughput import ceilings, kernel_page, kernel_step
from benchmarks.throughput.ceilings import Ceilings, Work, backward_work, forward_work, kinds_of, rounding
from benchmarks.throughput.clock import percentiles, times
from benchmarks.throughput.kernel_cases import CASES, Case, Compute, Inputs, computing, exact, forms_of, make
from benchmarks.throughput.kernel_check import Faults, fault, gate, sanitizer
from methods import kernels

CPU_ROWS = 8  # of attention; the paper's 256 are minutes
COMPILED = 2  # first cases that torch.compile is measured at: it compiles for longer than everything else runs
SECONDS = 400  # of the whole command on a GPU; what is left then stays unmeasured, and the page says so
PASS_SECONDS = {"cuda": 1.0, "cpu": 6.0}  # of one case, kind and pass, all forms together
PASSES = ("forward", "forward + backward")


@dataclass
class Profile:
    """One run of the command: what was found, and how much time is left."""

    device: str
    seconds: float
    say: Callable[[str], None]
    started: float = field(default_factory=time.monotonic)
    rows: list[dict[str, object]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)  # not measured for lack of time

    def late(self, what: str) -> bool:
        """Whether the time is over; notes what is left."""
        over = time.monotonic() - self.started > self.seconds
        if over:
            self.left.append(what)
        return over


def cases(device: str) -> tuple[Case, ...]:
    """The registry, with fewer rows on a CPU."""
    return CASES if device.startswith("cuda") else tuple(case.reduced(CPU_ROWS) for case in CASES)


def compiled(form: kernels.Form) -> Compute:
    """The form as torch.compile makes it, for this shape alone."""
    torch.compiler.reset()
    return computing(form, torch.compile(kernels.attention_pool, dynamic=False))


def passes(compute: Compute, inputs: Inputs) -> dict[str, Callable[[], object]]:
    """The two passes of a form. Both keep what backward needs; leaves are the same from call to call."""
    leaves = inputs.map(lambda t: t.detach().requires_grad_())._replace(keys=inputs.keys)
    wrt = (*leaves.projected, leaves.weight, leaves.bias, leaves.x)

    def both() -> tuple[Tensor, ...]:
        f_s, f_ns, *_ = compute(leaves)
        return torch.autograd.grad((f_s, f_ns), wrt, (inputs.g_s, inputs.g_ns))

    return {"forward": lambda: compute(leaves), "forward + backward": both}


def memory(call: Callable[[], object], device: str) -> float:
    """MB that a call holds at its peak beyond what was there; NaN on a CPU, where PyTorch does not count."""
    if not device.startswith("cuda"):
        return float("nan")
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    kept = call()
    torch.cuda.synchronize()
    del kept
    return (torch.cuda.max_memory_allocated() - before) / 1e6


def row(case: Case, kind: str, form: str, which: str, note: str = "") -> dict[str, object]:
    """What a line says about its shape."""
    return {
        "case": case.name, "R": case.rows, "n": case.tokens, "C": case.width, "heads": case.heads,
        "pooling": case.pooling, "products": kind, "pass": which, "form": form, "note": note,
    }  # fmt: skip


def timed(milliseconds: list[float], samples: int, work: Work | None, tops: Ceilings, kind: str) -> dict[str, object]:
    """The figures of a line."""
    p20, p50, p80 = percentiles(milliseconds)
    found: dict[str, object] = {"p20, ms": p20, "p50, ms": p50, "p80, ms": p80, "samples/s": 1000 * samples / p50}
    if work is None:
        return found
    floor, bound = tops.floor(work, kind)
    rates = {"TFLOP/s": work.flops / p50 / 1e9, "GB/s": work.moved / p50 / 1e6, "FLOP/byte": work.flops / work.moved}
    return found | rates | {"floor, ms": floor, "of the roofline": floor / p50, "bound by": bound}


def measure_case(run: Profile, case: Case, kind: str, dtype: torch.dtype, tops: Ceilings, faults: Faults) -> None:
    """All forms of one shape and kind of products, both passes; adds to run.rows."""
    with rounding(kind):
        inputs = make(case, dtype, run.device)
        computes: dict[str, Compute] = {form: computing(form) for form in forms_of(case, run.device)}
        reasons: dict[str, str | None] = {form: faults[case, kind, form] for form in forms_of(case, run.device)}
        if case.name in [c.name for c in CASES[:COMPILED]]:
            want = exact(inputs)
            for form in ("reference", "sdpa"):
                name = f"torch.compile({form})"
                computes[name] = compiled(form)
                reasons[name] = fault(computes[name], inputs, want)
                if reasons[name]:
                    run.say(f"WRONG: {case.name}, {kind}, {name}: {reasons[name]}")
        work = forward_work(case, dtype.itemsize), backward_work(case, dtype.itemsize)
        for which, needed in zip(PASSES, (work[0], work[0] + work[1]), strict=True):
            calls = {form: passes(compute, inputs)[which] for form, compute in computes.items() if not reasons[form]}
            found = times(calls, run.device, PASS_SECONDS[run.device.partition(":")[0]])
            for form in computes:
                if form not in found:
                    run.rows.append(row(case, kind, form, which, f"not timed: {reasons[form]}"))
                    continue
                figures = timed(found[form], case.rows // case.persons, needed, tops, kind)
                peak = {"peak, MB": memory(calls[form], run.device)}
                run.rows.append(row(case, kind, form, which) | figures | peak)
    run.say(f"measured: {case.name}, {kind}")


def measure(device: str, seconds: float, say: Callable[[str], None]) -> tuple[pd.DataFrame, list[str]]:
    """Everything but the files: a line per shape, kind of products, pass and form, and sentences about the run."""
    run = Profile(device, seconds, say)
    chosen, kinds = cases(device), kinds_of(device)
    faults = gate(chosen, device, say)
    watched = sanitizer(device)
    say(watched)
    tops = ceilings.measure(device, kinds, 0.5)
    for kind, rate in tops.matmul.items():
        run.rows.append({"case": "ceiling", "products": kind, "form": "torch.mm", "TFLOP/s": rate / 1e12})
    run.rows.append({"case": "ceiling", "form": "copy", "GB/s": tops.bandwidth / 1e9})
    run.rows.append({"case": "ceiling", "form": "exponentials", "10⁹/s": tops.exponentials / 1e9})
    for kind in (kind for kind in kinds if kinds[kind] == torch.float32):
        if not run.late(f"the training step in {kind}"):
            steps = kernel_step.measure(device, kind, PASS_SECONDS[device.partition(":")[0]], say)
            run.rows += [
                row(step.case, kind, step.form, "training step", step.note)
                | (timed(step.milliseconds, step.samples, None, tops, kind) if step.milliseconds else {})
                | {"peak, MB": step.peak}
                for step in steps
            ]
    for case in chosen:
        for kind, dtype in kinds.items():
            if not run.late(f"{case.name} in {kind}"):
                measure_case(run, case, kind, dtype, tops, faults)
    total, bad = len(faults), sum(reason is not None for reason in faults.values())
    sentences = [f"Gate: {total - bad} of {total} combinations of form, shape and products are right.", watched]
    if run.left:
        sentences.append(f"Left for lack of time: {', '.join(run.left)}.")
    return pd.DataFrame(run.rows), sentences


def profile(device: str, seconds: float | None, out: Path, say: Callable[[str], None]) -> Path:
    """Writes `out/kernels-<machine>-torch-<version>.csv`, .md, .png and .svg; returns the page."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a run's worker process
    try:
        found, sentences = measure(device, seconds or SECONDS, say)
    finally:
        torch.set_num_threads(threads)
    version = torch.__version__.partition("+")[0]
    stem = out / f"kernels-{hardware.name(device)}-torch-{version}"
    return kernel_page.write(stem, device, found, sentences)
