"""What every test may ask for: the shared reference material, one thread, no surprises.

Golden arrays and the real IRDS recordings lie beside the project in ../shared. They are not part of it, so
whatever needs them skips with that reason where the folder is absent.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits  # comes with scikit-learn

from tests import checks

REPO = Path(__file__).resolve().parent.parent

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # Triton reads it once, when it is imported: kernels run on the CPU in tests
SHARED = REPO.parent / "shared"
checks.install()


def pytest_runtest_setup() -> None:
    """Every test checks shapes anew."""
    checks.seen.clear()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Bit-for-bit comparisons need a fixed summation order; NumPy's small products, one thread on a busy machine."""
    torch.set_num_threads(1)
    threadpool_limits(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder ../shared; skips the test where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared (golden arrays, IRDS), which lies beside the project, not in it")
    return SHARED


@pytest.fixture(scope="session")
def golden(shared: Path) -> Callable[[str], dict[str, np.ndarray]]:
    """golden("stgcn") -> every array of ../shared/golden/stgcn.npz by name."""

    def load(name: str) -> dict[str, np.ndarray]:
        with np.load(shared / "golden" / f"{name}.npz") as arrays:
            return {key: arrays[key] for key in arrays.files}

    return load
