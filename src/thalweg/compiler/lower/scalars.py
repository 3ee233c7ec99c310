"""Each elementwise primitive as instructions, for one lane or many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.compiler.lower.emit import Builder, Value

__all__ = ["lower_scalar"]


def lower_scalar(
    b: Builder,
    op: str,
    operands: Sequence[Value],
    dtype: np.dtype[Any],
    attributes: Mapping[str, Any],
) -> Value:
    """The result of the elementwise primitive `op`, in the lanes of its operands.

    `dtype` is that of the result. "load", "literal", "index", "bits", "reduced" and "sum" are
    the caller's: they need addresses or loops.
    """
    raise NotImplementedError(op)
