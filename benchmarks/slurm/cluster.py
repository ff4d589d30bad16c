"""cluster.toml: what the jobs of every stage ask for. Unknown keys are refused here, wrong values by sbatch itself.

Keys at the top hold for all stages; a section [pretrain], [evaluate], [finetune] or [fuse] replaces some of them.
cluster.example.toml beside this file explains each. Names are those of sbatch's options.
"""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks.names import known
from benchmarks.slurm.arrays import BUNDLE, STAGES

CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # a line end within a value would begin a line of the batch script


class ClusterError(ValueError):
    """A cluster.toml, or a cluster, that cannot be used; the message says what to change."""


@dataclass(frozen=True)
class Request:
    """What the jobs of one stage ask for: sbatch's options, and how many runs a task does."""

    partition: str = ""
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = None
    nodelist: str | None = None
    exclude: str | None = None
    time: int = 240  # minutes
    mem: str | None = None
    cpus_per_task: int = 1
    array_parallelism: int = 64  # tasks of a stage that run at the same time
    signal_delay_s: int = 120  # seconds between Slurm's warning and the end of the time limit
    device: str = ""  # cpu or cuda; cuda when gres or options ask for GPUs
    bundle: int = 0  # runs of a task; 0 is the stage's own
    python: str | None = None  # how to start Python on a node, for containers; default: this very interpreter
    setup: tuple[str, ...] = ()  # shell lines before the job
    options: tuple[tuple[str, str], ...] = ()  # further options of sbatch


KEYS = tuple(field.name for field in fields(Request))


@dataclass(frozen=True)
class Cluster:
    """A Request for every stage."""

    file: str
    stages: dict[str, Request]

    def __getitem__(self, stage: str) -> Request:
        return self.stages[stage]

    @property
    def bundles(self) -> dict[str, int]:
        """Runs of a task, by stage."""
        return {stage: request.bundle or BUNDLE[stage] for stage, request in self.stages.items()}


def read(path: Path) -> Cluster:
    """The requests of a cluster.toml.

    Raises:
        ClusterError: when it cannot be read, has an unknown key, a value of the wrong kind or no partition.
    """
    try:
        text = tomllib.loads(path.read_text())
    except FileNotFoundError:
        example = Path(__file__).with_name("cluster.example.toml")
        raise ClusterError(f"there is no {path}; copy {example} there and fill in your partition") from None
    except (OSError, ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError of Python's own
        raise ClusterError(f'{path} cannot be read: {error}; text stands in quotes: partition = "NAME"') from error
    try:
        common = {key: _value(known("key", key, (*KEYS, *STAGES)), value) for key, value in text.items()
                  if key not in STAGES}  # fmt: skip
        stages = {}
        for stage in STAGES:
            section = text.get(stage, {})
            if not isinstance(section, dict):
                raise ValueError(f"[{stage}] is a section, not {section!r}")
            own = {key: _value(known(f"key in [{stage}]", key, KEYS), value) for key, value in section.items()}
            stages[stage] = _request(common | own)
    except ValueError as error:
        raise ClusterError(f"{path}: {error}") from error
    missing = [stage for stage, request in stages.items() if not request.partition]
    if missing:
        raise ClusterError(f'{path}: no partition for {", ".join(missing)}; `sinfo -s` lists yours: partition = "NAME"')
    return Cluster(str(path), stages)


def _request(values: dict[str, Any]) -> Request:
    if "device" not in values:
        asked = {"gres": values.get("gres", ""), **dict(values.get("options", ()))}
        values["device"] = "cuda" if any(_gpus(option, given) for option, given in asked.items()) else "cpu"
    request = Request(**values)
    if request.signal_delay_s >= 60 * request.time:
        raise ValueError(f"signal_delay_s {request.signal_delay_s} must be shorter than time, {request.time} minutes")
    return request


def _gpus(option: str, given: str) -> bool:
    """Whether an option of sbatch asks for GPUs, or for shares of them: gpus, gpus-per-*, gres, tres-per-*."""
    if option.startswith("gpus"):
        return given != "0"
    return option.startswith(("gres", "tres-per-")) and re.search("gpu|shard|mps", given) is not None


def _value(key: str, value: Any) -> Any:
    match key:
        case "time":
            return _minutes(value)
        case "setup":
            if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
                raise ValueError(f"setup is a list of shell lines, got {value!r}")
            return tuple(value)
        case "options":
            if not isinstance(value, dict) or any(CONTROL.search(f"{key}{given}") for key, given in value.items()):
                raise ValueError(f'options is a table, {{ reservation = "NAME" }}, got {value!r}')
            if strange := [option for option in value if not re.fullmatch(r"-{0,2}[A-Za-z][A-Za-z0-9-]*", option)]:
                raise ValueError(f"options: {strange[0]!r} is not the name of an option of sbatch")
            return tuple((option.lstrip("-"), str(given)) for option, given in value.items())
        case "device":
            if not isinstance(value, str):
                raise ValueError(f"device is cpu or cuda, got {value!r}")
            return known("device", value, ("cpu", "cuda"))
        case "cpus_per_task" | "array_parallelism" | "signal_delay_s" | "bundle":
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{key} is a whole number of at least 1, got {value!r}")
            return value
    if not isinstance(value, str) or not value or CONTROL.search(value):
        raise ValueError(f'{key} is a word in quotes, {key} = "...", got {value!r}')
    return value


def _minutes(value: Any) -> int:
    """sbatch's forms of a time: minutes, "MM:SS", "HH:MM:SS", "D-HH", "D-HH:MM", "D-HH:MM:SS", rounded up."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    found = isinstance(value, str) and re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", value)
    if not found:
        raise ValueError(f'time is minutes or "HH:MM:SS" or "D-HH:MM:SS", got {value!r}')
    days, *parts = found.groups()
    first, second, third = (int(part or 0) for part in parts)
    if days is not None:
        seconds = int(days) * 86400 + first * 3600 + second * 60 + third
    elif parts[2] is not None:
        seconds = first * 3600 + second * 60 + third
    else:
        seconds = first * 60 + second
    if not seconds:
        raise ValueError(f"time must be longer than nothing, got {value!r}")
    return math.ceil(seconds / 60)
