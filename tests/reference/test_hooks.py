"""Hooks of modules and tensors: the gradients they see and what becomes of what they give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.reference.both import BOTH, DTYPES, TOLERANCES, assert_close, plain, tensors
from tests.reference.spelling import Samples

normal = Samples(42).normal
_X, _Y = normal(4, 3), normal(4, 3)


def _module(tw: Any) -> Any:
    """Two results of two arguments, one of them no tensor on the tape."""

    class Module(tw.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any, scale: Any, y: Any = None) -> Any:
            return (x * scale).sin() + y, (x * y).cos()

    return Module()


def _halved(module: Any, given: Any, *more: Any) -> Any:
    return tuple(None if g is None else g * 0.5 for g in given)


def _seen_by(module: Any, kinds: tuple[str, ...], seen: list[Any], answer: Any) -> None:
    for kind in kinds:

        def hook(owner: Any, *given: Any) -> Any:
            assert owner is module
            seen.extend(g for gradients in given for g in gradients)
            return None if answer is None else answer(owner, *given)

        getattr(module, f"register_full_backward_{kind}")(hook)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("answer", [None, _halved])
@pytest.mark.parametrize("kinds", [("hook",), ("pre_hook",), ("pre_hook", "hook", "hook")])
def test_of_modules(kinds: tuple[str, ...], answer: Callable[..., Any] | None, dtype: str) -> None:
    found = []
    for tw in BOTH:
        module, seen = _module(tw), []
        _seen_by(module, kinds, seen, answer)
        x, y = tensors(tw, (_X, _Y), dtype)
        z = tensors(tw, _Y, dtype, differentiable=False)
        first, second = module(x * 1, 2.0, y)
        other, _ = module(x * 1, z, y=y)
        loss = (first * first).sum() + second.sum() + (first * other).sum()
        firsts = tw.autograd.grad(loss, (x, y), create_graph=True)
        again = tw.autograd.grad((firsts[0] * firsts[1]).sum(), (x, y))
        found.append([*seen, *firsts, *again])
    for position, (g, h) in enumerate(zip(*found, strict=True)):
        if g is None or h is None:  # where no gradient arrives, zeros are as good
            assert all(not plain(x).any() for x in (g, h) if x is not None), position
        else:
            assert_close(g, h, TOLERANCES["second", dtype], f"{position}")


def test_order(tw: Any) -> None:
    layer, order = tw.nn.Sequential(tw.nn.Linear(3, 3), tw.nn.Tanh()), []
    for name, module in layer.named_modules():
        for kind in ("hook", "pre_hook"):
            for n, first in ((1, False), (2, False), (0, True)):

                def note(*given: Any, at: Any = (name, kind, n)) -> None:
                    order.append(at)

                getattr(module, f"register_full_backward_{kind}")(note, prepend=first)
    layer(tw.ones(1, 3, requires_grad=True)).sum().backward()
    places = (("", "pre_hook"), ("1", "pre_hook"), ("1", "hook"), ("0", "pre_hook"), ("0", "hook"))
    assert order == [(*at, n) for at in (*places, ("", "hook")) for n in range(3)]


def test_of_keywords(tw: Any) -> None:
    class Double(tw.nn.Module):  # type: ignore[misc]
        def forward(self, *, input: Any) -> Any:
            return input * 2 + 0.5

    layer, seen = Double(), []
    layer.register_forward_pre_hook(
        lambda module, args, kwargs: (args, {"input": kwargs["input"] * 0}), with_kwargs=True
    )
    layer.register_forward_hook(
        lambda module, args, kwargs, out: seen.append(kwargs["input"].tolist()), with_kwargs=True
    )
    assert layer(input=tw.tensor([1.0, 2.0])).tolist() == [0.5, 0.5]
    assert seen == [[0.0, 0.0]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_of_tensors(dtype: str) -> None:
    found = []
    for tw in BOTH:
        x, y = tensors(tw, (_X, _Y), dtype)
        product = x * y
        product.retain_grad()
        product.register_hook(lambda g: g * 2)
        handle = x.register_hook(lambda g: g.clamp(-1, 1))
        out = product.tanh()
        out.retain_grad()
        out.sum().backward(retain_graph=True)
        handle.remove()
        first = x.grad.clone()
        out.sum().backward()
        found.append([first, x.grad, y.grad, product.grad, out.grad])
    for position, (g, h) in enumerate(zip(*found, strict=True)):
        assert_close(g, h, TOLERANCES["value", dtype], f"{position}")
