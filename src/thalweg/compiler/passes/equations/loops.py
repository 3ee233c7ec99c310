"""Scans: what no result depends on, what is the same in every round, what need not be carried.

tidied        the body, optimized as any graph is
trimmed       carries, constants, slices and outputs that nothing needs, or that are others
hoisted       what depends on constants only is computed once, before the loop
kept          a carry that is stacked anyway goes from round to round in its stack
stacked       products of all rounds at once, before or after the loop      (stacking.py)
unrolled      a loop of no round or of one
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from thalweg.compiler.graph import Atom, Equation, Graph, Literal, Variable, inner_graphs
from thalweg.compiler.passes.equations.cse import spelled
from thalweg.compiler.passes.equations.dce import remove_dead_code
from thalweg.compiler.passes.equations.scans import (
    Carried,
    Scanned,
    Stacked,
    alias,
    computed,
    for_each_scan,
    operands,
    renamed,
)
from thalweg.compiler.passes.equations.stacking import stack_products
from thalweg.compiler.passes.operations import MOVEMENT
from thalweg.primitives import REGISTRY

__all__ = ["settle_scans"]


def settle_scans(graph: Graph, optimize: Callable[[Graph], Graph]) -> Graph:
    """`graph` with smaller scans; `optimize` is what is done to the graph of a body."""
    return for_each_scan(_wanted(graph), partial(_settled, optimize=optimize))


def _wanted(graph: Graph) -> Graph:
    """`graph` without the stacks that only what nobody wants of later scans reads."""
    count = -1
    while count != (now := sum(len(g.outputs) for e in graph.equations for g in inner_graphs(e))):
        count = now
        graph = remove_dead_code(for_each_scan(graph, _drop_dead))
    return graph


def _settled(scan: Scanned, optimize: Callable[[Graph], Graph]) -> None:
    if scan.length < 2:
        _unroll(scan)
        return
    scan.optimized(optimize)
    while True:
        _drop_dead(scan)
        _share(scan)
        _forward(scan)
        if not _hoist(scan):
            break
    stack_products(scan)
    _drop_dead(scan)
    scan.optimized(optimize)
    _drop_dead(scan)
    _keep(scan)


# --- what nothing needs ---------------------------------------------------------------------------


def _drop_dead(scan: Scanned) -> None:
    """Keep what a wanted result depends on, through all rounds."""
    made = scan.made()
    carries = {c.inner: c for c in scan.carries}
    pending: list[Atom] = [s.value for s in scan.stacks]
    pending += [c.after for c in scan.carries if c.result is not None]
    live = {c.inner for c in scan.carries if c.result is not None}
    while pending:
        atom = pending.pop()
        if not isinstance(atom, Variable) or (atom in live and atom not in carries):
            continue
        if atom in carries:
            if atom in live:
                continue
            pending.append(carries[atom].after)
        live.add(atom)
        if atom in made:
            pending += made[atom].inputs
    scan.equations = [e for e in scan.equations if e.output in live]
    scan.carries = [c for c in scan.carries if c.inner in live]
    read = {*operands(scan.equations), *scan.graph().outputs}
    scan.consts = {inner: atom for inner, atom in scan.consts.items() if inner in read}
    scan.slices = {inner: atom for inner, atom in scan.slices.items() if inner in read}


def _share(scan: Scanned) -> None:
    """Operands that are given twice are given once; numbers stand in the body."""
    same: dict[Variable, Atom] = {}
    for given in (scan.consts, scan.slices):
        first: dict[object, Variable] = {}
        for inner, atom in list(given.items()):
            if isinstance(atom, Literal) and given is scan.consts:
                same[inner] = atom
                del given[inner]
            elif first.setdefault(spelled(atom), inner) is not inner:
                same[inner] = first[spelled(atom)]
                del given[inner]
    if same:
        scan.substitute(same)


def _forward(scan: Scanned) -> None:
    """What goes through the loop unchanged goes past it."""
    for carried in list(scan.carries):
        if carried.after is carried.inner:
            scan.carries.remove(carried)
            scan.consts[carried.inner] = carried.init
            if carried.result is not None:
                scan.after.append(alias(carried.result, carried.init))
    first: dict[object, Variable] = {}
    for stacked in list(scan.stacks):
        value = stacked.value
        known = first.setdefault(spelled(value), stacked.result)
        if known is not stacked.result:
            _past(scan, stacked, known)
        elif isinstance(value, Literal):
            _past(scan, stacked, value)
        elif value in scan.slices:
            _past(scan, stacked, scan.slices[value])
        elif value in scan.consts:
            _past(scan, stacked, scan.consts[value])


def _past(scan: Scanned, stacked: Stacked, atom: Atom) -> None:
    scan.stacks.remove(stacked)
    scan.after.append(alias(stacked.result, atom))


# --- what is the same in every round --------------------------------------------------------------


def _hoist(scan: Scanned) -> bool:
    """Compute before the loop what depends on constants only; whether there was any.

    Movement goes with what is computed of it; by itself it stays, since it costs nothing there and
    might be larger than what it moves.
    """
    varying = scan.depending([*(c.inner for c in scan.carries), *scan.slices])
    fixed = [e for e in scan.equations if e.output not in varying]
    known: dict[Variable, Atom] = dict(scan.consts)
    outside = {e.output: renamed(e, known) for e in fixed}
    wanted = {e.output for e in fixed if e.op.name not in _STAYS}
    if not wanted:
        return False
    scan.before += outside.values()
    for e in fixed:
        if e.output in wanted:
            scan.consts[e.output] = known[e.output]
    scan.equations = [e for e in scan.equations if e.output not in wanted]
    _drop_dead(scan)
    return True


_STAYS = MOVEMENT | {"full", "iota"}


# --- carries in stacks ----------------------------------------------------------------------------


def _keep(scan: Scanned) -> None:
    """Where a carry is stacked, before or after each round, keep all carries there were.

    Then a round reads the carry where the last one has written it, into the stack, and nothing is
    copied: of stacks of n + 1 carries, the first n are those before each round, the last n those
    after.
    """
    parts: list[Equation] = []
    for carried in scan.carries:
        befores = [s for s in scan.stacks if s.value is carried.inner]
        afters = [s for s in scan.stacks if s.value is carried.after]
        if carried.kept or not (befores or afters) or carried.after is carried.inner:
            continue
        inner, n = carried.inner, scan.length
        history = Variable((n + 1, *inner.shape), inner.dtype)
        late, early = (0, 1) if scan.reverse else (1, 0)
        for stacks, start in ((befores, early), (afters, late)):
            for stacked in stacks:
                parts.append(_part(scan, stacked.result, history, start))
                scan.stacks.remove(stacked)
        if carried.result is not None:
            last = Variable((1, *inner.shape), inner.dtype)
            parts.append(_part(scan, last, history, 0 if scan.reverse else n))
            parts.append(alias(carried.result, last))
        carried.result, carried.kept = history, True
    scan.after = parts + scan.after  # which may read them


def _part(scan: Scanned, name: Variable, history: Variable, start: int) -> Equation:
    """Let `name` be the carries from `start` on, as many as it has room for."""
    ones, nothing = (1,) * len(name.shape), (0,) * (len(name.shape) - 1)
    how = {"starts": (start, *nothing), "sizes": name.shape, "steps": ones}
    return Equation(REGISTRY["slice"], (history,), name, how, scan.equation.origin)


# --- short loops ----------------------------------------------------------------------------------


def _unroll(scan: Scanned) -> None:
    """A loop of no round gives what it was given; one of one round is its body."""
    known: dict[Variable, Atom] = dict(scan.consts)
    if not scan.length:
        for carried in scan.carries:
            _give(scan, carried, carried.init)
        for stacked in scan.stacks:
            shape, dtype = stacked.result.shape, stacked.result.dtype
            value = computed(scan.after, scan.equation, "full", shape=shape, value=0, dtype=dtype)
            scan.after.append(alias(stacked.result, value))
    else:
        for carried in scan.carries:
            known[carried.inner] = carried.init
        for inner, atom in scan.slices.items():
            known[inner] = computed(scan.after, scan.equation, "reshape", atom, shape=inner.shape)
        scan.after += [renamed(e, known) for e in scan.equations]
        for carried in scan.carries:
            _give(scan, carried, _now(carried.after, known))
        scan.after += [alias(s.result, _now(s.value, known)) for s in scan.stacks]
    scan.carries, scan.stacks = [], []


def _give(scan: Scanned, carried: Carried, atom: Atom) -> None:
    if carried.result is not None:
        scan.after.append(alias(carried.result, atom))


def _now(atom: Atom, known: dict[Variable, Atom]) -> Atom:
    return known.get(atom, atom) if isinstance(atom, Variable) else atom
