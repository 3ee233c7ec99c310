"""Chains as native code: against the interpreter, at all widths, on any number of threads."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
import thalweg.nn.functional as F
from tests.compiler.chaining import any_chain
from tests.compiler.native import WIDTHS, of_width
from tests.compiler.oracle import Native, difference
from tests.compiler.passes.running import arrays_for
from thalweg.compiler.interpret import interpret
from thalweg.compiler.kernels import Chain

Shapes = list[tuple[int, ...]]


def with_gradients(fn: Callable[..., tw.Tensor]) -> Callable[..., Any]:
    """`fn` and its gradients, the last argument being that of its result."""

    def both(*given: tw.Tensor) -> Any:
        *inputs, cotangent = given
        result, back = tw.func.vjp(fn, *inputs)
        return result, *back(cotangent)

    return both


def attention(q: tw.Tensor, k: tw.Tensor, v: tw.Tensor) -> tw.Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


PROGRAMS: dict[str, tuple[Callable[..., Any], Shapes]] = {
    "softmax": (lambda x: F.softmax(x, -1), [(37, 45)]),
    "softmax of short rows": (lambda x: F.softmax(x, -1), [(203, 3)]),
    "softmax of long rows": (lambda x: F.softmax(x, -1), [(6, 1030)]),
    "softmax inside": (lambda x: F.softmax(x, 1), [(9, 5, 7)]),
    "log_softmax": (with_gradients(lambda x: F.log_softmax(x, -1)), [(24, 33), (24, 33)]),
    "log_softmax of short rows": (
        with_gradients(lambda x: F.log_softmax(x, -1)),
        [(200, 7), (200, 7)],
    ),
    "layer norm of short rows": (
        with_gradients(lambda x, w, b: F.layer_norm(x, (6,), w, b)),
        [(96, 6), (6,), (6,), (96, 6)],
    ),
    "the place of the largest of short rows": (
        lambda x: ((x - x.amax(1, keepdim=True)).exp(), x.argmax(1) // 2),
        [(80, 9)],
    ),
    "layer norm": (
        with_gradients(lambda x, w, b: F.layer_norm(x, (19,), w, b)),
        [(5, 12, 19), (19,), (19,), (5, 12, 19)],
    ),
    "rms norm": (
        with_gradients(lambda x, w: F.rms_norm(x, (64,), w)),
        [(28, 64), (64,), (28, 64)],
    ),
    "attention": (with_gradients(attention), [(2, 3, 16, 8)] * 4),
    "a loss": (
        with_gradients(lambda x: F.cross_entropy(x, x.argmax(-1).flip(0)) + x.sum()),
        [(48, 11), ()],
    ),
    "the largest of columns": (
        lambda x: (x * x.sum(-1, keepdim=True)).amax(0),
        [(30, 21)],
    ),
}
WITHIN = {"float32": 2e-5, "float64": 1e-13}


def made(name: str, dtype: str, width: int, short: int = 0) -> tuple[Native, list[Any], list[Any]]:
    """A program, its arguments, and what the interpreter makes of them."""
    fn, shapes = PROGRAMS[name]
    tw.manual_seed(1)
    graph = tw.trace(fn, *(tw.randn(*shape, dtype=getattr(tw, dtype)) for shape in shapes))
    arrays = arrays_for(graph)
    with any_chain(of_width(width), short) as machine:
        native = Native(graph, {}, machine)
    assert short or any(isinstance(kernel, Chain) for kernel in native.plan.kernels)
    return native, arrays, interpret(graph, arrays)


@pytest.mark.parametrize(
    ("width", "dtype", "short"),
    [(512, "float64", 0), (256, "float32", 30), *((width, "float32", 0) for width in WIDTHS)],
)
@pytest.mark.parametrize("name", PROGRAMS)
def test_as_the_interpreter(name: str, width: int, dtype: str, short: int) -> None:
    native, arrays, wanted = made(name, dtype, width, short)
    got = native(arrays, 1)
    for result, right in zip(got, wanted, strict=True):
        scale = float(np.abs(right).max(initial=1))
        assert not difference(result, right, within=WITHIN[dtype] * scale)
    for threads in (2, 3, 8):
        other = native(arrays, threads)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(got, other, strict=True))


@pytest.mark.parametrize("name", ["softmax", "layer norm"])
def test_some_rows_at_a_time(name: str) -> None:
    """The loops over rows that fit, and what is within is smaller than its buffer."""
    native, _, _ = made(name, "float32", 512)
    chains = [
        (kernel, code)
        for kernel, code in zip(native.program.kernels, native.program.lowered, strict=True)
        if isinstance(kernel, Chain)
    ]
    for chain, code in chains:
        assert 0 < code.scratch < sum(b.size * b.dtype.itemsize for b in chain.within)
        assert code.blocks > 1


@pytest.mark.parametrize("width", WIDTHS[:2])
@pytest.mark.parametrize(
    ("fn", "shapes"),
    [PROGRAMS["rms norm"], (lambda x, y: (x * 2 + y, x.cos()), [(28, 61), (28, 61)])],
    ids=["a chain", "a loop"],
)
def test_results_may_begin_anywhere(fn: Callable[..., Any], shapes: Shapes, width: int) -> None:
    """Those that begin at a line are written past the caches."""
    graph = tw.trace(fn, *(tw.randn(*shape) for shape in shapes))
    with any_chain(of_width(width)) as machine:
        native = Native(graph, {}, machine)
    assert "!nontemporal" in native.program.llvm()
    given = arrays_for(graph)
    found = []
    for shift in (0, 1, 8):
        room = [np.zeros(math.prod(atom.shape) + 64, np.float32) for atom in graph.outputs]
        starts = [-(a.ctypes.data // 4) % 16 + shift for a in room]
        results = [a[start:] for a, start in zip(room, starts, strict=True)]
        native.program.run([a.ctypes.data for a in (*given, *results)], 2)
        assert not any(a[:start].any() for a, start in zip(room, starts, strict=True))
        sizes = [math.prod(atom.shape) for atom in graph.outputs]
        found.append([a[:size].tobytes() for a, size in zip(results, sizes, strict=True)])
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(("name", "asks"), [("softmax", 1), ("softmax of short rows", None)])
def test_the_loop_with_most_to_compute_asks_for_the_next_rows(name: str, asks: int | None) -> None:
    """Of long rows, unless it waits for memory itself."""
    native, _, _ = made(name, "float32", 512)
    (code,) = native.program.lowered
    loops = code.ir.split("define ")[1:]
    assert [n for n, text in enumerate(loops[:3]) if "@llvm.prefetch" in text] == (
        [] if asks is None else [asks]
    )


def test_a_number_that_is_none_stays_in_its_row() -> None:
    native, (x,), _ = made("softmax", "float32", 512)
    x[3, 5], x[7, 1], x[9, :] = np.nan, np.inf, -np.inf
    (got,) = native([x])
    bad = ~np.isfinite(got).all(axis=1)
    assert set(np.flatnonzero(bad)) == {3, 7, 9}
    np.testing.assert_allclose(got[~bad].sum(axis=1), 1, rtol=1e-5)


def test_an_index_out_of_range_is_told() -> None:
    labels = tw.arange(600) % 40
    loss = tw.compile(lambda x, y: F.nll_loss(F.log_softmax(x, -1), y))
    x = tw.randn(600, 300)
    loss(x, labels)
    assert any(isinstance(kernel, Chain) for kernel in loss.last.bound.plan.kernels)
    with pytest.raises(tw.errors.OutOfRangeError):
        loss(x, labels + 280)


def test_scans_give_the_bits_of_calls() -> None:
    w = tw.ones(96)

    @tw.compile
    def step(x: tw.Tensor) -> Any:
        w.add_(0.125)
        return F.layer_norm(x, (96,), w), F.softmax(x, -1)

    xs = tw.randn(3, 800, 96)
    ys = [step(x) for x in xs]
    assert step.last is not None
    assert any(isinstance(kernel, Chain) for kernel in step.last.bound.plan.kernels)
    w.fill_(1.0)
    together = step.scan(xs)
    for number, one in enumerate(ys):
        for whole, part in zip(together, one, strict=True):
            assert np.array_equal(whole[number].numpy(), part.numpy())


def test_explained_as_one_kernel() -> None:
    softmax = tw.compile(lambda x: F.softmax(x, -1))
    softmax(tw.randn(256, 512))
    (row,) = softmax.explain().rows
    assert row.operations == "max | subtract+exp+sum | divide"
    assert row.space == "256x512"
    assert row.bytes == 2 * 4 * 256 * 512
