"""Tensors in safetensors files: a JSON header that names them, then their bytes.

    length of the header (8 bytes, little-endian) | header | bytes of the tensors

    {"__metadata__": {"key": "text", ...},
     "name": {"dtype": "F32", "shape": [30, 64], "data_offsets": [0, 7680]}, ...}

The package `safetensors` lays files out and takes them apart. Before it sees a file, and before
anything is allocated on the word of a header, `thalweg.interop.header` holds what the header claims
against what the file holds, so that a damaged or foreign file is named in words that help.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.errors import CheckpointError, DTypeError, nearest
from thalweg.files import write_atomically
from thalweg.interop.header import Entry, Header, check_length, parse_header
from thalweg.tape import wrap

__all__ = ["load_file", "load_file_with_metadata", "read_metadata", "save", "save_file"]

_METADATA: Final = "__metadata__"
_START: Final = 64  # bytes that tell what a file is


def save_file(
    tensors: Mapping[str, Tensor],
    path: str | Path,
    metadata: Mapping[str, str] | None = None,
    *,
    keep_as: str | Path | None = None,
) -> None:
    """Write named tensors, of any shapes and dtypes, to a safetensors file: all of it, or none.

    `metadata` are texts kept beside them; `keep_as`, a name in the same folder, goes to the version
    that was there before. Values come back bit for bit, in the same order; that a
    tensor requires a gradient is not kept. PyTorch and others read the file.

    Raises `CheckpointError` if it cannot be written: a former version is then untouched;
    `DTypeError` for values that are not tensors.

    >>> import tempfile, thalweg as tw
    >>> path = tempfile.mkdtemp() + "/model.safetensors"
    >>> save_file({"weight": tw.ones(2, 3), "bias": tw.zeros(2)}, path, {"epoch": "7"})
    >>> load_file(path)["bias"], read_metadata(path)
    (tensor([0., 0.]), {'epoch': '7'})
    """
    write_atomically(path, _parts(tensors, metadata, str(path)), keep_as=keep_as)


def save(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """The bytes that `save_file` writes."""
    return b"".join(_parts(tensors, metadata, "save"))


def load_file(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name, in its order.

    Raises `CheckpointError`, naming the file, what it claims and what it holds, for a file that is
    missing, cut short, damaged, in another format, or of dtypes that Thalweg does not have.
    """
    return load_file_with_metadata(path)[0]


def load_file_with_metadata(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of one and the same version of a file; see `load_file`."""
    path = Path(path)
    with _opened(path) as file:
        header = _read_header(path, file)
        file.seek(0)
        content = file.read()
    arrays = _taken_apart(path, content)
    tensors = {
        name: wrap(_array(path, name, e, arrays[name])) for name, e in header.entries.items()
    }
    return tensors, header.metadata


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a safetensors file; only its header is read. Raises as `load_file`."""
    path = Path(path)
    with _opened(path) as file:
        return _read_header(path, file).metadata


# --- out --------------------------------------------------------------------------------------


def _parts(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None, where: str
) -> list[bytes | memoryview]:
    """A file's bytes: the length of the header, the header, the data.

    The package orders tensors by their alignment, in header and data. The data stays so; the
    header is written anew in the caller's order, and with bfloat16, which NumPy does not have.
    """
    from safetensors.numpy import save as lay_out

    _check_texts(tensors, metadata, where)
    content = memoryview(lay_out({name: _plain(where, name, t) for name, t in tensors.items()}))
    length = 8 + int.from_bytes(content[:8], "little")
    laid = json.loads(bytes(content[8:length]))
    header: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    for name, tensor in tensors.items():
        kind = "BF16" if tensor.dtype is dtypes.bfloat16 else laid[name]["dtype"]
        header[name] = {**laid[name], "dtype": kind}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little"), text, content[length:]]


def _check_texts(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None, where: str
) -> None:
    for text in (*tensors, *(metadata or {}), *(metadata or {}).values()):
        if not isinstance(text, str):
            raise DTypeError(
                f"{where}: names and metadata are texts, got {text!r:.60} of type "
                f"{type(text).__name__}. Use str(...) or json.dumps(...)"
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise CheckpointError(f"{where}: {text!r:.60} cannot be written in UTF-8") from error
    if _METADATA in tensors:
        raise CheckpointError(f"{where}: {_METADATA!r} is the format's own name: use another")


def _plain(where: str, name: str, tensor: Tensor) -> np.ndarray[Any, Any]:
    """A tensor's values as the package takes them: dense, little-endian, bfloat16 as its bits."""
    if not isinstance(tensor, Tensor):
        raise DTypeError(
            f"{where}: {name!r} is a {type(tensor).__name__}; expected a Tensor: use tw.tensor(...)"
        )
    array = np.asarray(tensor._concrete("saving"), order="C")
    if tensor.dtype.is_storage:
        array = array[tensor.dtype.name].copy()
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


# --- in ---------------------------------------------------------------------------------------


def _opened(path: Path) -> BinaryIO:
    try:
        file = path.open("rb") if stat.S_ISREG(path.stat().st_mode) else None
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: there is no such file{_alike(path)}") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    if file is None:
        kind = "a folder" if path.is_dir() else "not a regular file"
        raise CheckpointError(f"{path}: is {kind}; expected a safetensors file")
    return file


def _alike(path: Path) -> str:
    """The safetensors files in the folder, for one that is not there."""
    with suppress(OSError):
        names = [other.name for other in path.parent.glob("*.safetensors")]
        return f": {nearest(path.name, names)}" if names else ""
    return ""


def _read_header(path: Path, file: BinaryIO) -> Header:
    size = os.fstat(file.fileno()).st_size
    length = check_length(path, file.read(_START), size)
    file.seek(8)
    return parse_header(path, file.read(length), size - 8 - length)


def _taken_apart(path: Path, content: bytes) -> dict[str, bytearray]:
    from safetensors import SafetensorError, deserialize

    take_apart: Callable[[bytes], list[tuple[str, Any]]] = deserialize  # the package has no hints
    try:
        return {name: entry["data"] for name, entry in take_apart(content)}
    except SafetensorError as error:
        raise CheckpointError(f"{path}: damaged: {error}") from error


def _array(path: Path, name: str, entry: Entry, data: bytearray) -> np.ndarray[Any, Any]:
    stored = entry.dtype.numpy.newbyteorder("<")
    if entry.dtype is dtypes.bool and any(byte > 1 for byte in set(data)):
        raise CheckpointError(
            f"{path}: damaged: tensor {name!r} of bools holds other bytes than 0, 1"
        )
    try:
        array = np.frombuffer(data, stored).reshape(entry.shape)
    except ValueError as error:  # such as [0, 2**62, 2**62], which takes no bytes
        raise CheckpointError(
            f"{path}: tensor {name!r} of shape {list(entry.shape)} cannot be held ({error})"
        ) from error
    return array.astype(entry.dtype.numpy, copy=False)
