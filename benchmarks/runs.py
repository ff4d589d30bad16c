"""What can be run: Pretrain, Evaluate, Fuse; and what an evaluation can judge besides: Untrained, Raw.

Frozen, fully resolved, known by their canonical form (canonical.py). The same run wanted by five tables is one run.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

from backbones import BACKBONES
from benchmarks.canonical import Identified
from benchmarks.datasets import catalog
from methods import METHODS, moco
from protocols import PROTOCOLS, fuse, knn, pretrain
from protocols.sgd import SGD

Select = Literal["best-knn", "last"]
CALIBRATION = 2  # REVISION of how an untrained encoder's BatchNorm is calibrated, see protocols/features.py


@dataclass(frozen=True)
class Data:
    """One split of a data set at a number of frames; `standin` is the size of a synthetic stand-in, if it is one."""

    name: str
    split: str
    frames: int
    standin: str | None = None

    @property
    def revisions(self) -> dict[str, int]:
        """What else the numbers depend on."""
        return {"data": catalog.revision(self.name, self.standin)}


class _Run(Identified):
    """What all kinds of runs have besides an identity."""

    @property
    def parents(self) -> tuple[Run, ...]:
        """Runs that must be done before this one."""
        return ()


@dataclass(frozen=True)
class Untrained(_Run):
    """A backbone with its initial weights: the control for every protocol. Needs no execution of its own.

    calibrate: BatchNorm statistics are measured on the training side first (no labels, no gradient), as in any
    trained network; otherwise BatchNorm is still the identity.
    """

    backbone: str
    backbone_config: Any
    stream: str
    seed: int
    init: moco.Init = "torch"
    calibrate: bool = False

    @property
    def revisions(self) -> dict[str, int]:
        calibration = {"calibration": CALIBRATION} if self.calibrate else {}
        return {"backbone": BACKBONES[self.backbone].REVISION} | calibration


@dataclass(frozen=True)
class Pretrain(_Run):
    """A method trained on one stream of the training side of one split."""

    method: str
    config: Any
    backbone: str
    backbone_config: Any
    data: Data
    stream: str
    sgd: SGD
    batch: int
    epochs: int
    seed: int
    monitor: knn.Config = field(default_factory=knn.Config)
    monitor_every: int = 10

    @property
    def revisions(self) -> dict[str, int]:
        return {
            "method": METHODS[self.method].REVISION,
            "backbone": BACKBONES[self.backbone].REVISION,
            "pretrain": pretrain.REVISION,
            "knn": knn.REVISION,
            **self.data.revisions,
        }


@dataclass(frozen=True)
class Raw(_Run):
    """No encoder: raw coordinates of one stream. Needs no execution of its own."""

    stream: str

    @property
    def revisions(self) -> dict[str, int]:
        return {}


@dataclass(frozen=True)
class Evaluate(_Run):
    """A protocol applied to an encoder; `select` says which of a pretraining's two encoders."""

    protocol: str
    config: Any
    encoder: Pretrain | Untrained | Raw
    data: Data
    select: Select
    seed: int

    @property
    def revisions(self) -> dict[str, int]:
        return {"protocol": PROTOCOLS[self.protocol].REVISION, **self.data.revisions}

    @property
    def parents(self) -> tuple[Run, ...]:
        return (self.encoder,) if isinstance(self.encoder, Pretrain) else ()


@dataclass(frozen=True)
class Fuse(_Run):
    """A weighted sum of the scores of evaluations on the same test samples."""

    members: tuple[Evaluate, ...]
    weights: tuple[float, ...]

    @property
    def revisions(self) -> dict[str, int]:
        return {"fuse": fuse.REVISION}

    @property
    def parents(self) -> tuple[Run, ...]:
        return self.members


Run = Pretrain | Evaluate | Fuse
KINDS: dict[str, type[Any]] = {cls.__name__: cls for cls in (Pretrain, Untrained, Raw, Evaluate, Fuse)}
_SIZES = {"queue", "dim", "mix_units", "init", "classes"}  # differ with the scale, not with the question asked


def label(run: Run | Untrained | Raw) -> str:
    """For people: what it is in one line, with the settings in which it differs from the method's defaults."""
    match run:
        case Pretrain():
            defaults = type(run.config)()
            changed = [
                f"{f.name}={getattr(run.config, f.name)}"
                for f in fields(run.config)
                if f.name not in _SIZES and getattr(run.config, f.name) != getattr(defaults, f.name)
            ]
            where = f"{run.data.name} {run.data.split}"
            parts = [run.method, run.backbone, where, run.stream, f"seed {run.seed}", *changed]
            return " · ".join(parts)
        case Untrained():
            calibrated = ", BN calibrated" if run.calibrate else ""
            return f"untrained{calibrated} · {run.backbone} · {run.stream} · seed {run.seed}"
        case Raw():
            return f"raw coordinates · {run.stream}"
        case Evaluate():
            elsewhere = not isinstance(run.encoder, Pretrain) or run.encoder.data != run.data
            where = f" on {run.data.name} {run.data.split}" if elsewhere else ""
            how = ", standardised" if getattr(run.config, "standardise", False) else ""
            share = f" {100 * run.config.share:g} %" if hasattr(run.config, "share") else ""
            return f"{run.protocol}{share}{how} of {label(run.encoder)}{where}"
        case Fuse():
            streams = "+".join(member.encoder.stream for member in run.members)
            return f"fuse {streams} of {label(run.members[0].encoder)}"


def closure(run: Run) -> Iterator[Run]:
    """A run after everything that it needs; what several need, several times."""
    for parent in run.parents:
        yield from closure(parent)
    yield run


def from_spec(spec: dict[str, Any]) -> Any:
    """The run of a canonical form.

    Raises:
        ValueError: when a kind, field or revision is not the one of this code: the run belongs to another version.
    """
    spec = dict(spec)
    kind = KINDS.get(spec.pop("kind", ""))
    if kind is None:
        raise ValueError(f"a spec must name its kind, one of {', '.join(KINDS)}")
    revisions = spec.pop("revisions")
    configs = {
        "config": METHODS if kind is Pretrain else PROTOCOLS,
        "backbone_config": BACKBONES,
    }
    names = {"config": "method" if kind is Pretrain else "protocol", "backbone_config": "backbone"}
    values = {}
    hints = typing.get_type_hints(kind)
    for key, value in spec.items():
        if key in configs and key in hints:
            registry, name = configs[key], spec[names[key]]
            if name not in registry:
                raise ValueError(f"this version has no {names[key]} {name!r}")
            values[key] = _typed(value, registry[name].Config)
        elif key in hints:
            values[key] = _typed(value, hints[key])
        else:
            raise ValueError(f"a {kind.__name__} has no field {key!r}")
    run = kind(**values)
    if run.revisions != revisions:
        raise ValueError(f"made with revisions {revisions}, this code has {run.revisions}")
    return run


def _typed(value: Any, hint: Any) -> Any:
    """Turns JSON back into what the annotation says."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(value, dict) and "kind" in value:
        return from_spec(value)
    if origin is tuple:
        inner = arguments[0] if arguments[-1] is Ellipsis else None
        return tuple(_typed(v, inner or arguments[i]) for i, v in enumerate(value))
    if origin in (types.UnionType, typing.Union):
        return value
    if is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint)
        unknown = set(value) - set(hints)
        if unknown:
            raise ValueError(f"{hint.__qualname__} has no field {', '.join(sorted(unknown))}")
        return hint(**{key: _typed(item, hints[key]) for key, item in value.items()})
    return float(value) if hint is float and isinstance(value, int) else value
