"""A real Slurm of one node on this machine: munged, slurmctld and slurmd of our own, below a temporary folder."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from tests.conftest import REPO

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")

CONF = """
ClusterName=test
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={place}/munge.socket
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
KillWait=20
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,sched_interval=2,bf_interval=2
SlurmctldPort={controller}
SlurmdPort={daemon}
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=localhost CPUs=2 RealMemory=8000 Gres=gpu:2 State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=debug Nodes=localhost Default=NO MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=8
PartitionName=urgent Nodes=localhost Default=NO MaxTime=INFINITE State=UP PriorityTier=2
"""


def missing() -> str | None:
    """Why there can be no cluster here, or None."""
    if os.geteuid():
        return "needs root, to start a Slurm of its own"
    absent = [program for program in PROGRAMS if not shutil.which(program, path=search())]
    return f"needs Slurm (Debian: slurm-wlm, munge); there is no {', '.join(absent)}" if absent else None


def search() -> str:
    """PATH with the folders of daemons."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Cluster:
    """Slurm's daemons, and the commands of a user of it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.chmod(0o755)  # munge wants its socket where everybody could reach it
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH"))}
        self.env |= {"SLURM_CONF": str(place / "slurm.conf"), "PATH": search(), "COLUMNS": "200"}
        self.env["SBATCH_JOB_NAME"] = "mine"  # as people have it; our arrays must keep their names
        for folder in ("state", "spool"):
            (place / folder).mkdir(parents=True)
        (place / "munge.key").write_bytes(secrets.token_bytes(1024))
        (place / "munge.key").chmod(0o600)
        (place / "slurm.conf").write_text(CONF.format(place=place, controller=_port(), daemon=_port()))
        (place / "gres.conf").write_text("NodeName=localhost Name=gpu File=/dev/tty[0-1]\n")
        self.warnings: list[subprocess.Popen[bytes]] = []
        self.file = place / "cluster.toml"
        self.file.write_text('partition = "debug"\ntime = 10\n')

    def start(self) -> None:
        """Starts all three daemons and waits until the node is there."""
        names = {name: self.place / f"munge.{name}" for name in ("socket", "key", "pid", "log", "seed")}
        words = [f"--{option}={names[name]}" for option, name in
                 (("socket", "socket"), ("key-file", "key"), ("pid-file", "pid"), ("log-file", "log"),
                  ("seed-file", "seed"))]  # fmt: skip
        self.do("munged", *words)
        self.do("slurmctld")
        self.start_slurmd()
        until(lambda: "idle" in self.do("sinfo", "--noheader", "--format=%T"), 60, "the node is idle")

    def start_slurmd(self) -> None:
        """Starts the node's daemon."""
        self.do("slurmd", "-N", "localhost")

    def stop_slurmd(self) -> None:
        """Ends the node's daemon; its jobs run on."""
        pid = int((self.place / "slurmd.pid").read_text())
        os.kill(pid, signal.SIGTERM)
        until(lambda: not Path(f"/proc/{pid}").exists(), 30, "slurmd is gone")

    def stop(self) -> None:
        """Cancels all jobs and ends all daemons."""
        self.do("scancel", "--full", "--signal=KILL", "--user=root", check=False)
        self.do("scancel", "--user=root", check=False)
        shutil.copy(self.place / "slurmctld.log", "/tmp/slurmctld.log")
        for warning in self.warnings:
            warning.wait()
        for name in ("slurmd.pid", "slurmctld.pid", "munge.pid"):
            if (self.place / name).exists():
                os.kill(int((self.place / name).read_text()), signal.SIGKILL)

    def do(self, *words: str, check: bool = True) -> str:
        """Runs one command of Slurm's."""
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def warn(self, job: str) -> None:
        """Sends the signal that Slurm sends before a time limit or, if so configured, before a preemption.

        scancel repeats it while Slurm cannot alter the job, which is requeueing by then; so nobody waits for scancel.
        """
        words = ["timeout", "5", "scancel", "--signal=USR2", job]
        self.warnings.append(subprocess.Popen(words, env=self.env, stderr=subprocess.DEVNULL))

    def bench(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs bench.py to its end."""
        command = [sys.executable, str(REPO / "bench.py"), *map(str, words)]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=300)

    def start_bench(self, *words: str | Path) -> subprocess.Popen[str]:
        """Starts bench.py."""
        command = [sys.executable, str(REPO / "bench.py"), *map(str, words)]
        return subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def tasks(self) -> dict[str, tuple[str, str, str]]:
        """Tasks that are not over: "123_4" -> state, reason, name of the array."""
        found = {}
        for line in self.do("squeue", "--noheader", "--array", "--format=%i|%T|%r|%j").splitlines():
            job, state, reason, name = line.split("|")
            found[job] = (state, reason, name)
        return found

    def spans(self, *jobs: str) -> list[tuple[float, float]]:
        """Start and end of every task of these arrays that has ended, in whole seconds."""
        told = "".join(self.do("scontrol", "show", "job", job) for job in jobs)
        starts, ends = (
            [datetime.fromisoformat(moment).timestamp() for moment in re.findall(rf"{key}=(\S+)", told)]
            for key in (" StartTime", "EndTime")
        )
        return list(zip(starts, ends, strict=True))

    def now(self) -> None:
        """A requeued task waits for two minutes as a rule; here it does not."""
        for job, (state, reason, _) in self.tasks().items():
            if state == "PENDING" and reason == "BeginTime":
                self.do("scontrol", "update", f"jobid={job}", "starttime=now", check=False)

    def drain(self, seconds: float = 240) -> None:
        """Waits until no task is left."""

        def empty() -> bool:
            self.now()
            return not self.tasks()

        until(empty, seconds, "the queue is empty")

    def processes(self, job: str) -> list[int]:
        """The Python processes of a task."""
        raw = re.findall(r"JobId=(\d+)", self.do("scontrol", "--oneliner", "show", "job", job))
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment, command = (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
            except OSError:
                continue
            ours = str(self.place).encode() in environment and f"SLURM_JOB_ID={raw[0]}\0".encode() in environment
            if ours and b"submitit.core._submit" in command and b"srun" not in command:
                found.append(int(folder.name))
        return found


def until(true: object, seconds: float, what: str) -> None:
    """Waits for a condition, a function without arguments."""
    assert callable(true)
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s in vain until {what}"
        time.sleep(0.5)
