"""The colours of all pictures, on light pages and on dark ones.

The series are told apart without red and green, too, and can be read as text on their paper (a
contrast of 4.5 to 1, WCAG's level AA). Source of the idea: Okabe and Ito, "Color universal design",
2008.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["COLOURS", "Pair", "series", "sheet"]

Pair = tuple[str, str]  # on a light page, on a dark page

_SERIES: Final = 4
_DASHES: Final = ("", " dashed", " dotted")

# fmt: off
COLOURS: Final[Mapping[str, Pair]] = {
    "paper": ("#fbfcfd", "#14181d"),
    "ink":   ("#14181d", "#f2f5f8"),
    "quiet": ("#5d6873", "#a3aebb"),
    "grid":  ("#e3e8ee", "#2a323b"),
    "axis":  ("#94a1b0", "#6b7785"),
    "s1":    ("#103f9e", "#6a8ff5"),
    "s2":    ("#b14b0e", "#f4c564"),
    "s3":    ("#5d1a57", "#d8649f"),
    "s4":    ("#178258", "#b6f9d2"),
}
# fmt: on


def series(number: int) -> str:
    """The classes of a series: four colours; the next four dashed, then dotted.

    >>> series(0), series(5)
    ('s1', 's2 dashed')
    """
    return f"s{number % _SERIES + 1}{_DASHES[number // _SERIES % len(_DASHES)]}"


def sheet(scope: str, fixed: str, rules: Mapping[str, Pair]) -> str:
    """A style element: `fixed`, then each rule, such as ".ink {color", for light and dark pages.

    All of it holds inside `scope` only, a class that `fixed` names itself.
    """
    light, dark = (
        "".join(f".{scope} {rule}:{pair[shade]}}}" for rule, pair in rules.items())
        for shade in (0, 1)
    )
    return f"<style>{fixed}{light}@media (prefers-color-scheme:dark){{{dark}}}</style>"
