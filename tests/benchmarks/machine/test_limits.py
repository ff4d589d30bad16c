"""How many cores and how much memory a process may use, from files as a container or a job has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.machine import limits
from benchmarks.machine.limits import Memory

MIB = 2**20
MEMINFO = "MemTotal: 65536 kB\nMemFree: 100 kB\nMemAvailable: 32768 kB\nHugePages_Total: 0\n"


def system(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


CORES: list[tuple[dict[str, str], int]] = [
    ({}, 8),
    ({"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/cpu.max": "200000 100000\n"}, 2),
    ({"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/cpu.max": "max 100000\n"}, 8),
    ({"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/cpu.max": "50000 100000\n"}, 1),
    ({"proc/self/cgroup": "0::/job/step\n", "sys/fs/cgroup/job/cpu.max": "300000 100000\n"}, 3),
    ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"}, 4),
    ({"proc/self/cgroup": "0::/../..\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"}, 4),
    ({"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/cpu.max": "9900000 100000\n"}, 8),
    (
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/a\n1:name=systemd:/\n",
            "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "250000\n",
            "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
        },
        2,
    ),
    (
        {
            "proc/self/cgroup": "4:cpu:/a\n",
            "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
        },
        8,
    ),
]


@pytest.mark.parametrize(("files", "expected"), CORES)
def test_cores(files: dict[str, str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert limits.cores(system(tmp_path, files)) == expected


def test_a_bound_process_has_the_cores_that_it_is_bound_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert limits.cores(tmp_path) == 2


NAMED = {"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/job\n"}
JOB = "sys/fs/cgroup/job/memory"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"proc/meminfo": "MemTotal: 1 kB\n"}, None),
        ({"proc/meminfo": MEMINFO}, Memory(64 * MIB, 32 * MIB)),
        (NAMED | {f"{JOB}.max": "max", f"{JOB}.current": "5"}, Memory(64 * MIB, 32 * MIB)),
        (NAMED | {f"{JOB}.max": f"{16 * MIB}", f"{JOB}.current": f"{6 * MIB}"}, Memory(16 * MIB, 10 * MIB)),
        (
            NAMED
            | {
                f"{JOB}.max": f"{16 * MIB}",
                f"{JOB}.current": f"{6 * MIB}",
                f"{JOB}.stat": f"anon 5\ninactive_file {2 * MIB}\n",
            },
            Memory(16 * MIB, 12 * MIB),
        ),
        (NAMED | {f"{JOB}.max": f"{9 * MIB}", f"{JOB}.current": f"{10 * MIB}"}, Memory(9 * MIB, 0)),
        (
            {
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "4:memory:/a\n",
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": f"{8 * MIB}",
                "sys/fs/cgroup/memory/a/memory.usage_in_bytes": f"{MIB}",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            },
            Memory(8 * MIB, 7 * MIB),
        ),
    ],
)
def test_memory(files: dict[str, str], expected: Memory | None, tmp_path: Path) -> None:
    assert limits.memory(system(tmp_path, files)) == expected


def test_this_machine() -> None:
    assert 1 <= limits.cores() <= (os.cpu_count() or 1)
    found = limits.memory()
    assert found is None or 0 <= found.free <= found.total
