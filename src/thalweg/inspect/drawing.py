"""The graph as a picture: SVG text, made here, readable in any browser and notebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from thalweg.drawing.palette import sheet
from thalweg.drawing.svg import element, text, whole
from thalweg.inspect.layout import Drawn, Point, layered
from thalweg.inspect.palette import BOXES, RULES
from thalweg.inspect.vertex import Vertex, summary

if TYPE_CHECKING:
    from thalweg.dtypes import DType

__all__ = ["svg"]

MARGIN = 24.0
LETTER, SMALL = 7.85, 6.65  # widths of a character, at 13 and 11 pixels
LINE = 17.0
LONGEST = 38  # characters of an expression that are drawn; the rest is in the tooltip
LEGEND = 34.0
STYLE: Final = sheet(
    "thalweg-graph",
    ".thalweg-graph{font:11px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',"
    "monospace;text-anchor:middle}.thalweg-graph .main{font-size:13px}"
    ".thalweg-graph .key{text-anchor:start}.thalweg-graph rect{stroke-width:1.3}"
    ".thalweg-graph .output rect{stroke-width:2.2}"
    ".thalweg-graph .edge{fill:none;stroke-width:1.4}"
    ".thalweg-graph .detached{stroke-dasharray:4 4}",
    RULES,
)


def svg(vertices: Sequence[Vertex]) -> str:
    """The drawing: leaves stand above what reads them, the output at the bottom."""
    attached = [(operand, place) for place, v in enumerate(vertices) for operand in v.operands]
    detached = [(operand, place) for place, v in enumerate(vertices) for operand in v.detached]
    labels = ["attached"] * len(attached) + ["detached"] * len(detached)
    usual = vertices[-1].dtype
    boxes = [_Box(v, usual) for v in vertices]
    plan = layered([box.size for box in boxes], attached + detached, labels)
    legend, legend_width = _legend(vertices)
    width = max(plan.width, legend_width) + 2 * MARGIN
    height = plan.height + LEGEND + 2 * MARGIN
    operations = [f"{v.name} = {v.expression}" for v in vertices if v.expression]
    body = [
        _moved((width - plan.width) / 2, MARGIN, *map(_wire, plan.wires), *[
            box.svg(centre) for box, centre in zip(boxes, plan.centres, strict=True)
        ]),
        _moved((width - legend_width) / 2, height - MARGIN, *legend),
    ]  # fmt: skip
    title = f"Graph of {vertices[-1].name}: {len(operations)} operations"
    about = "; ".join(operations)
    return whole("\n".join(body), width, height, title, about, "thalweg-graph", STYLE)


def _moved(x: float, y: float, *inside: str) -> str:
    return element("g", *inside, transform=f"translate({x:.1f} {y:.1f})")


# --- boxes ---------------------------------------------------------------------------------------


class _Box:
    """One vertex: a heading, and small lines with its shape, its value and its cotangent."""

    def __init__(self, v: Vertex, usual: DType) -> None:
        self.vertex = v
        text = f"{v.name} = {v.expression}" if v.expression else v.name
        self.heading = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
        dtype = "" if v.dtype is usual else f" {v.dtype.name}"
        self.details = [("quiet", _shape(v.shape) + dtype)]
        if v.value is not None:
            self.details.append(("value", f"value {summary(v.value)}"))
        if v.cotangent is not None:
            self.details.append(("cotangent", f"cotangent {summary(v.cotangent)}"))
        wide = max(len(self.heading) * LETTER, *(len(text) * SMALL for _, text in self.details))
        self.size = (wide + 28, LINE * (1 + len(self.details)) + 13)

    def svg(self, centre: Point) -> str:
        """The box and its text, around `centre`."""
        v, (width, height) = self.vertex, self.size
        x, top = centre[0], centre[1] - height / 2
        name, equals, expression = self.heading.partition(" = ")
        spelled = f"{v.name}{equals}{v.expression}\n{v.shape} {v.dtype.name}"
        said = element("tspan", escape(name), font_weight="bold"), escape(equals + expression)
        return element(
            "g",
            element("title", escape(spelled)),
            element("rect", x=x - width / 2, y=top, width=width, height=height,
                    rx=6 if v.expression else 18),
            element("text", *said, kind="main", x=x, y=top + 20),
            *self._small_lines(x, top + 20),
            kind=v.kind,
        )  # fmt: skip

    def _small_lines(self, x: float, y: float) -> Iterator[str]:
        for n, (kind, said) in enumerate(self.details, start=1):
            yield text(x, y + LINE * n, said, kind)


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) if shape else "scalar"


# --- wires ---------------------------------------------------------------------------------------


def _wire(wire: Drawn) -> str:
    """Smooth lines with heads at their ends; dashed where no gradient flows."""
    path = "".join(map(_smooth, wire.lines))
    heads = "".join(f"M{x:.1f} {y:.1f}l-4 -7.5h8z" for x, y in wire.ends)
    kind = "edge detached" if wire.label == "detached" else "edge"
    return element("path", kind=kind, d=path) + element("path", kind="head", d=heads)


def _smooth(points: Sequence[Point]) -> str:
    """A line through `points` that is vertical at each of them."""
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        straight = abs(x0 - x1) < 0.1
        curve = f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
        path += f"V{y1:.1f}" if straight else curve
    return path


def _legend(vertices: Sequence[Vertex]) -> tuple[list[str], float]:
    """What the colours mean, for those that occur, and how wide that is."""
    parts, at = [], 0.0
    occurring = {v.kind for v in vertices}
    for kind in (kind for kind in BOXES if kind in occurring):
        rounded = 5 if kind in ("parameter", "input") else 3
        box = element("rect", x=at, y=-9, width=16, height=10, rx=rounded)
        parts.append(element("g", box, kind=kind) + text(at + 22, 0, kind, "quiet key"))
        at += 22 + len(kind) * SMALL + 22
    return parts, at - 22
