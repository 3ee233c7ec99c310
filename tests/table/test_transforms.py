"""Forward mode of every row by central differences in float64, and batching against a loop."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.table.check import about, flat, operands, rows
from tests.table.row import DERIVATIVE, Row, Sample, slots
from thalweg.errors import TransformError
from thalweg.func import grad, jvp, vmap
from thalweg.primitives import REGISTRY

# What has no rule in the table, and why.
NO_JVP = {name for name, row in REGISTRY.items() if row.vjp is None}
NO_BATCH = {
    "full": "no operands",
    "iota": "no operands",
    "random_bits": "what is drawn for each case is for the vmap to say",
    "item": "a scan inside a transform is one outside, of what its values are made of",
    "cond": "a cond inside a transform is one outside, or a choice between two results",
    "scan": "a scan inside a transform is one outside, of what its values are made of",
}
NO_JVP |= {"item"}  # on the tape it hands its cotangent on to the bundle


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_primitive_has_both_rules(name: str) -> None:
    row = REGISTRY[name]
    assert (row.jvp is None) == (name in NO_JVP)
    assert (row.batch is None) == (name in NO_BATCH)


def float_results(row: Row, sample: Sample) -> Callable[..., list[tw.Tensor]]:
    def call(*tensors: tw.Tensor) -> list[tw.Tensor]:
        return [y for y in flat(sample.call(row.call, tensors)) if y.is_floating_point()]

    return call


@rows(lambda row: row.derivatives > 0 and any(s.smooth and slots(s.arrays) for s in row.samples))
def test_forward_mode_against_differences(row: Row) -> None:
    for sample in [s for s in row.samples if s.smooth and slots(s.arrays)]:
        with about(sample):
            places, tensors = slots(sample.arrays), operands(sample, tw.float64)
            rng = np.random.default_rng(0)
            points = [tensors[i].numpy() for i in places]
            ways = [rng.standard_normal(x.shape) for x in points]
            call = float_results(row, sample)

            def at(values: Sequence[Any]) -> list[tw.Tensor]:
                given: list[Any] = list(tensors)  # noqa: B023
                for i, x in zip(places, values, strict=True):  # noqa: B023
                    given[i] = x if isinstance(x, tw.Tensor) else tw.tensor(x)
                return call(*given)  # noqa: B023

            _, found = jvp(
                lambda *xs: at(xs),
                tuple(tw.tensor(x) for x in points),
                tuple(tw.tensor(t) for t in ways),
            )
            eps = 1e-6
            above = at([x + eps * t for x, t in zip(points, ways, strict=True)])
            below = at([x - eps * t for x, t in zip(points, ways, strict=True)])
            for t, y1, y0 in zip(found, above, below, strict=True):
                assert t.shape == y1.shape
                high, low, slope = y1.numpy(), y0.numpy(), t.numpy()
                ends = np.isfinite(high)
                wanted = (high[ends] - low[ends]) / (2 * eps)
                np.testing.assert_allclose(slope[ends], wanted, **DERIVATIVE)


def choices(count: int) -> Iterator[tuple[bool, ...]]:
    """Which operands have cases: all of them, then each alone, then all but one."""
    every = [flags for flags in itertools.product((True, False), repeat=count) if any(flags)]
    return iter(every if count < 3 else [f for f in every if sum(f) in (1, count)])


@rows(lambda r: r.name != "primitives.random_bits" and not r.concrete and bool(r.samples[0].arrays))
def test_batching_against_a_loop(row: Row) -> None:
    for sample in row.samples:
        with about(sample):
            first = operands(sample, tw.float64)
            second = [x.flip(tuple(range(x.ndim))) if x.ndim else x for x in first]
            for flags in choices(len(first)):
                pairs = list(zip(first, second, flags, strict=True))
                given = [tw.stack([a, b]) if has else a for a, b, has in pairs]
                in_dims = tuple(0 if has else None for has in flags)
                cases = [first, [b if has else a for a, b, has in pairs]]
                wanted = [flat(sample.call(row.call, case)) for case in cases]

                def call(*xs: tw.Tensor) -> list[tw.Tensor]:
                    return flat(sample.call(row.call, xs))  # noqa: B023

                found = vmap(call, in_dims=in_dims)(*given)
                for y, *each in zip(found, *wanted, strict=True):
                    assert y.dtype is each[0].dtype
                    np.testing.assert_allclose(
                        y.numpy(), np.stack([e.numpy() for e in each]), rtol=1e-9, atol=1e-10
                    )


@rows(lambda row: row.concrete and any(s.arrays for s in row.samples))
def test_what_needs_values_says_so_inside_vmap(row: Row) -> None:
    sample = row.samples[0]
    given = [tw.stack([x, x]) for x in operands(sample, tw.float64)]
    with pytest.raises(TransformError, match="inside vmap"):
        vmap(lambda *xs: flat(sample.call(row.call, xs)))(*given)


@rows(lambda row: row.derivatives > 1 and not row.concrete)
def test_one_transform_within_another(row: Row) -> None:
    """The gradient, batched and in forward mode, against a loop and against the tape twice."""
    sample = next((s for s in row.samples if s.smooth and slots(s.arrays)), None)
    if sample is None:
        return
    places, tensors = slots(sample.arrays), operands(sample, tw.float64)
    call = float_results(row, sample)

    def loss(*xs: tw.Tensor) -> tw.Tensor:
        given = list(tensors)
        for i, x in zip(places, xs, strict=True):
            given[i] = x
        return sum(((y * y).sum() for y in call(*given)), start=tw.zeros((), dtype=tw.float64))

    numbers = tuple(range(len(places)))
    gradient = grad(loss, numbers)
    points = tuple(tensors[i] for i in places)
    others = tuple(x.flip(tuple(range(x.ndim))) if x.ndim else x for x in points)
    pairs = zip(points, others, strict=True)
    batched = vmap(gradient)(*(tw.stack([a, b]) for a, b in pairs))
    for both, a, b in zip(batched, gradient(*points), gradient(*others), strict=True):
        wanted = tw.stack([a, b]).numpy()
        np.testing.assert_allclose(both.numpy(), wanted, rtol=1e-8, atol=1e-9)
    ways = tuple(tw.ones_like(x) for x in points)
    _, forward = jvp(gradient, points, ways)
    back = grad(lambda *xs: sum(g.sum() for g in gradient(*xs)), numbers)(*points)
    for mine, twice in zip(forward, back, strict=True):
        np.testing.assert_allclose(mine.numpy(), twice.numpy(), rtol=1e-7, atol=1e-8)
