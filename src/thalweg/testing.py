"""Comparing in tests: `tw.testing.assert_close`, with tolerances that fit the element type."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.ops.creation import tensor
from thalweg.ops.lift import to_dtype

__all__ = ["assert_close"]

_Array = npt.NDArray[Any]
_SHOWN = 5  # how many of the elements that differ a message lists

# |actual - expected| <= atol + rtol |expected|, as (rtol, atol): PyTorch's. Others are exact.
_TOLERANCES = {
    dtypes.float16: (1e-3, 1e-5),
    dtypes.bfloat16: (1.6e-2, 1e-5),
    dtypes.float32: (1.3e-6, 1e-5),
    dtypes.float64: (1e-7, 1e-7),
}


@dataclass(frozen=True)
class _How:
    """What is asked, and where in nested values it is asked."""

    rtol: float | None
    atol: float | None
    equal_nan: bool
    check_dtype: bool
    msg: str | Callable[[str], str] | None
    place: str = ""

    def at(self, key: Any) -> _How:
        """The same, further inside."""
        kept = (self.rtol, self.atol, self.equal_nan, self.check_dtype, self.msg)
        return _How(*kept, f"{self.place}[{key!r}]")

    def fail(self, what: str) -> NoReturn:
        """The AssertionError."""
        found = f"at {self.place}: {what}" if self.place else what
        if callable(self.msg):
            found = self.msg(found)
        raise AssertionError(found if self.msg is None or callable(self.msg) else self.msg)

    def tolerance(self, *kinds: dtypes.DType) -> tuple[float, float]:
        """(rtol, atol): what was given, or the largest that one of the element types has."""
        if self.rtol is not None and self.atol is not None:
            return self.rtol, self.atol
        found = [_TOLERANCES.get(kind, (0.0, 0.0)) for kind in kinds]
        return max(r for r, _ in found), max(a for _, a in found)


def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_dtype: bool = True,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """An AssertionError that says where and by how much, unless both are alike and close.

        |actual - expected| <= atol + rtol |expected|,   elementwise

    Both are tensors, NumPy arrays or numbers, or sequences or mappings of them, nested at will.
    Shapes must be equal, and element types unless `check_dtype` is False. Tolerances that are not
    given fit the element type: (rtol, atol) is (1.3e-6, 1e-5) for float32, (1e-7, 1e-7) for float64
    and Python's floats, (1e-3, 1e-5) for float16, (1.6e-2, 1e-5) for bfloat16, and (0, 0) for whole
    numbers and bools. Infinities are close to themselves, NaN to NaN with `equal_nan`. `msg` takes
    the place of the message, or is a function of it.

    Raises `ConfigError` where one of `rtol` and `atol` is given alone, or is negative.

    >>> import thalweg as tw
    >>> tw.testing.assert_close(tw.tensor([1.0, 2.0]), tw.tensor([1.0, 2.000001]))
    >>> tw.testing.assert_close({"w": tw.tensor([1.0, 2.0])}, {"w": tw.tensor([1.0, 2.5])})
    Traceback (most recent call last):
    AssertionError: at ['w']: 1 of 2 elements differ (50.0%)
      largest absolute difference: 0.5 at (1,), allowed 1e-05
      largest relative difference: 0.2 at (1,), allowed 1.3e-06
      at (1,): 2.0, expected 2.5

    Source: `torch.testing.assert_close`.
    """
    if (rtol is None) != (atol is None):
        given = "rtol" if atol is None else "atol"
        raise ConfigError(f"assert_close: {given} is given alone; give both tolerances, or neither")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value is not None and not value >= 0:
            raise ConfigError(f"assert_close: {name}={value!r}; expected a number of 0 or more")
    _compare(actual, expected, _How(rtol, atol, equal_nan, check_dtype, msg))


def _compare(actual: Any, expected: Any, how: _How) -> None:
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        _compare_mappings(actual, expected, how)
    elif _is_sequence(actual) and _is_sequence(expected):
        if len(actual) != len(expected):
            how.fail(f"{len(actual)} values, expected {len(expected)}")
        for k, (x, y) in enumerate(zip(actual, expected, strict=True)):
            _compare(x, y, how.at(k))
    elif actual is None or expected is None:
        if actual is not expected:
            how.fail(f"{actual!r:.80}, expected {expected!r:.80}")
    else:
        _compare_leaves(actual, expected, how)


def _is_sequence(x: Any) -> bool:
    return isinstance(x, Sequence) and not isinstance(x, str)


def _compare_mappings(actual: Mapping[Any, Any], expected: Mapping[Any, Any], how: _How) -> None:
    missing = [key for key in expected if key not in actual]
    more = [key for key in actual if key not in expected]
    if missing or more:
        how.fail(f"keys differ: missing {missing}, unexpected {more}")
    for key, value in expected.items():
        _compare(actual[key], value, how.at(key))


def _kind(x: Any, how: _How) -> str:
    """What a leaf is."""
    if isinstance(x, Tensor):
        return "a tensor"
    if isinstance(x, np.ndarray):
        return "a NumPy array"
    if isinstance(x, numbers.Real | np.bool_):
        return "a number"
    return how.fail(f"{type(x).__name__} is no tensor, array or number: {x!r:.80}")


def _compare_leaves(actual: Any, expected: Any, how: _How) -> None:
    kinds = [_kind(x, how) for x in (actual, expected)]
    if kinds[0] != kinds[1]:
        how.fail(f"{kinds[0]}, expected {kinds[1]}")
    x, y = (
        (v if isinstance(v, Tensor) else tensor(np.asarray(v))).detach() for v in (actual, expected)
    )
    if tuple(x.shape) != tuple(y.shape):
        how.fail(f"shape {tuple(x.shape)}, expected {tuple(y.shape)}")
    if how.check_dtype and x.dtype is not y.dtype:
        how.fail(f"{x.dtype!r}, expected {y.dtype!r}")
    common = reduce(dtypes.promote_types, (x.dtype, y.dtype))
    rtol, atol = how.tolerance(x.dtype, y.dtype)
    a, b = (to_dtype(v, common)._plain("assert_close") for v in (x, y))
    _compare_arrays(a, b, rtol, atol, how)


def _compare_arrays(a: _Array, b: _Array, rtol: float, atol: float, how: _How) -> None:
    with np.errstate(all="ignore"):
        close = a == b
        wide = [np.asarray(v, np.float64) for v in (a, b)]
        gap = np.abs(wide[0] - wide[1])
        if rtol or atol:
            close = close | (np.isfinite(wide[1]) & (gap <= atol + rtol * np.abs(wide[1])))
        if how.equal_nan:
            close = close | (np.isnan(wide[0]) & np.isnan(wide[1]))
        if np.all(close):
            return
        gap = np.where(close, 0, np.where(np.isnan(gap), np.inf, gap))
        share = np.where(close, 0, gap / np.abs(wide[1]))
    how.fail(_difference(a, b, close, gap, share, (rtol, atol)))


def _difference(
    a: _Array, b: _Array, close: _Array, gap: _Array, share: _Array, allowed: tuple[float, float]
) -> str:
    """How many elements differ, which most, and the first of them."""
    if not a.shape:
        return f"{a.item()!r}, expected {b.item()!r}{_gap(gap, allowed)}"
    wrong = [tuple(place) for place in np.argwhere(~close).tolist()]
    lines = [f"{len(wrong)} of {a.size} elements differ ({len(wrong) / a.size:.1%})"]
    for name, size, most in (("absolute", gap, allowed[1]), ("relative", share, allowed[0])):
        place = tuple(int(n) for n in np.unravel_index(int(size.argmax()), size.shape))
        lines.append(f"  largest {name} difference: {size[place]:.6g} at {place}, allowed {most:g}")
    lines += [
        f"  at {place}: {a[place].item()!r}, expected {b[place].item()!r}"
        for place in wrong[:_SHOWN]
    ]
    if len(wrong) > _SHOWN:
        lines.append("  ...")
    return "\n".join(lines)


def _gap(gap: _Array, allowed: tuple[float, float]) -> str:
    rtol, atol = allowed
    return f": they differ by {gap.item():.6g}, allowed {atol:g} + {rtol:g} of what is expected"
