"""What `data prepare` refuses before it reads: a list of names that would do nothing, and what counts as missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.datasets import imports
from benchmarks.datasets.prepare import lacking, prepare
from benchmarks.datasets.raw import ntu_names
from tests.benchmarks.datasets.imports import import_files
from tests.benchmarks.datasets.raw.test_ntu import put, silent

X = np.random.default_rng(0).normal(size=(3, 9, 25, 2))
NAMES = ("S001C001P001R001A001", "S001C001P003R001A002")


def test_a_list_of_names_is_refused_where_it_would_do_nothing(tmp_path: Path) -> None:
    clips: dict[str, np.ndarray] = dict.fromkeys(NAMES, X)
    import_files.pyskl(tmp_path / "ntu60_3danno.pkl", clips)
    import_files.crossclr(tmp_path / "xsub", clips, 16, {NAMES[0]})
    import_files.ctrgcn(tmp_path / "PKUv1_XSub.npz", clips, {"train": [NAMES[0]], "test": [NAMES[1]]}, False, 51)
    for path, dataset in (("ntu60_3danno.pkl", "ntu60"), ("xsub", "ntu60"), ("PKUv1_XSub.npz", "pku1")):
        assert imports.source(tmp_path / path, dataset, 16) is not None
        with pytest.raises(ValueError, match=f"--names: only for CTR-GCN's npz files of NTU RGB.D, and .*{path} is a "):
            imports.source(tmp_path / path, dataset, 16, tmp_path / "names.txt")


def test_what_a_list_of_ones_own_names_is_not_lacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text(NAMES[1])
    monkeypatch.setattr(ntu_names, "expected", lambda dataset: NAMES)
    assert lacking("ntu60", NAMES[:1]) == f"1 of the 56578 recordings of NTU RGB+D 60 are missing: {NAMES[1]}."
    assert lacking("ntu60", NAMES[:1], mine) is None
    put(tmp_path / "raw", *NAMES)
    folder = prepare("ntu60", [tmp_path / "raw"], tmp_path / "data", 4, missing_list=mine, say=silent)
    assert "partial" not in (folder / "manifest.json").read_text()
