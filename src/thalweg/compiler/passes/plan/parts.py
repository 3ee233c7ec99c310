"""Reductions in parts: over some rows each, to be joined by another loop.

A sum over rows can so be made a few rows at a time, and by several threads, in an order that is
always the same.
"""

from __future__ import annotations

from thalweg.compiler.kernels import Loop
from thalweg.compiler.passes.plan.split import in_blocks, over

__all__ = ["counted", "divided", "in_parts"]

_MOST_PARTS, _FEWEST_PARTS = 64, 8
_FEWEST_ROWS = 8  # of a part


def in_parts(loop: Loop, rows: int) -> tuple[Loop, Loop] | None:
    """`loop`, which reduces over its first axis, of `rows` points or a multiple, in two: one whose
    first axes are the parts and the rows of one, which stores each part's results, and one that
    joins these.

    None where it does not reduce so, or where no fitting number of parts divides the rows.
    """
    positional = any(reduction.kind.startswith("arg") for reduction in loop.reductions)
    if not loop.reductions or positional or 0 not in loop.reduced or 0 in counted(loop):
        return None
    parts = _parts(rows)
    if parts is None or not loop.space[0] or loop.space[0] % rows:
        return None
    if loop.space[0] != rows:
        loop = divided(loop, 0, rows)
    made, joined = in_blocks(loop, 0, parts, rows // parts)
    return made, joined


def _parts(rows: int) -> int | None:
    """The most parts that rows fall into evenly."""
    most = min(_MOST_PARTS, rows // _FEWEST_ROWS)
    return next((n for n in range(most, _FEWEST_PARTS - 1, -1) if not rows % n), None)


# --- axes ----------------------------------------------------------------------------------------


def counted(loop: Loop) -> set[int]:
    """Axes whose counter is a number that is computed with."""
    return {s.attributes["axis"] for s in (*loop.body, *loop.tail) if s.op == "index"}


def divided(loop: Loop, axis: int, outer: int) -> Loop:
    """`loop` with one of its axes made two, the first with `outer` points."""
    inner = loop.space[axis] // outer
    terms = [[(number + (number > axis), 1)] for number in range(len(loop.space))]
    terms[axis] = [(axis, inner), (axis + 1, 1)]
    space = (*loop.space[:axis], outer, inner, *loop.space[axis + 1 :])
    return over(loop, space, terms)
