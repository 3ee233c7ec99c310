"""The order of the kernels, and which state they may write in place.

A kernel may write the new value of a state into the state's own buffer if every other kernel that
reads the old value can run before it, it reads the old value itself only at the very element that
it is about to write, and it cannot meet an index out of range, after which every state is to be as
it was. Otherwise the new value is a temporary, copied at the end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from thalweg.compiler.graph import Graph, Variable
from thalweg.compiler.kernels import Access, Buffer, Kernel, Loop, Scalar, Store
from thalweg.compiler.passes.fusion.drafts import Draft
from thalweg.compiler.passes.fusion.fuse import Fused
from thalweg.compiler.passes.plan.emit import emit
from thalweg.compiler.passes.plan.memory import reads_of, with_buffers, writes_of
from thalweg.compiler.passes.plan.rounds import Plans
from thalweg.compiler.passes.views import elements

__all__ = ["Schedule", "schedule"]

_ALONE = frozenset({"scatter", "line", "host", "inside"})  # into one buffer, and never in place


@dataclass(slots=True)
class Schedule:
    """Kernels in order of execution, over buffers without a place in the arena yet."""

    kernels: list[Kernel]
    inputs: list[Buffer]
    outputs: list[Buffer]


@dataclass(slots=True)
class _Stored:
    """Where values end up.

    buffer   of each value that is stored
    outlets  of each root, all buffers it is written to directly
    copies   buffers filled at the end: (value, buffer)
    """

    buffer: dict[Variable, Buffer] = field(default_factory=dict)
    outlets: dict[Variable, list[Buffer]] = field(default_factory=lambda: defaultdict(list))
    copies: list[tuple[Variable, Buffer]] = field(default_factory=list)


def schedule(
    graph: Graph, fused: Fused, roots: list[Variable], updates: Mapping[int, int], plans: Plans
) -> Schedule:
    """Decide on buffers and order.

    `roots` are the stored values behind the graph's outputs, `plans` those of the loops' bodies.
    """
    before = [set(needs) for needs in fused.needed]
    inputs = [
        Buffer(f"x{n}", elements(v.shape), v.dtype, "state" if n in updates else "input")
        for n, v in enumerate(graph.inputs)
    ]
    stored = _Stored(dict(zip(graph.inputs, inputs, strict=True)))
    outputs = _place_outputs(graph, fused, roots, updates, inputs, stored, before)
    _place_temporaries(fused, stored)
    final = {fused.slots[v]: b for v, b in stored.buffer.items() if v in fused.slots}
    kernels = [
        with_buffers(
            emit(draft, fused.layout, fused.slots, stored.outlets, plans), _exchange(final)
        )
        for draft in fused.drafts
    ]
    _copy_at_the_end(fused, stored, graph, kernels, before)
    order = _ordered(kernels, before, _turns(fused, len(kernels)))
    return Schedule([kernels[n] for n in order], inputs, outputs)


def _place_outputs(
    graph: Graph,
    fused: Fused,
    roots: list[Variable],
    updates: Mapping[int, int],
    inputs: list[Buffer],
    stored: _Stored,
    before: list[set[int]],
) -> list[Buffer]:
    """The buffer of each output; new values of states in the states' own where that is possible."""
    state_of = {output: number for number, output in updates.items()}
    readers = _readers(fused)
    buffers: list[Buffer] = []
    for position, root in enumerate(roots):
        number = state_of.get(position)
        if number is None:
            buffer, direct = (
                Buffer(f"out{position}", elements(root.shape), root.dtype, "output"),
                True,
            )
        else:
            buffer = inputs[number]
            direct = not _is_loop(fused, root) and _in_place(
                fused, graph.inputs[number], root, before, readers
            )
        buffers.append(buffer)
        if not buffer.size or root is (graph.inputs[number] if number is not None else None):
            continue  # nothing, or a state that keeps its value
        sole = root not in fused.home or fused.drafts[fused.home[root]].kind in _ALONE
        if direct and not (sole and stored.outlets[root]):
            stored.outlets[root].append(buffer)
            stored.buffer.setdefault(root, buffer)
        else:
            stored.copies.append((root, buffer))
    return buffers


def _is_loop(fused: Fused, root: Variable) -> bool:
    """Whether a loop or a branch computes `root`: should it fail, no state has changed."""
    return root in fused.home and fused.drafts[fused.home[root]].kind == "inside"


def _readers(fused: Fused) -> dict[Variable, set[int]]:
    """The kernels that read each stored value."""
    readers: dict[Variable, set[int]] = defaultdict(set)
    for number, draft in enumerate(fused.drafts):
        for root in draft.sources():
            readers[root].add(number)
    return readers


def _in_place(
    fused: Fused,
    state: Variable,
    root: Variable,
    before: list[set[int]],
    readers: Mapping[Variable, set[int]],
) -> bool:
    """Whether `root` may be written over `state`; if so, its other readers come first."""
    writers = {fused.home[w] for w in fused.layout.writers(root) if w in fused.home}
    if any(_may_fail(fused.drafts[number]) for number in writers):
        return False
    others = readers.get(state, set())
    joined = root not in fused.home
    for number in writers & others:
        if joined or not _reads_where_it_writes(fused.drafts[number], state, root):
            return False
    others = others - writers
    if any(_comes_after(reader, writer, before) for reader in others for writer in writers):
        return False
    for writer in writers:
        before[writer] |= others
    return bool(writers)


def _may_fail(draft: Draft) -> bool:
    """Whether a kernel computes places in a tensor, which may be outside."""
    places = [read.at for body in draft.bodies for read in body.reads]
    places += [draft.scattered[1]] if draft.scattered is not None else []
    return any(place.indirect for place in places)


def _reads_where_it_writes(draft: Draft, state: Variable, root: Variable) -> bool:
    """Whether a kernel reads `state` only at the element at which it stores `root`."""
    if state in draft.operands or draft.kind in _ALONE:
        return False
    body = draft.body_of(root)
    others = [read for other in draft.bodies if other is not body for read in other.reads]
    if any(read.root is state for read in others):
        return False
    return all(read.at == body.stored_at(root) for read in body.reads if read.root is state)


def _comes_after(later: int, earlier: int, before: list[set[int]]) -> bool:
    """Whether kernel `later` needs kernel `earlier`, directly or not."""
    found, rest = set[int](), [later]
    while rest:
        number = rest.pop()
        if number == earlier:
            return True
        new = before[number] - found
        found |= new
        rest.extend(new)
    return False


def _place_temporaries(fused: Fused, stored: _Stored) -> None:
    """A buffer for what is read and has none yet, and for all that loops and branches write."""
    read = [root for draft in fused.drafts for root in draft.sources()]
    read += [root for draft in fused.drafts if draft.kind == "inside" for root in draft.members]
    for root in (*read, *(root for root, _ in stored.copies)):
        if root not in stored.buffer:
            slot = fused.slots[root]
            stored.buffer[root] = slot
            stored.outlets[root].append(slot)


def _exchange(final: Mapping[Buffer, Buffer]) -> Callable[[Buffer], Buffer]:
    return lambda buffer: final.get(buffer, buffer)


def _copy_at_the_end(
    fused: Fused, stored: _Stored, graph: Graph, kernels: list[Kernel], before: list[set[int]]
) -> None:
    """Kernels that copy values to where they could not be written directly."""
    states = {stored.buffer[v]: v for v in graph.inputs}
    for root, target in stored.copies:
        state = states.get(target)
        needs = {fused.home[w] for w in fused.layout.writers(root) if w in fused.home}
        needs |= {n for n, draft in enumerate(fused.drafts) if state in draft.sources()}
        source = stored.buffer[root]
        needs |= {n for n, kernel in enumerate(kernels) if _is_copy_of(kernel, target)}
        kernels.append(_copy(source, target))
        before.append(needs)


def _turns(fused: Fused, count: int) -> list[int]:
    """Where in the program the first value of each kernel is computed; copies come at the end."""
    turn = {variable: number for number, variable in enumerate(fused.layout.equations)}
    turns = [min(turn[member] for member in draft.members) for draft in fused.drafts]
    return turns + [len(turn)] * (count - len(turns))


def _is_copy_of(kernel: Kernel, buffer: Buffer) -> bool:
    """Whether an earlier copy reads what is to be overwritten."""
    return isinstance(kernel, Loop) and kernel.label == "copy" and buffer in reads_of(kernel)


def _copy(source: Buffer, target: Buffer) -> Loop:
    sizes = (source.size,) if source.size != 1 else ()
    strides = (1,) * len(sizes)
    load = Scalar("load", (), source.dtype, {"access": Access(source, 0, strides)})
    return Loop(sizes, (load,), (Store(0, Access(target, 0, strides)),), label="copy")


# --- order ----------------------------------------------------------------------------------------


def _ordered(kernels: list[Kernel], before: list[set[int]], turn: list[int]) -> list[int]:
    """The kernels' numbers so that each comes after those it needs.

    Of those that are ready, one comes first that ends the life of more than it begins: a weight's
    gradient, applied at once, before the gradient of the layer below. Then the order is that in
    which the program was written; what needs nothing, such as a fill, waits for its reader.
    """
    touches = [{b for b in (*reads_of(k), *writes_of(k)) if b.kind == "temporary"} for k in kernels]
    left = Counter(buffer for buffers in touches for buffer in buffers)
    live: set[Buffer] = set()
    when = _latest(before, turn)
    after: list[list[int]] = [[] for _ in kernels]
    missing = [len(needs) for needs in before]
    for number, needs in enumerate(before):
        for needed in needs:
            after[needed].append(number)

    def growth(number: int) -> int:
        new = sum(b.size * b.dtype.itemsize for b in touches[number] if b not in live)
        dead = sum(b.size * b.dtype.itemsize for b in touches[number] if left[b] == 1)
        return new - dead

    ready = [number for number, count in enumerate(missing) if not count]
    order: list[int] = []
    while ready:
        number = min(ready, key=lambda n: (growth(n) >= 0, when[n], n))
        ready.remove(number)
        order.append(number)
        live |= touches[number]
        left.subtract(touches[number])
        for other in after[number]:
            missing[other] -= 1
            if not missing[other]:
                ready.append(other)
    assert len(order) == len(kernels), "kernels that need each other"
    return order


def _latest(before: list[set[int]], turn: list[int]) -> list[float]:
    """The turn of each kernel; of one that needs no other, a little before its first reader."""
    when = [float(number) for number in turn]
    first: dict[int, float] = {}
    for number, needs in enumerate(before):
        for needed in needs:
            first[needed] = min(when[number], first.get(needed, when[number]))
    for number, needs in enumerate(before):
        if not needs and number in first:
            when[number] = first[number] - 0.5
    return when
