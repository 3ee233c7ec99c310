"""autograd.Function: derivatives of one's own, on the tape and under every transform."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

import thalweg as tw
from thalweg.autograd import Function, gradcheck, gradgradcheck
from thalweg.errors import ConfigError, GradientError, ShapeError
from thalweg.func import grad, hessian, jacrev, jvp, vmap

X = tw.tensor([1.0, 2.0, -3.0]).double()
Y = tw.tensor([2.0, 1.0, 5.0]).double()


class CubeAndProduct(Function):
    """Two results of one type, and one without a derivative; an argument that is no tensor."""

    @staticmethod
    def forward(ctx: Any, x: Any, k: float, y: Any) -> Any:
        ctx.save_for_backward(x, y)
        ctx.k = k
        return x**3 * k, x * y, x > 0

    @staticmethod
    def backward(ctx: Any, g: Any, h: Any, _: Any) -> Any:
        x, y = ctx.saved_tensors
        return 3 * ctx.k * x * x * g + h * y, None, h * x


class SevenTimesSign(Function):
    """PyTorch's newer face; a backward that is not the derivative of the forward."""

    @staticmethod
    def forward(x: Any) -> Any:
        return x.sign()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.saved_tensors[0] * 7


def own(x: tw.Tensor, y: tw.Tensor) -> tw.Tensor:
    cube, product, positive = CubeAndProduct.apply(x, 2, y)
    return cube + 2 * product + positive


def plain(x: tw.Tensor, y: tw.Tensor) -> tw.Tensor:
    return 2 * x**3 + 2 * (x * y) + (x > 0)


TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "value": lambda f: lambda x: f(x, Y),
    "vmap": lambda f: lambda x: vmap(f)(x, Y),
    "grad": lambda f: grad(lambda x: f(x, Y).sum()),
    "vmap of grad": lambda f: vmap(grad(lambda x: f(x, Y[0]))),
    "jvp": lambda f: lambda x: jvp(lambda x: f(x, Y), (x,), (Y,))[1],
    "grad of vmap": lambda f: grad(lambda x: vmap(f)(x, Y).sum()),
    "hessian": lambda f: hessian(lambda x: f(x, Y).sum()),
    "vmap of hessian": lambda f: vmap(hessian(lambda x: f(x, Y[2]))),
    "jacrev of grad of vmap": lambda f: jacrev(grad(lambda x: vmap(f)(x, Y).sum())),
    "vmap of grad of grad": lambda f: vmap(grad(grad(lambda x: f(x, Y[0])))),
    "grad of vmap of grad": lambda f: grad(lambda x: vmap(grad(lambda x: f(x, Y[1])))(x).sum()),
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("compiled", [False, True])
def test_under_transforms(name: str, compiled: bool) -> None:
    transform = TRANSFORMS[name]
    function = transform(own)
    found = (tw.compile(function) if compiled else function)(X)
    np.testing.assert_allclose(found.numpy(), transform(plain)(X).numpy(), rtol=1e-12)


def test_both_derivatives() -> None:
    x, y = X.clone().requires_grad_(), Y.clone().requires_grad_()
    assert gradcheck(lambda x, y: CubeAndProduct.apply(x, 2, y)[:2], (x, y))
    assert gradgradcheck(lambda x, y: CubeAndProduct.apply(x, 2, y)[:2], (x, y))


def test_its_own_backward_counts_everywhere() -> None:
    wanted = [7.0, 7.0, -7.0]
    x = X.clone().requires_grad_()
    SevenTimesSign.apply(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == wanted
    assert vmap(grad(SevenTimesSign.apply))(X).tolist() == wanted
    assert grad(lambda x: vmap(SevenTimesSign.apply)(x).sum())(X).tolist() == wanted
    pushed = jvp(SevenTimesSign.apply, (X,), (tw.ones(3).double(),))[1]
    assert pushed.tolist() == wanted
    nested = vmap(lambda x: jvp(SevenTimesSign.apply, (x,), (tw.ones_like(x),))[1])(X)
    assert nested.tolist() == wanted


def test_what_needs_a_gradient() -> None:
    seen: list[Any] = []

    class Look(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, n: int, y: Any) -> Any:
            seen.append(ctx.needs_input_grad)
            ctx.mark_non_differentiable(z := x * y)
            return x + y, z

        @staticmethod
        def backward(ctx: Any, g: Any, h: Any) -> Any:
            assert not h.any()
            return g, None, None

    x = X.clone().requires_grad_()
    total, constant = Look.apply(x, 3, Y)
    assert seen == [(True, False, False)]
    assert total.requires_grad
    assert not constant.requires_grad
    total.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1, 1, 1]


def broken(result: Any) -> Any:
    class Broken(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            return x + y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return result(g)

    return Broken


def test_errors() -> None:
    x = X.clone().requires_grad_()
    with pytest.raises(GradientError, match="1 gradients for 2 arguments"):
        broken(lambda g: g).apply(x, Y).sum().backward()
    with pytest.raises(ShapeError, match=r"argument 0 has shape \(2,\), expected \(3,\)"):
        broken(lambda g: (g[:2], g)).apply(x, Y).sum().backward()

    class Number(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return 3.0

    with pytest.raises(ConfigError, match="Number.forward gives a tensor"):
        Number.apply(x)


# --- a rule for many cases -----------------------------------------------------------------------


class ByHand(Function):
    """x * y by NumPy, which no transform sees into; `told` is what its rule was told."""

    told: ClassVar[list[Any]] = []

    @staticmethod
    def forward(x: Any, y: Any, scale: float) -> Any:
        return tw.tensor(x.detach().numpy() * y.detach().numpy() * scale)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs[:2])
        ctx.scale = inputs[2]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        return g * y * ctx.scale, g * x * ctx.scale, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Any, y: Any, scale: float) -> Any:
        ByHand.told.append((info.batch_size, info.randomness, in_dims))
        x, y = (
            z.unsqueeze(0) if d is None else z.movedim(d, 0)
            for z, d in zip((x, y), in_dims[:2], strict=True)
        )
        return ByHand.apply(x, y, scale).movedim(0, -1), -1


def test_a_rule_for_many_cases() -> None:
    ByHand.told.clear()
    rows, seen = tw.stack([X, Y]), Y

    def one(x: tw.Tensor, y: tw.Tensor) -> Any:
        return (ByHand.apply(x, y, 2.0) * x).sum()

    assert vmap(lambda x: ByHand.apply(x, seen, 2.0), in_dims=1)(rows.T).equal(rows * seen * 2)
    assert ByHand.told == [(2, "error", (0, None, None))]
    wanted = tw.stack([4 * x * seen for x in rows])
    assert vmap(grad(one), in_dims=(0, None))(rows, seen).allclose(wanted)
    assert grad(lambda rows: vmap(one, in_dims=(0, None))(rows, seen).sum())(rows).allclose(wanted)
    pairs = vmap(vmap(one, in_dims=(None, 0)), in_dims=(0, None))(rows, rows)
    assert pairs.allclose(tw.stack([tw.stack([one(x, y) for y in rows]) for x in rows]))


def test_a_rule_that_gives_no_dimension() -> None:
    class Silent(ByHand):
        @staticmethod
        def vmap(info: Any, in_dims: Any, x: Any, y: Any, scale: float) -> Any:
            return x

    with pytest.raises(ConfigError, match=r"Silent\.vmap gives a pair \(results, out_dims\)"):
        vmap(lambda x: Silent.apply(x, X, 1.0))(tw.stack([X, Y]))
