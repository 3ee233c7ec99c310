"""Tracing: what is written down, what is captured, and that the world is as it was."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler.graph import Literal, Variable
from thalweg.compiler.tracing.structure import flatten
from thalweg.compiler.tracing.trace import Trace, trace_program
from thalweg.errors import ShapeError, TraceError


def traced(fn: object, *args: object) -> Trace:
    leaves, structure = flatten((args, {}))
    return trace_program(fn, structure, leaves)  # type: ignore[arg-type]


def test_deck_004s_sequence_of_operations() -> None:
    w, x, b, t = (tw.tensor(v) for v in (0.8, 1.5, -0.3, 1.0))

    def loss(w: tw.Tensor, x: tw.Tensor, b: tw.Tensor, t: tw.Tensor) -> tw.Tensor:
        z = w * x + b
        y = 1 / (1 + tw.exp(-z))
        return (y - t) * (y - t) / 2

    assert str(tw.trace(loss, w, x, b, t)).splitlines() == [
        "inputs w: f32, x: f32, b: f32, t: f32",
        "t1  : f32 = w * x",
        "t2  : f32 = t1 + b",
        "t3  : f32 = -t2",
        "t4  : f32 = exp(t3)",
        "t5  : f32 = 1.0 + t4",
        "t6  : f32 = 1.0 / t5",
        "t7  : f32 = t6 - t",
        "t8  : f32 = t6 - t",
        "t9  : f32 = t7 * t8",
        "t10 : f32 = t9 / 2.0",
        "outputs t10",
    ]


def test_inputs_have_the_parameters_names_and_others_numbers() -> None:
    c = tw.zeros(3)
    graph = tw.trace(lambda t1, x1=None: t1 * x1 - c, tw.ones(3), x1=tw.ones(3))
    assert str(graph).splitlines() == [
        "inputs t1: f32[3], x1: f32[3], x2: f32[3]",
        "t1_ : f32[3] = t1 * x1",
        "t2  : f32[3] = t1_ - x2",
        "outputs t2",
    ]


def test_nothing_is_computed_and_nothing_changes() -> None:
    p = tw.ones(3, requires_grad=True)
    optimizer = tw.optim.SGD([p], lr=0.5, momentum=0.9)
    before = p._value
    tw.manual_seed(0)
    state = tw.default_generator.get_state()

    def step() -> tw.Tensor:
        loss = (p * tw.rand(3)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    program = traced(step)
    assert p._value is before
    assert p.grad is None
    assert p.is_leaf
    assert p.requires_grad
    assert tw.equal(tw.default_generator.get_state(), state)
    changed = {id(program.slots[i].tensor) for i in program.updates}
    assert id(p) in changed
    assert id(tw.default_generator.counter) in changed
    assert id(optimizer.state[p].momentum_buffer) in changed
    assert [(x is p, n is not None) for x, n in program.gradients] == [(True, True)]


def test_a_gradient_that_is_cleared_is_no_output() -> None:
    p = tw.ones(3, requires_grad=True)

    def step() -> None:
        (p * p).sum().backward()
        with tw.no_grad():
            p.sub_(p.grad)
        p.grad = None

    assert traced(step).gradients == []


def test_a_gradient_that_was_there_is_captured() -> None:
    p = tw.ones(3, requires_grad=True)
    (2 * p).sum().backward()
    program = traced(lambda: (p * p).sum().backward())
    assert [slot.tensor is p.grad for slot in program.slots].count(True) == 1
    assert len(program.updates) == 1
    assert p.grad is not None
    assert p.grad.tolist() == [2, 2, 2]


def test_python_numbers_are_literals_and_tensors_are_inputs() -> None:
    c = tw.tensor(3.0)
    graph = tw.trace(lambda x: x * 2.5 + c, tw.zeros(2))
    first, second = graph.equations
    assert first.inputs[1] == Literal(2.5, np.dtype("f4"))
    assert isinstance(second.inputs[1], Variable)
    assert len(graph.inputs) == 2


def test_results_keep_their_structure() -> None:
    program = traced(lambda x: {"a": [x, 3], "b": (x + 1,)}, tw.zeros(2))
    assert program.results == 2
    one, two = tw.zeros(1), tw.ones(1)
    assert program.structure.build([one, 3, two]) == {"a": [one, 3], "b": (two,)}


def test_the_mode_of_modules_is_guarded() -> None:
    drop = tw.nn.Dropout(0.5)
    program = traced(drop, tw.ones(4))
    assert [g.owner is drop and g.value for g in program.guards] == [True]
    assert program.guards[0].holds()
    drop.eval()
    assert not program.guards[0].holds()


def test_equations_know_the_users_line() -> None:
    graph = tw.trace(lambda x: tw.nn.functional.softplus(x), tw.zeros(2))
    assert {e.origin.function for e in graph.equations if e.origin} == {"<lambda>"}
    assert all(e.origin and e.origin.file == __file__ for e in graph.equations)


LOOKS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda x: x if x.sum() > 0 else -x, "tw.cond"),
    (lambda x: max(x[0], x[1]), "tw.where"),
    (lambda x: [x for _ in iter(lambda: bool((x < 10).any()), False)], "tw.scan"),
    (lambda x: x.sum().item(), "return it, and look at the number outside"),
    (lambda x: x * float(x[0]), "Go on with the tensor"),
    (lambda x: math.sin(x.sum()), r"tw\.sin\(x\) for math\.sin"),
    (lambda x: f"{x.sum():.2f}", "return it"),
    (lambda x: x.tolist(), "return it"),
    (lambda x: np.asarray(x), "return it"),
    (lambda x: x[x > 0], "tw.where"),
    (lambda x: tw.nonzero(x), "Keep the shape"),
    (lambda x: tw.unique(x), "Keep the shape"),
    (lambda x: range(x.sum().long()), "give a Python number"),
    (lambda x: x[: x[0].long()], "Sizes, counts and the ends of slices"),
    (lambda x: x.reshape(x[0].long(), -1), "give a Python number"),
    (lambda x: tw.zeros(x[0].long()), "give a Python number"),
    (lambda x: tw.tensor([x[0], x[1]]), r"tw\.stack"),
    (lambda x: tw.save({"x": x}, "x.safetensors"), "Leave this outside"),
]


@pytest.mark.parametrize(("look", "remedy"), LOOKS)
def test_values_cannot_be_looked_at(look: Callable[[Any], Any], remedy: str) -> None:
    where = rf"(?s)needs the values, which a traced.*{remedy}.*\n  at .*test_trace\.py:\d+ in <"
    with pytest.raises(TraceError, match=where):
        tw.trace(look, tw.ones(2))
    assert (tw.ones(2) * 2).tolist() == [2, 2], "and the world goes on"


def test_shapes_are_checked_as_ever() -> None:
    with pytest.raises(ShapeError, match="do not broadcast"):
        tw.trace(lambda x: x + tw.zeros(3), tw.ones(2))


def test_what_escapes_says_so() -> None:
    kept: list[tw.Tensor] = []
    tw.trace(lambda x: kept.append(x * 2), tw.ones(2))
    with pytest.raises(TraceError, match="trace that has ended"):
        kept[0] + 1
    with pytest.raises(TraceError, match="escaped"):
        tw.trace(lambda x: x + kept[0], tw.ones(2))


def test_an_error_leaves_everything_as_it_was() -> None:
    p = tw.ones(2, requires_grad=True)

    def broken() -> None:
        with tw.no_grad():
            p.mul_(2)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        traced(broken)
    assert p.tolist() == [1, 1]
    assert (p * 3).tolist() == [3, 3]


def test_gradients_of_arguments_are_results() -> None:
    @tw.compile
    def slope(x: tw.Tensor) -> tuple[tw.Tensor | None, ...]:
        return tw.autograd.grad((x * x).sum(), x)

    (found,) = slope(tw.tensor([1.0, 3.0], requires_grad=True))
    assert found is not None
    assert found.tolist() == [2.0, 6.0]


def test_what_happens_to_an_argument_would_be_lost() -> None:
    with pytest.raises(TraceError, match="changed in place"):
        tw.compile(lambda x: x.add_(1))(tw.zeros(2))
    with pytest.raises(TraceError, match=r"autograd\.grad"):
        tw.compile(lambda x: (x * x).sum().backward())(tw.ones(2, requires_grad=True))
