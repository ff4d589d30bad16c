"""Every hyper-parameter, resolved: recipe paper | official, at scale smoke | demo | full.

`paper`: every method on the same backbone and settings, as the paper's text and Tables 8 to 14 say. `official`: each
method as its released code is configured; where the two agree, they share runs. Scales change sizes only; `full` is
the recipe itself. IRDS, a small real data set, has sizes of its own that two CPU cores can train.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from backbones import DSTA, STGCN, BiGRU
from benchmarks.datasets import catalog
from benchmarks.finetuning import few_labels, finetuning
from benchmarks.once import once
from benchmarks.runs import Data, Evaluate, Fuse, Pretrain, Raw, Run, Select, Untrained
from benchmarks.sizes import DEMO, IRDS, SMOKE, Size, changed, resized, retuned
from methods.aimclr import AimCLR
from methods.crossclr import CrosSCLR
from methods.hiclr import HiCLR
from methods.skeattnclr import SkeAttnCLR
from methods.skelemixclr import SkeleMixCLR
from methods.skeletonclr import SkeletonCLR
from methods.supervised import Supervised
from protocols import embed, finetune, knn, linear, raw
from protocols.sgd import SGD

RECIPES = ("paper", "official")
SCALES = ("smoke", "demo", "full")


@dataclass(frozen=True)
class Settings:
    """What the command line asked for; every table is a function of it."""

    recipe: str = "paper"
    scale: str = "full"
    seeds: tuple[int, ...] = (0,)
    overrides: tuple[tuple[str, Any], ...] = ()  # --set: fields of the methods' configs, and sizes.SIZES

    @property
    def standin(self) -> str | None:
        """The size of the synthetic stand-ins, None for real data."""
        return None if self.scale == "full" else self.scale

    @cached_property
    def made(self) -> dict[Any, Any]:
        """What was made under these settings and is made once: see once.py and TableSpec.cells."""
        return {}

    def but(self, **changes: Any) -> Settings:
        """These settings with changes: one object each time, and with other seeds only it has the same `made`."""
        found = replace(self, **changes)
        key = repr(found)  # == would take 4 for 4.0, which is another run
        if key == repr(self):
            return self
        if repr(replace(found, seeds=())) == repr(replace(self, seeds=())):
            vars(found)["made"] = self.made
        return self.made.setdefault(key, found)


@dataclass(frozen=True)
class Recipe:
    """One method's settings at full size."""

    config: Any
    backbone: str = "stgcn"
    backbone_config: Any = field(default_factory=STGCN.Config)
    frames: int = 64
    batch: int = 128
    epochs: int = 300
    sgd: SGD = field(default_factory=SGD)
    linear: linear.Config = field(default_factory=linear.Config)
    select: Select = "best-knn"


_RELEASED_MOCO = SkeletonCLR.Config(tau=0.07, momentum=0.999, momentum_schedule="constant", key_init="redrawn")
_MONITOR = knn.Config()
_RELEASED_STGCN = STGCN.Config(width=16, graph="stgcn")
_RELEASED_LINEAR = linear.Config(sgd=SGD(lr=3.0, milestones=(80,), weight_decay=0.0), epochs=100, report="best")

PAPER: dict[str, Recipe] = {
    "skeletonclr": Recipe(SkeletonCLR.Config()),
    "crossclr": Recipe(CrosSCLR.Config()),
    "aimclr": Recipe(AimCLR.Config()),
    "hiclr": Recipe(HiCLR.Config()),
    "skelemixclr": Recipe(SkeleMixCLR.Config()),
    "skeattnclr": Recipe(SkeAttnCLR.Config()),
    "supervised": Recipe(Supervised.Config()),
}


def _released(config: Any) -> Recipe:
    """The configuration files of CrosSCLR and of what was built on it: 50 frames, width 16, the last checkpoint."""
    return Recipe(config, backbone_config=_RELEASED_STGCN, frames=50, linear=_RELEASED_LINEAR, select="last")


OFFICIAL: dict[str, Recipe] = {
    "skeletonclr": _released(_RELEASED_MOCO),
    "crossclr": _released(CrosSCLR.Config(heads="shared", momentum_updates="released", key_init="redrawn")),
    "aimclr": _released(AimCLR.Config(key_init="redrawn")),
    "hiclr": _released(HiCLR.Config(key_init="redrawn")),
    "skelemixclr": Recipe(
        SkeleMixCLR.Config(mixes=3, combine="sum", key_init="redrawn"),
        backbone_config=STGCN.Config(width=16),
        sgd=SGD(milestones=()),
        linear=replace(_RELEASED_LINEAR, epochs=150),
        select="last",
    ),
    "skeattnclr": Recipe(
        SkeAttnCLR.Config(momentum_offset=1, mix_global_pass=True, key_init="redrawn"),
        linear=linear.Config(sgd=SGD(lr=3.0, milestones=(60, 100), weight_decay=0.0), epochs=150, report="best"),
        select="last",
    ),
    "supervised": Recipe(Supervised.Config(), backbone_config=_RELEASED_STGCN, frames=50, select="last"),
}

# The other backbones of Table 2. Tables 13 and 14 are all that is published of them; the release has their networks, no
# configuration. Table 13 says "BIGRU" and equations 5 to 7 a mean over tokens; the released network is neither.
OTHERS: dict[str, dict[str, Any]] = {
    "paper": {"bigru": BiGRU.Config(mask_pooling="mean"), "dsta": DSTA.Config()},
    "official": {"bigru": BiGRU.Config(direction="released"), "dsta": DSTA.Config()},
}
# The one release with a transformer of its own.
_HICLR_DSTA = Recipe(
    replace(OFFICIAL["hiclr"].config, hidden_share=0.2),
    backbone="dsta",
    backbone_config=DSTA.Config(
        blocks=(
            (32, 32, 16, 1), (32, 32, 16, 1), (32, 64, 16, 2), (64, 64, 16, 1),
            (64, 128, 32, 2), (128, 128, 32, 1), (128, 128, 32, 1), (128, 256, 32, 1),
        ),
        temporal="convolution",
        dropout=0.5,
    ),
    frames=50,
    sgd=SGD(weight_decay=5e-4),
    linear=replace(_RELEASED_LINEAR, sgd=replace(_RELEASED_LINEAR.sgd, milestones=(30, 80))),
    select="last",
)  # fmt: skip


def recipe_of(recipe: str, method: str, data: str, stream: str, backbone: str = "stgcn") -> Recipe:
    """The recipe's settings for one method, at full size.

    Raises:
        ValueError: when the recipe does not know the method or the backbone.
    """
    known = {"paper": PAPER, "official": OFFICIAL}[recipe]
    if method not in known:
        raise ValueError(f"recipe {recipe} has no settings for {method}; add them to {recipe.upper()} in recipes.py")
    found = known[method]
    if (recipe, method, data, stream) == ("official", "skeattnclr", "ntu60", "joint"):
        # The two released NTU-60 joint configurations, and only they, give L_ns no weight.
        found = replace(found, config=replace(found.config, mu=1.0))
    return found if backbone == found.backbone else _moved(found, recipe, method, backbone)


def _moved(found: Recipe, recipe: str, method: str, backbone: str) -> Recipe:
    """A method's recipe on another backbone than its own."""
    if (recipe, method, backbone) == ("official", "hiclr", "dsta"):
        return _HICLR_DSTA
    if backbone not in OTHERS[recipe]:
        raise ValueError(f"recipe {recipe} has no settings for {backbone}; add them to OTHERS in recipes.py")
    return replace(found, backbone=backbone, backbone_config=OTHERS[recipe][backbone])


def size_of(settings: Settings, data: str) -> Size | None:
    """The sizes that replace the recipe's, None for none."""
    if settings.scale == "full":
        return IRDS if data == "irds" else None
    return {"smoke": SMOKE, "demo": DEMO}[settings.scale]


@once
def resolve(settings: Settings, method: str, data: str, stream: str, backbone: str = "stgcn") -> Recipe:
    """The complete settings of one method on one data set and stream at the asked-for scale."""
    found = recipe_of(settings.recipe, method, data, stream, backbone)
    size = size_of(settings, data)
    return changed(resized(found, size) if size else found, dict(settings.overrides))


@once
def data_of(settings: Settings, name: str, split: str, frames: int) -> Data:
    """The data of a run at the asked-for scale."""
    return Data(name, split, frames, settings.standin)


@once
def _config(settings: Settings, method: str, data: str, split: str, stream: str, backbone: str, **changes: Any) -> Any:
    """The method's, of all seeds."""
    found = resolve(settings, method, data, stream, backbone)
    known = {key: value for key, value in settings.overrides if hasattr(found.config, key)}
    classes = {"classes": catalog.classes(data, settings.standin, split)} if hasattr(found.config, "classes") else {}
    return replace(found.config, **known | changes | classes)


@once
def pretraining(
    settings: Settings,
    method: str,
    data: str,
    split: str,
    stream: str,
    seed: int,
    backbone: str = "stgcn",
    **changes: Any,
) -> Pretrain:
    """A fully resolved pretraining; --set and then `changes`, what a table varies, replace fields of the config."""
    found = resolve(settings, method, data, stream, backbone)
    size = size_of(settings, data)
    return Pretrain(
        method=method,
        config=_config(settings, method, data, split, stream, backbone, **changes),
        backbone=found.backbone,
        backbone_config=found.backbone_config,
        data=data_of(settings, data, split, found.frames),
        stream=stream,
        sgd=found.sgd,
        batch=found.batch,
        epochs=found.epochs,
        seed=seed,
        monitor=size.monitor if size else _MONITOR,
        monitor_every=size.monitor_every if size else 10,
    )


def untrained(settings: Settings, method: str, data: str, stream: str, seed: int, calibrate: bool = False) -> Untrained:
    """The backbone of a method's recipe with random weights; see runs.Untrained for `calibrate`."""
    found = resolve(settings, method, data, stream)
    return Untrained(
        found.backbone, found.backbone_config, stream, seed, getattr(found.config, "init", "torch"), calibrate
    )


@once
def evaluation(
    settings: Settings,
    protocol: str,
    encoder: Pretrain | Untrained | Raw,
    data: str,
    split: str,
    share: float = 0.1,
    **changes: Any,
) -> Evaluate:
    """A protocol with the settings that belong to the encoder's recipe; `changes` replace fields of its config.

    share: of the labels, for protocol semi. Another data set than the encoder's is transfer.
    """
    method = encoder.method if isinstance(encoder, Pretrain) else "skeletonclr"
    backbone = "stgcn" if isinstance(encoder, Raw) else encoder.backbone
    found = resolve(settings, method, data, encoder.stream, backbone)
    words = (method, data, split, encoder.stream, backbone)
    return Evaluate(
        protocol=protocol,
        config=_judge(settings, protocol, words, share, isinstance(encoder, Pretrain), **changes),
        encoder=encoder,
        data=data_of(settings, data, split, found.frames),
        select=found.select if isinstance(encoder, Pretrain) else "last",
        seed=getattr(encoder, "seed", 0),
    )


@once
def _judge(
    settings: Settings,
    protocol: str,
    words: tuple[str, str, str, str, str],
    share: float,
    pretrained: bool,
    **changes: Any,
) -> Any:
    """The protocol's config, of all seeds. words: method, data, split, stream, backbone."""
    method, data, split, stream, backbone = words
    where = (settings.recipe, method, data, split, stream, size_of(settings, data))
    match protocol:
        case "finetune":
            config = _tuned(finetuning(*where), settings, pretrained)
        case "semi":
            few = few_labels(*where, share)
            config = replace(few, finetune=_tuned(few.finetune, settings, pretrained))
        case "linear":
            config = resolve(settings, method, data, stream, backbone).linear
        case _:
            config = {"knn": knn.Config(), "raw": raw.Config(), "embed": embed.Config()}[protocol]
    return replace(config, **changes)


def _tuned(config: finetune.Config, settings: Settings, pretrained: bool) -> finetune.Config:
    """With what --set names; without pretraining BatchNorm follows the batches, as it has no statistics to keep."""
    config = retuned(config, dict(settings.overrides))
    return config if pretrained else replace(config, batchnorm="batch")


def fused(members: tuple[Run, ...], weights: tuple[float, ...] = (0.5, 0.5, 0.5)) -> Fuse:
    """Three-stream fusion in the order joint, bone, motion."""
    evaluations = tuple(member for member in members if isinstance(member, Evaluate))
    return Fuse(evaluations, weights)
