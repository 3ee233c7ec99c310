"""Scalars: the straight-line program that computes values at one point of the loops.

`Body.at(value, index)` is the scalar that holds `value` at `index`, an `Affine` for each of its
axes: read from where it is stored, or computed from the scalars that hold its operands at the
points they are needed at. Movement computes nothing: it asks for its operand at another index.
Equal scalars are computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.compiler.graph import Atom, Equation, Literal, Variable
from thalweg.compiler.kernels import Access, Buffer, Indirect, Scalar
from thalweg.compiler.passes.equations.cse import spelled
from thalweg.compiler.passes.fusion.layout import Layout
from thalweg.compiler.passes.operations import ELEMENTWISE, MOVEMENT
from thalweg.compiler.passes.views import (
    Affine,
    Place,
    Undivided,
    address,
    constant,
    moved,
    moved_index,
    narrowed,
    row_major,
    spread,
)

__all__ = ["Body", "Conflict", "Read", "Unreachable"]

_INT64 = np.dtype(np.int64)
_UINT32 = np.dtype(np.uint32)


class Conflict(Exception):
    """A value of this very kernel is wanted at another point than the one just computed."""


class Unreachable(Exception):
    """A value can only be read here if it is stored."""

    def __init__(self, value: Variable) -> None:
        super().__init__(value)
        self.value = value


class Read(NamedTuple):
    """A stored value and the address it is read at."""

    root: Variable
    at: Affine


class Body:
    """The scalars of one loop nest.

    sizes      of the loops of the kernel
    loops      the numbers of those that the body is in: in a tail, of those not reduced
    identity   the row-major number of a point: where a value in that order stands when stored
    divisible  whether a loop may become two, for a reshape of what is computed on the spot
    own        scalars that hold values of this kernel at the present point
    reads      stored values of other kernels that are loaded
    visited    the equations that were computed, operands first
    """

    def __init__(
        self,
        layout: Layout,
        slots: Mapping[Variable, Buffer],
        sizes: tuple[int, ...],
        loops: tuple[int, ...] | None = None,
    ) -> None:
        self.layout = layout
        self.slots = slots
        self.sizes = sizes
        self.divisible = False
        self.loops = tuple(range(len(sizes))) if loops is None else loops
        strides = row_major(tuple(sizes[loop] for loop in self.loops))
        by_loop = dict(zip(self.loops, strides, strict=True))
        self.identity = Affine(0, tuple(by_loop.get(loop, 0) for loop in range(len(sizes))))
        self.scalars: list[Scalar] = []
        self.own: dict[Variable, int] = {}
        self.reads: dict[Read, None] = {}
        self.visited: dict[Variable, Equation] = {}
        self._equal: dict[Any, int] = {}
        self._known: dict[Any, int] = {}
        self._checked: set[tuple[int, int, bool]] = set()

    def emit(self, op: str, inputs: tuple[int, ...], dtype: Any, /, **attributes: Any) -> int:
        """The number of this scalar, a new one unless there is an equal one."""
        shown = tuple((name, _exactly(value)) for name, value in attributes.items())
        key = (op, inputs, dtype, shown)
        if key not in self._equal:
            self._equal[key] = len(self.scalars)
            self.scalars.append(Scalar(op, inputs, dtype, attributes))
        return self._equal[key]

    def at(self, atom: Atom, index: Sequence[Affine]) -> int:
        """The scalar that holds `atom` at `index`."""
        if isinstance(atom, Literal):
            return self._literal(atom.value, atom.dtype)
        place = self._place(atom)
        if place is not None:
            where = address(place.offset, place.strides, index, len(self.sizes))
            return self.load(place.root, where, atom.dtype)
        key = (atom, tuple(index))
        if key not in self._known:
            self._known[key] = self.compute(self.layout.equations[atom], index)
        return self._known[key]

    def _place(self, atom: Variable) -> Place | None:
        """Where `atom` is read; what this kernel computes itself, as it would stand alone."""
        return self.layout.alone(atom) if atom in self.own else self.layout.place.get(atom)

    def load(self, root: Variable, where: Affine, dtype: Any) -> int:
        """The scalar that holds the element of `root` that is stored at `where`."""
        if root in self.own:
            if where != self.stored_at(root):
                raise Conflict
            return self.own[root]
        self.reads[Read(root, where)] = None
        self._checked.update((part.index, part.size, part.wrap) for part in where.indirect)
        access = Access(self.slots[root], where.offset, where.strides, where.indirect)
        return self.emit("load", (), dtype, access=access)

    def stored_at(self, root: Variable) -> Affine:
        """Where the value of `root` at the present point stands when stored."""
        place = self.layout.alone(root)
        return address(place.offset, place.strides, self.here(root.shape), len(self.sizes))

    # --- an equation at a point ------------------------------------------------------------------

    def compute(self, equation: Equation, index: Sequence[Affine]) -> int:
        """The scalar that holds the result of `equation` at `index`."""
        name, output = equation.op.name, equation.output
        if name in MOVEMENT:
            number = self._moved(equation, index)
        elif name in ELEMENTWISE:
            loops = len(self.sizes)
            inputs = tuple(self.at(x, narrowed(x.shape, index, loops)) for x in equation.inputs)
            number = self.emit(name, inputs, output.dtype, **equation.attributes)
        elif name == "gather":
            number = self._gathered(equation, index)
        elif any(at.indirect for at in index) and name != "full":
            raise Unreachable(output)
        else:
            number = self._source(equation, index)
        self.visited[output] = equation
        return number

    def _moved(self, equation: Equation, index: Sequence[Affine]) -> int:
        (source,) = equation.inputs
        name, attributes = equation.op.name, equation.attributes
        assert isinstance(source, Variable)  # literals are not moved
        place = self._place(source)
        shown = moved(name, attributes, place) if place else None
        if shown is not None:
            where = address(shown.offset, shown.strides, index, len(self.sizes))
            return self.load(shown.root, where, source.dtype)
        try:
            before = moved_index(name, attributes, source.shape, index, self.sizes)
        except Undivided:
            if self.divisible:
                raise
            before = None
        if before is None:
            raise Unreachable(source)
        return self.at(source, before)

    def _source(self, equation: Equation, index: Sequence[Affine]) -> int:
        name, output, attributes = equation.op.name, equation.output, equation.attributes
        if name == "full":
            return self._literal(attributes["value"], output.dtype)
        if name == "iota":
            return self.cast(self.number(index[attributes["axis"]]), output.dtype)
        assert name == "random_bits", name
        key, counter = (self.at(x, ()) for x in equation.inputs)
        word = self.number(address(0, row_major(output.shape), index, len(self.sizes)))
        return self.emit("bits", (key, counter, word), _UINT32)

    def _gathered(self, equation: Equation, index: Sequence[Affine]) -> int:
        source, *indices = equation.inputs
        axes, wrap = equation.attributes["axes"], equation.attributes["wrap"]
        assert isinstance(source, Variable)
        places = self.places(indices, axes, wrap, source.shape, index)
        number = self.at(source, places)
        parts = [part for at in places for part in at.indirect]
        if any((part.index, part.size, part.wrap) not in self._checked for part in parts):
            raise Unreachable(source)  # nothing would notice an index that is out of range
        return number

    def places(
        self,
        indices: Sequence[Atom],
        axes: tuple[int, ...],
        wrap: bool,
        shape: tuple[int, ...],
        index: Sequence[Affine],
    ) -> list[Affine]:
        """The point of a value of `shape` that `indices` along `axes` name at `index`."""
        loops = len(self.sizes)
        rank = max(len(x.shape) for x in indices)
        front, rest = index[:rank], iter(index[rank:])
        computed: dict[int, Affine] = {}
        for axis, x in zip(axes, indices, strict=True):
            at = narrowed(x.shape, front, loops)
            known = self._counted(x, at)
            if known is None or not self._within(known, shape[axis]):
                number = self.cast(self.at(x, at), _INT64)
                known = Affine(0, (0,) * loops, (Indirect(number, 1, shape[axis], wrap),))
            computed[axis] = known
        return [computed[a] if a in computed else next(rest) for a in range(len(shape))]

    def _counted(self, x: Atom, index: Sequence[Affine]) -> Affine | None:
        """An index that is affine in the loop counters: of 0, 1, 2, ... in some arrangement."""
        if isinstance(x, Literal):
            return constant(int(x.value), len(self.sizes))
        if x in self.layout.place:
            return None
        equation = self.layout.equations[x]
        name, attributes = equation.op.name, equation.attributes
        if name == "iota":
            axis: int = attributes["axis"]
            return index[axis]
        if name not in MOVEMENT:
            return None
        (source,) = equation.inputs
        try:
            before = moved_index(name, attributes, source.shape, index, self.sizes)
        except Undivided:
            return None
        return None if before is None else self._counted(source, before)

    def _within(self, at: Affine, size: int) -> bool:
        """Whether `at` is from 0 to size - 1 at every point."""
        ends = [stride * (n - 1) for stride, n in zip(at.strides, self.sizes, strict=True)]
        low, high = (at.offset + sum(f(end, 0) for end in ends) for f in (min, max))
        return not at.indirect and 0 <= low and high < size

    # --- numbers that depend on the point --------------------------------------------------------

    def cast(self, number: int, dtype: Any) -> int:
        """Scalar `number` as `dtype`."""
        same = self.scalars[number].dtype == dtype
        return number if same else self.emit("cast", (number,), dtype, dtype=dtype)

    def number(self, at: Affine) -> int:
        """An affine number as a scalar, int64."""
        total: int | None = None
        for axis, stride in enumerate(at.strides):
            if stride and self.sizes[axis] > 1:
                term = self.emit("index", (), _INT64, axis=axis)
                if stride != 1:
                    term = self.emit("multiply", (term, self._integer(stride)), _INT64)
                total = term if total is None else self.emit("add", (total, term), _INT64)
        if total is None:
            return self._integer(at.offset)
        return self.emit("add", (total, self._integer(at.offset)), _INT64) if at.offset else total

    def _literal(self, value: Any, dtype: Any) -> int:
        exact = value if dtype.names else np.asarray(value, dtype).item()
        return self.emit("literal", (), dtype, value=exact)

    def _integer(self, value: int) -> int:
        return self.emit("literal", (), _INT64, value=value)

    def here(self, shape: tuple[int, ...]) -> list[Affine]:
        """The index of the present point in a value of `shape` that the loops run over."""
        sizes = tuple(self.sizes[loop] for loop in self.loops)
        units = [tuple(int(i == loop) for i in range(len(self.sizes))) for loop in self.loops]
        if not units:
            return [constant(0, len(self.sizes))] * len(shape)
        return spread(shape, sizes, units)


def _exactly(value: Any) -> Any:
    """What makes two attributes the same: for numbers their bits, so that 0.0 is not -0.0."""
    if isinstance(value, Access | np.dtype):
        return value
    if isinstance(value, int | float | bool | np.generic):
        return spelled(Literal(value, np.asarray(value).dtype))
    return repr(value)
