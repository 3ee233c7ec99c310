"""Files of torch.save (.pt, .pth), read without PyTorch and without running anything in them.

Such a file is a zip archive: NAME/data.pkl, a pickle of the structure, and NAME/data/KEY, the
bytes of one storage each. A pickle is a program that can have any function called. So only the
instructions that lay out data are let through (`_INSTRUCTIONS`), only the names that a structure
of tensors needs mean anything (`_MEANINGS`), and those stand for descriptions, from which tensors
are made when all of the pickle has been read and each claim held against the records beside it.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from thalweg import dtypes
from thalweg._tensor import Parameter, Tensor
from thalweg.dtypes import DType
from thalweg.errors import CheckpointError
from thalweg.files import size_text
from thalweg.interop.foreign import looks_like
from thalweg.tape import wrap

__all__ = ["load", "load_file"]

_PICKLE: Final = "data.pkl"
_LARGEST_PICKLE: Final = 100_000_000
_HIGHEST_RANK: Final = 64  # NumPy's

# fmt: off
_STORAGES: Final = {
    "FloatStorage": dtypes.float32,     "DoubleStorage": dtypes.float64,
    "LongStorage":  dtypes.int64,       "IntStorage":    dtypes.int32,
    "ByteStorage":  dtypes.uint8,       "BoolStorage":   dtypes.bool,
    "HalfStorage":  dtypes.float16,     "BFloat16Storage": dtypes.bfloat16,
}
_ALLOWED: Final = """
    PROTO FRAME STOP MARK POP POP_MARK BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET
    NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT
    SHORT_BINUNICODE BINUNICODE BINUNICODE8 SHORT_BINBYTES BINBYTES
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS
    GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID
"""
_INSTRUCTIONS: Final = frozenset(_ALLOWED.split())
# fmt: on


def load(path: str | Path) -> Any:
    """What torch.save wrote: tensors in dictionaries, lists and tuples, with numbers and texts.

    As torch.load(path, weights_only=True) gives it, with tensors of Thalweg; each has values of its
    own, where there some share them. Parameters stay parameters; a dtype or a device is its name.

    Raises `CheckpointError`, naming the file, for one that is missing, damaged, of the format
    before PyTorch 1.6, of dtypes that Thalweg does not have, or that holds anything else: whole
    models, for one.
    """
    path = Path(path)
    with _archive(path) as archive:
        records = _Records(path, archive)
        return _Maker(records).made(_structure(records))


def load_file(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file that holds a state dictionary, by name, for `load_state_dict`.

    Raises `CheckpointError` as `load` does, and where there is something else in the file: it
    then says what, such as a dictionary in which the state is one of several entries.
    """
    content = load(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path}: holds a {type(content).__name__}, not a dictionary of tensors by name; "
            "torch_files.load(path) gives it as it is"
        )
    odd = [name for name, value in content.items() if not isinstance(value, Tensor)]
    if odd:
        raise CheckpointError(
            f"{path}: {odd[0]!r} is a {type(content[odd[0]]).__name__}, not a tensor. If the state "
            "is one of the entries, take it from torch_files.load(path)"
        )
    return {str(name): value for name, value in content.items()}


# --- the archive ----------------------------------------------------------------------------------


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        with path.open("rb") as file:
            start = file.read(64)
        if not start.startswith(b"PK"):
            what = looks_like(start, path.stat().st_size)
            raise CheckpointError(f"{path}: {what.replace('a safetensors', 'a PyTorch')}")
        return zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: there is no such file") from error
    except IsADirectoryError as error:
        raise CheckpointError(f"{path}: is a folder; expected a file of torch.save") from error
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged or cut short: {error}") from error


class _Records:
    """The records of an archive, read on the word of nobody."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self._archive = path, archive
        names = archive.namelist()
        found = [name for name in names if name.endswith(f"/{_PICKLE}") and name.count("/") == 1]
        self._folder = found[0].removesuffix(_PICKLE) if found else ""
        if len(found) != 1 or f"{self._folder}constants.pkl" in names:
            raise CheckpointError(
                f"{path}: a zip archive, but not of torch.save(model.state_dict(), ...); a "
                "TorchScript model has to be saved so first"
            )
        big = f"{self._folder}byteorder" in names and self.read("byteorder", 64) == b"big"
        self.order: Literal["<", ">"] = ">" if big else "<"

    def read(self, name: str, most: int) -> bytes:
        """The bytes of a record, which may be at most so many."""
        try:
            info = self._archive.getinfo(self._folder + name)
            if info.file_size > most:
                raise self.damaged(f"record {name!r} has {size_text(info.file_size)}, not {most}")
            return self._archive.read(info)
        except KeyError:
            raise self.damaged(f"there is no record {name!r}") from None
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
            raise self.damaged(f"record {name!r}: {error}") from error

    def damaged(self, what: str) -> CheckpointError:
        """The error for a file that contradicts itself."""
        return CheckpointError(f"{self.path}: damaged: {what}")


# --- the structure --------------------------------------------------------------------------------

# Tuples, since nothing in a pickle can give those another state.


class _Storage(NamedTuple):
    """`size` elements in record data/`key`."""

    dtype: DType
    key: str
    size: int


class _Described(NamedTuple):
    """A tensor: where in a storage its elements are."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any
    requires_grad: Any


class _Trained(NamedTuple):
    """A parameter."""

    tensor: Any
    requires_grad: Any


class _Named(NamedTuple):
    """What stands for a name of PyTorch, and what it does when called."""

    name: str
    call: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        if self.call is None:
            raise ValueError(f"{self.name} is called")
        return self.call(*arguments)


_MEANINGS: Final[Mapping[str, Callable[..., Any]]] = {
    "torch._utils._rebuild_tensor_v2": lambda *a: _Described(*a[:5]),
    "torch._utils._rebuild_parameter": lambda *a: _Trained(*a[:2]),
    "torch.Size": tuple,
    "torch.device": lambda *a: ":".join(map(str, a)),
    "collections.OrderedDict": lambda *a: OrderedDict(*a),
}


class _Reader(pickle.Unpickler):
    """Reads a pickle of which every name is known."""

    def __init__(self, records: _Records, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self._records = records

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if module == "torch" and (name in _STORAGES or name in vars(dtypes)):
            return _Named(name)
        if full not in _MEANINGS:
            raise CheckpointError(
                f"{self._records.path}: names {full}, which is no tensor of a dtype that Thalweg "
                "has, number, text or container of these. Nothing else is read, since a pickle can "
                "have any function called: in PyTorch, save model.state_dict() alone"
            )
        return _Named(full, _MEANINGS[full])

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", _Named(name=str() as kind), str() as key, _, int() as count):
                if kind in _STORAGES and count >= 0:
                    return _Storage(_STORAGES[kind], key, count)
        raise self._records.damaged(f"it names a storage as {pid!r:.80}")


def _structure(records: _Records) -> Any:
    """What the pickle lays out, tensors described."""
    content = records.read(_PICKLE, _LARGEST_PICKLE)
    try:
        for instruction, _, _ in pickletools.genops(content):
            if instruction.name not in _INSTRUCTIONS:
                raise CheckpointError(
                    f"{records.path}: holds more than tensors, numbers, texts and containers of "
                    f"these: its pickle has the instruction {instruction.name}, as whole models "
                    "have. In PyTorch, save model.state_dict() alone"
                )
        return _Reader(records, content).load()
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle fails in any way there is
        raise records.damaged(f"its structure cannot be read ({error})") from error


# --- tensors --------------------------------------------------------------------------------------


class _Maker:
    """Makes tensors of what describes them, each thing once."""

    def __init__(self, records: _Records) -> None:
        self._records = records
        self._content: dict[str, bytearray] = {}
        self._done: dict[int, Any] = {}

    def made(self, thing: Any) -> Any:
        """The thing, with tensors."""
        if id(thing) not in self._done:
            self._done[id(thing)] = thing  # where it contains itself
            self._done[id(thing)] = self._new(thing)
        return self._done[id(thing)]

    def _new(self, thing: Any) -> Any:
        match thing:
            case _Described():
                return self._tensor(thing)
            case _Trained(tensor=_Described() as inner, requires_grad=wanted):
                return Parameter(self._tensor(inner), requires_grad=wanted is True)
            case _Named(name=name):
                return name
            case _Storage() | _Trained():
                pass  # not by themselves
            case dict():
                return {self.made(key): self.made(value) for key, value in thing.items()}
            case list() | tuple():
                return type(thing)(self.made(part) for part in thing)
            case None | bool() | int() | float() | str() | bytes():
                return thing
        raise self._records.damaged(f"it holds a {type(thing).__name__} by itself")

    def _tensor(self, described: _Described) -> Tensor:
        storage, shape, strides = described.storage, described.shape, described.strides
        text = f"a tensor of shape {shape!r:.60} and strides {strides!r:.60}"
        if not (
            isinstance(storage, _Storage)
            and _are_counts(shape)
            and _are_counts(strides)
            and _are_counts((described.offset,))
            and len(shape) == len(strides) <= _HIGHEST_RANK
        ):
            raise self._records.damaged(f"it describes {text}")
        count = math.prod(shape)
        if count > storage.size:
            raise CheckpointError(
                f"{self._records.path}: {text} repeats its {storage.size} elements. In PyTorch, "
                "save it as x.contiguous()"
            )
        last = described.offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if count and last >= storage.size:
            raise self._records.damaged(f"{text} goes beyond its {storage.size} elements")
        values = self._elements(storage)
        steps = tuple(s * storage.dtype.itemsize for s in strides)
        start = values[described.offset :] if count else values[:0]
        part = np.lib.stride_tricks.as_strided(start, shape, steps)
        tensor = wrap(np.array(part, order="C").astype(storage.dtype.numpy, copy=False))
        return tensor.requires_grad_() if described.requires_grad is True else tensor

    def _elements(self, storage: _Storage) -> np.ndarray[Any, Any]:
        size = storage.size * storage.dtype.itemsize
        if storage.key not in self._content:
            record = f"data/{storage.key}"
            self._content[storage.key] = bytearray(self._records.read(record, size))
        content = self._content[storage.key]
        if len(content) != size:
            raise self._records.damaged(
                f"record 'data/{storage.key}' has {size_text(len(content))}, not {size_text(size)}"
            )
        if storage.dtype is dtypes.bool and any(byte > 1 for byte in set(content)):
            raise self._records.damaged(f"bools in 'data/{storage.key}' are other than 0 and 1")
        return np.frombuffer(content, storage.dtype.numpy.newbyteorder(self._records.order))


def _are_counts(numbers: Any) -> bool:
    return isinstance(numbers, tuple) and all(type(n) is int and n >= 0 for n in numbers)
