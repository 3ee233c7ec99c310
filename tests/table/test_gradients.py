"""First and second derivatives of every row, by central differences in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import thalweg as tw
from tests.table.check import about, filled, flat, operands, rows
from tests.table.row import DERIVATIVE, Row, Sample, slots
from thalweg.autograd import gradcheck, gradgradcheck


def inputs(sample: Sample) -> list[tw.Tensor]:
    tensors = operands(sample, tw.float64)
    for i in slots(sample.arrays):
        tensors[i].requires_grad_()
    return tensors


def smooth(row: Row) -> list[Sample]:
    return [s for s in row.samples if s.smooth and slots(s.arrays)]


def function(row: Row, sample: Sample) -> Callable[..., list[tw.Tensor]]:
    """The row's function, without the results that are indices."""

    def call(*tensors: tw.Tensor) -> list[tw.Tensor]:
        return [y for y in flat(sample.call(row.call, tensors)) if y.is_floating_point()]

    return call


@rows(lambda row: row.derivatives > 0 and bool(smooth(row)))
def test_first_derivative(row: Row) -> None:
    for sample in smooth(row):
        with about(sample):
            assert gradcheck(function(row, sample), inputs(sample), **DERIVATIVE)


@rows(lambda row: row.derivatives > 1 and bool(smooth(row)))
def test_second_derivative(row: Row) -> None:
    for sample in smooth(row)[:4]:
        with about(sample):
            assert gradgradcheck(function(row, sample), inputs(sample), **DERIVATIVE)


@rows(lambda row: row.derivatives > 0 and bool(smooth(row)))
def test_gradients_have_the_shape_and_dtype_of_their_tensors(row: Row) -> None:
    for sample in smooth(row):
        with about(sample):
            gradients = {}
            for dtype in (tw.float32, tw.float64):
                tensors = operands(sample, dtype)
                for i in slots(sample.arrays):
                    tensors[i] = tw.tensor(filled(sample, tw.float32)[i], dtype=dtype)
                    tensors[i].requires_grad_()
                results = [y for y in flat(sample.call(row.call, tensors)) if y.is_floating_point()]
                sum((y.sum() for y in results), start=tw.zeros(())).backward()
                gradients[dtype] = [tensors[i].grad for i in slots(sample.arrays)]
                for i, g in zip(slots(sample.arrays), gradients[dtype], strict=True):
                    assert g is not None
                    assert (g.shape, g.dtype) == (tensors[i].shape, dtype)
            for single, double in zip(*gradients.values(), strict=True):
                np.testing.assert_allclose(single.numpy(), double.numpy(), rtol=1e-3, atol=1e-4)


@rows(lambda row: row.derivatives == 0)
def test_what_has_no_derivative_is_not_recorded(row: Row) -> None:
    for sample in row.samples:
        with about(sample):
            assert not any(y.requires_grad for y in flat(sample.call(row.call, inputs(sample))))
