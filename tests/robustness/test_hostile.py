"""Files made to harm: archives that explode or point elsewhere, encoders that are not what they say, odd words."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from benchmarks.datasets import parts
from benchmarks.datasets.imports import ctrgcn, unpickle
from benchmarks.datasets.raw import irds, ntu
from benchmarks.datasets.raw.found import content, files
from benchmarks.datasets.source import BadClip
from benchmarks.records import scores
from benchmarks.records.store import StoreError
from benchmarks.slurm import cluster
from benchmarks.slurm.queue import Submission, folder_of
from protocols.checkpoint import Damaged, load_encoder, save_encoder

CLIP = "101_18_0_1_1_stand.txt"
NAME = "S001C001P001R001A001.skeleton"


def packed(path: Path, entries: list[tuple[str, bytes]]) -> Path:
    """A zip file; names may be anything, and occur twice."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, inside in entries:
            with pack.open(zipfile.ZipInfo(name), "w") as file:
                file.write(inside)
    return path


def bomb(path: Path, name: str, megabytes: int) -> Path:
    """A member of zeros, packed a thousandfold."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack, pack.open(name, "w") as file:
        for _ in range(megabytes):
            file.write(bytes(1_000_000))
    return path


def memory(call: Callable[[], object]) -> int:
    """Bytes that a call takes at most; it has to raise ValueError or Damaged."""
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, Damaged)):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = bomb(tmp_path / "raw.zip", NAME, 60)
    (file,) = files([path], (".skeleton",), "", [])
    assert memory(lambda: content(file)) < 10_000_000
    with pytest.raises(BadClip, match="unpacks to 60000000 bytes, expected at most"):
        content(file)
    path = bomb(tmp_path / "irds.zip", CLIP, 60)
    assert memory(lambda: irds.source([path])) < 10_000_000
    path = bomb(tmp_path / "NTU60_CS.npz", "y_train.npy", 270)
    assert memory(lambda: ctrgcn.source(path, "ntu60")) < 10_000_000
    path = bomb(tmp_path / "scores.npz", "scores.npy", 270)
    assert memory(lambda: scores.read(path, "a")) < 10_000_000


def test_an_array_that_says_it_is_huge_is_not_made(tmp_path: Path) -> None:
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000), }".ljust(117) + "\n"
    huge = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(100)
    path = packed(tmp_path / "scores.npz", [("scores.npy", huge), ("labels.npy", huge)])
    assert memory(lambda: scores.read(path, "a")) < 10_000_000


def test_a_packed_tar_that_never_ends_is_left(tmp_path: Path) -> None:
    for ending, mode in ((".tar.xz", "w:xz"), (".tar.gz", "w:gz")):
        path = tmp_path / f"a{ending}"
        with tarfile.open(path, mode) as pack:  # type: ignore[call-overload]  a mode that is no literal
            info = tarfile.TarInfo("elsewhere.bin")
            info.size = 60_000_000
            pack.addfile(info, io.BytesIO(bytes(info.size)))
        assert memory(lambda path=path: irds.source([path])) < 30_000_000
        with pytest.raises(ValueError, match="it unpacks to more than"):
            irds.source([path])


def test_a_sparse_member_is_not_filled(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    info = tarfile.TarInfo(CLIP)
    info.size = 2**40
    path.write_bytes(info.tobuf() + bytes(1024))
    with pytest.raises(ValueError, match=r"has 1099511627776 bytes, expected at most"):
        irds.source([path])


def test_no_archive_writes_anywhere(tmp_path: Path) -> None:
    inside = b"1\n0\n"
    names = [f"../../{NAME}", f"/etc/{NAME.replace('C001', 'C002')}", f"C:\\{NAME}"]
    (tmp_path / "deep").mkdir()
    path = packed(tmp_path / "deep" / "raw.zip", [(name, inside) for name in names])
    before = sorted(tmp_path.rglob("*"))
    source = ntu.source([path], "ntu60")
    assert [clip.row["name"] for clip in source.clips] == [NAME[:20], NAME.replace("C001", "C002")[:20]]
    for clip in source.clips:
        with pytest.raises(BadClip, match="no body in any frame"):
            source.load(clip.place)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_name_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = packed(tmp_path / "irds.zip", [(CLIP, b"1"), (CLIP, b"2")])
    with pytest.raises(ValueError, match="occurs twice"):
        irds.source([path])


def test_an_encrypted_member_is_named(tmp_path: Path) -> None:
    path = packed(tmp_path / "irds.zip", [(CLIP, b"1")])
    raw = bytearray(path.read_bytes())
    for start in (raw.find(b"PK\x03\x04") + 6, raw.find(b"PK\x01\x02") + 8):
        raw[start] |= 1
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"irds\.zip is not a readable archive.*encrypted"):
        irds.source([path])


@pytest.mark.parametrize("instruction", [b"B\xff\xff\xff\x3f", b"\x8e" + (2**30).to_bytes(8, "little")])
def test_bytes_that_a_pickle_does_not_have_are_not_waited_for(instruction: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x04" + instruction + b"abc.")
    assert memory(lambda: unpickle.load(path)) < 1_000_000
    with pytest.raises(ValueError, match=r"a\.pkl is not a readable pickle, or is cut"):
        unpickle.load(path)


def test_a_pickle_of_ten_bytes_takes_no_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x02]r\xff\xff\xff\x0f.")
    assert memory(lambda: unpickle.load(path)) < 1_000_000
    with pytest.raises(ValueError, match=r"a\.pkl is refused.*place 268435455 of a memory that has 0"):
        unpickle.load(path)


SPEC = {"run": "a", "select": "last", "spec": "{}"}


def linear() -> torch.nn.Module:
    """The smallest encoder."""
    return torch.nn.Linear(2, 2)


def test_a_foreign_encoder_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    header = {**SPEC, "epoch": "1"}
    save_encoder(path, linear().state_dict(), header)
    load_encoder(path, linear, SPEC)
    for key, message in (("run", "run a, not b"), ("select", "select last, not b"), ("spec", "another spec")):
        with pytest.raises(Damaged, match=rf"e\.safetensors is damaged: it belongs to {message}"):
            load_encoder(path, linear, SPEC | {key: "b"})
    good = {"weight": torch.ones(2, 2), "bias": torch.ones(2)}
    for change, message in (
        ({"bias": torch.tensor([1.0, float("nan")])}, "bias holds numbers that are not finite"),
        ({"bias": torch.ones(2, dtype=torch.float64)}, "bias is torch.float64, expected torch.float32"),
        ({"bias": torch.ones(3)}, "does not fit the Linear of run a"),
        ({"more": torch.ones(3)}, "does not fit the Linear of run a"),
    ):
        save_file(good | change, path, metadata={"about": json.dumps(header)})
        with pytest.raises(Damaged, match=message):
            load_encoder(path, linear, SPEC)
    save_file(good, path, metadata={"about": json.dumps(header | {"more": "b"})})
    with pytest.raises(Damaged, match="its header has no checksum"):
        load_encoder(path, linear, SPEC)
    path.write_bytes(struct.pack("<Q", 90_000_000) + b"{" * 1000)
    with pytest.raises(Damaged, match="its header has 90000000 bytes"):
        load_encoder(path, linear, SPEC)


def test_an_older_encoder_without_a_checksum_is_read(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    header = {"about": json.dumps({**SPEC, "epoch": "1"})}
    save_file({"weight": torch.ones(2, 2), "bias": torch.ones(2)}, path, metadata=header)
    assert torch.equal(load_encoder(path, linear, SPEC).state_dict()["bias"], torch.ones(2))


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    module = torch.nn.Linear(2, 2)
    module.bias.data[0] = np.inf
    with pytest.raises(FloatingPointError, match=r"e\.safetensors is not written: bias holds numbers"):
        save_encoder(tmp_path / "e.safetensors", module.state_dict(), SPEC)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('partition = "a\\nrm -rf /"', "partition is a word in quotes"),
        ('partition = "a"\noptions = { comment = "a\\ntouch b" }', "options is a table"),
        ('partition = "a"\noptions = { "x\\ntouch b" = "c" }', "options is a table"),
        ('partition = "a"\noptions = { "x y" = "c" }', "'x y' is not the name of an option"),
        ('partition = "a"\ndevice = []', "device is cpu or cuda"),
        ("partition = " + "9" * 5000, "cannot be read"),
        ("partition = " + "[" * 5000, "cannot be read"),
    ],
)
def test_a_line_end_in_cluster_toml_begins_no_line_of_a_script(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(text)
    with pytest.raises(cluster.ClusterError, match=rf"cluster\.toml.*{message}"):
        cluster.read(path)


def test_json_of_any_depth_is_told(tmp_path: Path) -> None:
    deep = "[" * 100_000
    path = folder_of(tmp_path, "pretrain-0") / "array.json"
    path.parent.mkdir(parents=True)
    path.write_text(deep)
    with pytest.raises(StoreError, match=r"array\.json cannot be read"):
        Submission.read(tmp_path, "pretrain-0")
    journal = tmp_path / "parts.jsonl"
    journal.write_text(f"{deep}\n")
    assert parts._read_journal(journal) == {}
