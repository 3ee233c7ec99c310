"""Whole training steps, traced: their kernels, and that they compute what the interpreter does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import thalweg as tw
from tests.compiler.passes.running import agree
from thalweg.compiler.kernels import Contraction, Plan
from thalweg.compiler.tracing.structure import flatten
from thalweg.compiler.tracing.trace import trace_program

F = tw.nn.functional


def traced(fn: Callable[..., Any], *args: Any, within: float = 1e-4) -> Plan:
    """The plan of fn(*args), run against the interpreter."""
    leaves, structure = flatten((args, {}))
    program = trace_program(fn, structure, leaves)
    arrays = [x._value for x in leaves] + [slot.array for slot in program.slots]
    return agree(program.graph, arrays, program.updates, within)


def trainer(
    model: tw.nn.Module, optimizer: Any, x: tw.Tensor, y: tw.Tensor, loss: Any = F.cross_entropy
) -> Callable[[tw.Tensor], tw.Tensor]:
    def step(index: tw.Tensor) -> tw.Tensor:
        value: tw.Tensor = loss(model(x[index]), y[index])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        return value

    return step


def digits(count: int = 100) -> tuple[tw.Tensor, tw.Tensor]:
    tw.manual_seed(0)
    return tw.rand(count, 784), tw.randint(0, 10, (count,))


def labels(plan: Plan) -> list[str]:
    return [kernel.label for kernel in plan.kernels]


def test_the_first_network() -> None:
    x, y = digits()
    model = tw.nn.Sequential(tw.nn.Linear(784, 30), tw.nn.Sigmoid(), tw.nn.Linear(30, 10))
    optimizer = tw.optim.SGD(model.parameters(), lr=0.5)
    plan = traced(trainer(model, optimizer, x, y), tw.randint(0, 100, (32,)))
    assert labels(plan) == [
        "gather",
        "contraction+add+logistic",
        "contraction+add",
        "max",
        "subtract+exp+sum+log",
        "gather+subtract+gather+subtract+sum+multiply",
        "subtract+exp+gather+equal+...+multiply",
        "sum+cast+multiply+subtract",
        "contraction+subtract+multiply",
        "contraction+cast+multiply+subtract",
        "contraction+cast+multiply+subtract",
        "sum+cast+multiply+subtract",
    ]
    assert sum(isinstance(kernel, Contraction) for kernel in plan.kernels) == 5
    assert all(kernel.origins for kernel in plan.kernels)
    assert {origin.function for kernel in plan.kernels for origin in kernel.origins} == {"step"}


OPTIMIZERS = {
    "momentum": lambda p: tw.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "Adam": lambda p: tw.optim.Adam(p, lr=0.01, eps=0.01),
    "AdamW": lambda p: tw.optim.AdamW(p, lr=0.01, eps=0.01),
    "AMSGrad": lambda p: tw.optim.Adam(p, lr=0.01, eps=0.01, amsgrad=True, weight_decay=0.1),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_updates_are_epilogues(optimizer: Any) -> None:
    x, y = digits()
    model = tw.nn.Sequential(
        tw.nn.Linear(784, 40),
        tw.nn.ReLU(),
        tw.nn.Linear(40, 20),
        tw.nn.Tanh(),
        tw.nn.Linear(20, 10),
    )
    step = trainer(model, optimizer(model.parameters()), x, y)
    plan = traced(step, tw.randint(0, 100, (16,)))
    assert sum(isinstance(kernel, Contraction) for kernel in plan.kernels) == 8
    assert len(plan.kernels) <= 17
    assert "copy" not in labels(plan)


def test_clipped_gradients_and_dropout() -> None:
    x, y = digits()
    model = tw.nn.Sequential(
        tw.nn.Linear(784, 32), tw.nn.GELU(), tw.nn.Dropout(0.5), tw.nn.Linear(32, 10)
    )
    optimizer = tw.optim.SGD(model.parameters(), lr=0.1)

    def step(index: tw.Tensor) -> tw.Tensor:
        loss = F.cross_entropy(model(x[index]), y[index])
        optimizer.zero_grad()
        loss.backward()
        tw.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        return loss

    plan = traced(step, tw.randint(0, 100, (16,)))
    assert len(plan.kernels) < 40


def test_embedding_and_mean_squared_error() -> None:
    tw.manual_seed(0)
    embedding, head = tw.nn.Embedding(20, 6), tw.nn.Linear(18, 1)
    optimizer = tw.optim.Adam([*embedding.parameters(), *head.parameters()], lr=0.01, eps=0.1)
    tokens, target = tw.randint(0, 20, (5, 3)), tw.rand(5, 1)

    def step() -> tw.Tensor:
        loss = F.mse_loss(head(embedding(tokens).flatten(1)), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    plan = traced(step)
    assert "scatter_add" in " ".join(labels(plan))


def test_convolutions() -> None:
    tw.manual_seed(0)
    model = tw.nn.Sequential(
        tw.nn.Conv2d(1, 4, 3, padding=1),
        tw.nn.ReLU(),
        tw.nn.MaxPool2d(2),
        tw.nn.Conv2d(4, 6, 3, stride=2),
        tw.nn.ReLU(),
        tw.nn.AvgPool2d(2, stride=1),
        tw.nn.Flatten(),
        tw.nn.Linear(6 * 2 * 2, 10),
    )
    x, y = tw.rand(20, 1, 14, 14), tw.randint(0, 10, (20,))
    optimizer = tw.optim.SGD(model.parameters(), lr=0.1)
    plan = traced(trainer(model, optimizer, x, y), tw.randint(0, 20, (4,)))
    assert sum(isinstance(kernel, Contraction) for kernel in plan.kernels) == 8


def test_two_steps_in_one_program() -> None:
    x, y = digits()
    model = tw.nn.Sequential(tw.nn.Linear(784, 8), tw.nn.Tanh(), tw.nn.Linear(8, 10))
    step = trainer(model, tw.optim.SGD(model.parameters(), lr=0.1), x, y)
    traced(lambda i, j: (step(i), step(j)), tw.randint(0, 100, (4,)), tw.randint(0, 100, (4,)))
