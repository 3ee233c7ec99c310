"""In-place spellings: a name gets a new value, and nothing that was saved is overwritten."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import thalweg as tw
from tests.table.cases import TABLE
from tests.table.check import flat, operands
from tests.table.row import Row, Sample, slots
from thalweg.errors import DTypeError, GradientError, ShapeError

# --- every spelling is its method's ---------------------------------------------------------------

SPELLED = [row for row in TABLE if hasattr(tw.Tensor, f"{row.name.removeprefix('Tensor.')}_")]


def samples(row: Row) -> list[Sample]:
    """Those whose result has the shape and dtype of the first operand."""
    fitting = []
    for sample in row.samples:
        tensors = operands(sample, tw.float64)
        (first, *rest) = flat(sample.call(row.call, tensors))
        if not rest and (first.shape, first.dtype) == (tensors[0].shape, tensors[0].dtype):
            fitting.append(sample)
    return fitting


@pytest.mark.parametrize("row", SPELLED, ids=[row.name for row in SPELLED])
def test_like_the_method(row: Row) -> None:
    method = getattr(tw.Tensor, f"{row.name.removeprefix('Tensor.')}_")
    for sample in samples(row):
        if 0 not in slots(sample.arrays):
            continue
        leaf, *others = operands(sample, tw.float64)
        if row.name.startswith(("index_", "scatter")):
            continue  # their rows call with operands in another order; below
        expected = sample.call(row.call, [leaf, *others])
        x = leaf.requires_grad_() * 1
        assert sample.call(method, [x, *others]) is x
        assert np.array_equal(x.detach().numpy(), expected.detach().numpy(), equal_nan=True)


def test_scattered_spellings() -> None:
    index, source = tw.tensor([[0, 2]]), tw.tensor([[5.0, 7.0]])
    x = tw.zeros(1, 3)
    assert x.scatter_(1, index, source).tolist() == [[5, 0, 7]]
    assert x.scatter_(1, index, 1.0).tolist() == [[1, 0, 1]]
    assert x.scatter_add_(1, index, source).tolist() == [[6, 0, 8]]
    assert x.index_add_(1, tw.tensor([1]), tw.tensor([[3.0]])).tolist() == [[6, 3, 8]]
    assert x.index_fill_(1, tw.tensor([0]), 9).tolist() == [[9, 3, 8]]
    assert x.index_copy_(1, tw.tensor([2]), tw.tensor([[4.0]])).tolist() == [[9, 3, 4]]


def test_every_spelling_has_a_method_or_stands_alone() -> None:
    spelled = {n for n in dir(tw.Tensor) if n.endswith("_") and not n.startswith("_")}
    alone = {n for n in spelled if not hasattr(tw.Tensor, n[:-1])}
    assert alone == {"copy_", "fill_", "normal_", "uniform_", "zero_"}


# --- the value belongs to the name ----------------------------------------------------------------


def test_no_other_tensor_changes() -> None:
    x = tw.tensor([[1.0, 2.0], [3.0, 4.0]])
    others = [x.detach(), x.flatten(), x[1:], x.T, x.expand(2, 2, 2), x.clone(), x.unsqueeze(0)]
    before = [y.tolist() for y in others]
    x.mul_(10)
    x[0] = -1
    assert x.tolist() == [[-1, -1], [30, 40]]
    assert [y.tolist() for y in others] == before


def test_two_names_of_one_tensor() -> None:
    x = y = tw.tensor([1.0])
    x += 1
    assert y.tolist() == [2]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda x: x.__iadd__(2), 8),
        (lambda x: x.__isub__(2), 4),
        (lambda x: x.__imul__(2), 12),
        (lambda x: x.__itruediv__(4), 1.5),
        (lambda x: x.__ifloordiv__(4), 1),
        (lambda x: x.__imod__(4), 2),
        (lambda x: x.__ipow__(2), 36),
    ],
)
def test_augmented_assignment(change: Callable[[tw.Tensor], tw.Tensor], expected: float) -> None:
    x = tw.tensor(6.0)
    assert change(x) is x
    assert x.item() == expected


def test_augmented_logic() -> None:
    x = tw.tensor([True, False])
    y = x
    x &= tw.tensor([True, True])
    x |= tw.tensor([False, True])
    x ^= True
    assert y is x
    assert x.tolist() == [False, False]


def test_copy_fill_zero() -> None:
    x = tw.zeros(2, 2)
    assert x.copy_(tw.tensor([1, 2])).tolist() == [[1, 2], [1, 2]]
    assert x.fill_(3).tolist() == [[3, 3], [3, 3]]
    assert x.zero_().tolist() == [[0, 0], [0, 0]]
    assert x.masked_fill_(tw.eye(2) > 0, 5).tolist() == [[5, 0], [0, 5]]
    assert x.lerp_(tw.ones(2, 2), 0.5).tolist() == [[3, 0.5], [0.5, 3]]
    assert x.dtype is tw.float32


# --- shapes and dtypes stay -----------------------------------------------------------------------


def test_the_shape_stays() -> None:
    x = tw.ones(2)
    with pytest.raises(ShapeError, match=r"\(3, 2\).*keeps its shape \(2,\)"):
        x += tw.ones(3, 2)
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        x.copy_(tw.ones(3))
    assert x.tolist() == [1, 1]


def test_the_dtype_stays() -> None:
    x = tw.ones(2)
    x += tw.ones(2, dtype=tw.float64)
    assert x.dtype is tw.float32
    n = tw.ones(2, dtype=tw.int64)
    with pytest.raises(DTypeError, match=r"float32.*keeps its dtype thalweg.int64"):
        n += 0.5
    with pytest.raises(DTypeError, match="float32"):
        n /= 2
    with pytest.raises(DTypeError, match="int64"):
        tw.ones(2, dtype=tw.bool).add_(1)
    n += True
    assert (n.dtype, n.tolist()) == (tw.int64, [2, 2])


# --- and the tape follows -------------------------------------------------------------------------


def test_what_was_saved_cannot_be_overwritten() -> None:
    """PyTorch: 'modified by an inplace operation'."""
    x = tw.tensor([1.0, 2.0], requires_grad=True)
    h = x * 1
    y = h.exp()
    z = y * y
    y.zero_()
    h.mul_(100)
    z.sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), 2 * np.exp([2.0, 4.0]), rtol=1e-6)


def test_a_saved_leaf_may_be_updated_before_backward() -> None:
    w = tw.tensor(3.0, requires_grad=True)
    loss = w * w
    with tw.no_grad():
        w.fill_(100.0)
    loss.backward()
    assert w.grad.item() == 6


def test_gradients_flow_through() -> None:
    x = tw.tensor([1.0, 2.0], requires_grad=True)
    h = x * 2
    h += x
    h *= h
    h.sum().backward()
    assert x.grad.tolist() == [18, 36]


def test_a_tensor_becomes_part_of_a_graph() -> None:
    x = tw.tensor(3.0, requires_grad=True)
    total = tw.zeros(())
    for _ in range(3):
        total += x * x
    total.backward()
    assert x.grad.item() == 18


def test_copying_a_leaf_in_passes_its_gradient() -> None:
    x = tw.tensor([1.0, 2.0], requires_grad=True)
    h = tw.zeros(2)
    h.copy_(x)
    (h * 3).sum().backward()
    assert not h.is_leaf
    assert x.grad.tolist() == [3, 3]


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.add_(1),
        lambda w: w.zero_(),
        lambda w: w.__setitem__(0, 1.0),
        lambda w: w.__isub__(0.1),
        lambda w: w.normal_(),
    ],
)
def test_a_leaf_that_requires_a_gradient(change: Callable[[tw.Tensor], object]) -> None:
    w = tw.ones(2, requires_grad=True)
    with pytest.raises(GradientError, match=r"leaf.*with tw.no_grad\(\)"):
        change(w)
    assert w.tolist() == [1, 1]
    with tw.no_grad():
        change(w)
    assert w.requires_grad
    assert w.is_leaf


def test_data_writes_through() -> None:
    w = tw.ones(2, requires_grad=True)
    w.data -= 0.5
    w.data[0] = 7
    w.data.mul_(2)
    assert (w.tolist(), w.requires_grad, w.is_leaf) == ([14, 1], True, True)
    w.data = tw.zeros(3)
    assert w.tolist() == [0, 0, 0]
    assert not (w.data * 2).requires_grad


def test_data_of_a_gradient() -> None:
    w = tw.ones(2, requires_grad=True)
    (w * w).sum().backward()
    w.grad.data.zero_()
    assert w.grad.tolist() == [0, 0]


def test_an_update_by_hand() -> None:
    w = tw.tensor([1.0, -1.0], requires_grad=True)
    for _ in range(20):
        (w * w).sum().backward()
        with tw.no_grad():
            w -= 0.25 * w.grad
            w.grad.zero_()
    assert w.abs().max().item() < 1e-5
