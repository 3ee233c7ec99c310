"""Which calls a program serves: the types of its arguments, and the values of those that are no
tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from thalweg._tensor import Tensor
from thalweg.compiler.graph import Variable, spell_type
from thalweg.compiler.tracing.structure import Structure
from thalweg.errors import TraceError
from thalweg.tape import ESCAPED, mode, no_trace_here

__all__ = ["AS_A_TENSOR", "differences", "signature_of"]

AS_A_TENSOR: Final = "Pass what changes from call to call as a tensor"


def signature_of(leaves: Sequence[Any], structure: Structure, differentiate: bool) -> Any:
    """What a program is made for: a hashable value, equal where the program serves.

    Raises `TraceError` for an argument that cannot be told by its value.
    """
    parts: list[Any] = [structure, mode.grad, differentiate]
    for x in leaves:
        if isinstance(x, Tensor):
            if x._value.__class__ is Variable:
                no_trace_here()
            if x._value.__class__ is Variable:
                raise TraceError(f"an argument of a compiled function: {ESCAPED}")
            parts.append((x._value.shape, x._value.dtype, x._requires_grad))
        elif x.__class__ is float and (x == 0 or x != x):  # -0.0 is not 0.0, and NaN is NaN
            parts.append(repr(x))
        else:
            parts.append((type(x), x))
    key = tuple(parts)
    try:
        hash(key)
    except TypeError:
        odd = next(x for x in leaves if not isinstance(x, Tensor) and x.__hash__ is None)
        given = type(odd).__name__
        hint = "; make a tensor of it with tw.tensor(...)" if given == "ndarray" else ""
        raise TraceError(
            f"{given} given to a compiled function; arguments are tensors, or hashable values "
            f"that the program is made for{hint}"
        ) from None
    return key


def differences(before: Any, now: Any) -> tuple[str, str]:
    """How two signatures differ, in words, and what to do about it."""
    if before[0] != now[0]:
        return "its arguments are others, or nested otherwise", "Give it the same ones"
    if before[1:3] != now[1:3]:
        return "gradients were on and are off, or the reverse", "Compile a function for each"
    for number, (then, other) in enumerate(zip(before[3:], now[3:], strict=True)):
        if then == other:
            continue
        name = f"number {number} of its arguments"
        if isinstance(then, tuple) and isinstance(other, tuple) and len(then) == len(other) == 3:
            kinds = [spell_type(Variable(*kind[:2])) for kind in (then, other)]
            if kinds[0] != kinds[1]:
                return (
                    f"{name} was {kinds[0]} and is {kinds[1]}",
                    "Keep to a few shapes, by padding",
                )
            return f"{name} required a gradient, or does now", "Detach it"
        values = [str(kind[1] if isinstance(kind, tuple) else kind)[:40] for kind in (then, other)]
        return f"{name} was {values[0]} and is {values[1]}", AS_A_TENSOR
    return "an earlier program was forgotten", AS_A_TENSOR
