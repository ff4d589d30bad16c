"""What disks and people do to files: flipped bits, cut ends, zeros, other files in their place. All from one seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

Damage = Callable[[Path, Sequence[Path], random.Random], None]  # the file, others of its kind, where randomness is from


def flip_a_bit(path: Path, others: Sequence[Path], rng: random.Random) -> None:
    """One bit anywhere."""
    _flip(path, rng, 1)


def flip_some_bits(path: Path, others: Sequence[Path], rng: random.Random) -> None:
    """Two to twenty bits anywhere."""
    _flip(path, rng, rng.randint(2, 20))


def _flip(path: Path, rng: random.Random, count: int) -> None:
    content = bytearray(path.read_bytes())
    for bit in rng.sample(range(8 * len(content)), min(count, 8 * len(content))):
        content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def change_a_byte_of_text(path: Path, others: Sequence[Path], rng: random.Random) -> None:
    """One byte replaced by a printable one, most often a digit by a digit: what stays parseable longest."""
    content = bytearray(path.read_bytes())
    places = [i for i, byte in enumerate(content) if chr(byte).isdigit()] or list(range(len(content)))
    place = rng.choice(places)
    content[place] = rng.choice([byte for byte in b"0123456789e.-" if byte != content[place]])
    path.write_bytes(content)


def cut(path: Path, others: Sequence[Path], rng: random.Random) -> None:
    """The end is missing."""
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content))])


def zero_the_tail(path: Path, others: Sequence[Path], rng: random.Random) -> None:
    """The end is zeros, as after a power cut."""
    content = path.read_bytes()
    kept = rng.randrange(len(content))
    path.write_bytes(content[:kept] + bytes(len(content) - kept))


def empty(path: Path, others: Sequence[Path], rng: random.Random) -> None:
    """Nothing is left of it."""
    path.write_bytes(b"")


def append(path: Path, others: Sequence[Path], rng: random.Random) -> None:
    """Something stands behind its end."""
    path.write_bytes(path.read_bytes() + rng.randbytes(rng.randint(1, 100)))


def replace_by_noise(path: Path, others: Sequence[Path], rng: random.Random) -> None:
    """Random bytes of the same length."""
    path.write_bytes(rng.randbytes(path.stat().st_size))


def swap(path: Path, others: Sequence[Path], rng: random.Random) -> None:
    """Two files of one kind have changed places."""
    if others:
        other = rng.choice(others)
        mine, theirs = path.read_bytes(), other.read_bytes()
        path.write_bytes(theirs)
        other.write_bytes(mine)


def replace_by_a_folder(path: Path, others: Sequence[Path], rng: random.Random) -> None:
    """A folder bears its name."""
    path.unlink()
    path.mkdir()


DAMAGES: tuple[Damage, ...] = (
    flip_a_bit, flip_some_bits, change_a_byte_of_text, cut, zero_the_tail, empty, append, replace_by_noise, swap,
    replace_by_a_folder,
)  # fmt: skip
