"""Dead code: equations whose results nothing reads."""

from __future__ import annotations

from dataclasses import replace

from thalweg.compiler.graph import Equation, Graph, Variable

__all__ = ["remove_dead_code"]


def remove_dead_code(graph: Graph) -> Graph:
    """`graph` without the equations that no output depends on. All primitives are pure."""
    live = {atom for atom in graph.outputs if isinstance(atom, Variable)}
    kept: list[Equation] = []
    for equation in reversed(graph.equations):
        if equation.output in live:
            kept.append(equation)
            live.update(atom for atom in equation.inputs if isinstance(atom, Variable))
    return replace(graph, equations=kept[::-1])
