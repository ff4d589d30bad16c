"""`doctor`: every bad state has its mark and says what to do; a screen is enough; what it looks at may be anything."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

import bench
from benchmarks.doctor import checks, look
from benchmarks.doctor.checks import GB, Finding, Folder, Gpu, Partition, Place
from benchmarks.machine.limits import Memory
from benchmarks.records.store import Store

NOW = 1_800_000_000.0
WANTED = {"python": ">=3.11", "torch": ">=2.11,<2.14", "numpy": ">=1.26", "rich": ">=13.7"}
GOOD = {"python": "3.11.2", "torch": "2.13.0+cpu", "numpy": "2", "rich": "13.7"}
OURS = Folder(Path("results"), owner=1000, mode=0o40755)
H100 = Gpu("cuda:0 H100", 80 * GB, 79 * GB, True)


def versions(**installed: str | None) -> Finding:
    return checks.versions(GOOD | installed, WANTED)


def permissions(folder: Folder = OURS, user: int = 1000, umask: int = 0o022) -> Finding:
    return checks.permissions(folder, user, umask)


def disk(free: int | None = 50 * GB, files: int | None = 10**6) -> Finding:
    return checks.disk([Place("results", Path("/r"), free, files), Place("temp", Path("/tmp"), 50 * GB)])


def memory(free: int, workers: int) -> Finding:
    return checks.memory(Memory(64 * GB, free), workers)


CASES: list[tuple[Finding, str, str]] = [  # a finding, its mark, and words that it must say
    (versions(), "ok", "3.11.2, torch 2.13.0+cpu, numpy 2, 1 more packages in range"),
    (versions(rich=None, numpy=None), "FAIL", "numpy, rich not installed"),
    (versions(torch="2.9.1"), "FAIL", "torch 2.9.1 is not >=2.11"),
    (versions(python="3.10.14"), "FAIL", "python 3.10.14 is not >=3.11"),
    (versions(numpy="1.25"), "FAIL", "numpy 1.25 is not >=1.26"),
    (versions(torch="2.14.0"), "warn", "torch 2.14.0 is not <2.14"),
    (versions(torch="2.14", rich="12"), "FAIL", "rich 12 is not >=13.7; torch 2.14 is not <2.14"),
    (versions(torch="a build of our own"), "FAIL", "torch a build of our own is not >=2.11"),
    (disk(), "ok", "results 50 GB, temp 50 GB free"),
    (disk(free=GB), "warn", "results 1.0 GB free in /r"),
    (disk(free=90 * 10**6), "FAIL", "results 90 MB free in /r"),
    (disk(free=None), "warn", "/r does not tell its free space"),
    (disk(files=0), "FAIL", "no file can be made in /r"),
    (disk(files=None), "ok", "results 50 GB"),
    (permissions(), "ok", "results can be written (umask 0022)"),
    (permissions(OURS._replace(error="cannot write results: no")), "FAIL", "cannot write results: no"),
    (permissions(OURS._replace(closed=["runs", "smoke/runs"])), "FAIL", "runs, smoke/runs cannot be written"),
    (permissions(OURS._replace(closed=list("abcde"))), "FAIL", "a, b, c and 2 more cannot be written"),
    (permissions(umask=0o277), "FAIL", "umask 0277 makes files that their owner cannot"),
    (permissions(umask=0o077), "ok", "umask 0077"),
    (permissions(user=0), "warn", "is user 1000's, what you write will be root's"),
    (permissions(OURS._replace(owner=0), user=0), "ok", "can be written"),
    (permissions(OURS._replace(mode=0o42775)), "warn", "umask 0022 keeps its group from changing files"),
    (permissions(OURS._replace(mode=0o42775), umask=0o002), "ok", "can be written"),
    (checks.locks(None, True, "ext4", ["rw"]), "ok", "on this ext4"),
    (checks.locks("cannot lock r: no locks available", False, "nfs", []), "FAIL", "no locks available"),
    (checks.locks(None, False, "fuse.x", []), "FAIL", "two processes can lock one file on this fuse.x"),
    (checks.locks(None, True, "nfs", ["rw", "nolock"]), "warn", "nfs with nolock: locks hold on one host only"),
    (checks.locks(None, True, "nfs4", ["rw", "local_lock=flock"]), "warn", "local_lock=flock"),
    (checks.locks(None, True, "nfs4", ["rw", "local_lock=none"]), "ok", "on this nfs4"),
    (checks.locks(None, True, "lustre", ["localflock"]), "warn", "lustre with localflock"),
    (checks.clock(NOW, NOW + 1, None), "ok", "no record yet"),
    (checks.clock(NOW, NOW, NOW - 86400), "ok", "last record 2027-01-14"),
    (checks.clock(NOW, NOW + 300, None), "warn", "the file server's clock is 300 s ahead"),
    (checks.clock(NOW, NOW - 300, None), "warn", "the file server's clock is 300 s behind"),
    (checks.clock(NOW, NOW, NOW + 3 * 86400), "warn", "and the newest record of 2027-01-18"),
    (checks.clock(0.0, 0.0, None), "warn", "before this program was written"),
    (checks.data({"irds-64": None}, ["ntu60", "irds"]), "ok", "irds-64; not prepared: ntu60"),
    (checks.data({}, ["ntu60"]), "warn", "none is prepared"),
    (checks.data({"a-8": "a-8 is short", "b-8": None, "c-8": "x"}, []), "FAIL", "a-8 is short (c-8 too)"),
    (checks.cpu(2, 2), "ok", "2 cores"),
    (checks.cpu(64, 2), "ok", "2 of 64 cores may be used here"),
    (memory(16 * GB, 2), "ok", "16 GB of 64 GB free"),
    (memory(3 * GB, 8), "warn", "8 workers take about 8.0 GB"),
    (memory(200 * 10**6, 1), "FAIL", "200 MB of 64 GB free"),
    (checks.memory(None, 2), "ok", "does not tell"),
    (checks.gpu([], False, None), "ok", "none, runs use the CPU"),
    (checks.gpu([], True, None), "warn", "this PyTorch is built without CUDA"),
    (checks.gpu([], True, "13.0"), "warn", "PyTorch (CUDA 13.0) cannot use"),
    (checks.gpu([H100, H100], True, "13.0"), "ok", "2 x cuda:0 H100, 80 GB"),
    (checks.gpu([H100._replace(bf16=False)], True, "13.0"), "ok", "no bf16"),
    (checks.gpu([H100, H100._replace(free=GB)], True, "13.0"), "warn", "on 1 of them half the memory is taken"),
    (checks.gpu([H100._replace(error="no kernel image")], True, "13.0"), "FAIL", "cuda:0 H100: no kernel image"),
    (checks.triton(None, 0, None, False), "ok", "not needed without a GPU"),
    (checks.triton("3.6", 0, None, True), "ok", "3.6 is installed"),
    (checks.triton("3.6", 1, None, False), "ok", "3.6, its kernels run"),
    (checks.triton(None, 1, "no module", False), "warn", "not installed, runs use the slower kernel sdpa"),
    (checks.triton("3.6", 1, None, True), "warn", "its interpreter is on"),
    (checks.triton("3.6", 1, "a first launch failed: x", False), "warn", "a first launch failed: x"),
    (checks.slurm(None, None, []), "ok", "only --slurm needs it"),
    (checks.slurm("slurm 22", "scontrol says: Slurmctld(primary) is DOWN", []), "warn", "is DOWN"),
    (checks.slurm("slurm 22", None, []), "warn", "no partition"),
    (checks.slurm("slurm 22", None, [Partition("p", False, 4)]), "warn", "p is down"),
    (checks.slurm("slurm 22", None, [Partition("p", True, 0)]), "warn", "p has no usable node"),
    (checks.slurm("slurm 22", None, [Partition("p", True, 0), Partition("q", True, 2)]), "ok", "partitions q"),
]


@pytest.mark.parametrize(("finding", "mark", "words"), CASES, ids=[f"{c[0].subject}: {c[2]}" for c in CASES])
def test_every_state_has_its_mark_and_its_advice(finding: Finding, mark: str, words: str) -> None:
    assert finding.mark == mark, finding
    assert words in finding.text
    sentence = finding.subject in ("results", "locks", "data") and mark == "FAIL"  # of another part, with its advice
    assert bool(finding.advice) == (mark != "ok") or sentence
    assert "\n" not in finding.text + finding.advice


def test_everything_wrong_at_once_fits_on_a_screen() -> None:
    worst: dict[str, Finding] = {}
    for finding, _, _ in CASES:
        before = worst.get(finding.subject)
        if before is None or len(look.lines(finding)) >= len(look.lines(before)):
            worst[finding.subject] = finding
    assert len(worst) == 11
    assert sum(len(look.lines(finding)) for finding in worst.values()) + 1 <= 24
    assert [line for finding, _, _ in CASES for line in look.lines(finding) if len(line) > look.WIDTH] == []


def say(capsys: pytest.CaptureFixture[str], out: Path, data: Path) -> tuple[int, dict[str, str], str]:
    """The command: exit code, a subject's line, everything that it says."""
    code = bench.main(["doctor", "--out", str(out), "--data", str(data)])
    text = capsys.readouterr().out
    marked = (line.split(maxsplit=2) for line in text.splitlines() if line[:4] in ("ok  ", "warn", "FAIL"))
    return code, {subject: f"{mark} {words}" for mark, subject, words in marked}, text


def test_a_good_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found, text = say(capsys, tmp_path / "r", tmp_path)
    assert code == bench.OK, text
    assert list(found) == [
        "python",
        "disk",
        "results",
        "locks",
        "clock",
        "data",
        "cpu",
        "memory",
        "gpu",
        "triton",
        "slurm",
    ]
    assert all(found[subject].startswith("ok") for subject in ("python", "locks", "clock", "cpu")), text
    assert "\x1b" not in text, "colours are for terminals"
    assert not list((tmp_path / "r").iterdir()), "it leaves nothing behind"


@pytest.mark.parametrize("what", ["a file", "below a file"])
def test_results_that_cannot_be_written_fail(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r").touch()
    out = tmp_path / "r" if what == "a file" else tmp_path / "r" / "s"
    code, found, text = say(capsys, out, tmp_path / "r")
    assert code == bench.FAILED
    assert found["results"].startswith("FAIL cannot write"), text
    assert "locks" not in found, "nothing is known about them"
    assert "not ready: 1 FAIL" in text


def test_locks_that_lock_nobody_out_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    code, found, _ = say(capsys, tmp_path, tmp_path)
    assert code == bench.FAILED
    assert found["locks"].startswith("FAIL two processes can lock one file")


def test_a_record_from_the_future(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(tmp_path / "smoke").write_record({"run": "a", "status": "ok"})
    (path,) = tmp_path.rglob("a.json")
    os.utime(path, (2e9, 2e9))
    code, found, _ = say(capsys, tmp_path, tmp_path)
    assert code == bench.OK
    assert found["clock"].startswith("warn it is ")
    assert "newest record of 2033-05-18" in found["clock"]


@pytest.mark.parametrize("name", ["with blanks", "[red]x[/red]", "ä*?[b]", "a\nb", "a:b"])
def test_folders_may_have_odd_names(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found, text = say(capsys, tmp_path / name, tmp_path / name)
    assert code == bench.OK, text
    assert found["locks"].startswith("ok")


MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:40 / /home rw - nfs4 server:/home rw,vers=4.2,local_lock=none
31 30 0:41 / /home/a\\040b rw shared:1 - nfs server:/ab rw,nolock
32 22 0:42 / /homework rw - xfs /dev/sdb rw
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/etc", ("ext4", ["rw"])),
        ("/home/me/results", ("nfs4", ["rw", "vers=4.2", "local_lock=none"])),
        ("/home/a b/results", ("nfs", ["rw", "nolock"])),
        ("/homework", ("xfs", ["rw"])),
    ],
)
def test_the_file_system_of_a_folder(path: str, expected: Any) -> None:
    assert look.mount_of(Path(path), MOUNTS) == expected


def test_no_mounts_are_known() -> None:
    assert look.mount_of(Path("/etc"), "") == ("", [""])


def test_nobody_waits_long_for_a_question_to_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    patience: dict[str, float | None] = {}

    def ask(*words: str, **given: float) -> str:
        patience[words[0]] = given.get("patience")
        return ""

    monkeypatch.setattr(look, "ask", ask)
    monkeypatch.setattr(look.shutil, "which", lambda name: f"/usr/bin/{name}")
    look._slurm()
    assert patience == dict.fromkeys(("sbatch", "scontrol", "sinfo"), look.PATIENCE)


def test_partitions_are_read_from_sinfo() -> None:
    text = "debug*|up|2|idle\ndebug*|up|1|down*\na|b|down|4|idle\nold|up|3|drained\nbusy|up|1|allocated\n"
    assert look.partitions(text) == [
        Partition("debug", True, 2),
        Partition("a|b", False, 4),
        Partition("old", True, 0),
        Partition("busy", True, 1),
    ]
