"""The graph in the DOT language."""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.inspect.palette import BOXES
from thalweg.inspect.vertex import Vertex, summary

__all__ = ["dot"]


def dot(vertices: Sequence[Vertex]) -> str:
    """A digraph, from the leaves at the top to the output at the bottom."""
    lines = [
        "digraph {",
        '  node [fontname="monospace" fontsize=11 style="filled,rounded" shape=box]',
        '  edge [color="#8792a2" arrowsize=0.6]',
    ]
    for place, v in enumerate(vertices):
        fill, line, _ = (light for light, _ in BOXES[v.kind])
        lines.append(f'  v{place} [label="{_label(v)}" fillcolor="{fill}" color="{line}"]')
    for place, v in enumerate(vertices):
        lines += [f"  v{operand} -> v{place}" for operand in v.operands]
        lines += [f"  v{operand} -> v{place} [style=dashed]" for operand in v.detached]
    return "\n".join([*lines, "}"])


def _label(v: Vertex) -> str:
    texts = [f"{v.name} = {v.expression}" if v.expression else v.name, str(v.shape)]
    if v.value is not None:
        texts.append(f"= {summary(v.value)}")
    if v.cotangent is not None:
        texts.append(f"∂ {summary(v.cotangent)}")
    return r"\n".join(text.replace("\\", r"\\").replace('"', r"\"") for text in texts)
