"""The same seed gives the same bits, whatever happens around it. determinism.py has the machinery."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.robustness.determinism import ALL, compare
from tests.robustness.folder import REPO, contents, differences

ROWS = ["skeattnclr/stgcn"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("same")


def test_the_same_bits_in_other_circumstances(folder: Path) -> None:
    found = compare(ROWS, [ALL], folder, alone=False)
    assert not found.losses, str(found)
    assert found.runs >= 10


def test_a_bit_that_differs_is_told(folder: Path) -> None:
    expected, out = contents(folder / "reference" / "out"), folder / ALL.name / "out"
    record = next((out / "smoke" / "records").glob("evaluate-*.json"))
    content = json.loads(record.read_text())
    content["metrics"]["top1"] += 1e-9
    content["seconds"] += 1
    record.write_text(json.dumps(content))
    encoder = next((out / "smoke" / "runs").rglob("encoder-last.safetensors"))
    encoder.write_bytes(encoder.read_bytes()[:-1] + b"\1")
    found = differences(contents(out), expected)
    assert [line.partition(";")[0].rpartition("/")[2] for line in found] == [record.name, encoder.name]


@pytest.mark.nightly
def test_all_methods_and_backbones() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.robustness.determinism"], cwd=REPO, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
