"""The short form of fuzz.py: every parser gives a valid value, or an error of ours that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.robustness import fuzz

NAMES = (
    "a.skeleton", "0002-L.txt", "101_18_0_1_1_stand.txt", "labels.txt", "cross-subject.txt", "missing.txt",
    "cluster.toml", "record.json", "spec.json", "manifest.json", "array.json", "overview.json",
    "scores.npz", "e.safetensors", "c.pt", "a.pkl", "train_position.npy", "PKUv1_XSub.npz", "raw.zip", "irds.zip",
)  # fmt: skip


@pytest.fixture(scope="module")
def everyone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, fuzz.Parser]:
    """The parsers by the names of their files."""
    return {parser.name: parser for parser in fuzz.parsers(tmp_path_factory.mktemp("good"))}


def test_every_parser_is_fuzzed(everyone: dict[str, fuzz.Parser]) -> None:
    assert tuple(everyone) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_parser_keeps_its_contract(name: str, everyone: dict[str, fuzz.Parser], tmp_path: Path) -> None:
    fuzz.fuzz(everyone[name], tmp_path, 25)


@pytest.mark.nightly
@pytest.mark.parametrize("name", NAMES)
def test_a_parser_keeps_its_contract_many_times(name: str, everyone: dict[str, fuzz.Parser], tmp_path: Path) -> None:
    fuzz.fuzz(everyone[name], tmp_path, 500, seed=1)
