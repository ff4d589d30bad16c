"""Tables 8 to 14: the paper's settings beside what the `paper` recipe resolves to: a drift is visible.

The right-hand side is never typed in: it is read from the resolved recipe of SkeAttnCLR ("Ours") and of
SkeletonCLR ("Baseline*"). A setting without a counterpart in a recipe says where it is decided instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from backbones import bigru, skeleton
from benchmarks import recipes
from benchmarks.datasets import catalog
from benchmarks.names import known
from benchmarks.recipes import Recipe, Settings
from benchmarks.tables.paper import paper_settings

METHODS = {"SkeAttnCLR": "skeattnclr", "SkeletonCLR (Baseline*)": "skeletonclr"}
NONE = "–"
DIFFERS = "≠"


@dataclass(frozen=True)
class Decision:
    """Where a setting of the paper is decided here; `read` takes it from a recipe, None if none has it."""

    where: str
    read: Callable[[Recipe], Any] | None = None
    ours_only: bool = False  # SkeletonCLR has no such thing
    allowed: tuple[Any, ...] = ()  # what the printed words can mean, if not themselves


@dataclass(frozen=True)
class Setting:
    """One line: the paper's name and value, and ours per heading of METHODS (None where there is none)."""

    name: str
    printed: str
    resolved: dict[str, Any]
    where: str
    allowed: tuple[Any, ...] = ()

    def differs(self, heading: str) -> bool:
        """Whether this method's value is not the printed one."""
        value = self.resolved[heading]
        if value is None:
            return False
        return value not in self.allowed if self.allowed else value != _meaning(self.printed)


@dataclass(frozen=True)
class SettingsTable:
    """One of Tables 8 to 14."""

    id: str
    title: str
    settings: tuple[Setting, ...]

    @property
    def drift(self) -> tuple[str, ...]:
        """Names of the settings in which a method differs from the paper."""
        return tuple(s.name for s in self.settings if any(s.differs(heading) for heading in METHODS))


def _config(name: str, index: int | None = None, ours_only: bool = False) -> Decision:
    """A field of the method's config, or one end of a pair."""

    def read(recipe: Recipe) -> Any:
        value = getattr(recipe.config, name)
        return value if index is None else value[index]

    where = f"`{name}`" if index is None else f"`{name}[{index}]`"
    return Decision(f"{where} of the method", read, ours_only)


def _backbone(name: str) -> Decision:
    return Decision(f"`{name}` of the backbone", lambda recipe: getattr(recipe.backbone_config, name))


def _sgd(name: str) -> Decision:
    return Decision(f"`{name}` of SGD", lambda recipe: getattr(recipe.sgd, name))


def _classes(_: Recipe) -> str:
    return f"{catalog.classes('ntu60', None)} (or {catalog.classes('ntu120', None)})"


DECISIONS: dict[str, dict[str, Decision]] = {
    "8": {
        "feature dim": _config("dim"),
        "queue size": _config("queue"),
        "momentum(M)": _config("momentum"),
        "temperature": _config("tau"),
        "lambda(λ)": _config("lam", ours_only=True),
        "mu(μ)": _config("mu", ours_only=True),
    },
    "9": {
        "nesterov": _sgd("nesterov"),
        "weight_decay": _sgd("weight_decay"),
        "base_lr": _sgd("lr"),
    },
    "10": {
        "window size": Decision("`frames` of the recipe", lambda recipe: recipe.frames),
        "shear amplitude": _config("shear"),
        "temporal_padding_ratio": _config("crop_ratio"),
        "mmap": Decision("no setting: benchmarks/datasets/store.py always maps the stored array"),
    },
    "11": {
        "spacial_l": _config("mix_parts", 0, ours_only=True),
        "spacial_u": _config("mix_parts", 1, ours_only=True),
        "temporal_l": _config("mix_units", 0, ours_only=True),
        "temporal_u": _config("mix_units", 1, ours_only=True),
        "swap mode": Decision("no setting: `mix_parts` in methods/augment.py pastes a donor's joints"),
        "spatial_mode": Decision("no setting: the five body parts, `PARTS` in backbones/skeleton.py"),
    },
    "12": {
        "in channel": Decision("no setting: x, y, z in every stream, backbones/streams.py"),
        "hidden channel": _backbone("width"),
        "hidden dim": _backbone("out"),
        "droup out": _backbone("dropout"),
        "class number": Decision("the data set, benchmarks/datasets/catalog.py", _classes),
        "edge_importance_weighting": _backbone("edge_importance"),
        "graph_args": Decision(
            "`graph` of the backbone; two graphs in circulation go by the printed words",
            lambda recipe: recipe.backbone_config.graph,
            allowed=("agcn", "stgcn"),
        ),
    },
    "13": {
        "input size": Decision("no setting: `INPUT` in backbones/bigru.py", lambda _: bigru.INPUT),
        "hidden size": _backbone("hidden_size"),
        "layers number": _backbone("layers"),
        "class number": Decision("the data set, benchmarks/datasets/catalog.py", _classes),
    },
    "14": {
        "frame number": Decision("`frames` of the recipe", lambda recipe: recipe.frames),
        "joint number": Decision("no setting: `V` in backbones/skeleton.py", lambda _: skeleton.V),
        "input channel": Decision("no setting: x, y, z in every stream, backbones/streams.py"),
        "hidden dim": Decision("the last of `blocks` of the backbone", lambda r: r.backbone_config.blocks[-1][1]),
        "number of heads": _config(
            "heads", ours_only=True
        ),  # of the attention mask: DSTA has subsets, three in the release
        "dropout": _backbone("dropout"),
        "class number": Decision("the data set, benchmarks/datasets/catalog.py", _classes),
        "config list": Decision(
            "`blocks` of the backbone", lambda r: [list(block) for block in r.backbone_config.blocks]
        ),
    },
}
BACKBONES = {"13": "bigru", "14": "dsta"}  # every other table is about ST-GCN, or about none


def _meaning(printed: str) -> Any:
    """What the printed characters mean: a boolean, a list, a number, or themselves."""
    if printed in ("TRUE", "FALSE"):
        return printed == "TRUE"
    if printed.startswith("["):
        return json.loads(printed)
    try:
        return float(printed)
    except ValueError:
        return printed


def settings_tables() -> dict[str, SettingsTable]:
    """Tables 8 to 14 by id, resolved at full scale under recipe `paper` for NTU-60, joint stream."""
    return {table: _table(table) for table in DECISIONS}


def _table(table: str) -> SettingsTable:
    settings, backbone = Settings(recipe="paper", scale="full"), BACKBONES.get(table, "stgcn")
    found = {
        heading: recipes.resolve(settings, method, "ntu60", "joint", backbone) for heading, method in METHODS.items()
    }
    printed, decisions = paper_settings(table), DECISIONS[table]
    if list(printed.values) != list(decisions):
        raise ValueError(f"Table {table}: paper.toml has {list(printed.values)}, settings.py {list(decisions)}")
    lines = []
    for name, text in printed.values.items():
        decision = decisions[name]
        resolved = {
            heading: decision.read(recipe)
            if decision.read and (METHODS[heading] == "skeattnclr" or not decision.ours_only)
            else None
            for heading, recipe in found.items()
        }
        lines.append(Setting(name, text, resolved, decision.where, decision.allowed))
    return SettingsTable(table, printed.title, tuple(lines))


def _shown(value: Any, differs: bool) -> str:
    if value is None:
        return NONE
    text = f"{value:g}" if isinstance(value, float) else str(value)
    text = text.upper() if isinstance(value, bool) else text
    return f"{DIFFERS} {text}" if differs else text


def render_settings(table_id: str) -> str:
    """One of Tables 8 to 14 as markdown; the same code renders to the same bytes.

    Raises:
        ValueError: for any other table, with the nearest id.
    """
    table = settings_tables()[known("settings table", table_id, DECISIONS)]
    rows = [
        [s.name, s.printed, *(_shown(s.resolved[h], s.differs(h)) for h in METHODS), s.where] for s in table.settings
    ]
    markdown = tabulate(
        rows,
        headers=["setting", "paper", *METHODS, "decided by"],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=("left",) * (3 + len(METHODS)),
    )
    verdict = f"Differs from the paper: {', '.join(table.drift)}." if table.drift else "Nothing differs."
    return "\n".join(
        [
            f"## Table {table.id} · {table.title.rstrip('.')}",
            "",
            "What the paper prints, and what recipe `paper` resolves to at scale `full` on NTU-60, joint.",
            f"`{DIFFERS}` marks a value that is not the paper's, `{NONE}` one that is not in the recipe.",
            verdict,
            "",
            markdown,
            "",
        ]
    )
