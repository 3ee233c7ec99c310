"""vmap: where the cases stand, random numbers, assignments, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.errors import ConfigError, DTypeError, ShapeError, TransformError
from thalweg.func import functional_call, grad, jvp, stack_module_state, vmap

A = tw.tensor(np.arange(24.0).reshape(2, 3, 4))
B = tw.tensor(np.arange(12.0).reshape(3, 4)) / 10


class Drawn(tw.autograd.Function):
    """An operation with a derivative of its own that draws random numbers."""

    @staticmethod
    def forward(ctx: Any, x: tw.Tensor) -> tw.Tensor:
        return x + tw.rand(4)

    @staticmethod
    def backward(ctx: Any, g: tw.Tensor) -> tw.Tensor:
        return g


def same(found: tw.Tensor, wanted: Any) -> None:
    wanted = wanted.numpy() if isinstance(wanted, tw.Tensor) else np.asarray(wanted)
    assert tuple(found.shape) == wanted.shape
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12)


# --- where the cases stand ------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("out_dim", [0, 1, -1])
@pytest.mark.parametrize(("in_dim", "other"), [(0, None), (1, 0), (-1, -1), (2, None), (-2, 0)])
def test_dimensions(in_dim: int, other: int | None, out_dim: int, compiled: bool) -> None:
    def one(a: tw.Tensor, b: tw.Tensor) -> tw.Tensor:
        return a.sin() * 2 + b.sum()

    mapped = vmap(one, in_dims=(in_dim, other), out_dims=out_dim)
    found = (tw.compile(mapped) if compiled else mapped)(A, B)
    rows = [
        one(A.select(in_dim, k), B if other is None else B.select(other, k))
        for k in range(A.shape[in_dim])
    ]
    same(found, tw.stack(rows, out_dim))


def test_nested_arguments_and_results() -> None:
    def one(pair: Any, named: Any, *, scale: Any) -> Any:
        return {"a": pair[0] + named["x"], "b": [pair[1] * scale, named["y"]]}  # scale: no cases

    found = vmap(one, in_dims=((0, None), {"x": 1, "y": None}), out_dims={"a": 1, "b": 0})(
        (B, B[0]), {"x": B.T, "y": B[1]}, scale=tw.arange(4.0)
    )
    same(found["a"], (B + B).T)
    same(found["b"][0], (B[0] * tw.arange(4.0)).expand(3, 4))
    same(found["b"][1], B[1].expand(3, 4))
    with_none = vmap(lambda x, n: x * n, in_dims=(0, None))(B, 3)
    same(with_none, B * 3)


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 7])
def test_chunks(chunk_size: int) -> None:
    same(vmap(lambda x: (x.cumsum(0), x.sum()), chunk_size=chunk_size)(B)[0], B.cumsum(1))
    same(vmap(lambda x: x.sum(), chunk_size=chunk_size)(B), B.sum(1))


def test_no_case_and_one() -> None:
    same(vmap(lambda x: (x * 2).sum())(tw.zeros(0, 3)), np.zeros(0))
    same(vmap(lambda x: x * 2)(B[:1]), B[:1] * 2)


def test_a_result_that_does_not_depend_on_the_case() -> None:
    same(vmap(lambda x: B[0] * 2)(A), (B[0] * 2).expand(2, 4))
    w = tw.tensor(3.0, requires_grad=True)
    vmap(lambda x: w * w)(A).sum().backward()
    assert w.grad is not None
    assert w.grad.item() == 12


def test_nests() -> None:
    outer = vmap(vmap(lambda x, y: x * y, in_dims=(None, 0)), in_dims=(0, None))
    same(outer(B[0], B[1]), tw.outer(B[0], B[1]))
    deep = vmap(
        vmap(vmap(lambda x, y: x + y, in_dims=(0, None)), in_dims=(0, 0)), in_dims=(0, None)
    )
    same(deep(A, B[:, 0]), A + B[:, :1])


def test_options_of_operations_see_one_case() -> None:
    assert vmap(lambda x: x.reshape(-1))(A).shape == (2, 12)
    shapes: list[Any] = []
    vmap(lambda x: shapes.append((x.shape, x.ndim, x.numel(), len(x))) or x)(A)
    assert shapes == [((3, 4), 2, 12, 3)]
    same(vmap(lambda x: x[1, ::2] + x[..., -1][0])(A), A[:, 1, ::2] + A[:, 0, -1:])
    index = tw.tensor([[0, 1], [2, 2]])
    same(vmap(lambda x, i: x[i])(A, index), tw.stack([A[0, [0, 1]], A[1, [2, 2]]]))


def test_one_case_is_the_function_itself() -> None:
    """What needs one value has it, and what is written is what a loop would write."""
    same(vmap(lambda x: x if x.sum() > 0 else -x)(-B[1:2]), B[1:2])
    same(vmap(lambda x: x * float(x[0]), in_dims=1, out_dims=1)(B[:, 1:2]), B[:, 1:2] * B[0, 1])
    outside, inside = tw.zeros(()), B[:1].clone()
    vmap(lambda x: outside.add_(x.sum().float()))(B[:1])
    vmap(lambda x: x.zero_())(inside)
    assert outside.item() == float(B[0].sum().float())
    same(inside, B[:1])
    for drawing in (lambda x: x + tw.rand(4), Drawn.apply):
        for randomness in ("error", "different", "same"):
            tw.manual_seed(0)
            one = vmap(drawing, randomness=randomness)(B[:1].float()), tw.rand(2)
            tw.manual_seed(0)
            same(one[0][0], drawing(B[0].float()))
            same(one[1], tw.rand(2))
    w = tw.randn(4, dtype=tw.float64, requires_grad=True)
    found = vmap(lambda x: tw.softmax(x * w, 0))(B[:1])
    (g,) = tw.autograd.grad((found * B[:1]).sum(), w)
    assert g is not None
    (wanted,) = tw.autograd.grad((tw.softmax(B[0] * w, 0) * B[0]).sum(), w)
    same(g, wanted)
    nested = vmap(vmap(lambda x, y: (x * y).cumsum(0), in_dims=(0, None)), in_dims=(0, 0))
    same(nested(A[:, :1], A[:, 0]), (A[:, :1] * A[:, :1]).cumsum(-1))


# --- assignments ----------------------------------------------------------------------------------


def test_assignments_to_what_is_made_inside() -> None:
    def one(x: tw.Tensor) -> tw.Tensor:
        total, row = tw.zeros(()), tw.zeros(4)
        for k in range(4):
            total += x[k]
            row[k] = total
        x = x.clone()
        x *= 2
        x[0] = 5.0
        return row + x

    wanted = B.cumsum(1).float() + (B * 2).float()
    wanted[:, 0] = B[:, 0].float() + 5
    np.testing.assert_allclose(vmap(one)(B.float()).numpy(), wanted.numpy(), rtol=1e-6)


def test_writing_cases_to_a_tensor_from_outside_is_an_error() -> None:
    outside = tw.zeros(())

    def one(x: tw.Tensor) -> tw.Tensor:
        outside.add_(x.sum())
        return x

    with pytest.raises(TransformError, match=r"shape \(\) from outside"):
        vmap(one)(B.float())
    assert outside.item() == 0
    with pytest.raises(TransformError, match="from outside"):
        vmap(lambda x: outside.add_(x.sum()))(B.float())
    assert outside.item() == 0
    norm = tw.nn.BatchNorm1d(4)
    with pytest.raises(TransformError, match="from outside"):
        vmap(norm)(A.float())
    assert {name: b.sum().item() for name, b in norm.named_buffers()} == {
        "running_mean": 0,
        "running_var": 4,
        "num_batches_tracked": 0,
    }
    held: list[Any] = [tw.zeros(4)]
    with pytest.raises(TransformError, match="from outside"):
        vmap(lambda x: held[0].__setitem__(0, x[0]) or x)(B.float())
    same(held[0], np.zeros(4))


def test_writing_what_is_the_same_for_all_cases_is_allowed() -> None:
    calls = tw.zeros(())
    vmap(lambda x: (calls.add_(1), x)[1])(B)
    assert calls.item() == 1


def test_backward_inside_reaches_no_tensor_outside() -> None:
    w = tw.ones(4, requires_grad=True)

    def one(x: tw.Tensor) -> tw.Tensor:
        (w * x).sum().backward()
        return x

    with pytest.raises(TransformError, match="from outside"):
        vmap(one)(B.float())
    assert w.grad is None


def test_a_leaf_made_inside_may_be_differentiated() -> None:
    def one(x: tw.Tensor) -> Any:
        x = x.detach().requires_grad_()
        return tw.autograd.grad((x * x).sum(), x)

    same(vmap(one)(B)[0], 2 * B)


def test_cotangents_of_the_tape_outside_in_batches() -> None:
    """As PyTorch's `is_grads_batched`."""
    x = B[0].clone().requires_grad_()
    y = x**2
    rows = vmap(lambda v: tw.autograd.grad(y, x, v, retain_graph=True))(tw.eye(4).double())
    same(rows[0], (2 * B[0]).diag())


def test_what_escapes_is_refused_afterwards() -> None:
    kept: list[tw.Tensor] = []
    vmap(lambda x: (kept.append(x), x)[1])(B)
    for use in (
        lambda x: x + 1,
        lambda x: x.expand(2, 4),
        lambda x: x.sum(),
        lambda x: tw.cat([x]),
    ):
        with pytest.raises((TransformError, tw.errors.TraceError), match="outside"):
            use(kept[0])


# --- what it refuses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x.sum().item(),
        lambda x: x if x.sum() > 0 else -x,
        lambda x: float(x[0]),
        lambda x: x.tolist(),
        lambda x: x.numpy(),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
    ],
)
def test_values_of_one_case_cannot_be_had(use: Callable[[tw.Tensor], Any]) -> None:
    with pytest.raises(TransformError, match="inside vmap needs one value, and there are 3"):
        vmap(use)(B)


def test_errors() -> None:
    with pytest.raises(ShapeError, match=r"\[3, 2\] cases"):
        vmap(lambda a, b: a)(B, A)
    with pytest.raises(ShapeError, match="dimension 5"):
        vmap(lambda a: a, in_dims=5)(B)
    with pytest.raises(ConfigError, match="no argument has cases"):
        vmap(lambda a: a, in_dims=None)(B)
    with pytest.raises(ConfigError, match="1 entries for 2 arguments"):
        vmap(lambda a, b: a, in_dims=(0,))(B, B)
    with pytest.raises(ConfigError, match="in_dims is an int"):
        vmap(lambda a: a[0], in_dims=((0, 0, 0),))((B, B))
    with pytest.raises(ConfigError, match="out_dims is an int for every result, got None"):
        vmap(lambda a: a, out_dims=None)(B)
    with pytest.raises(ShapeError, match="out_dims: dimension 2 of a tensor of rank 2"):
        vmap(lambda a: a, out_dims=2)(B)
    with pytest.raises(ConfigError, match=r"out_dims is an int.*got \(0, 1\) for Tensor"):
        vmap(lambda a: a, out_dims=(0, 1))(B)
    with pytest.raises(ConfigError, match="in_dims is an int.*got True"):
        vmap(lambda a: a, in_dims=True)(B)
    with pytest.raises(ShapeError, match="in_dims: dimension 0 of a tensor of rank 0"):
        vmap(lambda a: a)(tw.tensor(1.0))
    with pytest.raises(ConfigError, match="randomness is one of"):
        vmap(lambda a: a, randomness="some")
    with pytest.raises(ConfigError, match="chunk_size is a positive int"):
        vmap(lambda a: a, chunk_size=0)
    with pytest.raises(DTypeError, match="in_dims None"):
        vmap(lambda a, n: a)(B, 3)
    with pytest.raises(DTypeError, match="result"):
        vmap(lambda a: 3.0)(B)
    # Shapes are those that the function sees.
    with pytest.raises(ShapeError, match=r"shapes \(4,\) and \(3,\) do not fit"):
        vmap(lambda a: a @ tw.ones(3).double())(B)


def test_a_primitive_without_a_rule_is_named() -> None:
    key = tw.tensor([1, 2])
    from thalweg.primitives.sources import random_bits
    from thalweg.tape import bind

    with pytest.raises(TransformError, match="random_bits has no batching rule"):
        vmap(lambda k: bind(random_bits, k, tw.tensor(0), shape=(2,)))(key)


# --- random numbers -------------------------------------------------------------------------------


def test_random_numbers_are_an_error_unless_said_how() -> None:
    with pytest.raises(TransformError, match='randomness="same"'):
        vmap(lambda x: x + tw.rand(4))(B.float())


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("draw", [lambda: tw.rand(5), lambda: tw.randn(3), lambda: tw.rand(2, 4)])
def test_different_numbers_are_those_of_a_loop(draw: Any, compiled: bool) -> None:
    def one(x: tw.Tensor) -> tw.Tensor:
        return x + draw()

    x = tw.zeros(3)
    mapped = vmap(one, randomness="different")
    tw.manual_seed(5)
    found = (tw.compile(mapped) if compiled else mapped)(x)
    after = tw.rand(2)
    tw.manual_seed(5)
    wanted = tw.stack([one(row) for row in x])
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-5, atol=1e-6)
    assert after.equal(tw.rand(2))


def test_the_same_numbers_for_all() -> None:
    tw.manual_seed(5)
    found = vmap(lambda x: x + tw.rand(4), randomness="same")(tw.zeros(3))
    tw.manual_seed(5)
    assert found.equal(tw.rand(4).expand(3, 4))


def test_random_numbers_in_nests() -> None:
    def draws(outer: str, inner: str) -> tw.Tensor:
        mapped = vmap(lambda x: x + tw.rand(2), randomness=inner)
        return vmap(mapped, randomness=outer)(tw.zeros(3, 4))

    assert len({*draws("different", "different").flatten().tolist()}) == 24
    assert len({*draws("same", "different").flatten().tolist()}) == 8
    assert len({*draws("different", "same").flatten().tolist()}) == 6
    tw.manual_seed(0)
    first, second = draws("different", "different"), tw.rand(24)
    assert not {*first.flatten().tolist()} & {*second.tolist()}


def test_dropout_of_samples() -> None:
    tw.manual_seed(0)
    drop = vmap(lambda x: F.dropout(x, 0.5), randomness="different")
    found = drop(tw.ones(4, 50))
    assert {*found.flatten().tolist()} == {0.0, 2.0}
    assert not found[0].equal(found[1])


# --- with networks --------------------------------------------------------------------------------


def network() -> tw.nn.Module:
    tw.manual_seed(0)
    return tw.nn.Sequential(tw.nn.Linear(4, 6), tw.nn.Tanh(), tw.nn.Linear(6, 3))


@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_of_samples(compiled: bool) -> None:
    net = network()
    state = {name: p.detach() for name, p in net.named_parameters()}
    x, y = tw.randn(5, 4), tw.tensor([0, 2, 1, 1, 0])

    def loss(state: Any, x: tw.Tensor, y: tw.Tensor) -> tw.Tensor:
        return F.cross_entropy(functional_call(net, state, x.unsqueeze(0)), y.unsqueeze(0))

    mapped = vmap(grad(loss), in_dims=(None, 0, 0))
    found = (tw.compile(mapped) if compiled else mapped)(state, x, y)
    for k in range(5):
        wanted = grad(loss)(state, x[k], y[k])
        for name, g in wanted.items():
            np.testing.assert_allclose(found[name][k].numpy(), g.numpy(), rtol=1e-4, atol=1e-6)
    assert all(p.grad is None for p in net.parameters())


def test_gradients_of_samples_of_a_convolution() -> None:
    net = tw.nn.Sequential(
        tw.nn.Conv2d(2, 3, 3, padding=1), tw.nn.ReLU(), tw.nn.MaxPool2d(2), tw.nn.Flatten()
    )
    state = {name: p.detach() for name, p in net.named_parameters()}
    x = tw.randn(3, 2, 6, 6)

    def loss(state: Any, x: tw.Tensor) -> tw.Tensor:
        return functional_call(net, state, x.unsqueeze(0)).square().sum()

    found = vmap(grad(loss), in_dims=(None, 0))(state, x)
    for k in range(3):
        for name, g in grad(loss)(state, x[k]).items():
            np.testing.assert_allclose(found[name][k].numpy(), g.numpy(), rtol=1e-4, atol=1e-5)


def test_an_ensemble() -> None:
    nets = [network() for _ in range(3)]
    for k, net in enumerate(nets):
        with tw.no_grad():
            for p in net.parameters():
                p.add_(0.1 * k)
    parameters, buffers = stack_module_state(nets)
    x = tw.randn(2, 4)
    call = vmap(lambda p, x: functional_call(nets[0], (p, buffers), x), in_dims=(0, None))
    found = call(parameters, x)
    assert found.requires_grad
    np.testing.assert_allclose(
        found.detach().numpy(), tw.stack([net(x) for net in nets]).detach().numpy(), rtol=1e-5
    )


def test_state_written_under_jvp_keeps_the_primal() -> None:
    seen = tw.zeros(3)

    def f(x: tw.Tensor) -> tw.Tensor:
        seen.copy_(x * 2)
        return seen * x

    x = tw.tensor([1.0, 2.0, 3.0])
    _, pushed = jvp(f, (x,), (tw.ones(3),))
    same(pushed, 4 * x)
    same(seen, 2 * x)
    assert (seen + 1).tolist() == [3, 5, 7]


def test_what_is_printed_says_what_it_is() -> None:
    shown: list[str] = []
    vmap(lambda x: (shown.append(repr(x)), x)[1])(B)
    jvp(lambda x: (shown.append(repr(x)), x)[1], (B,), (B,))
    assert shown == ["tensor(<3 cases of float64 (4,)>)", "tensor(<dual float64 (3, 4)>)"]
