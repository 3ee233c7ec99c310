"""Gradient clipping: by the norm of all gradients together, and by value."""

from __future__ import annotations

import math

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import GradientError
from thalweg.nn import utils


def with_gradients(*values: list[float]) -> list[nn.Parameter]:
    parameters = []
    for value in values:
        parameter = nn.Parameter(tw.zeros(len(value)))
        parameter.grad = tw.tensor(value)
        parameters.append(parameter)
    return parameters


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
def test_total_norm(p: float) -> None:
    a, b = tw.randn(3, 4), tw.randn(5)
    everything = np.concatenate([a.numpy().ravel(), b.numpy()])
    expected = np.linalg.norm(everything, p)
    assert utils.get_total_norm([a, b], p).item() == pytest.approx(expected, rel=1e-5)
    assert utils.get_total_norm(a, p).item() == pytest.approx(np.linalg.norm(a.numpy().ravel(), p))


def test_a_long_gradient_is_shortened_and_its_norm_given() -> None:
    parameters = with_gradients([3.0, 0.0], [4.0])
    assert utils.clip_grad_norm_(parameters, 2.5).item() == 5
    assert parameters[0].grad.tolist() == pytest.approx([1.5, 0.0])
    assert parameters[1].grad.tolist() == pytest.approx([2.0])


def test_a_short_one_is_left_as_it_is() -> None:
    parameters = with_gradients([0.3], [0.4])
    assert utils.clip_grad_norm_(iter(parameters), 1.0).item() == pytest.approx(0.5)
    assert [p.grad.item() for p in parameters] == pytest.approx([0.3, 0.4])


def test_other_norms() -> None:
    parameters = with_gradients([3.0, -1.0], [4.0])
    assert utils.clip_grad_norm_(parameters, 1.0, norm_type=math.inf).item() == 4
    assert parameters[1].grad.item() == pytest.approx(1)
    assert utils.clip_grad_norm_(with_gradients([3.0, -1.0]), 1.0, norm_type=1).item() == 4


def test_parameters_without_a_gradient_and_none_at_all() -> None:
    frozen = nn.Parameter(tw.ones(3))
    (trained,) = with_gradients([4.0])
    assert utils.clip_grad_norm_([frozen, trained], 1.0).item() == 4
    assert frozen.grad is None
    assert utils.clip_grad_norm_([], 1.0).item() == 0
    assert utils.clip_grad_norm_([frozen], 1.0).item() == 0
    utils.clip_grad_value_([frozen], 1.0)


def test_what_is_not_finite() -> None:
    for bad in (math.inf, math.nan):
        parameters = with_gradients([bad], [1.0])
        with pytest.raises(GradientError, match=r"the total norm of 2 gradients is (inf|nan)"):
            utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
        assert parameters[1].grad.item() == 1
        assert not utils.clip_grad_norm_(parameters, 1.0).isfinite().item()


def test_gradients_of_one_cotangent_are_each_scaled_once() -> None:
    a, b = tw.zeros(1, requires_grad=True), tw.zeros(1, requires_grad=True)
    (a + b).backward(gradient=tw.tensor([3.0]))
    utils.clip_grad_norm_([a, b], 1.0)
    assert a.grad.item() == pytest.approx(1 / math.sqrt(2), rel=1e-5)
    assert b.grad.item() == pytest.approx(1 / math.sqrt(2), rel=1e-5)


def test_the_dtype_of_each_gradient_stays() -> None:
    a, b = with_gradients([30.0], [40.0])
    b.grad = b.grad.double()
    assert utils.clip_grad_norm_([a, b], 1.0).item() == 50
    assert (a.grad.dtype, b.grad.dtype) == (tw.float32, tw.float64)


def test_by_value() -> None:
    (parameter,) = with_gradients([-3.0, 0.5, 3.0])
    utils.clip_grad_value_(parameter, 1.0)
    assert parameter.grad.tolist() == [-1.0, 0.5, 1.0]


def test_with_a_norm_from_elsewhere() -> None:
    (parameter,) = with_gradients([6.0])
    utils.clip_grads_with_norm_([parameter], 1.0, tw.tensor(3.0))
    assert parameter.grad.item() == pytest.approx(2.0)
