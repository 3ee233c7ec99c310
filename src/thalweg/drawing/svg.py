"""SVG as text: elements, paths with gaps, and how much room a text takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby
from typing import Final

__all__ = [
    "Point",
    "SIZE",
    "element",
    "path",
    "shortened",
    "text",
    "text_width",
    "whole",
    "wrapped",
]

Point = tuple[float, float]

SIZE: Final = 12.0  # of letters, in pixels
_NARROW: Final = frozenset("iljtfrI.,:;'|![]() ·")
_WIDE: Final = frozenset("mwMW%@—…×")
_BOLD: Final = 1.12  # times as wide


def element(name: str, *inside: str, kind: str | None = None, **attributes: object) -> str:
    """`<name class="kind" ..>inside</name>`; numbers to a tenth, what is None is left out.

    >>> element("circle", kind="s1", cx=1.25, cy=3, fill_opacity=None)
    '<circle class="s1" cx="1.2" cy="3"/>'
    """
    given = {"class": kind, **attributes}
    listed = "".join(
        f' {key.replace("_", "-")}="{_spelled(value)}"'
        for key, value in given.items()
        if value is not None
    )
    return f"<{name}{listed}>{''.join(inside)}</{name}>" if inside else f"<{name}{listed}/>"


def _spelled(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return escape(str(value))


def text(x: float, y: float, said: str, kind: str | None = None, anchor: str = "start") -> str:
    """A line of text on the baseline `y`; `said` is escaped."""
    where = None if anchor == "start" else anchor
    return element("text", escape(said), kind=kind, x=x, y=y, text_anchor=where)


def path(points: Iterable[Point], kind: str, *inside: str, **attributes: object) -> str:
    """A line through `points`; what is not finite leaves a gap, what stands alone is a dot."""
    strokes = "".join(_strokes(points))
    return element("path", *inside, kind=kind, d=strokes, **attributes) if strokes else ""


def _strokes(points: Iterable[Point]) -> Iterator[str]:
    for is_there, stroke in groupby(points, lambda p: math.isfinite(p[0]) and math.isfinite(p[1])):
        if is_there:
            places = [f"{_spelled(float(x))} {_spelled(float(y))}" for x, y in stroke]
            yield "M" + "L".join(places if len(places) > 1 else places * 2)


def whole(
    body: str, width: float, height: float, title: str, about: str, kind: str, style: str = ""
) -> str:
    """A picture: its title and description for those who hear it, its style, its paper, `body`.

    Without a `style` it stands on a page that brings one, and has no paper of its own.
    """
    paper = element("rect", kind="paper", width=width, height=height, rx=9) if style else ""
    names = ' xmlns="http://www.w3.org/2000/svg"' if style else ""  # which HTML has no need of
    opening = (
        f'<svg{names} class="{kind}" role="img" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">'
    )
    heard = f"<title>{escape(title)}</title>\n<desc>{escape(about)}</desc>"
    return "\n".join(filter(None, [opening, heard, style, paper, body, "</svg>"]))


# --- how wide a text is --------------------------------------------------------------------------


def text_width(said: str, size: float = SIZE) -> float:
    """At most so many pixels, in the sans-serif letters that systems have."""
    return size * sum(map(_share, said))


def _share(letter: str) -> float:
    if letter in _NARROW:
        return 0.42
    if letter in _WIDE:
        return 0.98
    if ord(letter) > 0x2E80:  # from there on letters are as wide as they are high
        return 1.05
    return 0.72 if letter.isupper() else 0.64


def shortened(said: str, room: float, size: float = SIZE) -> str:
    """A text with as much left out of its middle as there is no room for, in pixels.

    >>> shortened("a name that is long", 60.0)
    'a n…ong'
    """
    if text_width(said, size) <= room:
        return said
    for kept in range(len(said) - 1, 0, -1):
        short = f"{said[: (kept + 1) // 2].rstrip()}…{said[len(said) - kept // 2 :].lstrip()}"
        if text_width(short, size) <= room:
            return short
    return "…"


def wrapped(said: str, room: float, lines: int = 2) -> list[str]:
    """A bold text in at most so many lines, broken between words; the last is shortened."""
    room /= _BOLD
    found, words = [""], said.split()
    for n, word in enumerate(words):
        longer = f"{found[-1]} {word}".strip()
        if text_width(longer) <= room or not found[-1]:
            found[-1] = longer
        elif len(found) < lines:
            found.append(word)
        else:
            found[-1] = " ".join([found[-1], *words[n:]])
            break
    return [shortened(line, room) for line in found if line]
