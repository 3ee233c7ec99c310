"""What a batching rule did once is done again: to operands like those, and to no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.autodiff import batching
from thalweg.errors import ShapeError
from thalweg.func import vmap

X = tw.tensor(np.arange(1.0, 9.0).reshape(2, 4))
Y = tw.tensor(np.arange(8.0, 0.0, -1.0).reshape(2, 4))


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_plans", {})


@pytest.mark.parametrize(
    "use",
    [
        lambda x, y: x + y,
        lambda x, y: x * y.sum(),
        lambda x, y: tw.cat([x[1:], y.reshape(2, 2).sum(1)]),
        lambda x, y: x @ y,
        lambda x, y: x.flip(0).cumsum(0).expand(3, 4) ** 2,
        lambda x, y: x[y.argsort()],
        lambda x, y: tw.where(x > 2, X[0], y),
    ],
)
def test_the_second_time_as_the_first(use: Callable[..., tw.Tensor]) -> None:
    def twice(*given: tw.Tensor) -> list[Any]:
        return [vmap(use)(*given).numpy() for _ in range(2)]

    for given in ((X, Y), (Y, X), (X, X)):  # a single array as two operands as well
        wanted = np.stack([use(*case).numpy() for case in zip(*given, strict=True)])
        for found in twice(*given):
            assert found.tobytes() == wanted.tobytes()
    known = len(batching._plans)
    assert known > 0
    twice(Y, Y)
    assert len(batching._plans) == known
    assert all(plan.is_known for plan in batching._plans.values())


def test_numbers_that_are_equal_and_not_the_same() -> None:
    for value in (0.0, -0.0, 0.0):
        found = vmap(lambda x: F.pad(x, (1, 0), value=value))(X)  # noqa: B023 (called at once)
        assert np.signbit(found[:, 0].numpy()).tolist() == [np.signbit(value)] * 2


def test_other_dtypes_of_the_same_shapes() -> None:
    for dtype in (tw.int32, tw.int64, tw.int32):
        places = tw.tensor([[1, 0], [3, 2]], dtype=dtype)
        assert vmap(lambda x, i: x[i])(X, places).tolist() == [[2, 1], [8, 7]]
    for dtype in (tw.float64, tw.float32, tw.float64):
        assert vmap(lambda x: (x * 2).sum())(X.to(dtype)).dtype is dtype


def test_which_operand_has_cases() -> None:
    square = X[:, :2]
    for dims in ((0, None), (None, 0), (0, 0), (0, None)):
        pairs = [[square if d is None else square[k] for d in dims] for k in range(2)]
        wanted = tw.stack([x * 10 + y for x, y in pairs])
        assert vmap(lambda x, y: x * 10 + y, in_dims=dims)(square, square).equal(wanted)


def test_what_requires_a_gradient_outside() -> None:
    def weighted(w: tw.Tensor) -> tw.Tensor:
        found: tw.Tensor = vmap(lambda x: x * w)(X)
        return found.sum()

    w = tw.ones(4, dtype=tw.float64)
    weighted(w)
    weighted(w.requires_grad_()).backward()
    assert w.grad is not None
    assert w.grad.equal(X.sum(0))


def test_errors_are_in_the_shapes_seen_inside() -> None:
    for _ in range(2):
        with pytest.raises(ShapeError, match=r"\(4,\) and \(3,\) do not broadcast"):
            vmap(lambda x: x + tw.ones(3, dtype=tw.float64))(X)
