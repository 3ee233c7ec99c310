"""What a graph is made of: one vertex for each value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from thalweg._tensor import Tensor
    from thalweg.dtypes import DType

__all__ = ["Kind", "Vertex", "summary"]

Kind: TypeAlias = Literal["parameter", "input", "operation", "output"]

_FEW = 4  # elements that are written out


@dataclass(frozen=True, slots=True, eq=False)
class Vertex:
    """One value: a leaf (a parameter or an input), or the result of an operation.

    `expression` says how it was computed ("" for a leaf). `operands` are the positions among the
    graph's vertices of what it was computed from and passes its gradient to, `detached` of what
    it was computed from without. `value` and `cotangent` are None unless asked for.
    """

    name: str
    kind: Kind
    expression: str
    operands: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: DType
    detached: tuple[int, ...] = ()
    value: Tensor | None = None
    cotangent: Tensor | None = None


def summary(x: Tensor) -> str:
    """The values in a few characters: all of them if they are few, else mean ± standard deviation.

    >>> import thalweg as tw
    >>> summary(tw.tensor(1 / 3)), summary(tw.tensor([1.0, 2.5])), summary(tw.arange(10))
    ('0.3333', '[1, 2.5]', '0 .. 9')
    >>> summary(tw.linspace(0, 1, 11))
    '0.5 ± 0.3162'
    """
    x = x.detach()
    if not x.shape:
        return _number(x.item())
    if x.numel() <= _FEW:  # the shape is told beside it: what has one place needs no brackets
        return str(_nested(x.squeeze().tolist())).replace("'", "")
    x = x.double() if x.dtype.is_floating_point else x.long()
    if x.dtype.kind == "integer":
        return f"{x.amin().item()} .. {x.amax().item()}"
    wrong = x.numel() - int(x.isfinite().count_nonzero())
    if wrong > 0:
        return f"{wrong} of {x.numel()} not finite"
    return f"{_number(x.mean().item())} ± {_number(x.std(correction=0).item())}"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _nested(values: object) -> object:
    return [_nested(v) for v in values] if isinstance(values, list) else _number(values)
