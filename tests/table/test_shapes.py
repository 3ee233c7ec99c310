"""Shape rules agree with evaluation, primitive by primitive, and rows run without values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.table.check import Traced, about, flat, operands, rows, traced
from tests.table.row import Row, Sample, slots
from thalweg.errors import ThalwegError, TraceError
from thalweg.primitives.core import Primitive
from thalweg.tape import mode

DTYPES = (tw.float32, tw.float64, tw.int64, tw.uint8, tw.bool, tw.bfloat16)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every primitive's result is held against its shape rule; gives the names as they occur."""
    evaluate, seen = mode.interpret, []

    def interpret(
        primitive: Primitive, inputs: tuple[tw.Tensor, ...], attributes: dict[str, Any]
    ) -> Any:
        value = evaluate(primitive, inputs, attributes)
        abstract = [Traced(x._value.shape, x._value.dtype) for x in inputs]
        assert primitive.infer(*abstract, **attributes) == (value.shape, value.dtype), primitive
        hash(tuple(attributes.values()))
        seen.append(primitive.name)
        return value

    monkeypatch.setattr(mode, "interpret", interpret)
    return seen


@rows()
@pytest.mark.parametrize("dtype", [tw.float32, tw.float64], ids=str)
def test_shape_rules_agree_with_evaluation(row: Row, dtype: tw.DType, checked: list[str]) -> None:
    """Forward, backward, and backward through that."""
    for sample in row.samples:
        with about(sample):
            tensors = operands(sample, dtype)
            leaves = [tensors[i].requires_grad_() for i in slots(sample.arrays)]
            results = [y for y in flat(sample.call(row.call, tensors)) if y.requires_grad]
            if not results:
                continue
            seeds = [y.detach() for y in results]
            slopes = tw.autograd.grad(results, leaves, seeds, create_graph=True, allow_unused=True)
            for g in slopes:
                if g is not None and g.requires_grad:
                    g.sum().backward(retain_graph=True)


@rows(lambda row: "i" in row.kinds or "b" in row.kinds)
@pytest.mark.parametrize("dtype", [tw.int32, tw.bool], ids=str)
def test_shape_rules_agree_on_integers(row: Row, dtype: tw.DType, checked: list[str]) -> None:
    for sample in row.samples:
        if dtype.kind[0] in row.kinds and all(np.isfinite(a).all() for a in sample.arrays):
            with about(sample):
                sample.call(row.call, operands(sample, dtype))


def outcome(row: Row, sample: Sample, tensors: list[tw.Tensor]) -> Any:
    """Shapes and dtypes of the results, or the class of the error."""
    try:
        results = flat(sample.call(row.call, tensors))
    except ThalwegError as error:
        return type(error)
    return [(tuple(y.shape), y.dtype) for y in results]


def accepted(row: Row) -> list[tw.DType]:
    """All dtypes; of a primitive those that its callers give it."""
    if not row.name.startswith("primitives."):
        return list(DTYPES)
    return [d for d in DTYPES if d.is_storage or d.kind == "float" or d.kind[0] in row.kinds]


@rows(lambda row: not row.concrete and not row.judged)
def test_without_values_as_with_values(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every dtype, accepted or refused alike: so a row can be traced and compiled."""
    for sample in row.samples:
        for dtype in accepted(row) if slots(sample.arrays) else DTYPES[:1]:
            with about(sample):
                if not all(np.isfinite(a).all() for a in sample.arrays):
                    continue
                tensors = operands(sample, dtype)
                known = outcome(row, sample, tensors)
                with traced(monkeypatch) as unknown:
                    assert outcome(row, sample, [unknown(x) for x in tensors]) == known


@rows(lambda row: not row.concrete and row.derivatives > 0)
def test_backward_without_values(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    for sample in row.samples:
        places = slots(sample.arrays)
        if not places:
            continue
        with about(sample), traced(monkeypatch) as unknown:
            tensors = [unknown(x) for x in operands(sample, tw.float32)]
            for i in places:
                tensors[i]._requires_grad = True
            results = [y for y in flat(sample.call(row.call, tensors)) if y.requires_grad]
            for y in results:
                y.sum().backward(retain_graph=True)  # several results may have one node
            for i in places:
                g = tensors[i].grad
                assert g is None or (g.shape, g.dtype) == (tensors[i].shape, tw.float32)


@rows(lambda row: row.concrete)
def test_shapes_that_depend_on_values_cannot_be_traced(
    row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = operands(row.samples[0], tw.float32)
    with traced(monkeypatch) as unknown, pytest.raises(TraceError, match="leave this outside"):
        row.samples[0].call(row.call, [unknown(x) for x in tensors])
