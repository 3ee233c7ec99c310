"""Where a NaN was born: every operation's result is looked at, and the first bad one is named."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.compiler.graph import Origin
from thalweg.compiler.tracing.trace import user_line
from thalweg.errors import AnomalyError, ConfigError
from thalweg.primitives.core import Primitive
from thalweg.tape import mode

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["detect_anomaly"]


class detect_anomaly:
    """In this block, the first operation that makes a NaN or an infinity is an `AnomalyError`.

    It is one whose result has a NaN or an infinity that no operand had. The error names the
    operation, the user's line it came from and the operands' ranges. Backward passes and
    optimizers are looked at like anything else; in a backward pass the error also names the
    operation that is differentiated, and its line where that ran in the block too. Compiled
    functions run step by step here, which is slow: use it to find an error, not to train.
    `infinities=False` looks for NaN alone.

    >>> import thalweg as tw
    >>> with tw.detect_anomaly():
    ...     tw.tensor([1.0, 0.0]).log()
    Traceback (most recent call last):
    thalweg.errors.AnomalyError: log made 1 infinity among 2 elements ...
    """

    def __init__(self, infinities: bool = True) -> None:
        self.infinities = infinities
        self._before: list[Any] = []

    def __enter__(self) -> None:
        if mode.level is not None:
            raise ConfigError(
                "detect_anomaly inside vmap or jvp would see no values: let it stand around the "
                "call of the transformed function"
            )
        evaluate, infinities, lines = mode.interpret, self.infinities, _Lines()
        self._before.append((evaluate, mode.watched))

        def watching(
            primitive: Primitive, inputs: tuple[Tensor, ...], attributes: dict[str, Any]
        ) -> Any:
            value = evaluate(primitive, inputs, attributes)
            problem = _born(value, [x._value for x in inputs], infinities)
            line = user_line()
            if problem:
                raise AnomalyError(_message(primitive, inputs, value, problem, line), lines.of)
            lines.note(value, line)
            return value

        mode.interpret, mode.watched = watching, True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        mode.interpret, mode.watched = self._before.pop()


class _Lines:
    """Which lines computed the values that are still there."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], Origin | None]] = {}

    def note(self, value: Any, line: Origin | None) -> None:
        """`value` was computed at `line`."""
        known, number = self._known, id(value)
        known[number] = weakref.ref(value, lambda _: known.pop(number, None)), line

    def of(self, value: object) -> Origin | None:
        """Where `value` was computed, if it is known."""
        held, line = self._known.get(id(value), (None, None))
        return line if held is not None and held() is value else None


def _born(value: Any, operands: list[Any], infinities: bool) -> str | None:
    """What the result has that no operand had: "NaN" or "infinity"."""
    if value.dtype.kind != "f":
        return None
    floats = [x for x in operands if x.dtype.kind == "f"]
    if np.isnan(value).any() and not any(np.isnan(x).any() for x in floats):
        return "NaN"
    if infinities and np.isinf(value).any() and not any(np.isinf(x).any() for x in floats):
        return "infinity"
    return None


def _message(
    primitive: Primitive,
    inputs: tuple[Tensor, ...],
    value: Any,
    problem: str,
    line: Origin | None,
) -> str:
    count = int((np.isnan(value) if problem == "NaN" else np.isinf(value)).sum())
    operands = "; ".join(_described(x._value) for x in inputs)
    return (
        f"{primitive.name} made {count} {problem} among {value.size} elements of shape "
        f"{value.shape}, at {line or 'an unknown line'}. Operands: {operands}"
    )


def _described(x: Any) -> str:
    if not x.size or x.dtype.kind not in "fiu":
        return f"{x.dtype} {x.shape}"
    if x.ndim == 0:
        return f"{x.item():.6g}"
    return f"{x.dtype} {x.shape} from {x.min():.6g} to {x.max():.6g}"
