"""The backward pass: what accumulates where, over which graphs, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import DTypeError, GradientError, ShapeError


def leaf(*values: float) -> tw.Tensor:
    return tw.tensor(values if len(values) > 1 else values[0], requires_grad=True)


# --- the decks ---------------------------------------------------------------------------------


def test_a_vector_output_with_a_cotangent() -> None:
    """q = 3 a^3 - b^2 gives 9 a^2 and -2 b (deck 004)."""
    a, b = leaf(2.0, 3.0), leaf(6.0, 4.0)
    q = 3 * a**3 - b**2
    q.backward(gradient=tw.tensor([1.0, 1.0]))
    assert a.grad.tolist() == (9 * a**2).tolist() == [36, 81]
    assert b.grad.tolist() == (-2 * b).tolist() == [-12, -8]


def test_the_cotangent_weighs_the_rows_of_the_jacobian() -> None:
    a = leaf(2.0, 3.0)
    (a * a).backward(gradient=tw.tensor([1.0, 10.0]))
    assert a.grad.tolist() == [4, 60]


def test_the_cotangent_is_taken_in_the_dtype_of_the_output() -> None:
    a = leaf(2.0, 3.0)
    (a * a).backward(gradient=tw.tensor([1, 10]))
    assert (a.grad.dtype, a.grad.tolist()) == (tw.float32, [4, 60])


def test_the_add_gate_distributes() -> None:
    a, b, c = leaf(2.0), leaf(3.0), leaf(5.0)
    (c * (a + b)).backward()
    assert a.grad.item() == b.grad.item() == 5


def test_the_multiply_gate_switches() -> None:
    a, b = leaf(2.0), leaf(3.0)
    (7 * (a * b)).backward()
    assert (a.grad.item(), b.grad.item()) == (21, 14)


def test_the_max_gate_routes() -> None:
    a, b = leaf(2.0), leaf(3.0)
    (5 * tw.maximum(a, b)).backward()
    assert (a.grad.item(), b.grad.item()) == (0, 5)


def test_a_subtracted_operand_gets_the_negative() -> None:
    a, b = leaf(2.0), leaf(3.0)
    (5 * (a - b)).backward()
    assert (a.grad.item(), b.grad.item()) == (5, -5)


# --- graphs ------------------------------------------------------------------------------------


def test_several_uses_add_up() -> None:
    x = leaf(3.0)
    (x * x + x).backward()
    assert x.grad.item() == 7


def test_one_operand_twice() -> None:
    x = leaf(3.0)
    (x + x).backward()
    assert x.grad.item() == 2


def test_a_shared_sub_expression_is_passed_once() -> None:
    calls = []
    x = leaf(2.0)
    shared = x.exp()
    shared.register_hook(lambda g: calls.append(g.item()))
    (shared * shared + 3 * shared).backward()
    e = np.exp(np.float32(2))
    np.testing.assert_allclose(calls, [2 * e + 3], rtol=1e-6)
    np.testing.assert_allclose(x.grad.item(), (2 * e + 3) * e, rtol=1e-6)


def test_branches_that_part_and_meet() -> None:
    x = leaf(1.5)
    left, right = x.sin(), x.cos()
    (left * right + left).backward()
    np.testing.assert_allclose(x.grad.item(), np.cos(3.0) + np.cos(1.5), rtol=1e-6)


def test_a_python_branch_is_the_branch_that_was_taken() -> None:
    def f(x: tw.Tensor) -> tw.Tensor:
        return x**2 if x > 0 else -x

    for at, slope in ((3.0, 6.0), (-3.0, -1.0)):
        x = leaf(at)
        f(x).backward()
        assert x.grad.item() == slope


def test_reused_parameters() -> None:
    """The same weight in three steps of a recurrence: d w^3 x / dw = 3 w^2 x."""
    w, h = leaf(2.0), tw.tensor(5.0)
    for _ in range(3):
        h = w * h
    h.backward()
    assert w.grad.item() == 60


def test_what_broadcasting_repeated_is_summed() -> None:
    a, b = tw.ones(3, 1, requires_grad=True), tw.ones(4, requires_grad=True)
    (a * b * tw.arange(12.0).reshape(3, 4)).sum().backward()
    assert a.grad.tolist() == [[6], [22], [38]]
    assert b.grad.tolist() == [12, 15, 18, 21]


def test_an_output_that_is_a_leaf() -> None:
    x = leaf(2.0)
    x.backward()
    assert x.grad.item() == 1


def test_nothing_depends_on_the_order_in_which_backward_is_asked() -> None:
    x = leaf(2.0)
    early, late = x * 3, x * 5
    late.backward()
    early.backward()
    assert x.grad.item() == 8


# --- accumulation ------------------------------------------------------------------------------


def test_several_calls_add_up_until_the_gradient_is_zeroed() -> None:
    x = leaf(3.0)
    for count in (1, 2, 3):
        (x * x).backward()
        assert x.grad.item() == 6 * count
    x.grad.zero_()
    (x * x).backward()
    assert x.grad.item() == 6
    x.grad = None
    (x * x).backward()
    assert x.grad.item() == 6


def test_a_gradient_is_added_to_in_place() -> None:
    x = leaf(3.0)
    (x * x).backward()
    held = x.grad
    (x * x).backward()
    assert held is x.grad
    assert held.item() == 12


def test_no_two_gradients_are_one_tensor() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (a + b).sum().backward()
    a.grad.mul_(10)
    assert b.grad.tolist() == [1, 1]


def test_the_cotangent_given_is_not_the_gradient() -> None:
    x, v = leaf(1.0, 2.0), tw.ones(2)
    x.backward(gradient=v)
    x.grad.zero_()
    assert v.tolist() == [1, 1]


def test_nothing_is_accumulated_in_what_does_not_require_it() -> None:
    x, y = leaf(2.0), tw.tensor(3.0)
    middle = x * y
    middle.backward()
    assert y.grad is None
    assert middle.grad is None


def test_grad_stays_none_where_the_output_does_not_depend_on_it() -> None:
    x, y = leaf(2.0), leaf(3.0)
    (x * 2).backward()
    assert y.grad is None


# --- detaching, requiring -------------------------------------------------------------------------


def test_detach_cuts_the_graph() -> None:
    x = leaf(3.0)
    y = x.detach()
    assert not y.requires_grad
    (x * y).backward()
    assert x.grad.item() == 3


def test_detach_in_place_cuts_what_came_before() -> None:
    x = leaf(3.0)
    h = x * 2
    h.detach_()
    assert (h.is_leaf, h.requires_grad) == (True, False)


def test_a_clone_passes_gradients_and_keeps_the_sign_of_zero() -> None:
    x = leaf(-0.0, 2.0)
    y = x.clone()
    assert y is not x
    assert np.signbit(y.detach().numpy()).tolist() == [True, False]
    (y * y).sum().backward()
    assert x.grad.tolist() == [-0.0, 4]


def test_a_cast_gives_back_the_dtype_of_the_leaf() -> None:
    x = leaf(3.0)
    (x.double() ** 2).backward()
    assert (x.grad.dtype, x.grad.item()) == (tw.float32, 6)


@pytest.mark.parametrize("dtype", [tw.float16, tw.bfloat16], ids=str)
def test_gradients_pass_through_storage(dtype: tw.DType) -> None:
    """As float32, also where several of them add up."""
    x = tw.tensor([[1.0, 2.0]], requires_grad=True)
    stored = x.to(dtype)
    ((stored.T.float() + stored.reshape(2, 1).float()) * tw.tensor([[1.0], [3.0]])).sum().backward()
    assert (x.grad.dtype, x.grad.tolist()) == (tw.float32, [[2, 6]])


def test_integers_end_the_graph() -> None:
    x = leaf(3.7)
    assert not x.long().requires_grad
    assert not (x > 2).requires_grad
    assert not x.argmax().requires_grad


@pytest.mark.parametrize("dtype", [tw.int64, tw.bool, tw.bfloat16, tw.float16], ids=str)
def test_only_what_is_computed_with_can_require_a_gradient(dtype: tw.DType) -> None:
    with pytest.raises(DTypeError, match=f"{dtype.name}.*x.float()"):
        tw.tensor([1, 0], dtype=dtype).requires_grad_()


def test_only_leaves_can_be_told_to_require_a_gradient() -> None:
    with pytest.raises(GradientError, match="leaves only.*multiply.*detach"):
        (leaf(2.0) * 3).requires_grad_(False)


# --- errors say what to do ----------------------------------------------------------------------


def test_a_vector_without_a_cotangent() -> None:
    with pytest.raises(GradientError, match=r"\(2,\).*loss.mean\(\).backward\(\).*gradient=v"):
        (leaf(1.0, 2.0) * 2).backward()


def test_a_tensor_that_nothing_led_to() -> None:
    with pytest.raises(GradientError, match="no_grad.*requires_grad=True"):
        (leaf(2.0).detach() * 2).backward()


def test_a_second_time() -> None:
    loss = leaf(2.0) ** 2
    loss.backward()
    with pytest.raises(GradientError, match="'scalar_power'.*retain_graph=True"):
        loss.backward()


def test_a_second_time_through_a_shared_part() -> None:
    x = leaf(2.0)
    shared = x.exp()
    (shared * 2).backward()
    with pytest.raises(GradientError, match="'exp'.*Compute the loss again"):
        (shared * 3).backward()


def test_a_second_time_with_the_graph_retained() -> None:
    x = leaf(2.0)
    loss = x**2
    loss.backward(retain_graph=True)
    loss.backward()
    assert x.grad.item() == 8


def test_a_cotangent_of_another_shape() -> None:
    with pytest.raises(ShapeError, match=r"\(3,\).*\(2,\)"):
        (leaf(1.0, 2.0) * 2).backward(gradient=tw.ones(3))


def test_a_cotangent_that_is_no_tensor() -> None:
    with pytest.raises(DTypeError, match="gradient: a tensor is expected"):
        (leaf(1.0, 2.0) * 2).backward(gradient=[1.0, 1.0])  # type: ignore[arg-type]
