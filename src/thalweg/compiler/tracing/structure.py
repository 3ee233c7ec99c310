"""Nested arguments and results: tuples, lists and dicts with tensors at their leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from thalweg.tape import TensorBase

__all__ = ["Structure", "flatten"]


class Structure(NamedTuple):
    """What is left of a nested value when its leaves are taken out; it compares and hashes.

    A tuple, because every call of a compiled function makes one and looks it up.
    """

    kind: Any  # the class of a node; None for a leaf that is a tensor, "value" for another leaf
    keys: tuple[Any, ...] = ()
    parts: tuple[Structure, ...] = ()

    def build(self, leaves: Sequence[Any]) -> Any:
        """The nested value with these leaves."""
        return _built(self, iter(leaves))


def flatten(value: Any) -> tuple[list[Any], Structure]:
    """The leaves of `value` in order, and its structure.

    >>> leaves, structure = flatten((1, {"a": 2}))
    >>> leaves, structure.build([3, 4])
    ([1, 2], (3, {'a': 4}))
    """
    leaves: list[Any] = []
    return leaves, _taken(value, leaves)


_SEQUENCES = (tuple, list)


def _taken(value: Any, leaves: list[Any]) -> Structure:
    if isinstance(value, TensorBase):
        leaves.append(value)
        return _TENSOR
    if isinstance(value, _SEQUENCES):
        return Structure(type(value), (), tuple([_taken(part, leaves) for part in value]))
    if isinstance(value, dict):
        return Structure(
            dict, tuple(value), tuple([_taken(part, leaves) for part in value.values()])
        )
    leaves.append(value)
    return _VALUE


_TENSOR = Structure(None)
_VALUE = Structure("value")


def _built(structure: Structure, leaves: Any) -> Any:
    kind = structure.kind
    if kind is None or kind == "value":
        return next(leaves)
    parts = [_built(part, leaves) for part in structure.parts]
    if kind is tuple:
        return tuple(parts)
    if kind is dict:
        return dict(zip(structure.keys, parts, strict=True))
    return kind(*parts) if hasattr(kind, "_fields") else kind(parts)
