"""A symbolic interpreter: shapes and dtypes without values, as a trace will have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import thalweg as tw
from thalweg.tape import mode, wrap


class Symbol(NamedTuple):
    """A value of which only shape and dtype are known."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@pytest.fixture
def symbolic() -> Iterator[Callable[[tw.Tensor], tw.Tensor]]:
    """Nothing is computed, only shapes; the fixture makes a tensor into one without values."""
    before = mode.interpret
    mode.interpret = lambda primitive, inputs, attributes: Symbol(
        *primitive.infer(*[x._value for x in inputs], **attributes)
    )

    def without_values(x: tw.Tensor) -> tw.Tensor:
        symbol = wrap(Symbol(x._value.shape, x._value.dtype))
        return symbol.requires_grad_() if x.requires_grad else symbol

    yield without_values
    mode.interpret = before
