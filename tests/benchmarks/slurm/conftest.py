"""One Slurm for all tests of this folder; they skip where there is none to start."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.slurm.cluster import Cluster, missing


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running cluster of one node with two cores."""
    if reason := missing():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="slurm-") as place:  # not pytest's: munge's socket must not be private
        made = Cluster(Path(place))
        try:
            made.start()
            yield made
        finally:
            made.stop()
