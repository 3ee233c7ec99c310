"""Embedding and one-hot vectors."""

from __future__ import annotations

import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.autograd import gradcheck, gradgradcheck
from thalweg.errors import ConfigError, DTypeError, OutOfRangeError, ShapeError


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
@pytest.mark.parametrize("dtype", [tw.uint8, tw.int32, tw.int64])
def test_rows_by_number(shape: tuple[int, ...], dtype: tw.DType) -> None:
    weight = tw.randn(5, 4)
    index = tw.randint(0, 5, shape, dtype=dtype)
    out = F.embedding(index, weight)
    assert out.shape == (*shape, 4)
    assert out.tolist() == weight[index.long()].tolist()


def test_a_row_named_twice_gets_both_gradients() -> None:
    weight = tw.zeros(4, 2, requires_grad=True)
    F.embedding(tw.tensor([[1, 3], [1, 1]]), weight).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[0, 0], [3, 3], [0, 0], [1, 1]]


@pytest.mark.parametrize("padding_idx", [1, -3])
def test_the_padding_row_is_read_but_not_trained(padding_idx: int) -> None:
    weight = tw.tensor([[1.0], [2.0], [3.0], [4.0]], requires_grad=True)
    out = F.embedding(tw.tensor([1, 3, 1]), weight, padding_idx)
    assert out.flatten().tolist() == [2, 4, 2]
    out.sum().backward()
    assert weight.grad is not None
    assert weight.grad.flatten().tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("padding_idx", [None, 2])
def test_derivatives(padding_idx: int | None) -> None:
    index = tw.tensor([[0, 3], [3, 1]])
    weight = tw.randn(4, 3, dtype=tw.float64).requires_grad_()
    assert gradcheck(lambda w: F.embedding(index, w, padding_idx).square(), weight)
    assert gradgradcheck(lambda w: F.embedding(index, w, padding_idx).square(), weight)


@pytest.mark.parametrize("padding_idx", [None, 0])
@pytest.mark.parametrize(("index", "named"), [([[0, 1], [5, 9]], "5"), ([[0, 1], [-1, 2]], "-1")])
def test_an_index_out_of_range(padding_idx: int | None, index: list[list[int]], named: str) -> None:
    with pytest.raises(
        OutOfRangeError, match=rf"index {named} at \(1, 0\) .* from 0 to 4\. num_embeddings"
    ):
        F.embedding(tw.tensor(index), tw.ones(5, 2), padding_idx)


def test_what_is_no_index_and_no_table() -> None:
    with pytest.raises(DTypeError, match=r"indices are integers, got thalweg.float32.*\.long\(\)"):
        F.embedding(tw.ones(3), tw.ones(5, 2))
    with pytest.raises(DTypeError, match="indices are integers"):
        F.embedding(tw.tensor([True, False]), tw.ones(2, 2))
    with pytest.raises(ShapeError, match=r"expected \(V, D\)"):
        F.embedding(tw.tensor([0]), tw.ones(5))
    with pytest.raises(ConfigError, match="padding_idx 5 is not one of 5 rows"):
        F.embedding(tw.tensor([0]), tw.ones(5, 2), padding_idx=5)


def test_a_last_offset_before_the_end_ends_the_last_bag() -> None:
    table, index = tw.arange(5.0).unsqueeze(-1), tw.tensor([1, 2, 3, 4])
    for mode, wanted in (("sum", [1, 5]), ("mean", [1, 2.5]), ("max", [1, 3])):
        out = F.embedding_bag(
            index, table, tw.tensor([0, 1, 3]), mode=mode, include_last_offset=True
        )
        assert out.flatten().tolist() == wanted


@pytest.mark.parametrize("offsets", [[1, 2], [0, 3, 2], [0, 5], [-1, 2], []])
def test_offsets_that_do_not_rise(offsets: list[int]) -> None:
    with pytest.raises(OutOfRangeError, match="must rise from 0 to at most 4"):
        F.embedding_bag(tw.tensor([0, 1, 2, 0]), tw.ones(3, 2), tw.tensor(offsets).long())


def test_one_hot() -> None:
    hot = F.one_hot(tw.tensor([[0, 2], [1, 0]]))
    assert hot.tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [1, 0, 0]]]
    assert hot.dtype is tw.int64
    assert F.one_hot(tw.tensor(1), 4).tolist() == [0, 1, 0, 0]
    assert F.one_hot(tw.zeros(0, dtype=tw.int64), 3).shape == (0, 3)


def test_one_hot_is_the_transpose_of_argmax() -> None:
    labels = tw.randint(0, 6, (3, 4))
    assert F.one_hot(labels, 6).argmax(-1).tolist() == labels.tolist()


@pytest.mark.parametrize(("labels", "classes"), [([0, 3], 3), ([-1, 2], 3), ([-1, 2], -1)])
def test_one_hot_of_labels_out_of_range(labels: list[int], classes: int) -> None:
    with pytest.raises(OutOfRangeError, match="3 classes are numbered 0 to 2"):
        F.one_hot(tw.tensor(labels), classes)


def test_one_hot_of_floats() -> None:
    with pytest.raises(DTypeError, match="labels are integers"):
        F.one_hot(tw.ones(2), 2)
