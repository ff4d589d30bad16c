"""Which profile answers `bench.py profile NAME`, and the sizes it takes when none are given."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.choices import UsageError
from benchmarks.machine import hardware, limits
from benchmarks.recipes import Settings
from benchmarks.throughput import clock, data, evaluation, gru, hours, kernels, overhead, step, step_page, train, views
from protocols.precision import products

# Which options a profile, or a part of one, heeds besides --out.
HEEDS: dict[tuple[str, str | None], set[str]] = {
    ("data", "reading"): {"raw", "files", "jobs"},
    ("data", "views"): {"device"},
    ("gru", None): {"batch", "steps", "device"},
    ("kernels", None): {"seconds", "compare", "device"},
    ("overhead", None): {"jobs", "steps"},
    ("protocols", None): {"scale", "samples", "steps", "device"},
    ("train", "step"): {"scale", "steps", "device"},
    ("train", "pairs"): {"scale", "recipe", "batch", "steps", "device"},
}
USUAL = {"recipe": "paper", "device": "auto"}  # of options that have a value when they are not given


def check(arguments: argparse.Namespace) -> None:
    """Refuses what the profile would ignore.

    Raises:
        UsageError: for a part or a scale that it does not have, or an option that it does not heed.
    """
    name, part = arguments.profile, arguments.part
    parts = [each for profile, each in HEEDS if profile == name and each]
    if part and part not in parts:
        raise UsageError(f"--part {part}: profile {name} has {' and '.join(parts) or 'no parts'}")
    heeded = set().union(*(HEEDS[key] for key in HEEDS if key[0] == name and part in (None, key[1])))
    for option in sorted(set().union(*HEEDS.values()) - heeded):
        if getattr(arguments, option) != USUAL.get(option):
            others = [f"{key[0]} --part {key[1]}" if key[1] else key[0] for key in HEEDS if option in HEEDS[key]]
            what = f"{name} --part {part}" if part else name
            raise UsageError(f"--{option} belongs to profile {', '.join(others)}, not to profile {what}")
    if name == "protocols" and arguments.scale == "demo":
        raise UsageError("--scale demo: profile protocols has full and smoke")


def measure(arguments: argparse.Namespace, device: str, say: Callable[[str], None]) -> Iterator[Path]:
    """Runs the profile that the command line names; gives each page as soon as it is written."""
    clock.current(device)
    with products("off"):  # what is measured otherwise says so
        yield from _measure(arguments, device, say)


def _measure(arguments: argparse.Namespace, device: str, say: Callable[[str], None]) -> Iterator[Path]:
    out, cores = arguments.out / "throughput", limits.cores()
    match arguments.profile:
        case "data":
            if arguments.part != "views":
                yield data.profile(arguments.raw, arguments.files or 2400, arguments.jobs or cores, out, say)
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
            scale = arguments.scale or "full"
            batch = arguments.batch or (train.CPU_BATCH if device == "cpu" and scale == "full" else None)
            settings = Settings(arguments.recipe, scale, overrides=(("batch", batch),) if batch else ())
            if arguments.part != "pairs":
                sizes = step.full(device) if scale == "full" else step.SMOKE
                yield from step_page.profile(sizes, device, arguments.steps or 5, out, say)
            if arguments.part != "step":
                steps = arguments.steps or (30 if device.startswith("cuda") else 2)
                page = train.profile(settings, device, steps, cores, out, say)
                yield page
                if scale == "full":
                    unit = "GPU" if device.startswith("cuda") else "machine"
                    yield hours.write(page.with_suffix(".csv"), arguments.recipe, unit, out, hardware.name(device))
        case name:
            raise ValueError(f"no profile {name!r}")
