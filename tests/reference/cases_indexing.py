"""Indexing: x[key], x[key] = value, and gather with its relatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.reference.both import Case, Fixed
from tests.reference.spelling import Samples, call, given, named

__all__ = ["CASES", "GATHERS", "KEYS"]

_samples = Samples(4)
normal, integers, truths = _samples.normal, _samples.integers, _samples.truths

_X, _M, _V = normal(4, 5, 6), normal(3, 4), normal(6)
_WIDE, _PAIR = normal(2, 3, 4, 3), np.array([2, 0])
_ROWS, _COLUMNS = np.array([0, 2, 2, -1]), np.array([1, 0, -1, 2])
_MASK, _LINE = truths(4, 5), np.array([True, False, True, True])

# fmt: off
KEYS: dict[str, Any] = {
    "integer": 1, "negative": -1, "integers": (1, 2), "all integers": (1, 2, 3), "empty tuple": (),
    "slice": slice(1, 3), "step": slice(None, None, 2), "negative bounds": slice(-3, -1),
    "past the end": slice(2, 99),
    "empty": slice(3, 1), "slices": (slice(1, 3), slice(None), slice(0, 6, 3)),
                                     "ellipsis": (..., 0),
    "ellipsis inside": (1, ..., slice(2, 4)), "new axis": None,
                        "new axes": (slice(None), None, 1, None),
    "list": [0, 2, 1], "index": _ROWS, "index twice": (_ROWS, _COLUMNS),
             "index then slice": (_ROWS, slice(1, 3)),
    "slice then index": (slice(None), _COLUMNS),
                         "index between slices": (slice(1, 3), _COLUMNS, slice(None, None, 2)),
    "indices apart": (_ROWS, slice(None), _COLUMNS),
    "integer, slice, index": (1, slice(None), _COLUMNS),
                              "index, slice, integer": (_COLUMNS, slice(None), 1),
    "slice, index, integer": (slice(None), _COLUMNS, 1),
                              "place of rank 0, slice, index": (np.array(1), slice(None), _COLUMNS),
    "index, rank 0, index": (_ROWS, np.array(2), _COLUMNS),
                             "new axis between": (_ROWS, None, _COLUMNS),
    "rank 0 alone": (slice(None), None, np.array(-1)),
                     "index, integer, index": (_ROWS, -1, _COLUMNS),
    "integer and index": (2, _COLUMNS), "matrix of places": np.array([[0, 1], [3, 3]]),
    "broadcast places": (_ROWS[:, None], np.array([1, 2])), "index and ellipsis": (..., _COLUMNS),
    "index and new axis": (_ROWS, None, slice(0, 2)), "empty index": np.array([], dtype=np.int64),
    "mask": _MASK, "mask of rows": _LINE, "mask then slice": (_LINE, slice(0, 2)),
        "mask then index": (_LINE, np.array([0, 1, 2])),
    "mask at the end": (slice(None), slice(None), np.array([True, False, True, True, False,
                        False])),
    "empty mask": np.zeros((4, 5), dtype=bool), "rank-0 index": np.array(2),
}

GATHERS = {
    "gather":         [call(_M, 0, integers(2, 4, low=0, high=3)),
                       call(_M, 1, integers(3, 6, low=0, high=4)),
                       call(_M, -1, integers(2, 2, low=0, high=4)),
                       call(_V, 0, integers(3, low=0, high=6)),
                       call(_M, 1, np.zeros((3, 0), dtype=np.int64))],
    "scatter_add":    [call(_M, 0, integers(2, 4, low=0, high=3), normal(2, 4)),
                       call(_M, 1, integers(3, 6, low=0, high=4), normal(3, 6)),
                       call(_M, 1, integers(2, 2, low=0, high=4), Fixed(normal(3, 4)))],
    "index_select":   [call(_M, 0, np.array([2, 0, 0])), call(_M, 1, np.array([3])),
                       call(_V, 0, np.array([5, 5]))],
    "index_add":      [call(_M, 0, np.array([2, 0, 0]), normal(3, 4)),
                       call(_M, 1, np.array([3, 1]), normal(3, 2))],
    "take_along_dim": [call(_M, integers(3, 2, low=0, high=4), 1),
                       call(_M, integers(1, 4, low=0, high=3), 0),
                       call(_M, integers(5, low=0, high=12))],
    "masked_select":  [call(_M, truths(3, 4)), call(_M, truths(4)),
                       call(_M, np.zeros((3, 4), dtype=bool))],
    "take":           [call(_M, integers(2, 3, low=0, high=12)), call(_V, np.array([5, -1]))],
    "select":         [call(_X, 0, 1), call(_X, -1, -2)],
    "scatter":        [call(_M, 0, np.array([[0, 1, 2, 0]]), normal(1, 4)),
                       call(_M, 1, np.array([[3], [0], [1]]), 7.0)],
    "index_copy":     [call(_M, 0, np.array([2, 0]), normal(2, 4)),
                       call(_M, 1, np.array([3]), normal(3, 1))],
    "index_fill":     [call(_M, 0, np.array([2, 0]), 7.0), call(_M, -1, np.array([1, 1]), -1.0)],
    "argwhere":       [call(truths(3, 4)), call(given(0.0, 1.0, -2.0, 0.0))],
    "nonzero":        [call(truths(3, 4)), call(given(0.0, 1.0, -2.0, 0.0)),
                       call(integers(3, 4, low=0, high=2))],
}
# fmt: on


def _as_key(tw: Any, key: Any) -> Any:
    """Arrays as tensors, which is what both frameworks take for an index."""
    if isinstance(key, tuple):
        return tuple(_as_key(tw, part) for part in key)
    return tw.tensor(key) if isinstance(key, np.ndarray) else key


class _Read:
    """x[key]."""

    def __init__(self, key: Any) -> None:
        self.key = key

    def __call__(self, tw: Any, x: Any) -> Any:
        return x[_as_key(tw, self.key)]


class _Written(_Read):
    """What x is after x[key] = value, through which gradients reach x and the value."""

    def __call__(self, tw: Any, x: Any, value: Any) -> Any:
        x = x.clone()
        x[_as_key(tw, self.key)] = value
        return x


def _picked(key: Any) -> tuple[int, ...]:
    return tuple(torch.empty(4, 5, 6)[_as_key(torch, key)].shape)


# A tensor that is overwritten whole no longer depends on what it was; PyTorch sends it zeros.
WHOLE = ("empty tuple", "new axis")
# What a repeated place is given depends on the order of writing, which PyTorch leaves open.
REPEATED = (
    "index",
    "index then slice",
    "matrix of places",
    "broadcast places",
    "index and new axis",
)

CASES = [
    *named(GATHERS),
    *(Case(f"x[{name}]", _Read(key), (_X,)) for name, key in KEYS.items()),
    *(
        Case(f"x[{name}] = value", _Written(key), (_X, normal(*_picked(key))))
        for name, key in KEYS.items()
        if name not in REPEATED
    ),
    *(
        Case(f"x[{name}] = number", _Written(key), (_X, 2.5), name not in WHOLE)
        for name, key in KEYS.items()
    ),
    Case("x[slice] = row", _Written((slice(1, 3), 0)), (_X, normal(6))),
    Case("i[index] = number", _Written((_ROWS, _COLUMNS)), (integers(4, 5, 6), 7)),
    # A single place between two index tensors does not part them, a slice or a new axis does.
    Case("x[:, i, 1, j]", _Read((slice(None), _PAIR, 1, _PAIR)), (_WIDE,)),
    Case("x[:, i, k, j]", _Read((slice(None), _PAIR, np.array(1), _PAIR)), (_WIDE,)),
    Case("x[:, i, :, j]", _Read((slice(None), _PAIR, slice(None), _PAIR)), (_WIDE,)),
    Case("x[:, i, None, j]", _Read((slice(None), _PAIR, None, _PAIR)), (_WIDE,)),
    Case("x[:, i, 1, j] = value", _Written((slice(None), _PAIR, 1, _PAIR)), (_WIDE, normal(2, 2))),
    Case("x[i] of integers", _Read((_ROWS, slice(None), 1)), (integers(4, 5, 6),)),
    Case("an integer tensor as index", lambda tw, x: x[int(tw.tensor(2))], (_X,)),
]
