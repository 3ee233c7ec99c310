"""The arguments of the transforms: argnums, aux, nested arguments; and their errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler.tracing.structure import flatten
from thalweg.errors import ConfigError, DTypeError, ShapeError
from thalweg.func import (
    functional_call,
    grad,
    grad_and_value,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    stack_module_state,
    vjp,
    vmap,
)

X = tw.tensor([0.5, -1.0, 2.0]).double()
W = tw.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 4.0]]).double()


def same(found: tw.Tensor, wanted: Any) -> None:
    wanted = wanted.detach().numpy() if isinstance(wanted, tw.Tensor) else np.asarray(wanted)
    assert tuple(found.shape) == wanted.shape
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12, atol=1e-13)


def loss(w: tw.Tensor, x: tw.Tensor, *, scale: float = 1.0) -> tw.Tensor:
    return (w @ x).square().sum() * scale


def test_argnums() -> None:
    by_w, by_x = 2 * tw.outer(W @ X, X), 2 * W.T @ (W @ X)
    same(grad(loss)(W, X), by_w)
    same(grad(loss, argnums=1)(W, X), by_x)
    same(grad(loss, argnums=-1)(W, X), by_x)
    both = grad(loss, argnums=(1, 0))(W, X, scale=3.0)
    same(both[0], 3 * by_x)
    same(both[1], 3 * by_w)
    assert isinstance(grad(loss, argnums=(0,))(W, X), tuple)
    for jacobian in (jacrev, jacfwd):
        found = jacobian(lambda w, x: w @ x, argnums=(0, 1))(W, X)
        assert [tuple(x.shape) for x in found] == [(2, 2, 3), (2, 3)]
        same(found[1], W)
    second = hessian(loss, argnums=(0, 1))(W, X)
    same(second[1][1], 2 * W.T @ W)
    assert second[0][1].shape == (2, 3, 3)
    same(second[0][1].permute(2, 0, 1), second[1][0])


def test_has_aux() -> None:
    def with_aux(w: tw.Tensor, x: tw.Tensor) -> Any:
        y = w @ x
        return y.square().sum(), {"y": y, "text": 5}

    gradient, aux = grad(with_aux, has_aux=True)(W, X)
    same(gradient, grad(loss)(W, X))
    same(aux["y"], W @ X)
    assert not aux["y"].requires_grad
    assert aux["text"] == 5
    gradient, (value, aux) = grad_and_value(with_aux, has_aux=True)(W, X)
    same(value, loss(W, X))
    value, pull, aux = vjp(lambda x: (W @ x, x * 2), X, has_aux=True)
    same(pull(tw.ones(2).double())[0], W.sum(0))
    same(aux, 2 * X)
    value, pushed, aux = jvp(lambda x: (W @ x, x * 2), (X,), (X,), has_aux=True)
    same(pushed, W @ X)
    same(aux, 2 * X)
    for jacobian in (jacrev, jacfwd):
        found, aux = jacobian(lambda x: (W @ x, x * 2), has_aux=True)(X)
        same(found, W)
        same(aux, 2 * X)


def test_nested_arguments_and_results() -> None:
    def model(state: Any, x: tw.Tensor) -> Any:
        hidden = (state["w"] @ x).tanh()
        return {"out": hidden * state["more"][0], "sum": hidden.sum() + state["more"][1]}

    state = {"w": W, "more": [tw.tensor(2.0).double(), tw.tensor(1.0).double()]}
    found = grad(lambda s: model(s, X)["sum"])(state)
    assert found["more"][0].item() == 0
    assert found["more"][1].item() == 1
    for jacobian in (jacrev, jacfwd):
        whole = jacobian(model)(state, X)
        same(whole["sum"]["w"], found["w"])
        same(whole["out"]["more"][0], (W @ X).tanh())
        assert whole["out"]["w"].shape == (2, 2, 3)
    _value, pull = vjp(model, state, X)
    ones = {"out": tw.zeros(2).double(), "sum": tw.ones(()).double()}
    by_state, by_x = pull(ones)
    same(by_state["w"], found["w"])
    _, pushed = jvp(model, (state, X), (state, X))
    _, push = linearize(model, state, X)
    again = push(state, X)
    same(again["out"], pushed["out"])
    same(again["sum"], pushed["sum"])
    whole = jacrev(model, argnums=(0, 1))(state, X)
    same(whole["sum"][1], by_x)


def test_chunks() -> None:
    def f(x: tw.Tensor) -> tw.Tensor:
        return (W @ x).tanh()

    for chunk_size in (1, 2, 5):
        same(jacrev(f, chunk_size=chunk_size)(X), jacrev(f)(X))
        same(jacfwd(f, chunk_size=chunk_size)(X), jacrev(f)(X))


def test_a_pullback_may_be_called_again_and_differentiated() -> None:
    _, pull = vjp(lambda x: x**3, X)
    for _ in range(2):
        same(pull(X)[0], 3 * X**3)
    same(jacrev(lambda v: pull(v)[0])(X), (3 * X**2).diag())
    v = X.clone().requires_grad_()
    pull(v)[0].sum().backward()
    assert v.grad is not None
    same(v.grad, 3 * X**2)


def test_what_results_do_not_depend_on_gets_zeros() -> None:
    y = tw.ones(2).double()
    same(grad(lambda a, b: a.sum(), argnums=(0, 1))(X, y)[1], np.zeros(2))
    same(jvp(lambda a: y * 2, (X,), (X,))[1], np.zeros(2))
    same(jacrev(lambda a: y * 2)(X), np.zeros((2, 3)))
    same(jacfwd(lambda a: y * 2)(X), np.zeros((2, 3)))
    same(jacfwd(lambda a: a.floor())(X), np.zeros((3, 3)))
    same(hessian(lambda a: a.sum())(X), np.zeros((3, 3)))


def test_integers_pass_through() -> None:
    index = tw.tensor([2, 0])
    assert jvp(lambda x: (x[index], index * 2), (X,), (X,))[0][1].tolist() == [4, 0]
    same(grad(lambda x, i: x[i].sum())(X, index), [1, 0, 1])


def test_only_what_leads_to_the_inputs_is_visited() -> None:
    """The tape outside is neither walked nor freed."""
    w = tw.tensor(2.0, requires_grad=True)
    behind = w * w
    calls = []
    behind.register_hook(lambda g: calls.append(1))
    inside = grad(lambda x: x * behind.detach() + x)(tw.tensor(1.0))
    assert not inside.requires_grad
    outside = grad(lambda x: x * behind)(tw.tensor(1.0))
    assert not calls
    outside.backward()
    assert len(calls) == 1
    assert w.grad is not None
    assert w.grad.item() == 4


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: grad(lambda x: x)(X), ShapeError, r"shape \(3,\), expected one number"),
        (lambda: grad(lambda x: x.sum())(tw.tensor([1, 2])), DTypeError, "int64"),
        (lambda: grad(lambda x: x.sum())(3.0), DTypeError, "argument that is differentiated"),
        (lambda: grad(lambda x: 3.0)(X), DTypeError, "result of func"),
        (lambda: grad(lambda x: x.sum(), argnums=1)(X), ConfigError, "argnums 1 with 1"),
        (lambda: grad(lambda x, y: x.sum(), argnums=(0, 0))(X, X), ConfigError, "twice"),
        (lambda: grad(lambda x: x.sum(), has_aux=True)(X), ConfigError, "pair"),
        (lambda: vjp(lambda x: x, X)[1](X[:2]), ShapeError, r"shape \(2,\), expected"),
        (lambda: vjp(lambda x: (x, x), X)[1](X), ShapeError, "2 tensors nested alike"),
        (lambda: jvp(lambda x: x, X, X), DTypeError, "tuples"),
        (lambda: jvp(lambda x: x, (X,), (X[:2],)), ShapeError, r"tangent 0 has shape \(2,\)"),
        (lambda: jvp(lambda x: x, (X,), (X.float(),)), DTypeError, "one floating type"),
        (lambda: jvp(lambda x: x, (X,), (X, X)), ShapeError, "structure of primals"),
        (lambda: jacfwd(lambda x: x)(tw.tensor([1, 2])), DTypeError, "jacfwd"),
        (lambda: jacrev(lambda x: x > 0)(X), DTypeError, "jacrev: thalweg.bool has no derivative"),
        (lambda: jacrev(lambda x: x)(tw.tensor([1, 2])), DTypeError, "jacrev: thalweg.int64"),
        (lambda: jacrev(lambda x: x)(3.0), DTypeError, "jacrev: an argument"),
        (lambda: jacrev(lambda x: 3.0)(X), DTypeError, "result of func"),
        (lambda: jacfwd(lambda x: 3.0)(X), DTypeError, "result"),
        (lambda: linearize(lambda x: x.argmax(), X), DTypeError, "linearize: thalweg.int64"),
        (lambda: vjp(lambda x: x, tw.tensor([1])), DTypeError, "only float32 and float64"),
        (lambda: jacrev(lambda x: x, argnums=2)(X), ConfigError, "argnums 2 with 1"),
        (lambda: jacfwd(lambda x: x, argnums="x")(X), ConfigError, "argnums 'x' with 1"),
        (lambda: hvp(lambda x: x, (X,), (X,)), ShapeError, "expected one number"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


# --- modules --------------------------------------------------------------------------------------


class Counting(tw.nn.Module):
    """A buffer that every call changes, and one parameter under two names."""

    def __init__(self) -> None:
        self.weight = tw.nn.Parameter(tw.ones(2))
        self.again = self.weight
        self.register_buffer("calls", tw.zeros(()))

    def forward(self, x: tw.Tensor, *, shift: float = 0.0) -> tw.Tensor:
        self.calls.add_(1)
        return x * self.weight + self.again + shift


def test_functional_call() -> None:
    module = Counting()
    w, calls = tw.tensor([2.0, 3.0], requires_grad=True), tw.tensor(5.0)
    found = functional_call(
        module, ({"weight": w}, {"calls": calls}), (tw.ones(2),), {"shift": 1.0}
    )
    assert found.tolist() == [5, 7]
    assert (calls.item(), module.calls.item()) == (6, 0)
    assert module.weight.tolist() == [1, 1]
    found.sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [2, 2]
    assert module.weight.grad is None
    assert functional_call(module, {}, tw.ones(2)).tolist() == [2, 2]
    assert module.calls.item() == 1


def test_functional_call_compiled_reads_what_it_is_given() -> None:
    net = tw.nn.Linear(2, 1)
    call = tw.compile(lambda w, b, x: functional_call(net, {"weight": w, "bias": b}, x))
    for value in (1.0, 2.0):
        w, b = tw.full((1, 2), value), tw.full((1,), value)
        assert call(w, b, tw.ones(2)).item() == 3 * value
    captured = {"weight": tw.ones(1, 2), "bias": tw.ones(1)}
    again = tw.compile(lambda x: functional_call(net, captured, x))
    assert again(tw.ones(2)).item() == 3
    captured["weight"].fill_(2)
    assert again(tw.ones(2)).item() == 5
    assert (net(tw.ones(2)) - net.weight.sum() - net.bias).abs().item() < 1e-6


def test_errors_of_functional_call() -> None:
    module, x = Counting(), tw.ones(2)
    with pytest.raises(ConfigError, match="no parameter 'wieght'; did you mean 'weight'"):
        functional_call(module, {"wieght": x}, x)
    with pytest.raises(ConfigError, match="one parameter with another name"):
        functional_call(module, {"weight": x, "again": x * 2}, x)
    with pytest.raises(ConfigError, match="missing: calls"):
        functional_call(module, {"weight": x}, x, strict=True)
    with pytest.raises(ConfigError, match="several dictionaries"):
        functional_call(module, ({"weight": x}, {"weight": x}), x)
    with pytest.raises(ConfigError, match="tie_weights"):
        functional_call(module, {}, x, tie_weights=False)
    with pytest.raises(ConfigError, match="got none"):
        stack_module_state([])
    with pytest.raises(ConfigError, match="names differ"):
        stack_module_state([module, tw.nn.Linear(2, 1)])


def test_a_failing_module_is_as_it_was() -> None:
    module = Counting()
    with pytest.raises(ShapeError):
        functional_call(module, {"weight": tw.ones(2) * 3}, tw.ones(3))
    assert module.weight.tolist() == [1, 1]


def test_running_statistics_under_forward_mode() -> None:
    norm = tw.nn.BatchNorm1d(3)
    x = tw.tensor(np.random.default_rng(0).standard_normal((4, 3))).float()
    _, product = hvp(lambda x: (norm(x) ** 3).sum(), (x,), (tw.ones(4, 3),))
    assert product.shape == (4, 3)
    other = tw.nn.BatchNorm1d(3)
    other(x)
    same(norm.running_mean, other.running_mean)
    assert vmap(lambda x: x * 2)(norm.running_mean).tolist() == (2 * norm.running_mean).tolist()


def test_state_written_inside_is_off_the_tape() -> None:
    seen, w = tw.zeros(()), tw.tensor(2.0, requires_grad=True)

    def f(x: tw.Tensor) -> tw.Tensor:
        seen.copy_(x * x)
        return x * seen

    assert grad(f)(tw.tensor(3.0)).item() == 27
    assert seen.item() == 9
    assert not seen.requires_grad
    _, pull = vjp(f, tw.tensor(3.0))
    assert pull(tw.tensor(1.0))[0].item() == 27
    assert not seen.requires_grad
    grad(lambda x: f(x * w))(tw.tensor(1.0))
    seen.backward()  # what leads to a tensor outside stays
    assert w.grad is not None
    assert w.grad.item() == 4


_OWN: dict[str, Callable[..., Any]] = {
    "samples": lambda f, p, x, t: vmap(grad(f), (None, 0))(p, x),
    "jacrev": lambda f, p, x, t: jacrev(f)(p, x[0]),
    "jacfwd": lambda f, p, x, t: jacfwd(f)(p, x[0]),
    "hessian": lambda f, p, x, t: vmap(hessian(f), (None, 0))(p, x),
    "jvp": lambda f, p, x, t: jvp(lambda p: f(p, x[0]), (p,), (t,)),
    "itself": lambda f, p, x, t: jvp(lambda p: f(p, x[0]), (p,), (p,)),
    "mapped jvp": lambda f, p, x, t: vmap(lambda x: jvp(lambda p: f(p, x), (p,), (t,)))(x),
    "a sum": lambda f, p, x, t: grad(lambda p: vmap(f, (None, 0))(p, x).sum())(p),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", _OWN)
def test_a_module_given_its_own_parameters(name: str, compiled: bool) -> None:
    layer, x = tw.nn.Linear(3, 2), tw.randn(4, 3)

    def f(p: Any, x: tw.Tensor) -> tw.Tensor:
        return functional_call(layer, p, (x[None],)).square().sum()

    own = dict(layer.named_parameters())
    apart = {name: value.detach() for name, value in own.items()}
    t = {name: tw.randn(*value.shape) for name, value in own.items()}
    call = _OWN[name]
    run = tw.compile(lambda p: call(f, p, x, t)) if compiled else lambda p: call(f, p, x, t)
    found, wanted = flatten(run(own))[0], flatten(call(f, apart, x, t))[0]
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.numpy(), rtol=1e-4, atol=1e-5)
    assert all(type(value._value) is np.ndarray for value in own.values())


def test_gradients_of_samples_go_back_to_the_parameters() -> None:
    layer, x = tw.nn.Linear(3, 2, bias=False), tw.randn(4, 3)

    def f(p: Any, x: tw.Tensor) -> tw.Tensor:
        return functional_call(layer, p, (x,)).square().sum() / 2

    slopes = vmap(grad(f), (None, 0))(dict(layer.named_parameters()), x)["weight"]
    slopes.sum().backward()  # of W x x^T
    assert layer.weight.grad is not None
    wanted = (x * x.sum(1, keepdim=True)).sum(0).expand(2, 3)
    np.testing.assert_allclose(layer.weight.grad.numpy(), wanted.numpy(), rtol=1e-4, atol=1e-5)
