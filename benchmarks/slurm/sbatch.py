"""One array and sbatch: its batch script, sbatch's opinion of it, and its submission, all through submitit."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import submitit
from submitit.core.utils import FailedJobError
from submitit.slurm.slurm import SlurmExecutor

from benchmarks.machine.workers import THREADS
from benchmarks.slurm.arrays import Array
from benchmarks.slurm.cluster import ClusterError, Request
from benchmarks.slurm.job import AGAIN, SHOWN, work
from benchmarks.slurm.queue import PATIENCE, Submission, ask, folder_of

OPTIONS = ("partition", "account", "qos", "constraint", "gres", "nodelist", "exclude", "time", "mem", "cpus_per_task")
JOB = "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"  # never the whole array
BEFORE = (
    f'export {SHOWN}="$(scontrol --oneliner show job "{JOB}")"',
    "set +e  # whatever `setup` set: the next command fails when its task is to come back",
)
AFTER = (
    "code=$?",
    f'if [ "$code" -eq {AGAIN} ]; then  # it left in time; Slurm ends this script when it is requeued',
    f'    scontrol requeue "{JOB}" && sleep {PATIENCE} || echo "not requeued: run the same command again to go on" >&2',
    "fi",
    'exit "$code"',
)


@contextlib.contextmanager
def _own_words() -> Iterator[None]:
    """Without SBATCH_JOB_NAME and the like, which sbatch puts above a script's options, or a job around us."""
    conf = os.environ.get("SLURM_CONF")
    with submitit.helpers.clean_env():
        if conf:
            os.environ["SLURM_CONF"] = conf
        yield


@dataclass(frozen=True)
class Batch:
    """What sbatch is told about one array.

    parents: the numbers, or names, of the arrays in `array.follows` or `array.after` that are submitted with it.
    parallel: tasks that may run at once. code: the folder that tasks run in.
    """

    array: Array
    name: str
    parents: tuple[str, ...]
    request: Request
    parallel: int
    code: str

    @property
    def dependency(self) -> str | None:
        """sbatch's words. An array of one task is no array for submitit and has no corresponding tasks."""
        if self.array.follows:
            return f"{'aftercorr' if len(self.array.tasks) > 1 else 'afterok'}:{self.parents[0]}"
        jobs = [*self.parents, *(job for job in self.array.after if isinstance(job, str))]
        return f"afterany:{':'.join(jobs)}" if jobs else None

    def executor(self, root: Path) -> submitit.AutoExecutor:
        """submitit's executor with all options set; its files lie in the array's folder below `root`."""
        request, folder = self.request, shlex.quote(self.code)
        started = {"slurm_python": request.python} if request.python else {}
        executor = submitit.AutoExecutor(folder_of(root.resolve(), self.name), cluster="slurm", **started)
        executor.update_parameters(
            slurm_job_name=self.name,
            slurm_dependency=self.dependency,
            slurm_array_parallelism=self.parallel,
            slurm_signal_delay_s=request.signal_delay_s,
            slurm_setup=[
                *request.setup,
                *(f"export {variable}=1" for variable in THREADS),
                f"cd {folder}",
                f'export PYTHONPATH={folder}"${{PYTHONPATH:+:$PYTHONPATH}}"',
                *BEFORE,
            ],
            slurm_teardown=[*AFTER],
            slurm_additional_parameters={"requeue": True, "kill-on-invalid-dep": "yes", **dict(request.options)},
            **{f"slurm_{option}": getattr(request, option) for option in OPTIONS},
        )
        return executor

    def script(self, root: Path) -> str:
        """The batch script as submitit writes it."""
        slurm = self.executor(root)._executor
        assert isinstance(slurm, SlurmExecutor)
        if len(self.array.tasks) > 1:
            slurm.parameters["map_count"] = len(self.array.tasks)
        return slurm._make_submission_file_text(slurm._submitit_command_str, "")

    def judge(self, root: Path) -> None:
        """Lets sbatch look at the script without submitting it.

        Raises:
            ClusterError: with sbatch's own words when it would refuse.
        """
        folder = folder_of(root, "check")
        folder.mkdir(parents=True, exist_ok=True)
        script = folder / "job.sh"
        script.write_text(replace(self, array=replace(self.array, follows=None, after=()), parents=()).script(root))
        try:
            with _own_words():
                ask("sbatch", "--test-only", str(script))
        except ClusterError as error:
            given = {option: getattr(self.request, option) for option in OPTIONS}
            asked = ", ".join(f"{option} {value}" for option, value in given.items() if value)
            raise ClusterError(
                f"{error}\nThis was for {self.array.stage} jobs, which ask for {asked}. What there is: sinfo -s, and "
                "sinfo -o '%P %c %m %G' with cores, memory and GPUs of nodes."
            ) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def submit(self, root: Path, submission: Submission) -> str:
        """Submits the array; returns its number.

        Raises:
            ClusterError: with sbatch's own words when it refuses.
        """
        submission.write(root)
        tasks = [f"{self.name}/{index}" for index in range(len(self.array.tasks))]
        try:
            with _own_words(), contextlib.redirect_stderr(io.StringIO()):  # submitit prints what it then raises
                jobs = self.executor(root).map_array(work, [str(root.resolve())] * len(tasks), tasks)
        except FailedJobError as error:
            raise ClusterError(f"sbatch says: {error}") from error
        number = jobs[0].job_id.partition("_")[0]
        replace(submission, job=number).write(root)
        return number
