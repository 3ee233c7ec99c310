"""Which values are worth storing, though they could be computed again wherever they are read.

For a value that is not stored, of n elements and cost c an element (its own and that of all it is
computed from, up to what is stored), read at p points by all readers together:

    computed again     p c
    stored             n (c + STORE_COST) + p LOAD_COST, and KERNEL_COST unless the kernel of
                       something stored can write it along

A reduction over the value's own points is such a kernel, and does not load what it computes. What
is too large for caches is loaded from memory and stored there, which takes longer.

Readers of the same points end up in one kernel, which computes the value once: readers are
counted by `_group`, a guess at what `fuse` will do. A broadcast value is read at more points than
it has elements. A value whose computation is long is stored, so that no loop grows without end.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, TypeAlias

from thalweg.compiler.graph import Atom, Equation, Graph, Variable
from thalweg.compiler.passes.fusion.layout import Layout
from thalweg.compiler.passes.operations import (
    COST,
    ELEMENTWISE,
    HEAVY,
    KERNEL_COST,
    LOAD_COST,
    LONGEST_BODY,
    MOVEMENT,
    REDUCTIONS,
    STORE_COST,
)
from thalweg.compiler.passes.views import elements, strip_ones

__all__ = ["worth_storing"]

Uses: TypeAlias = dict[Any, int]  # points at which a value is read, by kernel
_FEW = 8  # points along first axes, which become the innermost loops
_LARGE, _FROM_MEMORY = 1 << 20, 2  # elements that fit in no cache, and how far away they are
_HOISTED = 64  # of how many points LLVM computes what is the same at all of them once


def worth_storing(graph: Graph, layout: Layout) -> set[Variable]:
    """The values that `layout` computes on the spot and that are cheaper stored."""
    sums = _Sums(graph, layout)
    uses: dict[Variable, Uses] = defaultdict(dict)
    chosen: set[Variable] = set()
    for equation in reversed(list(layout.equations.values())):
        output = equation.output
        if equation.op.name in ("scan", "cond"):
            continue  # it reads what is stored in any case
        if output in layout.roots:
            _read(equation, {_group(equation, sums.level[output]): _points(equation)}, uses)
        elif output not in layout.place and uses[output]:
            moves = (
                equation.op.name in MOVEMENT
            )  # what it moves may be stored, and moves at no cost
            if not moves and _better_stored(output, uses[output], sums):
                chosen.add(output)
                uses[output] = {_group(equation, sums.level[output]): elements(output.shape)}
            _read(equation, uses[output], uses)
    return chosen - _computed_from(chosen, layout)


def _computed_from(chosen: set[Variable], layout: Layout) -> set[Variable]:
    """What is computed on the spot from a value in `chosen`: cheaper, once that is stored."""
    found: set[Variable] = set()
    for output, equation in layout.equations.items():
        inline = output not in layout.roots and output not in layout.place
        if inline and any(atom in found or atom in chosen for atom in equation.inputs):
            found.add(output)
    return found


def _points(equation: Equation) -> int:
    """How many points the loops of a root's kernel have."""
    shapes = [equation.output.shape, *(atom.shape for atom in equation.inputs[:1])]
    if equation.op.name in HEAVY:
        return elements(shapes[1])
    return elements(shapes[0])


def _group(equation: Equation, level: int) -> Any:
    """Equal for roots that probably share a kernel."""
    if equation.op.name in REDUCTIONS:
        axes = equation.attributes.get("axes", equation.attributes.get("axis"))
        return "reduce", equation.inputs[0].shape, axes, level
    return "point", strip_ones(equation.output.shape), level


def _read(equation: Equation, at: Uses, uses: dict[Variable, Uses]) -> None:
    for atom in equation.inputs:
        if isinstance(atom, Variable):
            often = _computed_once_for(atom, equation)
            for group, points in at.items():
                times = -(-points // often)
                uses[atom][group] = max(times, uses[atom].get(group, 0))


def _computed_once_for(atom: Variable, equation: Equation) -> int:
    """At how many points of `equation` what `atom` holds is the same and is computed once: what
    does not vary at all, or not along a few first axes, which loops leave to the inside."""
    if atom.shape == () != equation.output.shape:
        return _HOISTED
    shape = equation.output.shape
    times = elements(shape) // max(1, elements(atom.shape))
    leading = shape[len(shape) - len(atom.shape) :] == atom.shape
    return times if equation.op.name in ELEMENTWISE and leading and 1 < times <= _FEW else 1


def _better_stored(output: Variable, uses: Uses, sums: _Sums) -> bool:
    if output in sums.long:
        return True
    points, size, cost = sum(uses.values()), elements(output.shape), sums.cost[output]
    within = _reduced_points(output, uses, sums)
    again = points * cost
    load, store = LOAD_COST * _way(output), STORE_COST * _way(output)
    stored = size * (cost - sums.spared[output] + store) + points * load
    if not sums.attached[output]:
        stored += KERNEL_COST
    if within:
        stored = min(stored, size * (cost + store) + (points - within) * load)
    return again > stored


def _way(value: Atom) -> int:
    """How many times the cost of reaching a cache it takes to reach the value."""
    return _FROM_MEMORY if elements(value.shape) >= _LARGE else 1


def _reduced_points(output: Variable, uses: Uses, sums: _Sums) -> int:
    """At how many points a reduction over those of `output` reads it, before anything else does."""
    kernels = [
        points
        for (kind, *of, level), points in uses.items()
        if kind == "reduce" and level == sums.level[output] + 1 and of[0] == output.shape
    ]
    return max(kernels, default=0)


def _stays_near(operand: Variable, output: Variable) -> bool:
    """Whether `operand` is computed once and stays in the cache: `output` is far larger."""
    return elements(operand.shape) * _HOISTED <= elements(output.shape)


class _Sums:
    """Of every value, summed up over all it is computed from within a kernel."""

    def __init__(self, graph: Graph, layout: Layout) -> None:
        self.layout = layout
        self.level: dict[Variable, int] = dict.fromkeys(graph.inputs, 0)
        self.cost: dict[Variable, int] = {}
        self.length: dict[Variable, int] = {}
        self.long: set[Variable] = set()
        # Whether a kernel of the same points computes something this value is computed from.
        self.attached: dict[Variable, bool] = {}
        # What storing and loading that costs, where it is stored for this value only.
        self.spared: dict[Variable, int] = {}
        inner = self._read_inside(graph)
        self.unstored = {root for root in layout.roots if root not in inner}
        for equation in layout.equations.values():
            self._add(equation)

    def _read_inside(self, graph: Graph) -> set[Variable]:
        """The roots that are stored in any case: read by kernels of another kind, or results."""
        stored = {self._root(atom) for atom in (*graph.outputs, *self.layout.own)}
        for equation in self.layout.equations.values():
            if equation.op.name in HEAVY:
                stored.update(map(self._root, equation.inputs))
        return {root for root in stored if root is not None}

    def _root(self, atom: Atom) -> Variable | None:
        if isinstance(atom, Variable) and atom in self.layout.own:
            return atom
        place = self.layout.place.get(atom) if isinstance(atom, Variable) else None
        return place.root if place else None

    def _add(self, equation: Equation) -> None:
        output, name = equation.output, equation.op.name
        operands = [atom for atom in equation.inputs if isinstance(atom, Variable)]
        inline = [atom for atom in operands if atom not in self.layout.place]
        level = max((self.level.get(atom, 0) for atom in operands), default=0)
        self.level[output] = level + (name in HEAVY)
        far = [x for x in operands if not _stays_near(x, output)]
        within = sum(self.cost[x] for x in inline if not _stays_near(x, output))
        self.cost[output] = COST.get(name, 0) + sum(map(self._load_cost, far)) + within
        self.length[output] = 1 + len(operands) + sum(self.length[x] for x in inline)
        if self.length[output] > LONGEST_BODY and name not in MOVEMENT:
            self.long.add(output)  # whoever reads it will load it
            self.length[output], self.cost[output] = 1, LOAD_COST
        to = [atom for atom in operands if self._attaches(output, atom)]
        self.attached[output] = bool(to)
        self.spared[output] = max((self._spares(atom) for atom in to), default=0)

    def _load_cost(self, atom: Variable) -> int:
        """Reading a root that would not be stored otherwise makes its kernel store it."""
        root = self._root(atom)
        if root is None:
            return 0
        return _way(root) * (LOAD_COST + (STORE_COST if root in self.unstored else 0))

    def _spares(self, atom: Variable) -> int:
        root = self._root(atom)
        if root is None:
            return self.spared[atom]
        return _way(root) * (LOAD_COST + STORE_COST) if root in self.unstored else 0

    def _attaches(self, output: Variable, atom: Variable) -> bool:
        size, level = elements(output.shape), self.level[output]
        if elements(atom.shape) != size or self.level.get(atom, 0) != level:
            return False
        root = self._root(atom)
        if root is None:
            return self.attached.get(atom, False)
        return root in self.layout.roots and elements(root.shape) == size
