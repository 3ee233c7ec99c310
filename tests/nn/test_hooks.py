"""Hooks: before and after forward, in order, removable, able to replace values."""

from __future__ import annotations

import copy
from typing import Any

import thalweg as tw
from thalweg import nn


class Add(nn.Module):
    def forward(self, x: Any, by: Any = 1) -> Any:
        return x + by


def test_hooks_see_and_replace() -> None:
    module = Add()
    seen: list[Any] = []
    module.register_forward_pre_hook(lambda m, args: seen.append((m, args)))
    module.register_forward_pre_hook(lambda m, args: args[0] * 10)
    module.register_forward_hook(lambda m, args, out: seen.append((args, out)))
    module.register_forward_hook(lambda m, args, out: -out)
    assert module(2) == -21
    assert seen == [(module, (2,)), ((20,), 21)]


def test_hooks_with_keywords() -> None:
    module = Add()
    module.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"by": kwargs["by"] + 1}), with_kwargs=True
    )
    seen: list[Any] = []
    module.register_forward_hook(lambda *given: seen.append(given[1:]), with_kwargs=True)
    assert module(1, by=5) == 7
    assert seen == [((1,), {"by": 6}, 7)]


def test_order_and_prepend() -> None:
    module, order = Add(), []
    for name in "ab":
        module.register_forward_hook(lambda m, args, out, name=name: order.append(name))
    module.register_forward_hook(lambda m, args, out: order.append("first"), prepend=True)
    module(0)
    assert order == ["first", "a", "b"]


def test_removed_hooks_are_not_called_and_calls_are_fast_again() -> None:
    module, calls = Add(), []
    handle = module.register_forward_hook(lambda m, args, out: calls.append(out))
    module(1)
    handle.remove()
    handle.remove()
    module(2)
    assert calls == [2]
    assert module._hooks is None
    with module.register_forward_pre_hook(lambda m, args: calls.append("before")):
        module(3)
    module(4)
    assert calls == [2, "before"]


def test_a_hook_may_remove_itself() -> None:
    module, calls = Add(), []

    def once(*given: Any) -> None:
        calls.append(given[-1])
        handle.remove()

    handle = module.register_forward_hook(once)
    assert (module(1), module(2)) == (2, 3)
    assert calls == [2]


def test_hooks_of_a_copy_are_its_own() -> None:
    module, calls = nn.Linear(1, 1), []
    handle = module.register_forward_hook(lambda m, args, out: calls.append(m))
    twin = copy.deepcopy(module)
    handle.remove()
    twin(tw.ones(1))
    module(tw.ones(1))
    assert calls == [twin]


def test_hooks_are_no_part_of_the_module() -> None:
    module = Add()
    module.register_forward_hook(nn.Linear(1, 1))  # any callable, a module too
    assert list(module.children()) == []
    assert module.state_dict() == {}
