"""HOW a run is configured: every hyper-parameter of every method, at every scale, for every protocol.

settings.py   what was asked for          methods.py      the recipes `paper` and `official`
sizes.py      smoke, demo, IRDS, --set    finetuning.py   the recipes' finetuning, and on few labels
fields.py     what --set may change       once.py         made once, shared by all tables
resolve.py    all of it, put together
"""

from benchmarks.recipes.methods import OFFICIAL, OTHERS, PAPER, Recipe, lacking, recipe_of
from benchmarks.recipes.resolve import (
    WrongSetting,
    controls,
    evaluation,
    frames_of,
    fused,
    judged,
    pretraining,
    pretrainings,
    resolve,
    size_of,
    untrained,
)
from benchmarks.recipes.settings import RECIPES, SCALES, Settings

__all__ = [
    "OFFICIAL", "OTHERS", "PAPER", "RECIPES", "SCALES", "Recipe", "Settings", "WrongSetting",
    "controls", "evaluation", "frames_of", "fused", "judged", "lacking", "pretraining", "pretrainings", "recipe_of",
    "resolve", "size_of", "untrained",
]  # fmt: skip
