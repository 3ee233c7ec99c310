"""Hooks: functions that a module calls before or after its `forward`, or its backward."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from thalweg.nn.backward_hooks import Watch
    from thalweg.nn.module import Module

__all__ = ["Hook", "Hooked", "Hooks", "RemovableHandle", "forget"]

Hook = Callable[..., Any]
_numbers = itertools.count()


class Hooks:
    """A module's hooks in the order they are called; each with whether it is given keywords.

    before, after   its forward
    cotangents      called with the gradients of its outputs, before its backward
    gradients       called with those of its inputs too, after its backward
    """

    __slots__ = ("after", "before", "cotangents", "gradients")

    def __init__(self) -> None:
        self.before: dict[int, tuple[Hook, bool]] = {}
        self.after: dict[int, tuple[Hook, bool]] = {}
        self.cotangents: dict[int, tuple[Hook, bool]] = {}
        self.gradients: dict[int, tuple[Hook, bool]] = {}

    def __bool__(self) -> bool:
        return bool(self.before or self.after or self.cotangents or self.gradients)

    def _watch(self, module: Module) -> Watch | None:
        """What shows this call's gradients to hooks, where there are such."""
        if not (self.cotangents or self.gradients):
            return None
        from thalweg.nn.backward_hooks import Watch

        first, last = ([hook for hook, _ in d.values()] for d in (self.cotangents, self.gradients))
        return Watch(module, first, last)

    def run(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """`module.forward(*args, **kwargs)` between the hooks, each of which may replace values."""
        for hook, with_kwargs in tuple(self.before.values()):
            if with_kwargs:
                args, kwargs = hook(module, args, kwargs) or (args, kwargs)
            elif (changed := hook(module, args)) is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        if (watch := self._watch(module)) is not None:
            args = watch.inputs(args)
        out = module.forward(*args, **kwargs)
        for hook, with_kwargs in tuple(self.after.values()):
            given = (args, kwargs, out) if with_kwargs else (args, out)
            if (changed := hook(module, *given)) is not None:
                out = changed
        return out if watch is None else watch.outputs(out)


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


def _register(
    module: Any, hooks: dict[int, tuple[Hook, bool]], hook: Hook, prepend: bool, with_kwargs: bool
) -> RemovableHandle:
    """Enter `hook` among `hooks`, those of `module` that run at one point."""
    handle = RemovableHandle(module, hooks)
    others = tuple(hooks.items()) if prepend else ()
    if prepend:
        hooks.clear()
    hooks[handle.number] = hook, with_kwargs
    hooks.update(others)
    return handle


class Hooked:
    """A module's methods that register hooks."""

    _hooks: Hooks | None = None

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before each forward; what it returns, if not None, is `args`.

        With `with_kwargs`: `hook(module, args, kwargs)`, which returns None or (args, kwargs).
        """
        self._hooks = self._hooks or Hooks()
        return _register(self, self._hooks.before, hook, prepend, with_kwargs)

    def register_forward_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after each forward; a result not None is the output.

        With `with_kwargs`: `hook(module, args, kwargs, output)`.

        >>> import thalweg as tw
        >>> layer = tw.nn.Linear(3, 2)
        >>> with layer.register_forward_hook(lambda module, args, out: print(tuple(out.shape))):
        ...     y = layer(tw.ones(5, 3))
        (5, 2)
        """
        self._hooks = self._hooks or Hooks()
        return _register(self, self._hooks.after, hook, prepend, with_kwargs)

    def register_full_backward_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` in backward, before the module's own.

        `grad_output` is a tuple of the gradients of what forward gave, None for what is no tensor
        on the tape; a tuple that the hook returns takes its place.
        """
        self._hooks = self._hooks or Hooks()
        return _register(self, self._hooks.cotangents, hook, prepend, with_kwargs=False)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` in backward, after the module's own.

        Both are tuples: the gradients of the positional arguments and of what forward gave, None
        for what is no tensor on the tape; a tuple that the hook returns takes the place of
        `grad_input`. Where no argument requires a gradient, `grad_input` is (None,). Tensors inside
        lists and dictionaries are not seen. In a compiled step a hook is traced: it may compute
        with tensors and assign to some that were there before, and runs in every call that way.

        >>> import thalweg as tw
        >>> layer = tw.nn.Linear(3, 2)
        >>> def show(module, grad_input, grad_output):
        ...     print([tuple(g.shape) for g in (*grad_input, *grad_output)])
        >>> with layer.register_full_backward_hook(show):
        ...     layer(tw.ones(5, 3, requires_grad=True)).sum().backward()
        [(5, 3), (5, 2)]
        """
        self._hooks = self._hooks or Hooks()
        return _register(self, self._hooks.gradients, hook, prepend, with_kwargs=False)
