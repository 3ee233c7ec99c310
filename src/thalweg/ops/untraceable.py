"""What needs a tensor's values, which it has not while it is traced; and what to write instead."""

from __future__ import annotations

from typing import Final

from thalweg.errors import TraceError

__all__ = ["no_values"]

_TWO_WAYS: Final = (
    "Where there are two ways to go, use tw.where or tw.cond, and for a loop tw.scan; an assertion "
    "belongs outside the compiled function"
)
_NUMBERS: Final = (
    "Go on with the tensor (tw.sin(x) for math.sin(x), tw.where for a choice), or return it, and "
    "look at the number outside the compiled function"
)
_SIZES: Final = (
    "Sizes, counts and the ends of slices are part of a program: give a Python number, or keep the "
    "whole and choose with tw.where. An index may be a tensor: x[i]"
)
_SHAPES: Final = (
    "They would decide the result's shape. Keep the shape with tw.where(mask, x, 0), or leave this "
    "outside the compiled function"
)
_REMEDIES: Final = {
    "bool()": _TWO_WAYS,
    **dict.fromkeys(("item()", "float()", "int()", "tolist()", "numpy()"), _NUMBERS),
    **dict.fromkeys(("an index", "a size"), _SIZES),
    **dict.fromkeys(("indexing with a mask", "nonzero", "unique", "bincount"), _SHAPES),
    "unique_consecutive": _SHAPES,
    "one_hot without num_classes": (
        "Say how many classes there are: one_hot(labels, 10), or leave this outside the compiled "
        "function"
    ),
    "a tensor of tensors": "Join them with tw.stack([...]), or tw.cat([...])",
}


def no_values(what: str) -> TraceError:
    """The error for `what`, which asks a traced tensor for its values."""
    remedy = _REMEDIES.get(what, "Leave this outside the compiled function")
    return TraceError(f"{what} needs the values, which a traced tensor does not have yet. {remedy}")
