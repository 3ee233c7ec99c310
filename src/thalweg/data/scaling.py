"""Shift and scale: from raw numbers to those a network learns from, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from thalweg.errors import DataError

__all__ = ["Standardize"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Standardize:
    """Shift by `mean`, divide by `std`: x' = (x - mean) / std, along the last axis.

    `mean` and `std` hold one number for all, or one for each column. Pixels of 0 to 255 become
    numbers of 0 to 1 by `Standardize((0.0,), (255.0,))`; columns of a table get mean 0 and
    standard deviation 1 *in the training rows* by `Standardize.fit(train)`.

    Raises `DataError` for lengths that differ, a number that is not finite, a `std` not above 0.

    >>> ages = Standardize.fit(np.array([[20.0], [40.0], [60.0]]))
    >>> ages.apply(np.array([[40.0]]))
    array([[0.]], dtype=float32)
    >>> ages.invert(np.array([[0.0]]))
    array([[40.]])
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean:
            raise DataError(
                f"{len(self.mean)} means and {len(self.std)} standard deviations; "
                "expected as many of one as of the other"
            )
        for column, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
            if not (math.isfinite(mean) and math.isfinite(std) and std > 0):
                raise DataError(
                    f"column {column}: mean {mean} and standard deviation {std}; expected finite "
                    "numbers, the latter above 0. Give a column of huge numbers in another unit"
                )

    @classmethod
    def fit(cls, x: Array, columns: Sequence[bool] | None = None) -> Standardize:
        """Mean and standard deviation of each column of `x` (N, K), N >= 1.

        A column that holds one value only gets a `std` of 1, so that it becomes 0 instead of 0/0.
        Columns for which `columns` is False (0-or-1 indicators) are left as they are.
        """
        x = np.asarray(x, np.float64)
        if x.ndim != 2 or not len(x):
            raise DataError(f"Standardize.fit: rows (N, K) expected, N >= 1; got shape {x.shape}")
        with np.errstate(over="ignore", invalid="ignore"):
            mean, std = x.mean(0), x.std(0)
        return cls.of(mean, std, x.min(0), x.max(0), columns)

    @classmethod
    def of(
        cls, mean: Array, std: Array, low: Array, high: Array, columns: Sequence[bool] | None = None
    ) -> Standardize:
        """What `fit` gives, from each column's mean, deviation, least and largest number."""
        constant = low == high
        mean = np.where(constant, low, mean)
        std = np.where(constant | (std == 0), 1.0, std)
        if columns is not None:
            mean, std = np.where(columns, mean, 0.0), np.where(columns, std, 1.0)
        return cls(tuple(mean.tolist()), tuple(std.tolist()))

    @property
    def is_identity(self) -> bool:
        """Whether nothing is changed."""
        return all(m == 0 for m in self.mean) and all(s == 1 for s in self.std)

    def apply(self, x: Array) -> npt.NDArray[np.float32]:
        """(x - mean) / std as a new float32 array of the shape of `x` (..., K)."""
        exact = np.float32 if x.dtype in (np.uint8, np.float32) else np.float64
        mean, std = (number.astype(exact) for number in self._for(x))
        out = np.subtract(x, mean, dtype=exact) if np.any(mean) else x.astype(exact)
        np.divide(out, std, out=out)
        return out.astype(np.float32, copy=False)

    def invert(self, x: Array) -> Array:
        """x * std + mean, in float64: from the network's numbers to the raw ones."""
        mean, std = self._for(x)
        return np.asarray(x, np.float64) * std + mean

    def _for(self, x: Array) -> tuple[Array, Array]:
        if len(self.mean) > 1 and x.shape[-1:] != (len(self.mean),):
            raise DataError(
                f"an array of shape {x.shape} where {len(self.mean)} columns were expected, "
                f"(..., {len(self.mean)})"
            )
        return np.array(self.mean), np.array(self.std)

    def to_dict(self) -> dict[str, list[float]]:
        """Plain lists, for a JSON or TOML file."""
        return {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Standardize:
        """What `to_dict` gave, read back. Raises `DataError` for anything else."""
        try:
            mean = tuple(float(value) for value in plain["mean"])
            std = tuple(float(value) for value in plain["std"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"expected lists of numbers named 'mean' and 'std', got {plain!r}"
            ) from error
        return cls(mean, std)
