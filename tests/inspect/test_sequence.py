"""Deck 004's "sequence of operations", printed exactly; and that what is printed is the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import thalweg as tw
from thalweg.inspect.graph import Graph
from thalweg.tape import composite

DECK = """\
t1 = w * x
z  = t1 + b
t3 = -z
t4 = exp(t3)
t5 = 1 + t4
y  = 1 / t5
t6 = y - t
t7 = t6 * t6
L  = t7 / 2"""


def leaf(value: Any) -> tw.Tensor:
    return tw.tensor(value, requires_grad=True)


def test_the_program_of_deck_004_is_printed_exactly() -> None:
    """Lines are numbered by where they stand, so z takes the 2; the deck names t6 and t7 itself."""
    w, x, b, t = leaf(0.5), tw.tensor(2.0), leaf(0.1), tw.tensor(1.0)
    z = w * x + b
    y = 1 / (1 + tw.exp(-z))
    t6 = y - t
    t7 = t6 * t6
    L = t7 / 2
    assert tw.graph(L, locals()).text(shapes=False) == DECK


def test_without_names_every_line_has_its_number() -> None:
    w, x, b = leaf(0.5), tw.tensor([2.0, 3.0]), leaf(0.1)
    z = w * x + b
    assert tw.graph((1 / (1 + tw.exp(-z))).sum()).text(shapes=False).splitlines() == [
        "t1 = w1 * x1",
        "t2 = t1 + w2",
        "t3 = -t2",
        "t4 = exp(t3)",
        "t5 = 1 + t4",
        "t6 = 1 / t5",
        "t7 = sum(t6)",
    ]


def test_operands_stay_in_the_order_they_were_written_in() -> None:
    a = leaf(2.0)
    for write in (
        lambda a: 1 + a,
        lambda a: a + 1,
        lambda a: 3 * a,
        lambda a: a * 3,
        lambda a: 1 - a,
        lambda a: 1 / a,
        lambda a: 2**a,
    ):  # type: Callable[[Any], Any]
        text = tw.graph(write(a), a=a).text(shapes=False)
        assert eval(text.partition(" = ")[2], {"a": a}).item() == write(a).item()
    assert tw.graph(1 + a, a=a).text(shapes=False) == "t1 = 1 + a"
    assert tw.graph(a * 3, a=a).text(shapes=False) == "t1 = a * 3"


@composite("swish", lambda g, out, x, *, beta: g * (x * beta).sigmoid())
def _swish(x: tw.Tensor, *, beta: float) -> tw.Tensor:
    return x * (x * beta).sigmoid()


def test_a_composite_is_one_line() -> None:
    x = leaf([1.0, 2.0])
    assert tw.graph(_swish(x, beta=2.0), x=x).text(shapes=False) == "t1 = swish(x, beta=2.0)"


def run(graph: Graph, known: dict[str, tw.Tensor]) -> tw.Tensor:
    """Execute what a graph prints."""
    functions = {
        "where": tw.where,
        "expand": lambda x, shape: x.expand(shape),
        "permute": lambda x, dim: x.permute(dim),
        "reshape": lambda x, shape: x.reshape(shape),
        "cast": lambda x, dtype: x.to(dtype),
        "cat": lambda *xs, dim: tw.cat(xs, dim),
        "detach": tw.detach,
        "flip": lambda x, dim: x.flip(dim),
    }
    names = {name: getattr(tw, name) for name in tw.__all__} | functions | known
    exec(graph.text(shapes=False), names)
    return names[graph.vertices[-1].name]


PROGRAMS: dict[str, Callable[..., tw.Tensor]] = {
    "network": lambda x, w, b: ((x @ w + b).tanh() @ w.T).sigmoid().sum(),
    "logsumexp": lambda x, w, b: (x @ w - (x @ w).logsumexp(1, keepdim=True)).mean(),
    "movement": lambda x, w, b: (
        tw.cat([w[:2, 1:], w[::2].T.reshape(-1, 4)[:, 1:]], 1).flip(0).sum()
    ),
    "extremes": lambda x, w, b: w.maximum(0.1).minimum(b).amax(1).prod() + w.abs().amin(),
    "select": lambda x, w, b: (w * 2).where(w > 0, b - 1).cumsum(1).sum(),
    "powers": lambda x, w, b: (w**2).sum().sqrt() ** 3 / (2**b).sum() - w.norm(),
    "detached": lambda x, w, b: ((w * b) * (w * b).exp().detach() + w.detach()).sum(),
    "double": lambda x, w, b: w.double().log1p().mean().float() % 0.3,
    "gather": lambda x, w, b: w[tw.tensor([0, 2]), tw.tensor([1, 1])].sum() + (b * b).sum(),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_printed_runs_and_gives_the_same(name: str) -> None:
    tw.manual_seed(1)
    x = tw.randn(5, 3)
    w, b = tw.rand(3, 4).requires_grad_(), tw.rand(4).requires_grad_()
    out = PROGRAMS[name](x, w, b)
    steps = list(tw.backward_steps(out))
    graph = tw.graph(out, x=x, w=w, b=b, values=True)
    constants = {v.name: v.value for v in graph.vertices if v.kind == "input"}
    again = run(graph, {"w": w, "b": b} | constants)
    assert again.item() == out.item()
    assert [s.cotangent.tolist() for s in tw.backward_steps(again) if s.leaf is not None] == [
        s.cotangent.tolist() for s in steps if s.leaf is not None
    ]
