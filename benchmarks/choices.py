"""Turns words of the command line into runs and settings, and wrong words into helpful sentences."""

from __future__ import annotations

import argparse
import shlex
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import protocols
from backbones import BACKBONES
from backbones.streams import STREAMS
from benchmarks import recipes
from benchmarks.datasets import catalog
from benchmarks.names import UnknownName, known
from benchmarks.recipes import Settings
from benchmarks.recipes.fields import types_of
from benchmarks.recipes.sizes import SIZES
from benchmarks.tables.base import Cell, TableSpec, unsupported
from methods import METHODS

PROTOCOLS = tuple(name for name in protocols.PROTOCOLS if name not in ("raw", "embed"))  # of a pretrained encoder
POSITIVE = (*(size for size in SIZES if size != "epochs"), "width", "out", "hidden", "hidden_size", "layers", "subsets")


class UsageError(Exception):
    """The command line asks for something that does not exist; the message says what does."""


def overrides(words: Iterable[str], method: str | None = None) -> tuple[tuple[str, Any], ...]:
    """--set key=value ..., typed by SIZES, the backbones' configs and the method's (any method's, when none is named).

    Raises:
        UsageError: for an unknown key, or a value of the wrong type.
    """
    chosen = [METHODS[known("method", method, METHODS)]] if method else list(METHODS.values())
    hints: dict[str, dict[Any, None]] = {size: {hint: None} for size, hint in SIZES.items()}
    for kind in (*chosen, *BACKBONES.values()):
        for name, hint in types_of(kind.Config).items():
            hints.setdefault(name, {})[hint] = None
    parsed = []
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise UsageError(f"--set wants key=value, got {word!r}")
        owners = [name for name, kind in METHODS.items() if key in types_of(kind.Config)]
        if method and owners and key not in hints:
            raise UsageError(f"--set {key} is a setting of {', '.join(owners)}, not of {method}")
        if "=" in text:
            raise UsageError(f"--set wants spaces between settings: {word.replace(',', ' ')}")
        value = _one_of(key, text, hints[known("setting", key, hints)])
        if key in POSITIVE and value <= 0:
            raise UsageError(f"--set {key} wants a number above 0, got {text!r}")
        if key == "epochs" and value < 0:
            raise UsageError(f"--set epochs wants a number of at least 0, got {text!r}")
        parsed.append((key, value))
    return tuple(parsed)


def _one_of(key: str, text: str, hints: Iterable[Any]) -> Any:
    """The value as the first type that takes it: methods may mean different things by one name."""
    reasons = []
    for hint in hints:
        try:
            return _value(key, text, hint)
        except (UsageError, UnknownName) as error:
            reasons.append(str(error))
    raise UsageError("; or: ".join(reasons))


def _value(key: str, text: str, hint: Any) -> Any:
    if typing.get_origin(hint) is tuple:
        parts = text.split(",")
        inner = typing.get_args(hint)
        if len(parts) != len(inner):
            raise UsageError(f"--set {key} wants {len(inner)} numbers with commas between, got {text!r}")
        return tuple(_value(key, part, kind) for part, kind in zip(parts, inner, strict=True))
    if typing.get_origin(hint) is typing.Literal:
        return known(f"{key}", text, typing.get_args(hint))
    if hint is bool:
        if text.lower() not in ("true", "false"):
            raise UsageError(f"--set {key} wants true or false, got {text!r}")
        return text.lower() == "true"
    try:
        value = hint(text)
    except ValueError:
        kind = {int: "a whole number", float: "a number"}[hint]
        raise UsageError(f"--set {key} wants {kind}, got {text!r}") from None
    if value != value or value in (float("inf"), float("-inf")):
        raise UsageError(f"--set {key} wants a finite number, got {text!r}")
    return value


def heeded(specs: Sequence[TableSpec], overrides: tuple[tuple[str, Any], ...]) -> None:
    """Refuses what the rows of a table would not heed.

    Raises:
        UsageError: for a setting in which the rows of a table differ.
    """
    for spec in specs:
        if fixed := [key for key, _ in overrides if key in spec.varies]:
            raise UsageError(
                f"--set {fixed[0]}: the rows of table {spec.id} differ in it and would stay as they are; a value of "
                f"your own takes bench.py run --method skeattnclr --set {fixed[0]}=..."
            )


def single(arguments: argparse.Namespace, settings: Settings, data: str) -> list[Cell]:
    """One evaluation per seed, from --method --backbone --split --stream --protocol --share --on."""
    method = known("method", arguments.method, METHODS)
    backbone = known("backbone", arguments.backbone or "stgcn", BACKBONES)
    split = known(f"split of {data}", arguments.split or "xsub", catalog.dataset(data).splits)
    stream = known("stream", arguments.stream or "joint", STREAMS)
    protocol = known("protocol", arguments.protocol or "linear", PROTOCOLS)
    if arguments.share is not None and protocol != "semi":
        raise UsageError(f"--share is a part of the labels, for --protocol semi; {protocol} uses all")
    target = known("data set", arguments.on or data, catalog.DATASETS)
    tested = known(f"split of {target}, which is judged like {data}", split, catalog.dataset(target).splits)
    trained = recipes.pretrainings(settings, method, data, split, stream, backbone)
    if reason := unsupported(trained[0]):
        raise UsageError(reason)
    evaluations = recipes.judged(settings, protocol, trained, target, tested, arguments.share or 0.1)
    return [Cell(method, f"{target} {tested}", evaluations)]


def banner(scale: str) -> str:
    """What must be said before anyone reads a number made with stand-ins."""
    return (
        f"** {scale} scale, synthetic stand-ins: tiny generated data and networks. It shows that everything works. **\n"
        "** The numbers say nothing about the paper's, and training is too short for methods to differ. **"
    )


def unprepared(specs: Iterable[TableSpec], data: Path) -> str:
    """Why --scale auto is demo, and the way from there to real data."""
    names = list(dict.fromkeys(name for spec in specs for name, _ in spec.data))
    return (
        f"** Not prepared in {short(data)}: {', '.join(names)}. For real data, which is scale full:\n"
        f"** python bench.py data prepare {names[0]} --raw PATH; where to get it says python bench.py data list **"
    )


def watch(arguments: argparse.Namespace, queued: list[str]) -> str:
    """What somebody can do next who has submitted the runs of these ids."""
    words = ["show", queued[-1]]  # of one run, what it is judged by
    if arguments.table:
        words = ["status", "--table", *arguments.table, "--scale", arguments.scale, "--recipe", arguments.recipe]
        words += ["--seeds", str(arguments.seeds), "--data", str(arguments.data)]
        words += ["--set", *arguments.set] if arguments.set else []
    return (
        f"\n{len(queued)} runs are with Slurm; nothing runs here. Watch: "
        f"python bench.py {shlex.join([*words, '--out', str(arguments.out)])}\n"
        "If jobs are cancelled or lost, run the same command again."
    )


def short(path: Path) -> str:
    """The path as one would type it from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
