"""Looking at an SVG as a person would: what is written where, and what lies on what."""

from __future__ import annotations

import itertools
import re
from typing import Any, NamedTuple
from xml.etree import ElementTree

from thalweg.drawing.svg import text_width

__all__ = ["Text", "apart", "contrast", "looked_at", "numbers", "simulated", "texts"]

SVG = "{http://www.w3.org/2000/svg}"
_OPENING = re.compile(r"translate\((\S+) (\S+)\)")


class Text(NamedTuple):
    """A text and the box that it takes at most, in pixels."""

    said: str
    left: float
    top: float
    right: float
    bottom: float


def looked_at(svg: str) -> ElementTree.Element:
    """The picture's root, after what holds of every picture was checked.

    It is well-formed, has a title and a description, all that is drawn is a number inside the
    picture, and no text lies on another or leaves the picture.
    """
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root[0].tag == f"{SVG}title"
    assert root[0].text
    assert root[1].tag == f"{SVG}desc"
    width, height = (float(root.get(side, "nan")) for side in ("width", "height"))
    for x, y in numbers(root):
        assert -1 <= x <= width + 1, (x, width)
        assert -1 <= y <= height + 1, (y, height)
    written = texts(root)
    for one in written:
        assert one.left >= -1, one
        assert one.right <= width + 1, one
        assert one.bottom <= height + 1, one
    for one, other in itertools.combinations(written, 2):
        apart = (
            one.right <= other.left
            or other.right <= one.left
            or one.bottom <= other.top
            or other.bottom <= one.top
        )
        assert apart, (one, other)
    return root


def _placed(node: ElementTree.Element, dx: float = 0.0, dy: float = 0.0) -> Any:
    """Every element with the shift of the groups it is in; what only the pointer shows is not."""
    for child in node:
        if child.get("class") in ("on", "hit"):
            continue
        x, y = dx, dy
        moved = _OPENING.match(child.get("transform", ""))
        if moved:
            x, y = dx + float(moved[1]), dy + float(moved[2])
        yield child, x, y
        yield from _placed(child, x, y)


def texts(root: ElementTree.Element) -> list[Text]:
    """What is written; a letter is 12 pixels high at most, of which 3 are below the line."""
    found = []
    for node, dx, dy in _placed(root):
        if node.tag == f"{SVG}text":
            said = "".join(node.itertext())
            wide = text_width(said) * (1.1 if node.get("class") == "title" else 1.0)
            x, y = float(node.get("x")) + dx, float(node.get("y")) + dy
            left = (
                x
                - {"start": 0.0, "middle": wide / 2, "end": wide}[node.get("text-anchor", "start")]
            )
            found.append(Text(said, left, y - 9, left + wide, y + 3))
    return found


def numbers(root: ElementTree.Element) -> list[tuple[float, float]]:
    """Every place that something is drawn at: a float for each, so neither NaN nor nothing."""
    found = []
    for node, dx, dy in _placed(root):
        if node.tag == f"{SVG}circle":
            found.append((float(node.get("cx")) + dx, float(node.get("cy")) + dy))
        elif node.tag == f"{SVG}path":
            for pair in re.split("[ML]", node.get("d", ""))[1:]:
                x, y = map(float, pair.split())
                found.append((x + dx, y + dy))
    return found


# --- colours -------------------------------------------------------------------------------------


def _linear(colour: str) -> list[float]:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def contrast(one: str, other: str) -> float:
    """WCAG 2's ratio of luminances, of two #rrggbb."""
    light, dark = sorted(
        (sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), _linear(colour), strict=True))
         for colour in (one, other)), reverse=True,
    )  # fmt: skip
    return (light + 0.05) / (dark + 0.05)


# Machado, Oliveira, Fernandes, "A physiologically-based model for simulation of color vision
# deficiency", 2009: those that lack red, green or blue receptors.
_LACKING = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
               (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
               (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602),
               (0.004733, 0.691367, 0.303900)),
}  # fmt: skip


def simulated(colour: str, lacking: str) -> tuple[float, float, float]:
    """A colour in CIE Lab as somebody sees it."""
    rgb = _linear(colour)
    seen = [min(1.0, max(0.0, sum(m * c for m, c in zip(row, rgb, strict=True))))
            for row in _LACKING[lacking]]  # fmt: skip
    to_xyz = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.9505, 1.0, 1.089)
    f = []
    for row, w in zip(to_xyz, white, strict=True):
        t = sum(m * c for m, c in zip(row, seen, strict=True)) / w
        f.append(t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116)
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def apart(one: str, other: str, lacking: str) -> float:
    """The distance of two colours in Lab (CIE 1976) as somebody sees them; 10 is clear."""
    a, b = simulated(one, lacking), simulated(other, lacking)
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5
