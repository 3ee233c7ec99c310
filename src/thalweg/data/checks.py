"""What must hold of the numbers a network is given, checked once, where they enter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from thalweg.errors import DataError

__all__ = ["check_finite", "check_inputs", "check_label_range", "check_targets", "describe"]

Array = npt.NDArray[Any]


def describe(array: Any) -> str:
    """Shape and element type in a few words, for a message: "float32 (3, 4)"."""
    return f"{array.dtype} {array.shape}"


def check_finite(array: Array, what: str) -> None:
    """Raise `DataError` with the first index and the count where `array` is NaN or infinite.

    >>> check_finite(np.array([[1.0, np.nan], [np.inf, 2.0]]), "train")
    Traceback (most recent call last):
    thalweg.errors.DataError: train: nan at index (0, 1), 2 of 4 values are NaN or infinite. ...
    """
    if array.dtype.kind != "f" or not array.size:
        return
    if np.isfinite(array.min()) and np.isfinite(array.max()):  # NaN passes through both
        return
    bad = ~np.isfinite(array)
    first = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), array.shape))
    raise DataError(
        f"{what}: {array[first]} at index {first}, {int(bad.sum())} of {array.size} values are NaN "
        "or infinite. Fill them in or leave those rows out: one such value spoils every parameter"
    )


def check_inputs(x: Array, where: str) -> None:
    """Raise `DataError` unless `x` holds at least one example of finite numbers, examples first."""
    if x.ndim == 0:
        raise DataError(f"{where}: the inputs are one number; expected (examples, ...)")
    if x.shape[0] == 0:
        raise DataError(
            f"{where} is empty: its inputs are {describe(x)}; expected at least one example"
        )
    if 0 in x.shape:
        raise DataError(f"{where}: the inputs are {describe(x)}: an example holds no numbers")
    if x.dtype.kind not in "fiub":
        raise DataError(f"{where}: the inputs are {describe(x)}; expected numbers")
    check_finite(x, f"{where}: inputs")


def check_targets(y: Array, examples: int, where: str) -> None:
    """Raise `DataError` unless `y` holds N = `examples` int64 labels, or finite floats (N, ...)."""
    if y.ndim == 0 or y.shape[0] != examples:
        have = f"{y.shape[0]} targets" if y.ndim else "one target"
        raise DataError(f"{where}: {examples} inputs but {have}; expected one target an input")
    if y.dtype.kind == "f":
        check_finite(y, f"{where}: targets")
        return
    if y.dtype != np.int64:
        raise DataError(
            f"{where}: the targets are {describe(y)}; expected labels of int64, one an example, "
            "or numbers of float32. Convert them, for example y.astype(numpy.int64)"
        )
    if y.ndim != 1:
        raise DataError(
            f"{where}: the labels are {describe(y)}; expected ({examples},), numbers of classes. "
            "From one-hot rows take y.argmax(1); from a column take y[:, 0]"
        )
    _refuse(
        y, lambda labels: labels < 0, f"{where}: negative labels", "classes are numbered from 0"
    )


def check_label_range(y: Array, classes: int, where: str) -> None:
    """Raise `DataError` unless every label is below `classes`."""
    fix = f"with {classes} classes the labels are 0 to {classes - 1}"
    _refuse(y, lambda labels: labels >= classes, f"{where}: labels out of range", fix)


def _refuse(y: Array, test: Callable[[Array], Array], what: str, fix: str) -> None:
    bad = test(y)
    if bad.any():
        first = int(bad.argmax())
        raise DataError(f"{what}: {y[first]} at index {first}, {int(bad.sum())} of {len(y)}; {fix}")
