"""Padding in every mode, with NumPy as the oracle."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.autograd import gradcheck
from thalweg.errors import ConfigError, ShapeError

NUMPY_MODE = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@pytest.mark.parametrize("mode", NUMPY_MODE)
@pytest.mark.parametrize("dtype", [tw.float32, tw.int64])
@pytest.mark.parametrize("amounts", [(1, 2), (0, 3), (2, 1, 1, 2), (1, 1, 1, 1, 1, 1)])
def test_against_numpy(mode: str, dtype: tw.DType, amounts: tuple[int, ...]) -> None:
    x = tw.arange(60).reshape(3, 4, 5).to(dtype)
    pairs = [*zip(amounts[::2], amounts[1::2], strict=True)][::-1]
    widths = [(0, 0)] * (3 - len(pairs)) + pairs
    expected = np.pad(x.numpy(), widths, mode=NUMPY_MODE[mode])
    out = F.pad(x, amounts, mode)
    assert out.dtype is dtype
    assert out.tolist() == expected.tolist()


def test_another_constant() -> None:
    assert F.pad(tw.tensor([1.0]), (1, 2), value=7.5).tolist() == [7.5, 1, 7.5, 7.5]


def test_negative_amounts_take_away() -> None:
    x = tw.arange(5)
    assert F.pad(x, (-1, -2)).tolist() == [1, 2]
    assert F.pad(x, (-2, 1)).tolist() == [2, 3, 4, 0]
    assert F.pad(x, (-5, 0)).shape == (0,)
    assert F.pad(x, (-1, 1), "replicate").tolist() == [1, 2, 3, 4, 4]
    assert F.pad(x, (-1, 1), "circular").tolist() == [1, 2, 3, 4, 1]


def test_nothing_to_do() -> None:
    x = tw.arange(5)
    for mode in NUMPY_MODE:
        assert F.pad(x, (), mode).tolist() == x.tolist()
        assert F.pad(x, (0, 0), mode).tolist() == x.tolist()


@pytest.mark.parametrize("mode", NUMPY_MODE)
def test_derivatives(mode: str) -> None:
    x = tw.randn(3, 4, dtype=tw.float64).requires_grad_()
    assert gradcheck(lambda x: F.pad(x, (2, 1, 1, 0), mode).square(), x)
    assert gradcheck(lambda x: F.pad(x, (-1, 2), mode).square(), x)


@pytest.mark.parametrize(
    ("amounts", "mode", "message"),
    [
        ((1,), "constant", "1 amounts for shape"),
        ((1, 1, 1, 1), "constant", "at most 1 dimensions"),
        ((-2, -2), "constant", "leave nothing of dimension 0"),
        ((3, 0), "reflect", "reflect has 2 elements to take from"),
        ((0, 4), "circular", "circular has 3 elements to take from"),
    ],
)
def test_amounts_that_do_not_fit(amounts: tuple[int, ...], mode: str, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        F.pad(tw.ones(3), amounts, mode)


def test_there_is_nothing_to_repeat_in_an_empty_tensor() -> None:
    with pytest.raises(ShapeError, match="replicate has 0 elements"):
        F.pad(tw.ones(0), (1, 0), "replicate")
    assert F.pad(tw.ones(0), (1, 0)).tolist() == [0]


def test_modes_and_values_that_do_not_exist() -> None:
    with pytest.raises(ConfigError, match="did you mean 'reflect'"):
        F.pad(tw.ones(3), (1, 1), "refelct")
    with pytest.raises(ConfigError, match="value is for the constant mode"):
        F.pad(tw.ones(3), (1, 1), "reflect", 2.0)
