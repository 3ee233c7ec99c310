"""What the tests of the table share: filling slots, comparing, tracing without values."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.table.cases import TABLE
from tests.table.row import TOLERANCE, Array, Row, Sample, slots
from thalweg.dtypes import promote_types
from thalweg.primitives.core import Primitive
from thalweg.tape import mode, wrap

__all__ = [
    "Traced",
    "about",
    "compare",
    "expected",
    "filled",
    "flat",
    "operands",
    "promoted",
    "rows",
    "traced",
]


def rows(holds: Callable[[Row], bool] = lambda row: True) -> Any:
    """A test for each row of the table for which `holds`."""
    chosen = [row for row in TABLE if holds(row)]
    return pytest.mark.parametrize("row", chosen, ids=[row.name for row in chosen])


@contextlib.contextmanager
def about(sample: Sample) -> Iterator[None]:
    """Tells a failure which sample it was."""
    try:
        yield
    except Exception as error:
        error.add_note(f"sample: {sample}")
        raise


def filled(sample: Sample, dtype: tw.DType) -> list[Array]:
    """The sample's arrays, the slots as numbers that `dtype` holds, in float64, int64 or bool."""
    arrays = list(sample.arrays)
    for i in slots(arrays):
        if dtype is tw.bool:
            arrays[i] = arrays[i] > 0
        elif dtype.kind == "integer":
            whole = np.rint(arrays[i] * 8).astype(np.int64)
            arrays[i] = np.abs(whole) if dtype is tw.uint8 else whole
        elif dtype is tw.float32:
            arrays[i] = arrays[i].astype(np.float32).astype(np.float64)
    return arrays


def operands(sample: Sample, dtypes: tw.DType | Sequence[tw.DType]) -> list[tw.Tensor]:
    """The sample's tensors, slots in `dtypes`: one for all, or one each."""
    places = slots(sample.arrays)
    each = [dtypes] * len(places) if isinstance(dtypes, tw.DType) else list(dtypes)
    chosen = dict(zip(places, each, strict=True))
    return [
        tw.tensor(filled(sample, chosen[i])[i], dtype=chosen[i]) if i in chosen else tw.tensor(a)
        for i, a in enumerate(sample.arrays)
    ]


def promoted(tensors: Sequence[tw.Tensor], sample: Sample) -> tw.DType:
    """The dtype the slots promote to; of all operands if there are none."""
    places = slots(sample.arrays) or range(len(tensors))
    dtypes = [tensors[i].dtype for i in places] or [tw.get_default_dtype()]
    return reduce(promote_types, dtypes)


def flat(result: Any) -> list[Any]:
    """A result, or several, as a list."""
    return list(result) if isinstance(result, tuple | list) else [result]


def expected(row: Row, sample: Sample, arrays: Sequence[Array]) -> list[Array]:
    """The oracle's results; what computes in floating point is given floats, not integers."""
    if row.result == "float":
        arrays = [a.astype(float) if i in slots(sample.arrays) else a for i, a in enumerate(arrays)]
    with np.errstate(all="ignore"):
        return [np.asarray(a) for a in flat(sample.call(row.oracle, arrays))]


def compare(row: Row, got: Any, wanted: list[Array], dtype: tw.DType) -> None:
    """Shapes, dtypes and values; indices that come with values are int64."""
    got = flat(got)
    assert len(got) == len(wanted)
    for position, (tensor, oracle) in enumerate(zip(got, wanted, strict=True)):
        is_index = position > 0 and row.indexed
        kind = tw.int64 if is_index else dtype
        assert (tuple(tensor.shape), tensor.dtype) == (oracle.shape, kind)
        values = tensor.detach().numpy()
        if row.exact or kind not in TOLERANCE:
            wanted_values = oracle.astype(values.dtype)
            assert np.array_equal(values, wanted_values, equal_nan=kind in TOLERANCE)
        else:
            np.testing.assert_allclose(values, oracle, **TOLERANCE[kind], equal_nan=True)


class Traced:
    """A value of which only shape and dtype are known, as in a trace."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = tuple(shape), dtype

    def __repr__(self) -> str:
        return f"Traced({self.shape}, {self.dtype})"


@contextlib.contextmanager
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[tw.Tensor], tw.Tensor]]:
    """Nothing is evaluated: primitives give what their shape rules say."""

    def interpret(
        primitive: Primitive, inputs: tuple[tw.Tensor, ...], attributes: dict[str, Any]
    ) -> Traced:
        hash(tuple(attributes.values()))
        return Traced(*primitive.infer(*(x._value for x in inputs), **attributes))

    with monkeypatch.context() as patch:
        patch.setattr(mode, "interpret", interpret)
        patch.setattr(mode, "trace", SimpleNamespace(touch=id, guard=lambda *_: None))
        yield lambda x: wrap(Traced(x._value.shape, x._value.dtype))
