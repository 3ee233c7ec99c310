"""The graph as a picture: SVG text, made here, readable in any browser and notebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from thalweg.inspect.layout import Drawn, Point, layered
from thalweg.inspect.palette import DARK, LIGHT
from thalweg.inspect.vertex import Kind, Vertex, summary

if TYPE_CHECKING:
    from thalweg.dtypes import DType

__all__ = ["svg"]

MARGIN = 24.0
LETTER, SMALL = 7.85, 6.65  # widths of a character, at 13 and 11 pixels
LINE = 17.0
LONGEST = 38  # characters of an expression that are drawn; the rest is in the tooltip
LEGEND = 34.0
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
KINDS: tuple[Kind, ...] = ("parameter", "input", "operation", "output")
# On a light page, on a dark page.
PAPER, EDGE = ("#fbfcfd", "#14181d"), ("#94a1b0", "#6b7785")
TEXT = {
    "quiet": ("#66727f", "#a3aebb"),
    "value": ("#14181d", "#f2f5f8"),
    "cotangent": ("#a3246f", "#f19bcb"),
}


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
    count = sum(1 for v in vertices if v.expression)
    parts = [
        _opening(width, height),
        f"<title>Graph of {escape(vertices[-1].name)}: {count} operations</title>",
        _style(),
        f'<rect class="paper" width="{width:.0f}" height="{height:.0f}" fill="{PAPER[0]}" rx="9"/>',
        f'<g transform="translate({(width - plan.width) / 2:.1f} {MARGIN:.1f})">',
        *map(_wire, plan.wires),
        *[box.svg(centre) for box, centre in zip(boxes, plan.centres, strict=True)],
        "</g>",
        f'<g transform="translate({(width - legend_width) / 2:.1f} {height - MARGIN:.1f})">',
        *legend,
        "</g></svg>",
    ]
    return "\n".join(parts)


def _opening(width: float, height: float) -> str:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" class="thalweg-graph" role="img" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'font-family="{FONT}" font-size="13">'
    )


def _style() -> str:
    """Colours for dark pages; the light ones are attributes, which every viewer understands."""
    rules = [
        f".thalweg-graph .paper{{fill:{PAPER[1]}}}",
        f".thalweg-graph .edge{{stroke:{EDGE[1]}}}",
        f".thalweg-graph .head{{fill:{EDGE[1]}}}",
    ]
    rules += [f".thalweg-graph .{part}{{fill:{dark}}}" for part, (_, dark) in TEXT.items()]
    for kind, colours in DARK.items():
        rules.append(f".thalweg-graph .{kind} rect{{fill:{colours.fill};stroke:{colours.line}}}")
        rules.append(f".thalweg-graph .{kind} .main{{fill:{colours.text}}}")
    return f"<style>@media (prefers-color-scheme:dark){{{''.join(rules)}}}</style>"


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
        colours = LIGHT[v.kind]
        x, top = centre[0], centre[1] - height / 2
        rounded = 6 if v.expression else 18
        stroke = 2.2 if v.kind == "output" else 1.3
        name, equals, expression = self.heading.partition(" = ")
        return (
            f'<g class="{v.kind}">'
            f"<title>{escape(v.name + equals + v.expression)}\n{v.shape} {v.dtype.name}</title>"
            f'<rect x="{x - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" rx="{rounded}" fill="{colours.fill}" '
            f'stroke="{colours.line}" stroke-width="{stroke}"/>'
            f'<text class="main" x="{x:.1f}" y="{top + 20:.1f}" text-anchor="middle" '
            f'fill="{colours.text}"><tspan font-weight="bold">{escape(name)}</tspan>'
            f"{escape(equals + expression)}</text>{''.join(self._small_lines(x, top + 20))}</g>"
        )

    def _small_lines(self, x: float, y: float) -> Iterator[str]:
        for kind, text in self.details:
            y += LINE
            yield (
                f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="middle" '
                f'font-size="11" fill="{TEXT[kind][0]}">{escape(text)}</text>'
            )


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) if shape else "scalar"


# --- wires ---------------------------------------------------------------------------------------


def _wire(wire: Drawn) -> str:
    """Smooth lines with heads at their ends; dashed where no gradient flows."""
    path = "".join(map(_smooth, wire.lines))
    heads = "".join(f"M{x:.1f} {y:.1f}l-4 -7.5h8z" for x, y in wire.ends)
    dashes = ' stroke-dasharray="4 4"' if wire.label == "detached" else ""
    return (
        f'<path class="edge" d="{path}" fill="none" stroke="{EDGE[0]}" stroke-width="1.4"{dashes}/>'
        f'<path class="head" d="{heads}" fill="{EDGE[0]}"/>'
    )


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
    parts, at, quiet = [], 0.0, TEXT["quiet"][0]
    occurring = {v.kind for v in vertices}
    for kind in (k for k in KINDS if k in occurring):
        colours = LIGHT[kind]
        rounded = 5 if kind in ("parameter", "input") else 3
        parts.append(
            f'<g class="{kind}"><rect x="{at:.1f}" y="-9" width="16" height="10" rx="{rounded}" '
            f'fill="{colours.fill}" stroke="{colours.line}" stroke-width="1.2"/></g>'
            f'<text class="quiet" x="{at + 22:.1f}" y="0" font-size="11" fill="{quiet}">'
            f"{kind}</text>"
        )
        at += 22 + len(kind) * SMALL + 22
    return parts, at - 22
