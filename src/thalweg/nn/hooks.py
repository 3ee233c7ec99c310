"""Hooks: functions that a module calls before or after its own `forward`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from thalweg.nn.module import Module

__all__ = ["Hook", "Hooks", "RemovableHandle", "forget", "register"]

Hook = Callable[..., Any]
_numbers = itertools.count()


class Hooks:
    """A module's hooks in the order they are called; each with whether it is given keywords."""

    __slots__ = ("after", "before")

    def __init__(self) -> None:
        self.before: dict[int, tuple[Hook, bool]] = {}
        self.after: dict[int, tuple[Hook, bool]] = {}

    def __bool__(self) -> bool:
        return bool(self.before or self.after)

    def run(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """`module.forward(*args, **kwargs)` between the hooks, each of which may replace values."""
        for hook, with_kwargs in tuple(self.before.values()):
            if with_kwargs:
                args, kwargs = hook(module, args, kwargs) or (args, kwargs)
            elif (changed := hook(module, args)) is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        out = module.forward(*args, **kwargs)
        for hook, with_kwargs in tuple(self.after.values()):
            given = (args, kwargs, out) if with_kwargs else (args, out)
            if (changed := hook(module, *given)) is not None:
                out = changed
        return out


class RemovableHandle:
    """What registering a hook gives: `remove()` takes it away, and so does leaving a `with`."""

    def __init__(self, module: Module, hooks: dict[int, tuple[Hook, bool]]) -> None:
        self.number = next(_numbers)
        self._module = module
        self._hooks = hooks

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self._hooks.pop(self.number, None)
        _settle(self._module)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def _settle(module: Module) -> None:
    if not module._hooks:  # that was the last one: calls need not look for hooks again
        module._hooks = None


def forget(module: Module, is_it: Callable[[Hook], bool]) -> None:
    """Take away those hooks before the forward of `module` for which `is_it` holds."""
    if module._hooks is not None:
        before = module._hooks.before
        for number in [n for n, (hook, _) in before.items() if is_it(hook)]:
            del before[number]
        _settle(module)


def register(
    module: Module,
    hooks: dict[int, tuple[Hook, bool]],
    hook: Hook,
    prepend: bool,
    with_kwargs: bool,
) -> RemovableHandle:
    """Enter `hook` among `hooks`, those of `module` that run before or after it."""
    handle = RemovableHandle(module, hooks)
    others = tuple(hooks.items()) if prepend else ()
    if prepend:
        hooks.clear()
    hooks[handle.number] = hook, with_kwargs
    hooks.update(others)
    return handle
