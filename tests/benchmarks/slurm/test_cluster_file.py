"""cluster.toml: what it may say, and what is said to whoever writes something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.slurm import cluster as module
from benchmarks.slurm.arrays import STAGES
from benchmarks.slurm.cluster import ClusterError, read


def file(folder: Path, text: str) -> Path:
    """A cluster.toml of this text."""
    path = folder / "cluster.toml"
    path.write_text(text)
    return path


def test_a_section_replaces_keys_for_its_stage(tmp_path: Path) -> None:
    cluster = read(
        file(tmp_path, 'partition = "p"\ngres = "gpu:2"\ntime = 60\n[fuse]\npartition = "q"\ngres = "none"\nbundle = 5')
    )
    assert {stage: cluster[stage].partition for stage in STAGES} == {**dict.fromkeys(STAGES, "p"), "fuse": "q"}
    assert [cluster[stage].device for stage in STAGES] == ["cuda", "cuda", "cuda", "cpu"]
    assert cluster["evaluate"].time == 60
    assert cluster.bundles == {"pretrain": 1, "evaluate": 16, "finetune": 1, "fuse": 5}


@pytest.mark.parametrize(
    ("asked", "device"),
    [
        ('gres = "gpu:a100:2"', "cuda"),
        ('gres = "shard:1"', "cuda"),
        ('gres = "lustre,mps:50"', "cuda"),
        ("options = { gpus-per-node = 1 }", "cuda"),
        ("options = { gpus = 1 }", "cuda"),
        ('options = { --gpus-per-task = "a100:1" }', "cuda"),
        ('options = { tres-per-task = "gres/gpu:1" }', "cuda"),
        ('gres = "none"\noptions = { gres = "gpu:1" }', "cuda"),
        ("options = { gpus-per-node = 0 }", "cpu"),
        ('gres = "gpu:1"\noptions = { gres = "none" }', "cpu"),
        ('gres = "lustre"\noptions = { mem-per-gpu = "8G", gpu-bind = "none", comment = "gpu" }', "cpu"),
        ('device = "cpu"\ngres = "gpu:1"', "cpu"),
    ],
)
def test_who_asks_for_gpus_gets_cuda(tmp_path: Path, asked: str, device: str) -> None:
    assert read(file(tmp_path, f'partition = "p"\n{asked}'))["pretrain"].device == device


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("7", 7), ('"90"', 90), ('"1:30"', 2), ('"02:00:00"', 120), ('"1-00"', 1440), ('"1-2:03"', 1563),
     ('"2-00:00:01"', 2881)],
)  # fmt: skip
def test_a_time_is_what_sbatch_takes(tmp_path: Path, text: str, minutes: int) -> None:
    assert read(file(tmp_path, f'partition = "p"\nsignal_delay_s = 1\ntime = {text}'))["pretrain"].time == minutes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('partion = "p"', "Unknown key 'partion'. Did you mean 'partition'? Allowed: partition, account, qos"),
        ('partition = "p"\n[evaluate]\ntimes = 3', "Unknown key in [evaluate] 'times'. Did you mean 'time'?"),
        ('partition = "p"\n[train]\ntime = 3', "Unknown key 'train'."),
        ("time = 5", 'no partition for pretrain, evaluate, finetune, fuse; `sinfo -s` lists yours: partition = "NAME"'),
        ('[pretrain]\npartition = "p"', "no partition for evaluate, finetune, fuse;"),
        ('partition = ""', "partition is a word in quotes"),
        ('partition = "p"\naccount = 3', 'account is a word in quotes, account = "...", got 3'),
        ('partition = "p"\nqos = "a\\nb"', "qos is a word in quotes"),
        ('partition = "p"\ntime = "soon"', "time is minutes or"),
        ('partition = "p"\ntime = "0:00"', "time must be longer than nothing"),
        ('partition = "p"\ntime = 2', "signal_delay_s 120 must be shorter than time, 2 minutes"),
        ('partition = "p"\ncpus_per_task = 0', "cpus_per_task is a whole number of at least 1, got 0"),
        ('partition = "p"\narray_parallelism = true', "array_parallelism is a whole number"),
        ('partition = "p"\nsetup = "module load"', "setup is a list of shell lines, got 'module load'"),
        ('partition = "p"\noptions = 3', "options is a table"),
        ('partition = "p"\ndevice = "gpu"', "Unknown device 'gpu'."),
        ('partition = "p"\nfuse = 3', "[fuse] is a section, not 3"),
        ("partition = p", "text stands in quotes"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ClusterError) as error:
        read(file(tmp_path, text))
    assert words in str(error.value)
    assert "cluster.toml" in str(error.value)


def test_a_missing_file_points_to_the_example(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"copy .*cluster\.example\.toml there and fill in your partition"):
        read(tmp_path / "cluster.toml")


def test_the_example_is_a_cluster_and_names_every_key(tmp_path: Path) -> None:
    text = Path(module.__file__).with_name("cluster.example.toml").read_text()
    assert read(file(tmp_path, text))["fuse"].device == "cpu"
    assert [key for key in module.KEYS if f"\n{key} = " not in text and f"\n# {key} = " not in text] == []
    lines = [line for line in text.splitlines() if " = " in line or line.startswith(("[", "# ["))]
    read(file(tmp_path, "\n".join(line.removeprefix("# ") for line in lines)))  # what is commented out is right, too
