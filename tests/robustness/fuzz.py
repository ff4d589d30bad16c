"""Every parser of files from outside, fed with damaged and made-up ones. The contract of all of them: a valid value, or
an error of ours that names the file; never another exception, never a hang, never much memory for a small file.

    python -m tests.robustness.fuzz --times 10000
"""

from __future__ import annotations

import argparse
import io
import json
import pickle
import tempfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.datasets import store as prepared
from benchmarks.datasets.imports import crossclr, ctrgcn, unpickle
from benchmarks.datasets.raw import irds, ntu_names, ntu_text, pku, pku_labels
from benchmarks.datasets.raw.found import content, files
from benchmarks.datasets.source import BadClip
from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.records import scores
from benchmarks.records.overview import Overview
from benchmarks.records.store import Store, StoreError
from benchmarks.slurm import cluster
from benchmarks.slurm.queue import Submission
from benchmarks.tables import TABLES
from benchmarks.throughput.skeleton_files import bodies_of, skeleton_text
from protocols.checkpoint import CheckpointError, load_encoder, load_training, save_encoder, save_training
from tests.benchmarks.datasets import toy
from tests.benchmarks.datasets.raw import pku_files

OURS = (ValueError, StoreError, CheckpointError, FileNotFoundError)  # BadClip and ClusterError are ValueErrors
MOST_MEMORY, MOST_SECONDS = 128_000_000, 20.0
RUN = next(iter(Plan.of([TABLES["7"]], Settings(scale="smoke")).runs.values()))


@dataclass(frozen=True)
class Parser:
    """What reads a file, and a good file of that kind."""

    name: str  # of the file
    parse: Callable[[Path], Any]
    good: bytes
    names_itself: bool = True  # False: it sees the content alone, and whoever calls it adds the name


def _zip(entries: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, inside in entries.items():
            pack.writestr(name, inside)
    return file.getvalue()


def _npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _raw_zip(path: Path) -> None:
    for file in files([path], (".skeleton",), "", []):
        try:
            content(file)
        except BadClip as error:
            raise ValueError(f"{path}: {error}") from error


def _recording() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 3, 25, 1))


def parsers(folder: Path) -> list[Parser]:
    """All of them; `folder` takes the good files of those that write their own."""
    root = folder / "root"
    store = Store(root)
    store.prepare()
    store.write_spec(RUN)
    store.write_record({"run": RUN.id, "status": "ok", "metrics": {"top1": 0.5}, "spec": RUN.spec()})
    scores.write(root / "scores.npz", "a", np.ones((3, 2), np.float32), np.arange(3))
    module = torch.nn.Linear(2, 2)
    save_encoder(root / "e.safetensors", module.state_dict(), {"run": "a"})
    save_training(root / "c.pt", "a", {"module": module.state_dict()})
    rows = [({"name": "a", "label": 0, "subject": 1}, np.ones((3, 8, 25, 2), np.float32))]
    manifest = toy.put(folder / "toy-8", rows) / "manifest.json"
    Submission("a", "fuse", (("b",),), {}, 60).write(root)
    x = _recording()
    skeleton = skeleton_text(bodies_of(x))
    irds_text = "".join(",".join(f"{v:g}" for v in row) + "\n" for row in x[..., 0].transpose(1, 2, 0).reshape(3, -1))
    video = pku_files.skeleton(x.repeat(2, axis=3)).encode()
    label = pku_files.labels([(3, 1, 9, 2), (5, 10, 12, 1)]).encode()
    sides = b"Training videos:\n0002-L, 0003-M,\nValidataion videos:\n0010-R,\n"
    array = io.BytesIO()
    np.save(array, np.ones((2, 3, 4, 25, 2), np.float32))
    toml = (
        b'partition = "gpu"\ntime = "1-02:00"\nsetup = ["module load x"]\n[pretrain]\noptions = { mail-user = "a" }\n'
    )
    pickled = pickle.dumps({"annotations": [{"keypoint": np.ones((1, 2, 25, 3), np.float16), "label": 3}]}, protocol=4)
    y = np.eye(2)
    cs = _npz(x_train=np.ones((2, 3, 150), np.float32), y_train=y, x_test=np.ones((2, 3, 150), np.float32), y_test=y)
    expected = {"run": "a"}

    def at(path: Path, use: Callable[[], Any]) -> Callable[[Path], Any]:
        """A parser that reads a file at a place of its own."""

        def parse(given: Path) -> Any:
            good = path.read_bytes()
            path.write_bytes(given.read_bytes())
            try:
                return use()
            except OURS as error:
                if str(path) not in str(error):
                    raise
                raise type(error)(str(error).replace(str(path), str(given))) from error
            finally:
                path.write_bytes(good)

        return parse

    spec, record = store.folder(RUN.id) / "spec.json", store.records / f"{RUN.id}.json"
    task = root / "slurm" / "a" / "array.json"
    overview = json.dumps({"sha256": "", "kept": {"form": [1], "records": {}}}).encode()
    return [
        Parser("a.skeleton", lambda p: ntu_text.parse(p.read_bytes()), bytes(skeleton), False),
        Parser("0002-L.txt", lambda p: pku.parse(p.read_bytes()), video, False),
        Parser("101_18_0_1_1_stand.txt", lambda p: irds.parse(p.read_bytes()), irds_text.encode(), False),
        Parser("labels.txt", lambda p: pku_labels.parse_labels(p.read_bytes()), label, False),
        Parser("cross-subject.txt", lambda p: pku_labels.sides_of({str(p): p.read_bytes()}, "pku1"), sides),
        Parser("missing.txt", ntu_names.missing, b"Some words\nS001C002P003R002A013\nS001C001P001R001A001\n"),
        Parser("cluster.toml", cluster.read, toml),
        Parser("record.json", at(record, lambda: store.record(RUN.id)), record.read_bytes()),
        Parser("spec.json", at(spec, lambda: store.read_spec(RUN.id)), spec.read_bytes()),
        Parser("manifest.json", at(manifest, lambda: prepared.read_manifest(manifest.parent)), manifest.read_bytes()),
        Parser("array.json", at(task, lambda: Submission.read(root, "a")), task.read_bytes()),
        Parser("overview.json", lambda p: _overview(root, p), overview),
        Parser("scores.npz", lambda p: scores.read(p, "a"), (root / "scores.npz").read_bytes()),
        Parser("e.safetensors", lambda p: load_encoder(p, lambda: torch.nn.Linear(2, 2), expected),
               (root / "e.safetensors").read_bytes()),
        Parser("c.pt", lambda p: load_training(p, "a"), (root / "c.pt").read_bytes()),
        Parser("a.pkl", unpickle.load, pickled),
        Parser("train_position.npy", lambda p: crossclr._opened.__wrapped__(str(p)), array.getvalue()),
        Parser("PKUv1_XSub.npz", partial(ctrgcn.source, dataset="pku1"), cs),
        Parser("raw.zip", _raw_zip, _zip({"a.skeleton": bytes(skeleton), "../../b.skeleton": b"3"})),
        Parser("irds.zip", lambda p: list(irds._members(p, [])), _zip({"101_18_0_1_1_stand.txt": irds_text.encode()})),
    ]  # fmt: skip


def _overview(root: Path, given: Path) -> Any:
    store = Overview(root)
    store._path = given
    assert store.briefs()[RUN.id]["metrics"] == {"top1": 0.5}, "a wrong number is believed"


def hold(parser: Parser, folder: Path, content: bytes) -> None:
    """Fails when the parser breaks its contract."""
    path = folder / parser.name
    path.write_bytes(content)
    began = time.monotonic()
    tracemalloc.start()
    try:
        parser.parse(path)
    except OURS as error:
        if parser.names_itself and str(path) not in str(error):
            raise AssertionError(f"{error!r} does not name {path}") from error
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < MOST_MEMORY, f"{len(content)} bytes took {peak} bytes of memory"
    assert time.monotonic() - began < MOST_SECONDS


@st.composite
def contents(draw: st.DrawFn, good: bytes) -> bytes:
    """Mostly the good file with a few edits; now and then something else altogether."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
    content = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        past = min(len(content), place + draw(st.sampled_from((0, 1, 1, 2, 8, 100))))
        content[place:past] = draw(st.one_of(st.binary(max_size=4), st.sampled_from(NASTY)))
    return bytes(content)


NASTY = (
    b"9" * 30, b"-1", b"1e999", b"nan", b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\0" * 8, b"\n" * 50, b"[" * 3000,
    b"null", b"{}", b"[]", b'""', b"true", b"\xed\xa0\x80", b"4294967295", b"r\xff\xff\xff\x0f", b"9" * 5000,
)  # fmt: skip


def fuzz(parser: Parser, folder: Path, times: int, seed: int | None = None) -> None:
    """Feeds a parser with `times` files. Raises AssertionError, or what the parser raised, for one that fails."""

    @settings(max_examples=times, deadline=None, database=None, derandomize=seed is None,
              suppress_health_check=(HealthCheck.too_slow,))  # fmt: skip
    @given(contents(parser.good))
    def check(content: bytes) -> None:
        hold(parser, folder, content)

    hold(parser, folder, parser.good)
    check()


def main() -> None:
    """Fuzzes everything and prints how many files each parser was fed with."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--times", type=int, default=10_000, help="files in all (default 10000)")
    times = arguments.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        everyone = parsers(Path(folder))
        for parser in everyone:
            fuzz(parser, Path(folder), -(-times // len(everyone)), seed=1)
            print(f"{parser.name}: {-(-times // len(everyone))} files", flush=True)


if __name__ == "__main__":
    main()
