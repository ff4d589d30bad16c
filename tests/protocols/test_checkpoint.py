"""Files that cannot be written: which, why and what to do is said, and the old file stays."""

from __future__ import annotations

import gc
import resource
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from protocols.base import Context
from protocols.checkpoint import load_encoder, load_training, save_encoder, save_training
from protocols.files import replacing
from protocols.fit import fit
from protocols.sgd import SGD


def save_log(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("x" * 100_000)


@pytest.mark.parametrize(
    "save",
    [
        lambda path: save_training(path, "a", {"x": torch.zeros(100_000)}),
        lambda path: save_encoder(path, nn.Linear(300, 300).state_dict(), {}),
        save_log,
    ],
    ids=["checkpoint", "encoder", "text"],
)
def test_a_refused_write_names_the_file_and_leaves_the_old_one(save: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))  # as a disk that is full after 10 kB
    try:
        with pytest.raises(OSError, match=rf"cannot write {path}: File too large; .* run the same command to go on"):
            save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_last_epoch_leaves_no_checkpoint(tmp_path: Path) -> None:
    """Whoever resumes must take a step: which kernel ran is known from a step alone, and belongs to the record."""
    module = nn.Linear(2, 1)
    fit(
        module,
        lambda x, y, at, generator: {"loss": (module(x)[:, 0] - y).square().mean()},
        (torch.ones(4, 2), torch.ones(4)),
        sgd=SGD(lr=0.1, milestones=()),
        batch=2,
        epochs=3,
        seed=0,
        run_id="a",
        context=Context(folder=tmp_path, checkpoint_seconds=0.0),
    )
    saved = load_training(tmp_path / "checkpoint.pt", "a")
    assert saved
    assert [entry["epoch"] for entry in saved["history"]] == [1, 2]


def test_reading_encoders_holds_no_memory(tmp_path: Path) -> None:
    path, net = tmp_path / "encoder.safetensors", nn.Sequential(*(nn.Linear(2, 2) for _ in range(50)))
    save_encoder(path, net.state_dict(), {"run": "a", "epoch": "1"})
    gc.collect()
    load_encoder(path, lambda: net, {"run": "a"})
    tracemalloc.start()
    try:
        for _ in range(20):
            load_encoder(path, lambda: net, {"run": "a"})
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 20_000  # bytes; safe_open of safetensors 0.8 left 60 of each tensor
    finally:
        tracemalloc.stop()
