"""Checkpoint files: tensors and state in one safetensors file, sealed by a checksum.

The file is an ordinary safetensors file; its metadata holds what makes it a checkpoint:

    thalweg.kind      "last" or "best"
    thalweg.version   of this form, "1"
    thalweg.state     JSON text
    thalweg.sha256    of the three above and of every tensor's name, dtype, shape and bytes

A safetensors file has no checksum of its own: without the seal, a bit that flips on the disk would
be trained on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from thalweg._tensor import Tensor
from thalweg.errors import CheckpointError
from thalweg.interop import safetensors

__all__ = ["read_checkpoint", "write_checkpoint"]

VERSION: Final = "1"
_MARK: Final = "thalweg."


def write_checkpoint(
    path: Path,
    kind: str,
    tensors: Mapping[str, Tensor],
    state: str,
    *,
    keep_as: Path | None = None,
) -> None:
    """Write a checkpoint, all of it or none; the former version gets the name `keep_as`.

    Raises `CheckpointError` if it cannot be written: the former version is then untouched.
    """
    facts = {"kind": kind, "version": VERSION, "state": state}
    facts["sha256"] = _digest(facts, tensors)
    metadata = {"format": "pt", **{_MARK + name: fact for name, fact in facts.items()}}
    safetensors.save_file(tensors, path, metadata, keep_as=keep_as)


def read_checkpoint(path: Path, kind: str) -> tuple[dict[str, Tensor], str]:
    """The tensors and the state of a checkpoint.

    Raises `CheckpointError`, naming the file, for one that is missing, damaged, foreign, or of
    another kind or version.
    """
    tensors, metadata = safetensors.load_file_with_metadata(path)
    facts = {name: metadata.get(_MARK + name, "") for name in ("kind", "version", "state")}
    if not any(name.startswith(_MARK) for name in metadata):
        raise CheckpointError(
            f"{path}: a safetensors file, but no checkpoint of a run: its metadata says nothing "
            "of Thalweg. thalweg.interop.safetensors.load_file reads its tensors"
        )
    if facts["version"] != VERSION:
        raise CheckpointError(
            f"{path}: a checkpoint of version {facts['version']!r}; this Thalweg reads version "
            f"{VERSION!r}. Use the Thalweg it was written with, or a newer one"
        )
    if _digest(facts, tensors) != metadata.get(_MARK + "sha256"):
        raise CheckpointError(
            f"{path}: damaged: its content does not give the checksum written with it"
        )
    if facts["kind"] != kind:
        raise CheckpointError(
            f"{path}: a checkpoint of kind {facts['kind']!r}, expected {kind!r}: was it renamed?"
        )
    return tensors, facts["state"]


def _digest(facts: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    names = [[name, tensor.dtype.name, list(tensor.shape)] for name, tensor in tensors.items()]
    texts = [facts["kind"], facts["version"], facts["state"]]
    seal = hashlib.sha256(json.dumps([texts, names]).encode())
    for tensor in tensors.values():
        dense = np.asarray(tensor._concrete("saving"), order="C").reshape(-1)
        seal.update(dense.view(np.uint8).data)
    return seal.hexdigest()
