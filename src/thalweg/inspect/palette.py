"""The colours of a graph's boxes by the kind of a vertex, told apart without red and green, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from thalweg.drawing.palette import COLOURS, Pair
from thalweg.inspect.vertex import Kind

__all__ = ["BOXES", "Colours", "RULES"]


class Colours(NamedTuple):
    """The fill, the outline and the text of a box, each on a light page and on a dark one."""

    fill: Pair
    line: Pair
    text: Pair


# fmt: off
BOXES: Final[Mapping[Kind, Colours]] = {
    "parameter": Colours(("#fdf0d5", "#3d2f12"), ("#d99a1c", "#c98f1f"), ("#5c3d00", "#fbe3b4")),
    "input":     Colours(("#eef1f4", "#2b3138"), ("#9aa5b1", "#7b8794"), ("#38424d", "#dde3e9")),
    "operation": Colours(("#ffffff", "#1b2735"), ("#5b8dc9", "#5b8dc9"), ("#16324f", "#dbe8f6")),
    "output":    Colours(("#dbe9fb", "#1d3f68"), ("#2463b0", "#7fb2f0"), ("#0f2f57", "#eaf3ff")),
}
# fmt: on

RULES: Final[Mapping[str, Pair]] = {
    ".paper{fill": COLOURS["paper"],
    ".edge{stroke": COLOURS["axis"],
    ".head{fill": COLOURS["axis"],
    ".quiet{fill": COLOURS["quiet"],
    ".value{fill": COLOURS["ink"],
    ".cotangent{fill": COLOURS["s3"],
} | {
    f".{kind} {part}": pair
    for kind, box in BOXES.items()
    for part, pair in (
        ("rect{fill", box.fill), ("rect{stroke", box.line), (".main{fill", box.text)
    )
}  # fmt: skip
