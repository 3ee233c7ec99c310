"""Chains: which loops go on row by row, what stays within, and what comes before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import thalweg as tw
import thalweg.nn.functional as F
from tests.compiler.chaining import any_chain
from tests.compiler.passes.running import agree, arrays_for
from thalweg.compiler.hazards import check_rows
from thalweg.compiler.kernels import Chain, Kernel, Loop, Plan
from thalweg.compiler.passes import build_plan
from thalweg.compiler.passes.plan import tails
from thalweg.compiler.passes.plan.parts import divided
from thalweg.errors import TraceError


def of_softmax(x: tw.Tensor, w: tw.Tensor) -> Any:
    y = F.softmax(x, -1)
    return y, y.sum(-1) @ w


def of_exponentials(x: tw.Tensor, w: tw.Tensor) -> Any:
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e @ w, e / e.sum(-1, keepdim=True)


def normalized(x: tw.Tensor) -> tw.Tensor:
    return x * x.sum(-1, keepdim=True)


def gradients(x: tw.Tensor, w: tw.Tensor, g: tw.Tensor) -> Any:
    y, back = tw.func.vjp(lambda x, w: F.rms_norm(x, (6,), w), x, w)
    return y, *back(g)


# Of each program its kernels, of a chain with what is within in brackets.
PROGRAMS: dict[str, tuple[str, Callable[..., Any], list[tuple[int, ...]]]] = {
    "softmax": (
        "max | subtract+exp+sum | divide [v1 v2 v3]",
        lambda x: F.softmax(x, -1),
        [(16, 6)],
    ),
    "what is wanted is not within": (
        "max | subtract+exp+sum | divide [v2 v5]; contraction",
        of_exponentials,
        [(16, 6), (6, 4)],
    ),
    "rows of several axes": (
        "max | subtract+exp+sum | divide [v1 v2 v3]",
        lambda x: F.softmax(x, -1),
        [(3, 4, 5, 6)],
    ),
    "rows that an operand repeats": (
        "add+max | add+subtract+exp+sum | divide [v2 v3 v4]",
        lambda x, mask: F.softmax(x + mask, -1),
        [(4, 5, 6), (5, 6)],
    ),
    "rows of more than one axis": (
        "max | subtract+exp+sum | divide [v1 v2 v3]",
        lambda x: F.softmax(x, 1),
        [(4, 5, 6)],
    ),
    "columns are no rows": (
        "max; subtract+sum; sum",
        lambda x: ((x - x.amax(0)).sum(0), x.sum()),
        [(16, 6)],
    ),
    "a loop that sums over rows what it writes": (
        "max; subtract+exp+sum; subtract+exp+sum, joined; divide",
        lambda x: F.softmax(x, 0),
        [(16, 6)],
    ),
    "another row is read": (
        "sum; multiply",
        lambda x: x * x.sum(-1, keepdim=True).flip(0),
        [(16, 6)],
    ),
    "another row is read, of what is not written": (
        "sum | multiply [v1]",
        lambda x: x.flip(0) * x.sum(-1, keepdim=True),
        [(16, 6)],
    ),
    "what waits comes after": (
        "max | subtract+exp+sum | divide+sum [v2 v3 v4]; contraction",
        of_softmax,
        [(16, 6), (16, 4)],
    ),
    "what is waited for comes before": (
        "cumsum; sum | multiply+add [v2]",
        lambda x, u: normalized(x) + u.cumsum(0),
        [(16, 6), (16, 6)],
    ),
    "what is on the way is in the way": (
        "sum | multiply [v2]; contraction+add",
        lambda x, w: (w @ normalized(x)) + x,
        [(16, 6), (16, 16)],
    ),
    "sums over the rows": (
        "sum | multiply+sum [v1]; multiply+sum, joined",
        lambda x: normalized(x).sum(0),
        [(16, 6)],
    ),
    "a sum of everything": (
        "sum | multiply+sum [v1]; multiply+sum, joined",
        lambda x: normalized(x).sum(),
        [(16, 6)],
    ),
    "rows that no number of parts divides": (
        "sum; multiply+sum",
        lambda x: normalized(x).sum(0),
        [(13, 6)],
    ),
    "few rows": (
        "sum; multiply",
        normalized,
        [(1, 6)],
    ),
}


def planned(fn: Callable[..., Any], shapes: list[tuple[int, ...]]) -> Plan:
    """The plan, which has been run against the interpreter."""
    graph = tw.trace(fn, *(tw.randn(*shape) for shape in shapes))
    return agree(graph, arrays_for(graph), {})


def shown(plan: Plan) -> str:
    return "; ".join(_shown(kernel) for kernel in plan.kernels)


def _shown(kernel: Kernel) -> str:
    within = kernel.within if isinstance(kernel, Chain) else ()
    return kernel.label + (f" [{' '.join(map(repr, within))}]" if within else "")


def test_tails_of_short_rows_are_loops_over_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    with any_chain(short=30):
        monkeypatch.setattr(tails, "_WORTH", 1)
        plan = planned(lambda x: F.log_softmax(x, -1), [(60, 10)])
    assert shown(plan) == (
        "max | subtract+exp+sum+log | subtract+exp+sum+log, rows | subtract [v1 v2 v4 v4.0]"
    )
    (chain,) = plan.kernels
    assert isinstance(chain, Chain)
    assert [loop.space for loop in chain.loops] == [(30, 2, 10), (30, 2, 10), (30, 2), (30, 2, 10)]


@pytest.mark.parametrize("name", PROGRAMS)
def test_plan(name: str) -> None:
    wanted, fn, shapes = PROGRAMS[name]
    with any_chain():
        assert shown(planned(fn, shapes)) == wanted


@pytest.mark.parametrize(("shape", "rows"), [((24, 6), 6), ((4, 9, 5), 9), ((7, 3), None)])
def test_short_rows_are_taken_together(shape: tuple[int, ...], rows: int | None) -> None:
    """Four of 6 points are one of 24, four of 5 one of 20; of 7 rows only all would be."""
    with any_chain(short=10):
        plan = planned(lambda x: F.softmax(x, -1), [shape])
    assert [k.rows for k in plan.kernels if isinstance(k, Chain)] == ([rows] if rows else [])


def test_text() -> None:
    with any_chain():
        plan = planned(lambda x: normalized(x).sum(0), [(16, 6)])
    assert plan.arena == 8 * 6 * 4
    assert (
        str(plan)
        == """\
inputs x0: f32[96]

kernel 0: sum | multiply+sum
    16 rows, a few at a time, within v1
      kernel 0: sum
          for i < 16
            over j < 6
              0: f32 = x0[6 i + j]
            r0: f32 = sum of 0
            1: f32 = r0
            v1[i] = 1
      kernel 1: multiply+sum
          for i < 8, k < 6
            over j < 2
              0: f32 = x0[12 i + 6 j + k]
              1: f32 = v1[2 i + j]
              2: f32 = multiply 0 1
            r0: f32 = sum of 2
            3: f32 = r0
            out0.0[6 i + k] = 3

kernel 1: multiply+sum, joined
    for j < 6
      over i < 8
        0: f32 = out0.0[6 i + j]
      r0: f32 = sum of 0
      1: f32 = r0
      out0[j] = 1

outputs out0[6]
arena 192 bytes"""
    )


def test_both_ways_through_a_norm_are_one_chain() -> None:
    with any_chain():
        plan = planned(gradients, [(16, 6), (6,), (16, 6)])
    chain, joined = plan.kernels
    assert isinstance(chain, Chain)
    assert isinstance(joined, Loop)
    assert joined.label.endswith("+sum, joined")


def test_a_state_may_be_written_where_it_was_read() -> None:
    def step(x: tw.Tensor) -> tw.Tensor:
        return normalized(x)

    graph = tw.trace(step, tw.randn(16, 6))
    with any_chain():
        plan = agree(graph, arrays_for(graph), {0: 0})
    assert shown(plan) == "sum | multiply [v1]"


def test_small_loops_are_left_alone() -> None:
    plan = planned(normalized, [(16, 6)])
    assert shown(plan) == "sum; multiply"


def test_a_chain_in_a_loop() -> None:
    def step(carry: tw.Tensor, x: tw.Tensor) -> Any:
        after = F.softmax(carry + x, -1)
        return after, after.sum()

    graph = tw.trace(lambda c, xs: tw.scan(step, c, xs), tw.randn(16, 6), tw.randn(3, 16, 6))
    with any_chain():
        plan = agree(graph, arrays_for(graph), {})
    (repeat,) = (kernel for kernel in plan.kernels if hasattr(kernel, "count"))
    assert any(isinstance(kernel, Chain) for kernel in repeat.kernels)


def test_an_address_at_another_row_is_seen() -> None:
    with any_chain():
        (chain,) = planned(normalized, [(16, 6)]).kernels
    assert isinstance(chain, Chain)
    check_rows(chain)
    first, second = chain.loops
    load = second.body[1]
    first_row = replace(load.attributes["access"], strides=(0, 0))
    other = replace(load, attributes={"access": first_row})
    wrong = replace(second, body=(second.body[0], other, *second.body[2:]))
    with pytest.raises(TraceError, match="at another row"):
        check_rows(replace(chain, loops=(first, wrong)))


def test_an_axis_divided() -> None:
    with any_chain():
        plan = planned(lambda x: normalized(x).exp(), [(16, 6)])
    (chain,) = plan.kernels
    assert isinstance(chain, Chain)
    loop = divided(chain.loops[1], 0, 4)
    assert loop.space == (4, 4, 6)
    assert loop.stores[0].access.strides == (24, 6, 1)


def test_plans_are_the_same_again() -> None:
    graph = tw.trace(gradients, tw.randn(16, 6), tw.randn(6), tw.randn(16, 6))
    with any_chain():
        assert str(build_plan(graph, {})) == str(build_plan(graph, {}))
