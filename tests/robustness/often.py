"""bench.py with a checkpoint after every epoch, so that trainings of seconds are resumed as those of hours are.

Workers import this module again as their main module: what it changes holds in them too.
"""

from __future__ import annotations

import functools
import sys

import bench
from benchmarks import execute
from protocols import Context

execute.Context = functools.partial(Context, checkpoint_seconds=0.0)  # pyright: ignore[reportAttributeAccessIssue]

if __name__ == "__main__":
    sys.exit(bench.main())
