"""Where the tables of this folder leave something out because Thalweg differs: what, and why.

Each row says what either framework gives, so that a difference that goes away fails here.
docs/differences.md is the page for users; what stands there is checked by test_differences.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import thalweg
from tests.reference.both import flat, plain

INF, NAN = math.inf, math.nan


class Different(NamedTuple):
    """A function of the framework, and what it gives: numbers, or the error that it raises."""

    why: str
    run: Callable[[Any], Any]
    ours: Any
    theirs: Any


def slopes(tw: Any, run: Callable[..., Any], *values: Any, order: int = 1) -> Any:
    """The derivative, or the second one, of the sum of `run`, by its first argument."""
    arguments = [tw.tensor(np.asarray(x, dtype=np.float64), requires_grad=True) for x in values]
    y = run(*arguments).sum()
    for _ in range(order):
        (y,) = tw.autograd.grad(y.sum(), arguments[0], create_graph=order > 1)
    return y


def _overwritten(tw: Any) -> bool:
    x = tw.ones(2, requires_grad=True) * 2
    x.fill_(1.0)
    return bool(x.requires_grad)


def _written_twice(tw: Any) -> Any:
    """Which of two values for one place stays, and where the gradient goes."""
    values = tw.tensor([1.0, 2.0], requires_grad=True)
    x = tw.zeros(2).clone()
    x[tw.tensor([0, 0])] = values
    x.sum().backward()
    return values.grad


def _state_of_dampening(tw: Any) -> list[str]:
    w = tw.ones(1, requires_grad=True)
    optimizer = tw.optim.SGD([w], lr=0.1, momentum=0.9, dampening=0.5)
    (w * w).sum().backward()
    optimizer.step()
    return sorted(optimizer.state_dict()["state"][0])


def _one_sample(tw: Any) -> Any:
    return tw.nn.functional.multi_margin_loss(tw.tensor([0.0, 1.0]), tw.tensor(1))


def _logged(tw: Any) -> Any:
    return slopes(tw, lambda x: tw.nn.functional.binary_cross_entropy(x, tw.ones_like(x)), [0.0])


# fmt: off
DIFFERENT = {
    # --- NaN and infinity: ours let NaN show, and give no NaN where a limit exists -------------
    "sign of NaN": Different(
        "NaN has no sign: it stays NaN, as in NumPy and the Array API",
        lambda tw: tw.tensor([NAN]).sign(), [NAN], [0.0]),
    "slope of |NaN|": Different(
        "the slope is the sign",
        lambda tw: slopes(tw, lambda x: x.abs(), [NAN]), [NAN], [0.0]),
    "slope of relu at NaN": Different(
        "1 where x > 0, else 0",
        lambda tw: slopes(tw, lambda x: x.relu(), [NAN]), [0.0], [1.0]),
    "slope of maximum at NaN": Different(
        "neither operand is the larger: the gradient goes nowhere",
        lambda tw: slopes(tw, lambda x: x.maximum(tw.zeros_like(x)), [NAN]), [0.0], [1.0]),
    "sqrt at 0 under a cotangent of 0": Different(
        "the slope at 0 is taken as 0: neither a norm nor a branch not taken gives NaN",
        lambda tw: slopes(tw, lambda x: x.sqrt() * 0, [0.0]), [0.0], [NAN]),
    "second slope of 0 ** b": Different(
        "b (b - 1) x^(b - 2), where it is finite",
        lambda tw: slopes(tw, lambda x, b: x**b, [0.0, 0.0, 0.0], [0.0, 1.0, 2.0], order=2), [0.0,
        0.0, 2.0], [NAN, 0.0, 2.0]),
    "second slope of a norm at 0": Different(
        "the subgradient 0 has the slope 0",
        lambda tw: slopes(tw, lambda x: tw.nn.functional.normalize(x, dim=0), [0.0, 0.0], order=2),
        [0.0, 0.0], [NAN, NAN]),
    "second slope of mish, far out": Different(
        "composed of functions that do not overflow",
        lambda tw: slopes(tw, lambda x: tw.nn.functional.mish(x.float()), [100.0], order=2), [0.0],
        [NAN]),
    "soft margin of a large score": Different(
        "log(1 + e^-yx) by log-sum-exp",
        lambda tw: tw.nn.functional.soft_margin_loss(tw.tensor([-200.0]),
        tw.tensor([1.0])), 200.0, INF),

    # --- second derivatives at kinks ------------------------------------------------------------
    "second slope of elu at 0": Different(
        "the mean of the two sides, as for any tie",
        lambda tw: slopes(tw, tw.nn.functional.elu, [0.0], order=2), [0.5], [0.0]),
    "second slope of softplus at its threshold": Different(
        "sigmoid (1 - sigmoid) at the threshold too",
        lambda tw: slopes(tw,
        tw.nn.functional.softplus, [20.0], order=2), [2.061153613941849e-09], [0.0]),

    # --- precision: PyTorch computes in float32, or adds a constant -----------------------------
    "slope of hardsigmoid": Different(
        "1/6 in the dtype of the input",
        lambda tw: slopes(tw,
        tw.nn.functional.hardsigmoid, [0.0]), [1 / 6], [float(np.float32(1 / 6))]),
    "slope of cross-entropy at a probability of 0": Different(
        "limited to 1e12; PyTorch's limit is 1e-12 rounded to float32",
        _logged, [-1e12], [-1 / float(np.float32(1e-12))]),

    # --- the tape -------------------------------------------------------------------------------
    "floor division": Different(
        "has no gradient, so nothing is recorded; PyTorch records it and then refuses",
        lambda tw: bool((tw.ones(1, requires_grad=True) // 2).requires_grad), False, True),
    "a tensor overwritten whole": Different(
        "no longer depends on what it was",
        _overwritten, False, True),
    "one place written twice": Different(
        "the last value stays, and it alone gets the gradient",
        _written_twice, [0.0, 1.0], [1.0, 1.0]),

    # --- what one of them refuses ---------------------------------------------------------------
    "the square of a tensor in place": Different(
        "what was saved for backward cannot be overwritten",
        lambda tw: slopes(tw, lambda x: (y := x.clone()).mul_(y) * y, [3.0]), [108.0],
                                         RuntimeError),
    "a number modulo a tensor": Different(
        "has a gradient like any remainder: -floor(a / b)",
        lambda tw: slopes(tw, lambda x: 7.0 % x, [3.0]), [-2.0], RuntimeError),
    "the mean of integers": Different(
        "integers count as the default floating type, as for every other function",
        lambda tw: tw.tensor([1, 2]).mean(), 1.5, RuntimeError),
    "trace, as a function": Different(
        "traces a program; of a matrix it is the method x.trace()",
        lambda tw: tw.trace(tw.eye(2)), TypeError, 2.0),
    "any of uint8": Different(
        "whether any is nonzero is a bool",
        lambda tw: str(tw.tensor([1], dtype=tw.uint8).any().dtype).split(".")[1] == "bool", True,
        False),
    "labels of -100": Different(
        "a label out of range is an error unless `ignore_index` names it",
        lambda tw: tw.nn.functional.cross_entropy(tw.zeros(2, 3),
        tw.tensor([0, -100])), IndexError, float(np.float32(math.log(3)))),
    "one sample without a batch": Different(
        "multi_margin_loss asks for (N, C); the others take (C,) as well",
        _one_sample, ValueError, 0.0),
    "the state of dampened momentum": Different(
        "a count of steps beside the buffer, which tells the first gradient from the others",
        lambda tw: len(_state_of_dampening(tw)), 2, 1),
}
# fmt: on


def _assert_gives(tw: Any, row: Different, expected: Any) -> None:
    if isinstance(expected, type):
        with pytest.raises(expected):
            row.run(tw)
        return
    found = [plain(x) for x in flat(row.run(tw))]
    np.testing.assert_allclose(found[0], expected, rtol=1e-12, atol=1e-15, err_msg=row.why)


@pytest.mark.parametrize("name", DIFFERENT)
def test_ours(name: str) -> None:
    _assert_gives(thalweg, DIFFERENT[name], DIFFERENT[name].ours)


@pytest.mark.parametrize("name", DIFFERENT)
def test_theirs(name: str) -> None:
    _assert_gives(torch, DIFFERENT[name], DIFFERENT[name].theirs)
