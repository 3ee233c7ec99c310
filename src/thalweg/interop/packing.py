"""Nested state as JSON text and tensors by name, and back.

A checkpoint's state is dicts and lists of plain values and tensors: an optimizer's `state_dict`,
the generator's counter, the history. The tensors go to a safetensors file under names that tell
where they were; everything else becomes JSON text in which a reference stands for each tensor.
What JSON does not have is written as an object with one key that begins with "$":

    {"$tensor": "training/optimizer/state/0/exp_avg"}     a tensor
    {"$float": "nan"}, "inf" or "-inf"                    a float that is no JSON number
    {"$tuple": [...]}                                     a tuple
    {"$items": [[key, value], ...]}                       a dict with a key that is no text, or with
                                                          one that begins with "$"

Finite floats are written with the digits that give the same bits back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from thalweg._tensor import Tensor
from thalweg.errors import CheckpointError

__all__ = ["pack", "readable", "unpack"]


def pack(state: Any, prefix: str) -> tuple[str, dict[str, Tensor]]:
    """`state` as JSON text, and its tensors by names that begin with `prefix`.

    Raises `CheckpointError`, naming the place, for a value that is neither plain nor a tensor.

    >>> import thalweg as tw
    >>> text, tensors = pack({"lr": 0.1, "mean": {0: tw.zeros(2)}}, "training/")
    >>> text
    '{"lr": 0.1, "mean": {"$items": [[0, {"$tensor": "training/mean/0"}]]}}'
    >>> unpack(text, tensors)
    {'lr': 0.1, 'mean': {0: tensor([0., 0.])}}
    """
    tensors: dict[str, Tensor] = {}
    return json.dumps(_packed(state, (prefix.rstrip("/"),), tensors), allow_nan=False), tensors


def unpack(text: str, tensors: Mapping[str, Tensor]) -> Any:
    """What `pack` was given. Raises `CheckpointError` for a reference to a tensor not there."""
    return _unpacked(json.loads(text), tensors)


def readable(text: str, tensors: Mapping[str, Tensor], note: str) -> str:
    """Packed text for a person: spread over lines, tensors as dtype and shape, a note on top."""

    def spoken(raw: dict[str, Any]) -> Any:
        name = raw.get("$tensor")
        if not isinstance(name, str) or name not in tensors:
            return raw
        size = " x ".join(map(str, tensors[name].shape)) or "one element"
        return f"<{tensors[name].dtype.name}, {size}: {name}>"

    return _spread({"note": note, **json.loads(text, object_hook=spoken)}, "")


def _spread(value: Any, margin: str) -> str:
    """JSON with an entry a line: dicts all the way down, lists of dicts or lists one level."""
    inner = margin + "  "
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(k)}: {_spread(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{margin}}}"
    if isinstance(value, list) and any(isinstance(entry, dict | list) for entry in value):
        lines = [inner + json.dumps(entry) for entry in value]
        return "[\n" + ",\n".join(lines) + f"\n{margin}]"
    return json.dumps(value)


def _packed(value: Any, path: tuple[str, ...], tensors: dict[str, Tensor]) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, Tensor):
        return {"$tensor": _placed(value, "/".join(path), tensors)}
    if isinstance(value, list | tuple):
        entries = [_packed(v, (*path, str(i)), tensors) for i, v in enumerate(value)]
        return entries if isinstance(value, list) else {"$tuple": entries}
    if isinstance(value, Mapping):
        return _packed_dict(value, path, tensors)
    raise CheckpointError(
        f"{'/'.join(path)}: a {type(value).__module__}.{type(value).__qualname__} cannot be saved; "
        "expected None, a bool, a number, a text, a tensor, or lists, tuples and dicts of them"
    )


def _packed_dict(
    value: Mapping[Any, Any], path: tuple[str, ...], tensors: dict[str, Tensor]
) -> dict[str, Any]:
    items = [[key, _packed(entry, (*path, str(key)), tensors)] for key, entry in value.items()]
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return dict(items)
    return {"$items": [[_packed(key, (*path, "key"), tensors), entry] for key, entry in items]}


def _placed(tensor: Tensor, name: str, tensors: dict[str, Tensor]) -> str:
    """Keep `tensor` under `name`, or under the first free name like it."""
    free, count = name, 1
    while free in tensors:  # {"a/b": x} beside {"a": {"b": y}}
        count += 1
        free = f"{name}~{count}"
    tensors[free] = tensor.detach()
    return free


def _unpacked(raw: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(raw, list):
        return [_unpacked(entry, tensors) for entry in raw]
    if not isinstance(raw, dict):
        return raw
    mark = next(iter(raw), "")
    if not mark.startswith("$"):
        return {key: _unpacked(entry, tensors) for key, entry in raw.items()}
    return _unmarked(mark, raw[mark], tensors)


def _unmarked(mark: str, content: Any, tensors: Mapping[str, Tensor]) -> Any:
    match mark:
        case "$tensor" if content in tensors:
            return tensors[content]
        case "$float":
            return float(content)
        case "$tuple":
            return tuple(_unpacked(content, tensors))
        case "$items":
            return {_unpacked(k, tensors): _unpacked(v, tensors) for k, v in content}
    raise CheckpointError(f"its state refers to {mark} {content!r}, which is not there")
