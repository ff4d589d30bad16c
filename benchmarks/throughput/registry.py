"""Which profile answers `bench.py profile NAME`, and the sizes it takes when none are given."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.machine import hardware, limits
from benchmarks.recipes import Settings
from benchmarks.throughput import clock, data, evaluation, gru, hours, kernels, overhead, step, step_page, train, views


def measure(arguments: argparse.Namespace, device: str, say: Callable[[str], None]) -> Iterator[Path]:
    """Runs the profile that the command line names; gives each page as soon as it is written."""
    clock.current(device)
    out, cores = arguments.out / "throughput", limits.cores()
    match arguments.profile:
        case "data":
            if arguments.part != "views":
                yield data.profile(arguments.raw, arguments.files, arguments.jobs or cores, out, say)
            if arguments.part != "reading":
                yield views.profile(device, cores, out, say)
        case "gru":
            yield gru.profile(device, arguments.batch or 16, arguments.steps or 5, cores, out, say)
        case "kernels":
            yield kernels.profile(device, arguments.seconds, out, say)
        case "overhead":
            yield overhead.profile(arguments.jobs or cores, arguments.steps or 3, out, say)
        case "protocols":
            default = evaluation.SMOKE if arguments.scale == "smoke" else evaluation.Sizes()
            given = {"samples": arguments.samples, "rounds": arguments.steps}
            sizes = replace(default, **{name: value for name, value in given.items() if value})
            yield evaluation.profile(sizes, device, cores, out, say)
        case "train":
            scale = "full" if arguments.scale == "auto" else arguments.scale
            batch = arguments.batch or (train.CPU_BATCH if device == "cpu" and scale == "full" else None)
            settings = Settings(arguments.recipe, scale, overrides=(("batch", batch),) if batch else ())
            if arguments.part != "pairs":
                sizes = step.SMOKE if scale == "smoke" else step.full(device)
                yield from step_page.profile(sizes, device, arguments.steps or 5, out, say)
            if arguments.part != "step":
                page = train.profile(settings, device, arguments.steps or 2, cores, out, say)
                yield page
                if scale == "full":
                    unit = "GPU" if device.startswith("cuda") else "machine"
                    yield hours.write(page.with_suffix(".csv"), arguments.recipe, unit, out, hardware.name(device))
        case name:
            raise ValueError(f"no profile {name!r}")
