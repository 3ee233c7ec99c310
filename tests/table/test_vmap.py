"""`vmap` of every row: cases along any dimension of operands and results, within another `vmap`, of
none and of one; and `linearize`, beside `jvp`.

`test_transforms.py` has cases in front, for every choice of operands that have some.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

import thalweg as tw
from tests.table.check import about, flat, operands, rows
from tests.table.row import Row, Sample, slots
from thalweg.func import jvp, linearize, vmap

Cases = list[list[tw.Tensor]]
Dims = tuple[int | None, int | None]
Function = Callable[..., list[tw.Tensor]]
BATCHED = rows(
    lambda row: (
        row.name != "primitives.random_bits"
        and not row.concrete
        and any(sample.arrays for sample in row.samples)
    )
)


def looked_at(row: Row) -> list[Sample]:
    """A few samples: those with most dimensions, and one of another kind."""
    largest = sorted(
        (s for s in row.samples if s.arrays), key=lambda s: -max(a.ndim for a in s.arrays)
    )
    return largest[:1] + [s for s in largest[-1:] if s is not largest[0]]


def variants(row: Row, sample: Sample) -> Cases:
    """Operands of several cases: the slots differ, indices and labels are the same."""
    first = operands(sample, tw.float64)
    turned = [x.flip(tuple(range(x.ndim))) if x.ndim else x for x in first]
    places = slots(sample.arrays)
    return [first, [turned[i] if i in places else x for i, x in enumerate(first)]]


def called(row: Row, sample: Sample) -> Function:
    return lambda *xs: flat(sample.call(row.call, xs))


def agree(found: Sequence[tw.Tensor], each: Sequence[Sequence[tw.Tensor]], dim: int) -> None:
    """What was found is the results of cases, stacked along a dimension."""
    for y, *wanted in zip(found, *each, strict=True):
        assert y.dtype is wanted[0].dtype
        stacked = np.stack([w.numpy() for w in wanted], dim)
        np.testing.assert_allclose(y.numpy(), stacked, rtol=1e-9, atol=1e-10)


@BATCHED
@pytest.mark.parametrize("turn", [0, 1, 2])
def test_cases_along_any_dimension(row: Row, turn: int) -> None:
    """The last, the second where there is one, none; each operand in its turn."""
    for sample in looked_at(row):
        with about(sample):
            cases = variants(row, sample)
            dims = [(-1, min(1, x.ndim), None)[(k + turn) % 3] for k, x in enumerate(cases[0])]
            if not any(d is not None for d in dims):
                continue
            pairs = list(zip(*cases, dims, strict=True))
            given = [a if d is None else tw.stack([a, b], d) for a, b, d in pairs]
            call = called(row, sample)
            second = call(*(a if d is None else b for a, b, d in pairs))
            out = (-1, 1, 0)[turn] if all(y.ndim for y in second) else -1
            found = vmap(call, in_dims=tuple(dims), out_dims=out)(*given)
            agree(found, [call(*cases[0]), second], out)


@BATCHED
def test_cases_of_cases(row: Row) -> None:
    """Some operands have cases outside, some inside, some both: two outside, three inside."""
    for sample in looked_at(row):
        with about(sample):
            cases, call = variants(row, sample), called(row, sample)
            dims = [((0, None, -1)[k % 3], (-1, 0, None)[k % 3]) for k in range(len(cases[0]))]
            outer, inner = zip(*dims, strict=True)
            found = vmap(vmap(call, in_dims=inner), in_dims=outer)(*nested(cases, dims))
            lines = [[call(*at(cases, dims, i, j)) for j in range(3)] for i in range(2)]
            for number, y in enumerate(found):
                wanted = np.stack([np.stack([r[number].numpy() for r in line]) for line in lines])
                np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-9, atol=1e-10)


def at(cases: Cases, dims: Sequence[Dims], i: int, j: int) -> list[tw.Tensor]:
    """The operands of case i outside and j inside."""
    own = [(i * (outer is not None) + j * (inner is not None)) % 2 for outer, inner in dims]
    return [cases[which][k] for k, which in enumerate(own)]


def nested(cases: Cases, dims: Sequence[Dims]) -> list[tw.Tensor]:
    """The operands of all cases of cases."""
    given = []
    for k, (outer, inner) in enumerate(dims):
        lines = [[at(cases, dims, i, j)[k] for j in range(3)] for i in range(2)]
        rows = [line[0] if inner is None else tw.stack(line, inner) for line in lines]
        given.append(rows[0] if outer is None else tw.stack(rows, outer))
    return given


@BATCHED
def test_no_case_and_one(row: Row) -> None:
    for sample in looked_at(row):
        with about(sample):
            first, call = operands(sample, tw.float64), called(row, sample)
            wanted = call(*first)
            one = vmap(call, in_dims=-1)(*(x.unsqueeze(-1) for x in first))
            agree(one, [wanted], 0)
            none = vmap(call)(*(x.new_zeros((0, *x.shape)) for x in first))
            assert [(tuple(y.shape), y.dtype) for y in none] == [
                ((0, *w.shape), w.dtype) for w in wanted
            ]


@rows(lambda row: row.derivatives > 0 and any(s.smooth and slots(s.arrays) for s in row.samples))
def test_linearize_is_forward_mode(row: Row) -> None:
    """And the same in cases."""
    for sample in [s for s in looked_at(row) if s.smooth and slots(s.arrays)]:
        with about(sample):
            places, tensors = slots(sample.arrays), operands(sample, tw.float64)
            call = called(row, sample)

            def f(*xs: tw.Tensor) -> list[tw.Tensor]:
                given = list(tensors)  # noqa: B023
                for i, x in zip(places, xs, strict=True):  # noqa: B023
                    given[i] = x
                return [y for y in call(*given) if y.is_floating_point()]  # noqa: B023

            points = [tensors[i] for i in places]
            ways = [x.flip(tuple(range(x.ndim))) * 0.5 + 0.25 if x.ndim else x for x in points]
            value, wanted = jvp(f, points, ways)
            again, push = linearize(f, *points)
            for a, b in zip([*again, *push(*ways)], [*value, *wanted], strict=True):
                np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-8, atol=1e-9)
            if not row.concrete:
                both = vmap(lambda *ts: jvp(f, points, ts)[1])(*(tw.stack([t, -t]) for t in ways))  # noqa: B023
                for a, b in zip(both, wanted, strict=True):
                    found = np.stack([b.numpy(), -b.numpy()])
                    np.testing.assert_allclose(a.numpy(), found, rtol=1e-8, atol=1e-9)
