"""Hooks of a module that see its gradients: where they come out of it, and where they go in.

What goes into a module and what comes out of it pass through a function that is the identity, and
whose backward calls the hooks. So a hook that computes with tensors is traced like any other code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from thalweg._tensor import Tensor
from thalweg.autodiff.function import Function
from thalweg.errors import GradientError
from thalweg.tape import mode

if TYPE_CHECKING:
    from thalweg.nn.module import Module

__all__ = ["Watch"]

Gradients = tuple[Any, ...]
Hooks = Sequence[Callable[..., Any]]


class _Seen(Function):
    """The tensors that it is given; `see` is shown their cotangents, and may give others."""

    @staticmethod
    def forward(see: Callable[[Gradients], Gradients], *tensors: Tensor) -> Any:
        return tuple(tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.see = inputs[0]

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        return None, *ctx.see(cotangents)


class Watch:
    """One call of a module, of which hooks see the gradients.

    before   hook(module, grad_output), which may give others in their place
    after    hook(module, grad_input, grad_output), which may give others in place of grad_input
    """

    def __init__(self, module: Module, before: Hooks, after: Hooks) -> None:
        self.module, self.before, self.after = module, before, after
        self.grad_output: Gradients | None = None  # from when it came out until it went in
        self.has_inputs = False

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments of forward, such that their gradients are seen."""
        places = _on_tape(args)
        self.has_inputs = bool(places)

        def see(cotangents: Gradients) -> Gradients:
            if self.grad_output is None:  # it did not come through the output
                return cotangents
            given, self.grad_output = self.grad_output, None
            found = _spread(cotangents, places, len(args))
            for hook in self.after:
                changed = hook(self.module, found, given)
                found = self._replaced("backward hook", found, changed)
            return tuple(found[k] for k in places)

        return _passed(args, places, see)

    def outputs(self, result: Any) -> Any:
        """What forward gave, such that its gradients are seen."""
        outs = result if isinstance(result, tuple) else (result,)
        places = _on_tape(outs)

        def see(cotangents: Gradients) -> Gradients:
            found = _spread(cotangents, places, len(outs))
            for hook in self.before:
                changed = hook(self.module, found)
                found = self._replaced("backward pre-hook", found, changed)
            if self.has_inputs:
                self.grad_output = found
            else:
                self._without_inputs(found)
            return tuple(found[k] for k in places)

        passed = _passed(outs, places, see)
        if isinstance(result, tuple):
            named = hasattr(result, "_fields")
            return type(result)(*passed) if named else passed
        return passed[0]

    def _without_inputs(self, grad_output: Gradients) -> None:
        """No input is on the tape: hooks see the gradients of the outputs alone."""
        for hook in self.after:
            changed = hook(self.module, (None,), grad_output)
            if changed is not None and any(g is not None for g in _listed(changed)):
                raise GradientError(
                    f"a backward hook of {type(self.module).__name__} gives a gradient for an "
                    "input, of which none requires a gradient; give None"
                )

    def _replaced(self, what: str, found: Gradients, changed: Any) -> Gradients:
        if changed is None:
            return found
        listed = _listed(changed)
        if len(listed) != len(found):
            raise GradientError(
                f"a {what} of {type(self.module).__name__} gives {len(listed)} gradients for "
                f"{len(found)}; give as many, or None to change nothing"
            )
        return listed


def _listed(changed: Any) -> Gradients:
    return tuple(changed) if isinstance(changed, tuple | list) else (changed,)


def _on_tape(values: Sequence[Any]) -> list[int]:
    """The positions of the tensors that a gradient may reach."""
    if not mode.grad:
        return []
    return [
        k
        for k, x in enumerate(values)
        if isinstance(x, Tensor)
        and x._value.dtype.kind == "f"
        and (x._requires_grad or mode.level is not None)
    ]


def _passed(
    values: tuple[Any, ...], places: list[int], see: Callable[[Gradients], Gradients]
) -> tuple[Any, ...]:
    """`values`, of which those at `places` have gone through the identity."""
    if not places:
        return values
    through = iter(_Seen.apply(see, *(values[k] for k in places)))
    return tuple(next(through) if k in places else x for k, x in enumerate(values))


def _spread(cotangents: Gradients, places: list[int], count: int) -> Gradients:
    """The cotangents at their places among `count`, None elsewhere."""
    known = dict(zip(places, cotangents, strict=True))
    return tuple(known.get(k) for k in range(count))
