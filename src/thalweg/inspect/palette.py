"""The colours of a drawing, by the kind of a vertex: told apart without red and green, too."""

from __future__ import annotations

from typing import NamedTuple

from thalweg.inspect.vertex import Kind

__all__ = ["Colours", "DARK", "LIGHT"]


class Colours(NamedTuple):
    """The fill, the outline and the text of a box."""

    fill: str
    line: str
    text: str


# fmt: off
LIGHT: dict[Kind, Colours] = {
    "parameter": Colours("#fdf0d5", "#d99a1c", "#5c3d00"),
    "input":     Colours("#eef1f4", "#9aa5b1", "#38424d"),
    "operation": Colours("#ffffff", "#5b8dc9", "#16324f"),
    "output":    Colours("#dbe9fb", "#2463b0", "#0f2f57"),
}
DARK: dict[Kind, Colours] = {
    "parameter": Colours("#3d2f12", "#c98f1f", "#fbe3b4"),
    "input":     Colours("#2b3138", "#7b8794", "#dde3e9"),
    "operation": Colours("#1b2735", "#5b8dc9", "#dbe8f6"),
    "output":    Colours("#1d3f68", "#7fb2f0", "#eaf3ff"),
}
# fmt: on
