"""How fast evaluation is against its plain forms, in one run; how it grows with the data set; a step of finetuning.

Why: the tables have more than twice as many evaluations as pretrainings. The forms take turns, so that a busy machine
slows all of them, and must agree before they are timed.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import methods
from backbones import STGCN
from benchmarks.machine import hardware, workers
from benchmarks.throughput import clock
from benchmarks.throughput.clock import wait
from benchmarks.throughput.evaluation_forms import (
    KS,
    OURS,
    PLAIN,
    clips,
    knn_forms,
    labels_of,
    linear_forms,
    network,
    points,
    vote,
)
from benchmarks.throughput.page import write
from methods import SkeletonCLR
from protocols import embed, finetune, knn, linear
from protocols.base import Context, Splits
from protocols.features import extract
from protocols.metrics import accuracies
from protocols.pretrain import pretrain
from protocols.sgd import SGD

ALONE, SHARED = "each extracts its own features", "extracted once"
FIXED = 10  # epochs of the linear classifier on growing data
# The paper's learning rate of 3 oscillates on random features, so that any two orders of addition drift apart.
GENTLE = SGD(lr=0.1, milestones=(60,), weight_decay=0.0)


@dataclass(frozen=True)
class Sizes:
    """What is measured."""

    samples: int = 2000  # that train a linear classifier
    small: int = 128  # of them, at 16 frames and width 8, where the plain form runs all its epochs
    shared: int = 192  # training samples, and half as many test samples, of the evaluations that share features
    frames: int = 64
    width: int = 16  # of ST-GCN
    epochs: int = 100
    rounds: int = 3
    bank: int = 16_000  # KNN: training samples, and a quarter as many test samples
    growth: tuple[int, ...] = (1_000, 4_000, 16_000, 63_026)  # training samples; the last is NTU-120's
    widths: tuple[int, ...] = (128, 256)  # of KNN's features; the smaller sets have the first alone
    batch: int = 16  # of a step


SMOKE = Sizes(samples=128, small=64, shared=64, frames=16, width=4, epochs=4, rounds=1, bank=400, growth=(200,),
              widths=(8, 16), batch=4)  # fmt: skip


def in_turn(calls: dict[str, Callable[[], object]], rounds: int, device: str) -> dict[str, list[float]]:
    """Seconds of every call, once a round."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            wait(device)
            seconds[name].append(time.perf_counter() - started)
    return seconds


def lines(what: str, size: str, seconds: dict[str, list[float]], memory: float = float("nan")) -> list[dict[str, Any]]:
    """Rows of the table; the ratio is that of the first form, the median over rounds."""
    first = next(iter(seconds.values()))
    return [
        {
            "what": what,
            "size": size,
            "form": form,
            "seconds": float(f"{statistics.median(spent):.3g}"),
            "lowest": float(f"{min(spent):.3g}"),
            "highest": float(f"{max(spent):.3g}"),
            "x first form": float(f"{statistics.median(a / b for a, b in zip(first, spent, strict=True)):.3g}")
            if len(seconds) > 1
            else float("nan"),
            "peak memory, GB": float(f"{memory / 1e9:.3g}"),
        }
        for form, spent in seconds.items()
    ]


def measure_linear(sizes: Sizes, device: str) -> list[dict[str, Any]]:
    """All epochs on few small clips by both forms, then on `samples` clips, of the plain form one epoch a round."""
    where = torch.device(device)
    config = linear.Config(GENTLE, epochs=sizes.epochs, batch=64)
    encoder, data = network(8, out=64), clips(sizes.small, 16)
    forms = linear_forms(encoder, data, config, where)
    heads = [form() for form in forms.values()]
    features, labels = extract(encoder, data.train, "joint", where)
    plain, ours = (accuracies(head(features).detach().cpu().numpy(), labels.cpu().numpy())[0] for head in heads)
    if plain != ours or not torch.allclose(heads[0].weight, heads[1].weight, rtol=1e-3, atol=1e-4):
        raise ValueError("the two linear classifiers disagree; no time means anything before that is mended")
    name = "linear classifier"
    size = f"{sizes.small} clips of 16 frames, width 8, {sizes.epochs} epochs"
    found = lines(name, size, in_turn({**forms}, sizes.rounds, device))

    config = linear.Config(GENTLE, epochs=sizes.epochs)
    encoder, data = network(sizes.width), clips(sizes.samples, sizes.frames)
    once = linear_forms(encoder, data, replace(config, epochs=1), where)
    whole = linear_forms(encoder, data, config, where)
    seconds = in_turn({PLAIN: once[PLAIN], OURS: whole[OURS]}, sizes.rounds, device)
    seconds = {f"{PLAIN}, from one epoch a round": [sizes.epochs * s for s in seconds[PLAIN]], OURS: seconds[OURS]}
    size = f"{sizes.samples} clips of {sizes.frames} frames, width {sizes.width}, {sizes.epochs} epochs"
    return found + lines(name, size, seconds)


def measure_shared(sizes: Sizes, device: str) -> list[dict[str, Any]]:
    """KNN, linear with and without standardised features, and t-SNE of one encoder after the other."""
    context = Context(torch.device(device))
    data = clips(sizes.shared, sizes.frames, sizes.shared // 2)
    config = linear.Config(GENTLE, epochs=sizes.epochs, batch=64)
    seeds = itertools.count()  # every round has an encoder that nobody remembers

    def writable(splits: Splits) -> Splits:
        x = splits.train.x.copy()  # so that nothing of it is remembered
        return Splits(splits.train._replace(x=x), splits.test._replace(x=x), splits.classes)

    def evaluate(splits: Splits) -> None:
        encoder = network(sizes.width, next(seeds)).to(context.device)
        knn.run(encoder, splits, "joint", 0, knn.Config(), context)
        for standardise in (False, True):
            linear.run(encoder, splits, "joint", 0, replace(config, standardise=standardise), context)
        embed.run(encoder, splits, "joint", 0, embed.Config(iterations=250), context)

    evaluate(clips(64, 16, 32))  # scikit-learn is slow to import
    alone = writable(data)
    seconds = in_turn({ALONE: lambda: evaluate(alone), SHARED: lambda: evaluate(data)}, sizes.rounds, device)
    size = f"{sizes.shared} + {sizes.shared // 2} clips of {sizes.frames} frames, width {sizes.width}"
    return lines("KNN, linear twice, t-SNE", size, seconds)


def measure_knn(sizes: Sizes, device: str) -> list[dict[str, Any]]:
    """Both forms on random features."""
    forms = knn_forms(sizes.bank, sizes.bank // 4, sizes.widths[0], device)
    plain, ours = (form() for form in forms.values())
    if not all(torch.allclose(plain[k], ours[k], rtol=1e-4) for k in KS):
        raise ValueError("the two votes disagree; no time means anything before that is mended")
    size = f"{sizes.bank} x {sizes.bank // 4}, {sizes.widths[0]} features"
    return lines(f"KNN for k = {', '.join(map(str, KS))}", size, in_turn({**forms}, sizes.rounds, device))


def grown_knn(bank: int, queries: int, width: int, threads: int, device: str) -> tuple[float, float]:
    """Seconds and peak of memory of our vote among 120 classes. Call it in a process of its own."""
    clock.current(device)
    torch.set_num_threads(threads)
    query, base, labels = (
        points(queries, width, 1, device), points(bank, width, 0, device), labels_of(bank, 120, device)
    )  # fmt: skip
    spent = in_turn({OURS: lambda: vote(query, base, labels, 120, KS)}, 1, device)
    return spent[OURS][0], hardware.peak_memory(device)


def grown_linear(samples: int, threads: int, device: str) -> tuple[float, float]:
    """Seconds of FIXED epochs on 256 features, 120 classes, and peak of memory. Call it in a process of its own."""
    clock.current(device)
    torch.set_num_threads(threads)
    features, labels = points(samples, 256, 0, device), labels_of(samples, 120, device)
    config = linear.Config(epochs=FIXED)
    spent = in_turn({OURS: lambda: linear.train(features, labels, 120, config, 0, lambda *_: None)}, 1, device)
    return spent[OURS][0], hardware.peak_memory(device)


def measure_growth(sizes: Sizes, threads: int, device: str) -> list[dict[str, Any]]:
    """Both on 1,000 samples to those of NTU-120, whose test side has 0.81 times as many as its training side."""
    found = []
    cases = [(count, sizes.widths[0]) for count in sizes.growth] + [(sizes.growth[-1], w) for w in sizes.widths[1:]]
    for count, width in cases:
        queries = round(count * 50_919 / 63_026)
        with ProcessPoolExecutor(1, mp_context=workers.CONTEXT) as pool:
            seconds, memory = pool.submit(grown_knn, count, queries, width, threads, device).result()
        found += lines("KNN", f"{count} x {queries}, {width} features", {OURS: [seconds]}, memory)
    for count in sizes.growth:
        with ProcessPoolExecutor(1, mp_context=workers.CONTEXT) as pool:
            seconds, memory = pool.submit(grown_linear, count, threads, device).result()
        size = f"{count} samples, 256 features, 120 classes, {FIXED} epochs"
        found += lines("linear classifier, features given", size, {OURS: [seconds]}, memory)
    return found


def measure_steps(sizes: Sizes, device: str) -> list[dict[str, Any]]:
    """A training step of finetuning and one of SkeletonCLR, on the same network and batch."""
    data, batch = clips(2 * sizes.batch, sizes.frames, 2), sizes.batch
    seconds: dict[str, list[float]] = {"finetuning": [], "SkeletonCLR": []}

    def context(name: str) -> Context:
        return Context(torch.device(device), report=lambda seen: seconds[name].append(batch / seen.rate))

    config = finetune.Config(SGD(lr=0.01, milestones=()), epochs=1 + sizes.rounds, batch=batch, every=1 + sizes.rounds)
    finetune.run(network(sizes.width), data, "joint", 0, config, context("finetuning"))
    net = STGCN(STGCN.Config(width=sizes.width))
    method = methods.build("skeletonclr", SkeletonCLR.Config(queue=1024), net, "joint")
    pretrain(
        method, data, sgd=SGD(), batch=batch, epochs=1 + sizes.rounds, seed=0, monitor=knn.Config(ks=(1,), k=1),
        monitor_every=1 + sizes.rounds, run_id="profile", header={}, context=context("SkeletonCLR"),
    )  # fmt: skip
    size = f"batch {batch}, {sizes.frames} frames, width {sizes.width}"
    return lines("one training step", size, {name: spent[1:] for name, spent in seconds.items()})


def profile(sizes: Sizes, device: str, threads: int, out: Path, say: Callable[[str], None]) -> Path:
    """Measures, writes `out/protocols-<machine>.md` and `.csv`, and returns the first."""
    torch.set_num_threads(threads)
    found: list[dict[str, Any]] = []
    for measure in (
        lambda: measure_knn(sizes, device),
        lambda: measure_shared(sizes, device),
        lambda: measure_steps(sizes, device),
        lambda: measure_growth(sizes, threads, device),
        lambda: measure_linear(sizes, device),
    ):
        for row in measure():
            found.append(row)
            say(f"{row['what']}, {row['size']}, {row['form']}: {row['seconds']} s")
    name = hardware.name(device)
    held = "what PyTorch held on the GPU" if device.startswith("cuda") else "of the whole process"
    text = (
        f"`python bench.py profile protocols` on {name}, {threads} threads, PyTorch {torch.__version__}; medians of "
        f"{sizes.rounds} rounds, the forms in turn, the ratio that of round by round; lines with memory were measured "
        f"once, each in a process of its own, and memory is {held} at its peak. The plain linear "
        "classifier runs the frozen encoder on every batch of every epoch, ours includes the extraction; the forms "
        "train the same classifier. On the larger set the plain form's time is that of one epoch, measured once a "
        f"round, times {sizes.epochs}; on the smaller one both forms ran all epochs. The plain KNN computes all "
        "similarities at once, for every k anew. Clips are stand-ins, features for KNN random; t-SNE runs 250 steps."
    )
    table = pd.DataFrame(found).astype(object)
    return write(out / f"protocols-{name}", "Evaluation", text, table.where(lambda cells: cells.notna(), ""))
