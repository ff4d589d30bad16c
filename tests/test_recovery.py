"""The promise of running the same command again: killed, doubled or failed, the table comes out the same."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPO

COMMAND = [sys.executable, str(REPO / "bench.py"), "run", "--table", "7", "--scale", "smoke", "--jobs", "2", "--out"]


def finish(out: Path) -> str:
    """Runs the command to its end and returns the table."""
    done = subprocess.run([*COMMAND, str(out)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return (out / "smoke" / "tables" / "table-7.md").read_text()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A results folder that nobody disturbed, and its table."""
    out = tmp_path_factory.mktemp("undisturbed")
    return out, finish(out)


def records(out: Path) -> dict[str, dict]:
    """All records that are there now."""
    return {p.stem: json.loads(p.read_text()) for p in (out / "smoke" / "records").glob("*.json")}


@pytest.mark.parametrize("after", [2, 7])
def test_kill_9_and_the_same_command_again(undisturbed: tuple[Path, str], after: int, tmp_path: Path) -> None:
    process = subprocess.Popen([*COMMAND, str(tmp_path)], stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("smoke/records/*.json"))) < after:
        assert process.poll() is None, "it finished before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    time.sleep(1.5)  # workers notice that their parent is gone
    before = len(records(tmp_path))
    time.sleep(1.0)
    assert len(records(tmp_path)) == before < 16, "a worker outlived its parent"
    assert finish(tmp_path) == undisturbed[1]
    expected = records(undisturbed[0])
    for run_id, record in records(tmp_path).items():
        assert record["metrics"] == expected[run_id]["metrics"]
    assert not list(tmp_path.rglob("claim"))
    assert not list(tmp_path.rglob("*.tmp"))


def test_sigterm_leaves_at_once_and_says_how_to_go_on(tmp_path: Path) -> None:
    process = subprocess.Popen([*COMMAND, str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("smoke/records/*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "run the same command to go on" in error


def test_two_commands_at_once_do_every_run_once(undisturbed: tuple[Path, str], tmp_path: Path) -> None:
    both = [subprocess.Popen([*COMMAND, str(tmp_path)], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = "".join(process.communicate(timeout=300)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0], said
    assert (tmp_path / "smoke" / "tables" / "table-7.md").read_text() == undisturbed[1]
    logs = [path.read_text().splitlines() for path in tmp_path.rglob("log.jsonl")]
    assert len(logs) == 8
    assert all(len(lines) == 1 for lines in logs), "a pretraining of one epoch was done twice"


def test_a_second_call_renders_without_training(undisturbed: tuple[Path, str]) -> None:
    out, table = undisturbed
    stamps = {path: path.stat().st_mtime_ns for path in (out / "smoke" / "records").glob("*.json")}
    assert finish(out) == table
    assert stamps == {path: path.stat().st_mtime_ns for path in (out / "smoke" / "records").glob("*.json")}


def test_root_run_id_and_machine_are_all_that_execute_needs(undisturbed: tuple[Path, str], tmp_path: Path) -> None:
    from benchmarks.records.store import Store
    from benchmarks.running.execute import Machine, execute

    out = tmp_path / "out"
    shutil.copytree(undisturbed[0], out)
    store = Store(out / "smoke")
    before = next(record for record in store.briefs().values() if record["kind"] == "Evaluate")
    (store.records / f"{before['run']}.json").unlink()
    assert execute(str(store.root), before["run"], Machine()) == "ok"
    after = store.record(before["run"])
    assert after is not None
    assert after["metrics"] == before["metrics"]


def test_a_failed_run_is_told_and_leaves_its_siblings(undisturbed: tuple[Path, str], tmp_path: Path) -> None:
    from benchmarks.records.store import Store

    out = tmp_path / "out"
    shutil.copytree(undisturbed[0], out)
    store = Store(out / "smoke")
    broken = store.record(next(run for run, brief in store.briefs().items() if brief["kind"] == "Evaluate"))
    assert broken is not None
    failed = {k: broken[k] for k in ("run", "kind", "label", "spec", "parents", "environment", "code", "seconds")}
    store.write_record(failed | {"status": "failed", "error": "ValueError: poisoned"})
    done = subprocess.run([*COMMAND, str(out)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 4
    assert "✗" in done.stdout
    assert "poisoned" in done.stdout
    assert "0 of 16 runs to do" in done.stdout
    done = subprocess.run([*COMMAND, str(out), "--retry-failed"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0
    assert (out / "smoke" / "tables" / "table-7.md").read_text() == undisturbed[1]
