"""Seconds in words, from a second to centuries."""

from __future__ import annotations

import math

# seconds of a unit, its name, and how many of it are told in the next
UNITS = (
    (1.0, "s", 60),
    (60.0, "min", 60),
    (3600.0, "h", 72),
    (86_400.0, "days", 730),
    (31_557_600.0, "years", math.inf),
)


def clock(seconds: float) -> str:
    """75 -> "1:15", 3700 -> "1:01:40"."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"


def lasting(seconds: float) -> str:
    """90 -> "1.5 min", 10_000 -> "2.8 h": for times from seconds to centuries of which the first digits matter."""
    unit, name = next((unit, name) for unit, name, until in UNITS if seconds < unit * until)
    return f"{seconds / unit:.3g} {name}" if seconds < 999 * unit else f"{seconds / unit:,.0f} {name}"
