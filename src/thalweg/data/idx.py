"""IDX files, the format MNIST is published in: a short header, then the numbers.

    two zero bytes | type code | rank | rank sizes, 32-bit big-endian | numbers, big-endian

Nothing is allocated on the word of a header: what it claims is first held against what a file of
that length can hold, then against what the caller expects, then against what is really there.
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from thalweg.errors import DataError

__all__ = ["read_idx"]

_TYPES: Final = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CHUNK: Final = 1 << 20
_MOST_AXES: Final = 8
_DEFLATE_RATIO: Final = 1032  # no deflate stream holds more than this many bytes per byte
_GZIP_MAGIC: Final = b"\x1f\x8b"
_Stream = gzip.GzipFile | io.BufferedReader


@dataclass(frozen=True, slots=True)
class _Header:
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        sizes = " x ".join(map(str, self.shape))
        return f"its header claims {sizes} of {self.dtype.name} = {self.nbytes:,} bytes"


def read_idx(path: Path | str, shape: tuple[int | None, ...] | None = None) -> npt.NDArray[Any]:
    """The array in an IDX file, compressed by gzip or not.

    `shape`, where given, is what the caller expects; None in it stands for any size.
    Raises `DataError`, naming the file, what its header claims and what it holds, for a file that
    is not IDX, is of another shape, is cut short, goes on too long, or is damaged.
    """
    path = Path(path)
    with _opened(path) as stream:
        header = _read_header(path, stream)
        _check_claim(path, header, shape)
        numbers = _read_numbers(path, stream, header)
    array = np.frombuffer(numbers, header.dtype).reshape(header.shape)
    return array.astype(header.dtype.newbyteorder("="), copy=False)


@contextmanager
def _opened(path: Path) -> Iterator[_Stream]:
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if compressed:
                with gzip.GzipFile(fileobj=raw) as stream:
                    yield stream
            else:
                yield raw
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _read_header(path: Path, stream: _Stream) -> _Header:
    magic = _read(path, stream, 4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES:
        raise DataError(
            f"{path}: not an IDX file: it starts with {magic.hex(' ') or 'nothing'}; expected "
            "00 00, a type code such as 08, and the rank. Is it another file under this name?"
        )
    if not 0 < magic[3] <= _MOST_AXES:
        raise DataError(f"{path}: its header claims rank {magic[3]}; expected 1 to {_MOST_AXES}")
    sizes = _read(path, stream, 4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(
            f"{path}: cut short inside its header: {magic[3]} sizes are claimed, "
            f"{len(sizes)} of their {4 * magic[3]} bytes are there"
        )
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    return _Header(np.dtype(_TYPES[magic[2]]), shape)


def _check_claim(path: Path, header: _Header, shape: tuple[int | None, ...] | None) -> None:
    size = path.stat().st_size
    if header.nbytes > _DEFLATE_RATIO * size:
        raise DataError(
            f"{path}: {header}, more than a file of {size:,} bytes can hold. "
            "It is damaged or cut short: get it again"
        )
    if shape is None:
        return
    fits = len(shape) == len(header.shape) and all(
        want in (None, have) for want, have in zip(shape, header.shape, strict=True)
    )
    if not fits:
        want = " x ".join("any" if size is None else str(size) for size in shape)
        raise DataError(f"{path}: {header}; expected {want}. Is it another file under this name?")


def _read_numbers(path: Path, stream: _Stream, header: _Header) -> bytearray:
    """Everything after the header, when that is as much as the header claims."""
    numbers, extra, problem = bytearray(), 0, ""
    try:
        while chunk := stream.read1(_CHUNK):
            room = header.nbytes - len(numbers)
            numbers += chunk[:room]
            extra += max(0, len(chunk) - room)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        problem = f" ({error})"
    if problem or extra or len(numbers) < header.nbytes:
        fault = "damaged" if problem else "too long" if extra else "cut short"
        held = len(numbers) + extra
        raise DataError(
            f"{path}: {fault}: {header} and it holds {held:,}{problem}. Delete it and get it again"
        )
    return numbers


def _read(path: Path, stream: _Stream, count: int) -> bytes:
    """`count` bytes of the header, fewer at the end of the file."""
    try:
        return stream.read(count)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: damaged inside its header ({error}). Get it again") from error
