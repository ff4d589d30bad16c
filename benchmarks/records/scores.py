"""scores.npz: what an evaluation leaves for fusions. Checked before it is believed, and before it is unpacked.

Why: scores are read by other runs, may be handed from one laboratory to another, and a zip file tells only of damage
that its own checksum covers: not that it is another run's, nor how large it is once unpacked.
"""

from __future__ import annotations

import ast
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

from protocols.checkpoint import Damaged
from protocols.files import replacing

LARGEST = 2**28  # bytes of an array; 59,477 clips and 120 classes take a tenth


def write(path: Path, run_id: str, scores: np.ndarray, labels: np.ndarray) -> None:
    """Scores (n, classes) float32 and labels (n,) of the test side of a run."""
    checksum = _checksum(run_id, scores, labels)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, scores=scores, labels=labels, sha256=np.array(checksum))


def read(path: Path, run_id: str) -> tuple[np.ndarray, np.ndarray]:
    """What `write` wrote for that run.

    Raises:
        FileNotFoundError: when there is no such file.
        Damaged: when it was changed since, or is another run's, or is larger than any scores are.
    """
    if path.is_dir():
        raise Damaged(path, "it is a folder")
    if (size := path.stat().st_size) > LARGEST:
        raise Damaged(path, f"it has {size} bytes, expected at most {LARGEST}")
    content = io.BytesIO(path.read_bytes())  # an OSError up to here is the disk's fault, not the file's
    try:
        with zipfile.ZipFile(content) as pack:
            arrays = {info.filename: _array(pack, info) for info in pack.infolist()}
        scores, labels = arrays.pop("scores.npy"), arrays.pop("labels.npy")
        checksum = arrays.pop("sha256.npy", None)  # older versions wrote none
    except Exception as error:  # damaged zip files raise nearly everything
        raise Damaged(path, f"it is no readable npz of scores ({type(error).__name__}: {error})") from error
    if checksum is not None and str(checksum) != _checksum(run_id, scores, labels):
        raise Damaged(path, f"its checksum does not agree, or it is not of {run_id}")
    if arrays or scores.ndim != 2 or scores.dtype != np.float32 or labels.dtype.kind != "i":
        raise Damaged(path, "it does not hold scores (n, classes) float32 and whole numbers as labels")
    if labels.shape != (len(scores),) or not np.isfinite(scores).all():
        raise Damaged(path, "its scores are not finite, or not as many as its labels")
    return scores, labels


def _array(pack: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array, read only when it is as large as its header and the zip file agree that it is."""
    if info.file_size > LARGEST:
        raise ValueError(f"{info.filename} has {info.file_size} bytes, expected at most {LARGEST}")
    with pack.open(info) as file:
        magic = file.read(8)
        length = int.from_bytes(file.read(2), "little")
        header = file.read(length).decode("latin1")
        if magic != b"\x93NUMPY\x01\x00" or not header.endswith("\n"):
            raise ValueError(f"{info.filename} is no array")
        about = ast.literal_eval(header)
        shape, dtype = about["shape"], np.dtype(about["descr"])
        if dtype.kind not in "fiU" or about["fortran_order"] not in (True, False):
            raise ValueError(f"{info.filename} is an array of {dtype}")
        content = file.read()
    values = np.frombuffer(content, dtype)
    return values.reshape(shape, order="F" if about["fortran_order"] else "C")


def _checksum(run_id: str, scores: np.ndarray, labels: np.ndarray) -> str:
    digest = hashlib.sha256(f"{run_id} {scores.dtype} {scores.shape} {labels.dtype} {labels.shape}".encode())
    for values in (scores, labels):
        digest.update(values.tobytes())
    return digest.hexdigest()
