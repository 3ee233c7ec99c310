"""Numbers as people read them: as many digits as tell them apart, powers of ten as such."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

__all__ = ["column", "labels", "number", "percent"]

_RAISED: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MOST_DIGITS: Final = 17


def number(value: float, digits: int = 4, plain: tuple[int, int] = (-4, 5)) -> str:
    """A value that stands alone, to `digits` figures; from 10^a to 10^b, `plain`, without a power.

    >>> number(1234.56), number(2e-7), number(-0.25), number(float("inf"))
    ('1,235', '2×10⁻⁷', '−0.25', '∞')
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    mantissa, _, exponent = f"{value + 0.0:.{digits - 1}e}".partition("e")
    power = int(exponent)
    if value == 0 or plain[0] <= power <= plain[1]:
        return _trimmed(f"{value + 0.0:,.{max(0, digits - 1 - power)}f}")
    return _powered(_trimmed(mantissa), power)


def column(values: Sequence[float], digits: int = 4) -> list[str]:
    """Values below one another: zeros at their ends stay where another has as many decimals.

    >>> column([2.449, 2.1, 12.0]), column([0.003, 0.0015])
    (['2.449', '2.100', '12.00'], ['0.0030', '0.0015'])
    """
    said = [number(value, digits) for value in values]
    most = max((len(text.partition(".")[2]) for text in said if "×" not in text), default=0)
    return [_filled(text, value, digits, most) for text, value in zip(said, values, strict=True)]


def _filled(text: str, value: float, digits: int, most: int) -> str:
    if not most or not text[-1:].isdecimal() or "×" in text or value == 0:
        return text
    power = int(f"{value:.{digits - 1}e}".partition("e")[2])
    return _signed(f"{value:,.{min(most, max(0, digits - 1 - power))}f}")


def percent(value: float, digits: int = 1) -> str:
    """A share in percent, with so many decimals at most.

    >>> percent(0.9694), percent(0.75)
    ('96.9 %', '75 %')
    """
    return f"{_trimmed(f'{100 * value:.{digits}f}')} %" if math.isfinite(value) else number(value)


def labels(ticks: Sequence[float], is_log: bool = False) -> list[str]:
    """Numbers beside an axis: all with the same decimals, as many as tell them apart.

    >>> labels([0.5, 1.0, 1.5]), labels([0.0, 5e9, 1e10])
    (['0.5', '1.0', '1.5'], ['0', '0.5×10¹⁰', '1.0×10¹⁰'])
    >>> labels([1e-6, 1e-3, 1.0], is_log=True)
    ['10⁻⁶', '0.001', '1']
    """
    if is_log or len(ticks) < 2:
        return [number(tick, 6, (-3, 3) if is_log else (-4, 5)) for tick in ticks]
    top = max(map(abs, ticks))
    power = math.floor(math.log10(top))
    scaled = [tick / 10.0**power for tick in ticks]
    places, fewer = _decimals(ticks), _decimals(scaled)
    plain = [f"{tick:,.{places}f}" for tick in ticks]
    powers = [_powered(f"{tick:.{fewer}f}", power) if tick else "0" for tick in scaled]
    return [_signed(text) for text in min(plain, powers, key=lambda texts: max(map(len, texts)))]


def _decimals(ticks: Sequence[float]) -> int:
    step = min(b - a for a, b in pairwise(ticks))
    exact = (d for d in range(_MOST_DIGITS) if all(abs(round(t, d) - t) < step / 50 for t in ticks))
    return next(exact, _MOST_DIGITS)


def _powered(mantissa: str, power: int) -> str:
    ten = f"10{str(power).translate(_RAISED)}"
    return {"1": ten, "−1": f"−{ten}"}.get(_signed(mantissa), f"{_signed(mantissa)}×{ten}")


def _trimmed(text: str) -> str:
    return _signed(text.rstrip("0").rstrip(".") if "." in text else text)


def _signed(text: str) -> str:
    return text.replace("-", "−")
