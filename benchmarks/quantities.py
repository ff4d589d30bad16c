"""Numbers of the command line, as types of argparse: each says what it expects when it gets something else."""

from __future__ import annotations

import argparse
from collections.abc import Callable

MOST_SEEDS = 1000  # each is a campaign of its own; more is a slip of the finger


def positive(text: str) -> int:
    """A whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return value


def seeds(text: str) -> int:
    """A number of seeds."""
    value = positive(text)
    if value > MOST_SEEDS:
        raise argparse.ArgumentTypeError(f"expected at most {MOST_SEEDS} seeds, got {text}")
    return value


def amount(text: str) -> float:
    """A number of at least 0."""
    return _number(text, lambda value: 0 <= value < float("inf"), "a number of at least 0")


def share(text: str) -> float:
    """A part of 1."""
    return _number(text, lambda value: 0 < value <= 1, "a part of 1, such as 0.01")


def _number(text: str, allowed: Callable[[float], bool], wanted: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not allowed(value):
        raise argparse.ArgumentTypeError(f"expected {wanted}, got {text!r}")
    return value
