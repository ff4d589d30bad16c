"""The copy of the code that jobs run."""

from __future__ import annotations

import json
import os
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


def test_a_copy_bears_the_commit_of_its_submission_and_a_new_file_is_a_change(tmp_path: Path) -> None:
    checkout = take(tmp_path).rename(tmp_path / "checkout")
    (checkout / provenance.SNAPSHOT).unlink()
    program = (
        "import sys; from pathlib import Path; from benchmarks.slurm.snapshot import take; "
        "print(take(Path(sys.argv[1])))"
    )

    def git(*words: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.run(["git", *who, *words], cwd=checkout, check=True, capture_output=True, text=True).stdout

    def taken() -> tuple[str, tuple[str, bool]]:
        done = subprocess.run(
            [sys.executable, "-B", "-c", program, str(tmp_path)], cwd=checkout, capture_output=True, text=True,
            env={"PYTHONPATH": str(checkout), "PATH": os.environ["PATH"]},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        place = Path(done.stdout.strip())
        said = json.loads((place / provenance.SNAPSHOT).read_text())
        return place.name, (said["commit"], said["dirty"])

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message=first")
    first = git("rev-parse", "HEAD").strip()
    (checkout / "notes.txt").touch()
    assert taken()[1] == (first, False), "a file that is no code changes nothing"
    (checkout / "methods" / "mine.py").write_text('"""Mine."""\n')
    changed, said = taken()
    assert said == (first, True)
    git("add", ".")
    git("commit", "--quiet", "--message=second")
    committed, said = taken()
    assert said == (git("rev-parse", "HEAD").strip(), False)
    assert committed != changed, "the same files, and another commit"
