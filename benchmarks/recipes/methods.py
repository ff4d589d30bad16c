"""How every method is trained, at full size: the recipes `paper` and `official`. A new method has its line here.

`paper`: every method on the same backbone and settings, as the paper's text and Tables 8 to 14 say. `official`: each
method as its released code is configured; where the two agree, they share runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from backbones import DSTA, STGCN, BiGRU
from benchmarks.runs import Select
from methods.aimclr import AimCLR
from methods.crossclr import CrosSCLR
from methods.hiclr import HiCLR
from methods.skeattnclr import SkeAttnCLR
from methods.skelemixclr import SkeleMixCLR
from methods.skeletonclr import SkeletonCLR
from methods.supervised import Supervised
from protocols import linear
from protocols.sgd import SGD


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

FILE = "benchmarks/recipes/methods.py"


def methods_of(recipe: str) -> dict[str, Recipe]:
    """Every method that a recipe knows, on its own backbone, at full size."""
    return {"paper": PAPER, "official": OFFICIAL}[recipe]


def lacking(recipe: str, method: str) -> str | None:
    """Why a recipe has nothing for a method; None where it has."""
    if method in methods_of(recipe):
        return None
    return f"recipe {recipe} has no settings for {method}; add them to {recipe.upper()} in {FILE}"


def recipe_of(recipe: str, method: str, data: str, stream: str, backbone: str = "stgcn") -> Recipe:
    """The recipe's settings for one method, at full size.

    Raises:
        ValueError: when the recipe does not know the method or the backbone.
    """
    if reason := lacking(recipe, method):
        raise ValueError(reason)
    found = methods_of(recipe)[method]
    if (recipe, method, data, stream) == ("official", "skeattnclr", "ntu60", "joint"):
        # The two released NTU-60 joint configurations, and only they, give L_ns no weight.
        found = replace(found, config=replace(found.config, mu=1.0))
    return found if backbone == found.backbone else _moved(found, recipe, method, backbone)


def _moved(found: Recipe, recipe: str, method: str, backbone: str) -> Recipe:
    """A method's recipe on another backbone than its own."""
    if (recipe, method, backbone) == ("official", "hiclr", "dsta"):
        return _HICLR_DSTA
    if backbone not in OTHERS[recipe]:
        raise ValueError(f"recipe {recipe} has no settings for {backbone}; add them to OTHERS in {FILE}")
    return replace(found, backbone=backbone, backbone_config=OTHERS[recipe][backbone])
