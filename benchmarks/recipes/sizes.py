"""What a scale, or --set, makes smaller: the sizes of smoke, demo and IRDS, and how a recipe is fitted to them.

Why apart from methods.py: a recipe says how a method is trained; a size says how much of it this machine can bear. What
depends on a size in a method's own config, such as the epoch from which it mines, is scaled with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from benchmarks.recipes.fields import taken
from methods import moco
from protocols import finetune, knn, linear
from protocols.sgd import SGD

if TYPE_CHECKING:
    from benchmarks.recipes.methods import Recipe

# What --set may change besides the fields of methods' and backbones' configs, so that a full-scale table can be tried.
SIZES: dict[str, type] = {"epochs": int, "batch": int, "lr": float, "frames": int,
                          "linear_epochs": int, "linear_batch": int,
                          "finetune_epochs": int, "finetune_batch": int, "finetune_lr": float}  # fmt: skip


@dataclass(frozen=True)
class Size:
    """What a scale replaces in a recipe."""

    backbones: dict[str, dict[str, Any]]  # fields of each one's config; one that is not named keeps its full size
    frames: int
    batch: int
    queue: int
    epochs: int
    milestones: tuple[int, ...]
    monitor_every: int
    monitor: knn.Config
    linear: linear.Config
    finetune: dict[str, Any]  # fields of finetune.Config, with all labels and with few
    semi: dict[str, Any]
    shares: dict[float, float] = field(default_factory=dict)  # of labels, where the set is too small for the paper's
    dim: int = 64
    init: moco.Init = "torch"  # few steps do not leave the small released weights
    lr: float | None = None  # of the pretraining; None is the recipe's


# A few steps of pretraining leave no BatchNorm statistics that a release's learning rate could be borne with.
_UNFROZEN = {"batchnorm": "batch"}
# No dropout: few steps learn nothing through half of the features.
SMOKE = Size(
    backbones={
        "stgcn": {"width": 4, "out": 32, "dropout": 0.0},
        "bigru": {"hidden_size": 16},
        "dsta": {"blocks": ((8, 8, 4, 1), (8, 16, 4, 2), (16, 32, 8, 2)), "dropout": 0.0},
    },
    frames=16, batch=16, queue=64, epochs=1, milestones=(1,), monitor_every=1,
    monitor=knn.Config(), dim=16,
    linear=linear.Config(sgd=SGD(lr=3.0, milestones=(24,), weight_decay=0.0), epochs=40, batch=32),
    finetune={"epochs": 2, "batch": 16, **_UNFROZEN}, semi={"epochs": 4, "batch": 8, **_UNFROZEN},
    shares={0.01: 0.25, 0.1: 0.5},
)  # fmt: skip
_SMALL: dict[str, dict[str, Any]] = {
    "stgcn": {"width": 8, "out": 64, "dropout": 0.0},
    "bigru": {"hidden_size": 32},
    "dsta": {
        "blocks": ((16, 16, 4, 1), (16, 32, 8, 2), (32, 32, 8, 1), (32, 64, 16, 2), (64, 64, 16, 1)),
        "dropout": 0.0,
    },
}
DEMO = Size(
    backbones=_SMALL, frames=16, batch=16, queue=256, epochs=4, milestones=(3,), monitor_every=4,
    monitor=knn.Config(), lr=0.03,
    linear=linear.Config(sgd=SGD(lr=3.0, milestones=(60,), weight_decay=0.0), batch=64),
    finetune={"epochs": 6, "batch": 16, **_UNFROZEN}, semi={"epochs": 12, "batch": 8, **_UNFROZEN},
    shares={0.01: 0.125, 0.1: 0.5},
)  # fmt: skip
IRDS = Size(
    backbones=_SMALL, frames=16, batch=64, queue=512, epochs=60, milestones=(50,), monitor_every=10,
    monitor=knn.Config(), linear=linear.Config(),
    finetune={"epochs": 30, "batch": 64}, semi={"epochs": 60, "batch": 16},
)  # fmt: skip


def resized(recipe: Recipe, size: Size) -> Recipe:
    """The recipe at another size."""
    config = _fitted(recipe, size.frames, size.epochs)
    wanted = {"init": size.init, "queue": size.queue, "dim": size.dim}
    changes = {name: value for name, value in wanted.items() if hasattr(config, name)}
    return replace(
        recipe,
        config=replace(config, **changes),
        backbone_config=replace(recipe.backbone_config, **size.backbones.get(recipe.backbone, {})),
        frames=size.frames,
        batch=size.batch,
        epochs=size.epochs,
        sgd=replace(recipe.sgd, milestones=size.milestones, lr=size.lr or recipe.sgd.lr),
        linear=replace(size.linear, report=recipe.linear.report),
    )


def changed(recipe: Recipe, wanted: dict[str, Any]) -> Recipe:
    """The recipe with the sizes and the fields of its method and its backbone that --set names."""
    same = {key: wanted[key] for key in ("epochs", "batch", "frames") if key in wanted}
    config = _fitted(recipe, same.get("frames", recipe.frames), same.get("epochs", recipe.epochs))
    return replace(
        recipe,
        **same,
        config=replace(config, **taken(config, wanted.items())),
        sgd=replace(recipe.sgd, lr=wanted.get("lr", recipe.sgd.lr)),
        backbone_config=replace(recipe.backbone_config, **taken(recipe.backbone_config, wanted.items())),
        linear=replace(
            recipe.linear,
            epochs=wanted.get("linear_epochs", recipe.linear.epochs),
            batch=wanted.get("linear_batch", recipe.linear.batch),
        ),
    )


def retuned(config: finetune.Config, wanted: dict[str, Any]) -> finetune.Config:
    """The finetuning with the sizes that --set names."""
    return replace(
        config,
        epochs=wanted.get("finetune_epochs", config.epochs),
        batch=wanted.get("finetune_batch", config.batch),
        sgd=replace(config.sgd, lr=wanted.get("finetune_lr", config.sgd.lr)),
    )


def _fitted(recipe: Recipe, frames: int, epochs: int) -> Any:
    """The method's config for other lengths: mixing covers the same share of a clip, mining of the training."""
    config, changes = recipe.config, {}
    if frames != recipe.frames and hasattr(config, "mix_units"):
        changes["mix_units"] = tuple(max(1, round(unit * frames / recipe.frames)) for unit in config.mix_units)
    if epochs != recipe.epochs and hasattr(config, "mine_from"):
        changes["mine_from"] = config.mine_from * epochs // recipe.epochs
    return replace(config, **changes)
