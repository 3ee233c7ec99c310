"""How far rounding may lead: the interpreter run again, with every rounding done otherwise.

What two right programs may differ by depends on the program: a difference of near numbers has
few right digits, a comparison of equal ones jumps. So the oracle itself is run several times with
each rounded result changed by some units in its last place, and operands of sums too. What the
results spread over is what the compiled ones may be away; where nothing rounds, nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.compiler.graph import Graph, Literal, Variable
from thalweg.compiler.interpret import evaluate

__all__ = ["complaint", "shaken"]

Array = np.ndarray[Any, Any]

# Right to the last digit in any order, of integers and of floats that hold small ones.
_RIGHT = """add subtract multiply maximum minimum negative absolute sum max min cumsum contraction
    scatter_add overlap_add cast divide sqrt prod remainder floor_divide scalar_power"""
_EXACT = frozenset(_RIGHT.split())
# Never rounded.
_KEPT = """select reshape transpose broadcast slice pad flip concatenate gather windows argmax
    argmin argsort sign floor ceil round trunc iota full random_bits negative absolute maximum
    minimum max min equal not_equal less less_equal greater greater_equal isfinite isnan"""
_MOVED = frozenset(_KEPT.split())
_SUMS = frozenset({"sum", "cumsum", "contraction", "scatter_add", "overlap_add", "prod"})
_WITHIN_16 = 1 << 20


def _small(x: Any) -> bool:
    """Whether these are multiples of 1/8 so small that adding them up is exact."""
    if x.dtype.kind != "f":
        return True
    return bool(np.all((x * 8 == np.rint(x * 8)) & (np.abs(x) < _WITHIN_16)))


def _nudged(x: Array, ulps: float, random: np.random.Generator) -> Array:
    if x.dtype.kind != "f":
        return x
    moved = x + random.uniform(-ulps, ulps, x.shape) * np.spacing(np.abs(x))
    return np.asarray(moved).astype(x.dtype)


def shaken(graph: Graph, arrays: Sequence[Any], random: np.random.Generator) -> list[Array]:
    """The outputs, with each rounding done otherwise."""
    values: dict[Variable, Any] = dict(zip(graph.inputs, arrays, strict=True))

    def read(atom: Any) -> Any:
        return np.asarray(atom.value, atom.dtype) if isinstance(atom, Literal) else values[atom]

    with np.errstate(all="ignore"):
        for equation in graph.equations:
            operands = [read(atom) for atom in equation.inputs]
            name = equation.op.name
            exact = name in _EXACT and all(map(_small, operands))
            if name in _SUMS and not exact:
                operands = [_nudged(x, 2.0, random) for x in operands]
            value = evaluate(equation, operands)
            if name not in _MOVED and not (exact and _small(value)):
                value = _nudged(value, 2.0 if name in _EXACT else 6.0, random)
            values[equation.output] = value
        return [read(atom) for atom in graph.outputs]


def complaint(
    graph: Graph, arrays: Sequence[Any], got: Sequence[Any], wanted: Sequence[Any]
) -> str:
    """Which outputs differ by more than roundings explain; empty if none does."""
    for runs in (6, 60):  # a doubt is looked into
        random = np.random.default_rng(runs)
        others = [shaken(graph, arrays, random) for _ in range(runs)]
        spreads = [np.stack(column) for column in zip(*others, strict=True)] if others else []
        found = [
            f"output {number}: {wrong}"
            for number, (a, b, spread) in enumerate(zip(got, wanted, spreads, strict=True))
            if (wrong := _wrong(a, b, spread, 16.0 if runs == 6 else 32.0))
        ]
        if not found:
            return ""
    return "; ".join(found)


def _wrong(got: Array, wanted: Array, others: Array, factor: float) -> str:
    if (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
        return f"{got.dtype}{got.shape} instead of {wanted.dtype}{wanted.shape}"
    same = (got == wanted) | ((got != got) & (wanted != wanted))
    steady = (others == wanted) | ((others != others) & (wanted != wanted))
    if wanted.dtype.kind != "f":
        bad = ~same & steady.all(0)
    else:
        with np.errstate(all="ignore"):
            near = np.abs(got - wanted) <= _allowed(wanted, others, factor)
        finite = np.isfinite(wanted) & np.isfinite(got)
        jumps = (np.isfinite(others) != np.isfinite(wanted)).any(0)
        bad = np.where(finite, ~near, ~same) & ~jumps
        bad &= ~(finite & ~np.isfinite(others).all(0))
    if not bad.any():
        return ""
    place = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(bad)))
    a, b = np.atleast_1d(got)[place], np.atleast_1d(wanted)[place]
    around = np.atleast_1d(others.max(0) - others.min(0))[place] if others.dtype.kind == "f" else 0
    count = f"{np.count_nonzero(bad)} of {bad.size}"
    return f"{count} differ, at {place}: {a!r} instead of {b!r}, rounding explains {around:.2g}"


def _allowed(wanted: Array, others: Array, factor: float) -> Array:
    """The spread at each place, some of what is usual in the tensor, and a few last digits."""
    spread = np.abs(others - wanted).max(0)
    finite = spread[np.isfinite(spread)]
    usual = float(np.median(finite)) if finite.size else 0.0
    digits = 4 * np.spacing(np.abs(wanted)) if spread.any() else 0.0
    allowed: Array = factor * spread + factor / 4 * usual + digits
    return allowed
