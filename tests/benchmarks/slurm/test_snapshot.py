"""The copy of the code that jobs run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.records import provenance
from benchmarks.slurm.snapshot import take


def test_a_copy_runs_by_itself_and_remembers_its_commit(tmp_path: Path) -> None:
    place = take(tmp_path)
    assert take(tmp_path) == place, "the same code is copied once"
    assert place.parent == tmp_path / "slurm" / "code"
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    assert not list(place.rglob("__pycache__"))
    program = (
        "import json; from benchmarks.records.provenance import code, REPO; print(json.dumps([code(), str(REPO)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=place, env={"PYTHONPATH": str(place)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [provenance.code(), str(place)]


def test_other_code_is_another_copy(tmp_path: Path) -> None:
    place = take(tmp_path)
    program = (
        "import sys; from pathlib import Path; from benchmarks.slurm.snapshot import take\n"
        'Path(\'methods/new.py\').write_text(\'"""New."""\'); print(take(Path(sys.argv[1])))'
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "second")], cwd=place, env={"PYTHONPATH": str(place)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    second = Path(done.stdout.strip())
    assert second.name != place.name
    assert (second / "methods" / "new.py").exists()
