"""From drafts to kernels: loops that run through memory as one are joined, stores added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thalweg.compiler.graph import Atom, Equation, Origin, Variable
from thalweg.compiler.kernels import (
    Access,
    Axis,
    Buffer,
    Contraction,
    Host,
    Kernel,
    Loop,
    Margin,
    Reduce,
    Scalar,
    Scan,
    Scatter,
    Sort,
    Store,
    View,
)
from thalweg.compiler.passes.fusion.drafts import Draft
from thalweg.compiler.passes.fusion.layout import Layout
from thalweg.compiler.passes.operations import MOVEMENT
from thalweg.compiler.passes.plan.contractions import Named, margins_of, product_of
from thalweg.compiler.passes.plan.rounds import Inside, Plans
from thalweg.compiler.passes.views import Affine, address, elements

__all__ = ["Outlets", "emit"]

# Where a root is stored beside the parts of joined values that it writes: buffers it fills.
Outlets = Mapping[Variable, Sequence[Buffer]]
_LONGEST_LABEL = 6


def emit(
    draft: Draft,
    layout: Layout,
    slots: Mapping[Variable, Buffer],
    outlets: Outlets,
    plans: Plans,
) -> Kernel:
    """The kernel of `draft`. `slots` are the buffers of stored values, `plans` those of loops."""
    if draft.kind == "contraction":
        return _contraction(draft, layout, slots, outlets)
    if draft.kind == "scatter":
        return _scatter(draft, layout, outlets)
    if draft.kind == "line":
        return _line(draft, layout, slots, outlets)
    if draft.kind == "host":
        return _host(draft, layout, slots, outlets)
    if draft.kind == "inside":
        (equation,) = draft.origin_equations()
        inside = Inside(equation, layout, slots, outlets, plans[equation.output])
        return inside.loop() if equation.op.name == "scan" else inside.branch()
    return _loop(draft, layout, outlets)


def _stores(draft: Draft, layout: Layout, outlets: Outlets) -> tuple[Store, ...]:
    """Of each root; scalars of a tail have the numbers after the body's."""
    stores: list[Store] = []
    for member in draft.members:
        body = draft.body_of(member)
        own = body.own[member] + (0 if body is draft.main else len(draft.main.scalars))
        where = body.stored_at(member)
        stores += [Store(own, _access(buffer, where)) for buffer in outlets.get(member, ())]
        for target in layout.targets.get(member, ()):
            here = body.here(member.shape)
            where = address(target.offset, target.strides, here, len(body.sizes))
            stores += [Store(own, _access(buffer, where)) for buffer in outlets[target.root]]
    return tuple(stores)


def _access(buffer: Buffer, at: Affine) -> Access:
    return Access(buffer, at.offset, at.strides, at.indirect)


# --- loops ---------------------------------------------------------------------------------------


def _loop(draft: Draft, layout: Layout, outlets: Outlets) -> Loop:
    body, tail = tuple(draft.main.scalars), tuple[Scalar, ...]()
    stores = _stores(draft, layout, outlets)
    reductions = tuple(_reduce(layout.equations[head], n) for head, n in draft.reductions)
    if draft.kind == "reduce":
        shift = len(body)
        tail = tuple(_shifted(scalar, shift) for scalar in draft.tail.scalars)
    groups = _joined_loops(
        draft.main.sizes,
        [number in draft.reduced for number in range(len(draft.main.sizes))],
        [s.strides for s in _accesses(body + tail, stores)],
        _counted(body + tail),
    )
    again = _regroup(groups)
    return Loop(
        space=groups.sizes,
        body=tuple(again.scalar(s) for s in body),
        stores=tuple(again.store(s) for s in stores),
        reduced=tuple(n for n, run in enumerate(groups.runs) if run[0] in draft.reduced),
        reductions=reductions,
        tail=tuple(again.scalar(s) for s in tail),
        origins=_origins(draft),
        label=_label(draft),
    )


def _reduce(head: Equation, value: int) -> Reduce:
    kind: Any = "sum" if head.op.name == "overlap_add" else head.op.name
    return Reduce(kind, value, head.output.dtype)


def _shifted(scalar: Scalar, by: int) -> Scalar:
    """A scalar of a tail, whose numbers go on after the body's."""
    attributes = dict(scalar.attributes)
    access = attributes.get("access")
    if access is not None and access.indirect:
        parts = tuple(replace(part, index=part.index + by) for part in access.indirect)
        attributes["access"] = replace(access, indirect=parts)
    return replace(scalar, inputs=tuple(n + by for n in scalar.inputs), attributes=attributes)


def _accesses(scalars: Sequence[Scalar], stores: Sequence[Store]) -> list[Access]:
    loads = [scalar.attributes["access"] for scalar in scalars if scalar.op == "load"]
    return loads + [store.access for store in stores]


def _counted(scalars: Sequence[Scalar]) -> set[int]:
    """Loops whose counter is a number that the body computes with."""
    return {scalar.attributes["axis"] for scalar in scalars if scalar.op == "index"}


# --- joining loops -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Runs:
    """Runs of loops that become one, and the sizes of these."""

    runs: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]


def _joined_loops(
    sizes: Sequence[int],
    kinds: Sequence[object],
    strides: Sequence[Sequence[int]],
    counted: set[int],
) -> _Runs:
    """Adjacent loops of one kind along which every address moves as if they were one loop."""
    runs: list[list[int]] = []
    for loop, size in enumerate(sizes):
        previous = runs[-1][-1] if runs else -1
        if (
            runs
            and kinds[previous] == kinds[loop]
            and not {previous, loop} & counted
            and all(s[previous] == s[loop] * size for s in strides)
        ):
            runs[-1].append(loop)
        else:
            runs.append([loop])
    joined = tuple(int(np.prod([sizes[loop] for loop in run])) for run in runs)
    return _Runs(tuple(map(tuple, runs)), joined)


class _regroup:
    """Scalars and stores over the joined loops."""

    def __init__(self, groups: _Runs) -> None:
        self.last = [run[-1] for run in groups.runs]

    def access(self, access: Access) -> Access:
        """The same address."""
        return replace(access, strides=tuple(access.strides[loop] for loop in self.last))

    def scalar(self, scalar: Scalar) -> Scalar:
        """The same scalar."""
        if scalar.op == "load":
            return replace(scalar, attributes={"access": self.access(scalar.attributes["access"])})
        if scalar.op == "index":
            return replace(scalar, attributes={"axis": self.last.index(scalar.attributes["axis"])})
        return scalar

    def store(self, store: Store) -> Store:
        """The same store."""
        return replace(store, access=self.access(store.access))


# --- the other kinds -----------------------------------------------------------------------------


def _contraction(
    draft: Draft, layout: Layout, slots: Mapping[Variable, Buffer], outlets: Outlets
) -> Contraction:
    equation = layout.equations[draft.members[0]]
    product = product_of(equation, layout)
    loops = _loops_of_axes(product.result, draft.tail.sizes)
    scalars, stores = draft.tail.scalars, _stores(draft, layout, outlets)
    written = stores[0].access.strides
    roles = ("batch", "rows", "columns")
    order = sorted(range(len(loops)), key=lambda n: (roles.index(loops[n].role), -abs(written[n])))
    ordered = _regroup(_Runs(tuple((n,) for n in order), ()))
    scalars = [ordered.scalar(s) for s in scalars]
    stores = tuple(ordered.store(s) for s in stores)
    strides = [s.strides for s in _accesses(scalars, stores)]
    strides += [tuple(loops[n].axis.a for n in order), tuple(loops[n].axis.b for n in order)]
    kinds = [loops[n].role for n in order]
    sizes = [loops[n].axis.size for n in order]
    groups = _joined_loops(sizes, kinds, strides, _counted(scalars))
    again = _regroup(groups)
    margins = margins_of(equation, product.a, layout)
    others = margins_of(equation, product.b, layout)
    by_role: dict[str, list[Axis]] = {"batch": [], "rows": [], "columns": []}
    for run, size in zip(groups.runs, groups.sizes, strict=True):
        loop = loops[order[run[-1]]]
        by_role[loop.role].append(Axis(size, loop.axis.a, loop.axis.b))
    return Contraction(
        a=slots[product.a.root],
        a_offset=product.a.offset,
        b=slots[product.b.root],
        b_offset=product.b.offset,
        batch=tuple(by_role["batch"]),
        rows=tuple(by_role["rows"]),
        columns=tuple(by_role["columns"]),
        inner=_joined_inner(product.inner, margins),
        epilogue=tuple(again.scalar(s) for s in scalars),
        stores=tuple(again.store(s) for s in stores),
        origins=_origins(draft),
        label=_label(draft),
        margins=margins,
        others=others,
    )


def _loops_of_axes(axes: Sequence[Named], sizes: Sequence[int]) -> list[Named]:
    """The axes of a result split into the kernel's loops, which are a refinement of them."""
    loops: list[Named] = []
    rest = list(sizes)
    for named in reversed(axes):
        reach = 1
        while reach < named.axis.size:
            size = rest.pop()
            axis = Axis(size, named.axis.a * reach, named.axis.b * reach)
            loops.append(Named(named.role, axis))
            reach *= size
    return loops[::-1]


def _joined_inner(axes: tuple[Axis, ...], margins: Sequence[Margin]) -> tuple[Axis, ...]:
    """The axes that are summed over, as few as can be; those with padding stay by themselves."""
    sizes = [axis.size for axis in axes]
    strides = [[axis.a for axis in axes], [axis.b for axis in axes]]
    padded = {(margin.inner, margin.size) for margin in margins}
    kinds = [n if (axis.a, axis.size) in padded else None for n, axis in enumerate(axes)]
    groups = _joined_loops(sizes, kinds, strides, set())
    runs = zip(groups.runs, groups.sizes, strict=True)
    return tuple(replace(axes[run[-1]], size=size) for run, size in runs)


def _scatter(draft: Draft, layout: Layout, outlets: Outlets) -> Scatter:
    (member,) = draft.members
    assert draft.scattered is not None
    value, where = draft.scattered
    (buffer,) = outlets[member]
    return Scatter(
        space=draft.main.sizes,
        body=tuple(draft.main.scalars),
        store=Store(value, _access(buffer, where)),
        target_size=buffer.size,
        origins=_origins(draft),
        label=_label(draft),
    )


def _line(
    draft: Draft, layout: Layout, slots: Mapping[Variable, Buffer], outlets: Outlets
) -> Sort | Scan:
    (member,) = draft.members
    equation = layout.equations[member]
    (source,), axis = equation.inputs, equation.attributes["axis"]
    assert isinstance(source, Variable)
    (buffer,) = outlets[member]
    place, own = layout.place[source], layout.place[member]

    def last(x: tuple[int, ...]) -> tuple[int, ...]:
        return (*x[:axis], *x[axis + 1 :], x[axis])

    shape = last(place.shape)
    read = View(slots[place.root], place.offset, shape, last(place.strides))
    write = View(buffer, 0, shape, last(own.strides))
    if equation.op.name == "cumsum":
        return Scan(read, write, _origins(draft), _label(draft))
    descending = equation.attributes["descending"]
    return Sort(read, write, descending, _origins(draft), _label(draft))


def _host(draft: Draft, layout: Layout, slots: Mapping[Variable, Buffer], outlets: Outlets) -> Host:
    (member,) = draft.members
    equation = layout.equations[member]
    (buffer,) = outlets[member]

    def view(atom: Atom) -> View:
        place = layout.place.get(atom) if isinstance(atom, Variable) else None
        if place is None or not elements(atom.shape):  # nothing is read
            return View(Buffer("nothing", 0, atom.dtype, "temporary"), 0, atom.shape, atom.shape)
        return View(slots[place.root], place.offset, place.shape, place.strides)

    return Host(
        primitive=equation.op.name,
        attributes=equation.attributes,
        sources=tuple(map(view, equation.inputs)),
        target=View(buffer, 0, member.shape, layout.place[member].strides),
        origins=_origins(draft),
        label=_label(draft),
    )


# --- what people are told ------------------------------------------------------------------------


def _origins(draft: Draft) -> tuple[Origin, ...]:
    """The user's lines, each once."""
    lines = [equation.origin for equation in draft.origin_equations()]
    return tuple(dict.fromkeys(line for line in lines if line is not None))


def _label(draft: Draft) -> str:
    """What the kernel does: "contraction+add+logistic"."""
    names = [e.op.name for e in draft.origin_equations()]
    told = [n for n in names if n not in MOVEMENT and n not in ("full", "iota")]
    nothing = "fill" if "full" in names and not draft.sources() else "copy"
    short: list[str] = []
    for name in told or [nothing]:
        if not short or short[-1] != name:
            short.append(name)
    if len(short) > _LONGEST_LABEL:
        short = [*short[: _LONGEST_LABEL - 2], "...", short[-1]]
    return "+".join(short)
