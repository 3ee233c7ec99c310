"""The header of a safetensors file, held against what the file holds.

Nothing is allocated on the word of a header: its length is held against the file's, each tensor's
byte range against its shape and dtype, and all ranges together against the bytes that follow.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from thalweg import dtypes
from thalweg.dtypes import DType
from thalweg.errors import CheckpointError
from thalweg.files import size_text
from thalweg.interop.foreign import looks_like

__all__ = ["DTYPES", "Entry", "Header", "check_length", "parse_header"]

# fmt: off
DTYPES: Final = {
    "BOOL": dtypes.bool,    "U8":  dtypes.uint8,   "U32":  dtypes.uint32,
    "I32":  dtypes.int32,   "I64": dtypes.int64,   "F16":  dtypes.float16,
    "BF16": dtypes.bfloat16, "F32": dtypes.float32, "F64": dtypes.float64,
}
# fmt: on

_LONGEST: Final = 100_000_000  # the limit of the format
_HIGHEST_RANK: Final = 64  # NumPy's
_FIELDS: Final = {"dtype", "shape", "data_offsets"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor of the header: its dtype and shape, and where its bytes are behind the header."""

    dtype: DType
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says: the tensors by name, in the file's order, and the metadata."""

    entries: dict[str, Entry]
    metadata: dict[str, str]


def check_length(path: Path, start: bytes, size: int) -> int:
    """The header's length, from the first bytes of a file of `size` bytes.

    Raises `CheckpointError` if that cannot be the start of a safetensors file of that size.
    """
    if size < 8:
        raise CheckpointError(f"{path}: {looks_like(start, size)}")
    length = int(struct.unpack("<Q", start[:8])[0])
    if start[8:9] != b"{" and (length > _LONGEST or start[8:9]):
        raise CheckpointError(f"{path}: {looks_like(start, size)}")
    if length > min(_LONGEST, size - 8):
        raise CheckpointError(
            f"{path}: damaged or cut short: it claims a header of {size_text(length)}, "
            f"the file holds {size_text(size - 8)} behind that claim"
        )
    return length


def parse_header(path: Path, text: bytes, size: int) -> Header:
    """The header `text` of a file with `size` bytes behind it.

    Raises `CheckpointError` for what is not a header, and for one that claims what is not there.
    """
    try:
        raw = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: damaged: its header of {size_text(len(text))} is not JSON ({error})"
        ) from error
    if not isinstance(raw, dict):
        raise CheckpointError(f"{path}: damaged: its header is not a JSON object but {raw!r:.40}")
    metadata = _metadata(path, raw.pop("__metadata__", {}))
    entries = {name: _entry(path, name, claim) for name, claim in raw.items()}
    _check_cover(path, entries, size)
    return Header(entries, metadata)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in out if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} stands in it twice")
    return out


def _metadata(path: Path, raw: Any) -> dict[str, str]:
    if isinstance(raw, dict) and all(isinstance(value, str) for value in raw.values()):
        return raw
    raise CheckpointError(f"{path}: damaged: its metadata is not a table of texts but {raw!r:.60}")


def _entry(path: Path, name: str, raw: Any) -> Entry:
    """One tensor's claim, checked by itself."""
    if not isinstance(raw, dict) or set(raw) != _FIELDS:
        raise CheckpointError(
            f"{path}: damaged: tensor {name!r} is described by {raw!r:.80}; "
            "expected dtype, shape and data_offsets"
        )
    if not isinstance(raw["dtype"], str) or raw["dtype"] not in DTYPES:
        raise CheckpointError(
            f"{path}: tensor {name!r} has elements of type {raw['dtype']!r:.20}; Thalweg holds "
            f"{', '.join(DTYPES)}. Convert the tensor where the file comes from"
        )
    dtype = DTYPES[raw["dtype"]]
    shape, offsets = _counts(raw["shape"]), _counts(raw["data_offsets"])
    if shape is None or offsets is None or len(offsets) != 2 or len(shape) > _HIGHEST_RANK:
        raise CheckpointError(
            f"{path}: damaged: tensor {name!r} claims shape {raw['shape']!r:.60} at bytes "
            f"{raw['data_offsets']!r:.60}; expected lists of sizes, and a first and a last byte"
        )
    begin, end = offsets
    needed = math.prod(shape) * dtype.itemsize
    if end - begin != needed:
        raise CheckpointError(
            f"{path}: damaged: tensor {name!r} claims shape {list(shape)!r:.60} of {dtype.name}, "
            f"{_bytes(needed)}, and bytes {begin} to {end}, {_bytes(end - begin)}"
        )
    return Entry(dtype, shape, begin, end)


def _counts(raw: Any) -> tuple[int, ...] | None:
    """A list of numbers that are 0 or more, or None for anything else."""
    if isinstance(raw, list) and all(type(n) is int and n >= 0 for n in raw):
        return tuple(raw)
    return None


def _bytes(count: int) -> str:
    return f"{count:,} bytes" if abs(count) < 10**15 else "more bytes than there are"


def _check_cover(path: Path, entries: dict[str, Entry], size: int) -> None:
    """The byte ranges follow one another from 0 to `size`, without gap or overlap."""
    at, before = 0, ""
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != at:
            where = f"where {before!r} ends" if before else "where the data begins"
            fault = "overlaps with what comes before it" if entry.begin < at else "leaves a gap"
            raise CheckpointError(
                f"{path}: damaged: tensor {name!r} claims to begin at byte {entry.begin}, "
                f"expected {at}, {where}: it {fault}"
            )
        at, before = entry.end, name
    if at != size:
        fault = "cut short" if at > size else "too long"
        raise CheckpointError(
            f"{path}: {fault}: its header claims {_bytes(at)} of tensors, the file holds "
            f"{_bytes(size)} of them. Get or save it again"
        )
