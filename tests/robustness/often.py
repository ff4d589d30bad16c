"""bench.py whose workers leave a checkpoint after every epoch: trainings of seconds are resumed as those of hours are.

Workers import this module again as their main module, by another name.
"""

from __future__ import annotations

import functools

import bench


def checkpoints() -> None:
    """From now on, whatever this process trains has a checkpoint after every epoch but the last."""
    from benchmarks.running import execute
    from protocols import Context

    execute.Context = functools.partial(Context, checkpoint_seconds=0.0)  # pyright: ignore[reportAttributeAccessIssue]  a stand-in for the class


if __name__ == "__mp_main__":
    from benchmarks.machine.workers import end_with_parent

    end_with_parent()  # as bench.py does
    checkpoints()

if __name__ == "__main__":
    bench.command()
