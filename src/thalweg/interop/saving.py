"""`tw.save` and `tw.load`: state in a file, of tensors and plain values, in which nothing runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from thalweg._tensor import Tensor
from thalweg.errors import CheckpointError, ConfigError
from thalweg.interop import safetensors, torch_files
from thalweg.interop.packing import pack, unpack

__all__ = ["load", "save"]

_STATE: Final = "thalweg.state"


def save(obj: Any, f: str | Path) -> None:
    """Write a `state_dict`, or any dicts, lists and tuples of tensors and plain values.

    The file is in the safetensors format whatever its name: other libraries read the tensors. It is
    written whole or not at all. That a tensor requires a gradient is not kept.

    Raises `CheckpointError` for what is neither plain nor a tensor, such as a model: save its
    `state_dict()`.

    >>> import tempfile, pathlib
    >>> import thalweg as tw
    >>> model = tw.nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "checkpoint.pt"
    ...     tw.save({"model": model.state_dict(), "epoch": 3}, path)
    ...     state = tw.load(path)
    >>> state["epoch"], list(state["model"])
    (3, ['weight', 'bias'])
    """
    if hasattr(obj, "state_dict"):
        raise CheckpointError(
            f"a {type(obj).__name__} is code as well as state: save its state_dict(), and load it "
            "with load_state_dict() into one that is built anew"
        )
    if isinstance(obj, Mapping) and obj and all(_is_named(*item) for item in obj.items()):
        safetensors.save_file(obj, f)
        return
    text, tensors = pack(obj, "state")
    safetensors.save_file(tensors, f, {_STATE: text})


def load(f: str | Path, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """What `save` wrote; also a safetensors file of others, and what torch.save wrote.

    `map_location` and `weights_only` are there for programs written for PyTorch: tensors are on the
    CPU, and nothing in a file is ever run.

    Raises `CheckpointError` for a file that is missing, damaged, or of another format.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     save({"best": 0.5, "epochs": [1, 2]}, file.name)
    ...     load(file.name)
    {'best': 0.5, 'epochs': [1, 2]}
    """
    if not weights_only:
        raise ConfigError("weights_only=False would run what a file says; it is always True here")
    if map_location not in (None, "cpu"):
        raise ConfigError(f"map_location={map_location!r}: tensors are on the CPU")
    path = Path(f)
    if _is_zip(path):
        return torch_files.load(path)
    tensors, metadata = safetensors.load_file_with_metadata(path)
    return unpack(metadata[_STATE], tensors) if _STATE in metadata else tensors


def _is_named(name: Any, value: Any) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor)


def _is_zip(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False  # the reader says what is wrong with it
