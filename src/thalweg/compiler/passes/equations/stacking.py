"""Out of the loop: products of all rounds at once, where none of them waits for another.

    lifted    a product of what does not depend on the carry is one of stacks, before the loop:
              an LSTM's x_t W becomes X W
    sunk      a product that only leads to outputs is one of stacks, after the loop
    summed    what is only added up from round to round, as the cotangent of a weight, is added up
              after the loop: with the products x_t^T g_t, time is one more axis that is summed over

What is stacked costs memory, and saves that a small product waits for its turn, once a round.
Operations on stacks come from the batching rules of the op table, with the rounds as its cases.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from thalweg._tensor import Tensor
from thalweg.compiler.graph import Atom, Equation, Literal, Variable
from thalweg.compiler.passes.equations.scans import Carried, Scanned, Stacked, alias, computed
from thalweg.primitives.contraction import parse
from thalweg.primitives.core import Primitive
from thalweg.tape import bind, mode, wrap

__all__ = ["stack_products"]


def stack_products(scan: Scanned) -> None:
    """Move products, and sums over the rounds, out of a loop."""
    _lift(scan)
    _sum(scan)
    _sink(scan)


# --- operations on stacks -------------------------------------------------------------------------


@dataclass(slots=True)
class _Stacks:
    """Values of the body outside of it, all rounds at once.

    into   the equations that compute them
    known  where they stand, and whether with an axis of rounds in front
    """

    scan: Scanned
    into: list[Equation]
    known: dict[Variable, tuple[Atom, bool]] = field(default_factory=dict)

    def of(self, atom: Atom) -> tuple[Atom, bool]:
        """Where `atom` stands outside."""
        if isinstance(atom, Literal):
            return atom, False
        if atom in self.scan.consts:
            return self.scan.consts[atom], False
        if atom in self.scan.slices:
            return self.scan.slices[atom], True
        return self.known[atom]

    def has(self, atom: Atom) -> bool:
        """Whether `atom` stands outside."""
        if isinstance(atom, Literal) or atom in self.known:
            return True
        return atom in self.scan.consts or atom in self.scan.slices

    def add(self, equation: Equation) -> None:
        """Compute the result of an equation, whose operands are there, for all rounds."""
        pairs = [self.of(atom) for atom in equation.inputs]
        stacked = [is_stack for _, is_stack in pairs]
        tensors = [wrap(atom) for atom, _ in pairs]
        writer = _Writer(self.into, equation)
        with writer:
            if any(stacked):
                rule = equation.op.batch
                assert rule is not None, equation.op
                apply, size = partial(bind, equation.op), self.scan.length
                result = rule(apply, size, stacked, *tensors, **equation.attributes)
            else:
                result = bind(equation.op, *tensors, **equation.attributes)
        self.known[equation.output] = writer.atom(result), any(stacked)

    def keep(self, atom: Variable) -> None:
        """Let the loop stack `atom`."""
        kept = next((s for s in self.scan.stacks if s.value is atom), None)
        if kept is None:
            result = Variable((self.scan.length, *atom.shape), atom.dtype)
            kept = Stacked(atom, result)
            self.scan.stacks.append(kept)
        self.known[atom] = kept.result, True


class _Writer:
    """The interpreter by which rules of the op table write equations."""

    def __init__(self, into: list[Equation], like: Equation) -> None:
        self.into, self.origin = into, like.origin

    def __call__(
        self, primitive: Primitive, inputs: tuple[Tensor, ...], attributes: dict[str, Any]
    ) -> Variable:
        atoms = tuple(map(self.atom, inputs))
        output = Variable(*primitive.infer(*atoms, **attributes))
        self.into.append(Equation(primitive, atoms, output, attributes, self.origin))
        return output

    def atom(self, x: Tensor) -> Atom:
        """What stands for `x`: a value of the graph, or a number."""
        value: Any = x._value
        return (
            value if isinstance(value, Variable | Literal) else Literal(value.item(), value.dtype)
        )

    def touch(self, x: Tensor) -> None:
        """Nothing is captured."""

    def guard(self, owner: Any, name: str, value: Any) -> None:
        """Nothing depends on the world."""

    def __enter__(self) -> None:
        self.before = mode.interpret, mode.trace, mode.grad
        mode.interpret, mode.trace, mode.grad = self, self, False

    def __exit__(self, *error: object) -> None:
        mode.interpret, mode.trace, mode.grad = self.before


def _can_stack(equation: Equation) -> bool:
    return equation.op.batch is not None


# --- before the loop ------------------------------------------------------------------------------


def _lift(scan: Scanned) -> None:
    """Compute products of what does not depend on the carry before the loop."""
    made = scan.made()
    varying = scan.depending(c.inner for c in scan.carries)
    sliced = scan.depending(scan.slices)
    stacks = _Stacks(scan, scan.before)
    for e in [e for e in scan.equations if e.op.name == "contraction"]:
        if e.output in varying or e.output not in sliced:
            continue
        needed = _needed(e, made)
        if all(map(_can_stack, needed)):
            for other in needed:
                if other.output not in stacks.known:
                    stacks.add(other)
            slice_, _ = stacks.of(e.output)
            scan.slices[e.output] = slice_
            scan.equations = [x for x in scan.equations if x is not e]


def _needed(equation: Equation, made: dict[Variable, Equation]) -> list[Equation]:
    """An equation and those it depends on, in order."""
    found: dict[int, Equation] = {}

    def visit(e: Equation) -> None:
        for atom in e.inputs:
            if isinstance(atom, Variable) and atom in made and id(made[atom]) not in found:
                visit(made[atom])
        found[id(e)] = e

    visit(equation)
    return list(found.values())


# --- after the loop -------------------------------------------------------------------------------


def _sink(scan: Scanned) -> None:
    """Compute products that no carry depends on after the loop, and what follows from them."""
    before = _ancestors(scan, (c.after for c in scan.carries))
    late = [e for e in scan.equations if e.output not in before]
    products = [e.output for e in late if e.op.name == "contraction"]
    moved = scan.depending(products)
    equations = [e for e in scan.equations if e.output in moved]
    if not products or not all(map(_can_stack, equations)):
        return
    stacks = _Stacks(scan, scan.after)
    kept = [s for s in scan.stacks if s.value in moved]
    scan.stacks = [s for s in scan.stacks if s.value not in moved]
    scan.equations = [e for e in scan.equations if e.output not in moved]
    for e in equations:
        for atom in e.inputs:
            if isinstance(atom, Variable) and not stacks.has(atom):
                stacks.keep(atom)
        stacks.add(e)
    for stacked in kept:
        atom, _ = stacks.of(stacked.value)
        scan.after.append(alias(stacked.result, atom))


def _ancestors(scan: Scanned, atoms: Iterable[Atom]) -> set[Variable]:
    """The values of the body that `atoms` are computed from, these included."""
    found = {atom for atom in atoms if isinstance(atom, Variable)}
    for e in reversed(scan.equations):
        if e.output in found:
            found.update(atom for atom in e.inputs if isinstance(atom, Variable))
    return found


# --- sums over the rounds -------------------------------------------------------------------------


def _sum(scan: Scanned) -> None:
    """Add up after the loop what is only added up in it."""
    readers, made = scan.readers(), scan.made()
    found = []
    for carried in scan.carries:
        term = _term(carried, made)
        if carried.kept:
            continue
        if term is not None and readers[carried.inner] == 1 and readers[_variable(carried)] == 1:
            found.append((carried, term))
    # Sums of products first: what these stack, others may add up as well.
    found.sort(key=lambda pair: not _has_product(pair[1], made))
    summer = _Summer(scan, made)
    for carried, term in found:
        if not summer.is_worth_it(term):
            continue
        total = summer.total(term)
        scan.carries = [c for c in scan.carries if c is not carried]
        if carried.result is not None:
            whole = computed(scan.after, scan.equation, "add", carried.init, total)
            scan.after.append(alias(carried.result, whole))
    live = _ancestors(scan, [*(c.after for c in scan.carries), *(s.value for s in scan.stacks)])
    scan.equations = [e for e in scan.equations if e.output in live]


def _variable(carried: Carried) -> Variable:
    assert isinstance(carried.after, Variable)
    return carried.after


def _term(carried: Carried, made: dict[Variable, Equation]) -> Variable | None:
    """What is added to a carry in each round, if nothing else happens to it."""
    e = made.get(carried.after) if isinstance(carried.after, Variable) else None
    if e is None or e.op.name != "add" or carried.inner not in e.inputs:
        return None
    term = e.inputs[1] if e.inputs[0] is carried.inner else e.inputs[0]
    if not isinstance(term, Variable) or term is carried.inner or term.shape != carried.inner.shape:
        return None
    return term


_LINEAR = frozenset({"transpose", "reshape", "add", "subtract", "negative"})


def _parts(atom: Atom, made: dict[Variable, Equation]) -> list[Variable]:
    """The values that `atom` is a sum of, perhaps moved."""
    if not isinstance(atom, Variable):
        return []
    e = made.get(atom)
    if e is None or not _is_linear(e):
        return [atom]
    return [part for x in e.inputs for part in _parts(x, made)]


def _is_linear(e: Equation) -> bool:
    return e.op.name in _LINEAR and all(isinstance(x, Variable) for x in e.inputs)


def _has_product(term: Variable, made: dict[Variable, Equation]) -> bool:
    parts = _parts(term, made)
    return any(part in made and made[part].op.name == "contraction" for part in parts)


class _Summer:
    """Sums over all rounds of values of the body."""

    def __init__(self, scan: Scanned, made: dict[Variable, Equation]) -> None:
        self.scan, self.made = scan, made
        self.stacks = _Stacks(scan, scan.after)

    def is_worth_it(self, term: Variable) -> bool:
        """Whether every part is a product, or a sum of what is stacked anyway."""
        return all(self._is_cheap(part) for part in _parts(term, self.made))

    def _is_cheap(self, part: Variable) -> bool:
        e = self.made.get(part)
        if e is None:
            return self._is_stack(part)
        if e.op.name == "contraction":
            return True
        return self._is_stack(e.inputs[0] if e.op.name == "sum" else part)

    def _is_stack(self, atom: Atom) -> bool:
        return atom in self.scan.slices or any(s.value is atom for s in self.scan.stacks)

    def total(self, atom: Atom) -> Variable:
        """The sum of a value over all rounds."""
        assert isinstance(atom, Variable)
        e = self.made.get(atom)
        if e is not None and _is_linear(e):
            inputs = [self.total(x) for x in e.inputs]
            return computed(self.scan.after, e, e.op.name, *inputs, **e.attributes)
        if e is not None and e.op.name == "sum":
            return self._summed(self._stack(e.inputs[0]), e.attributes["axes"])
        if e is not None and e.op.name == "contraction":
            return self._product(e)
        return self._summed(self._stack(atom), ())

    def _product(self, e: Equation) -> Variable:
        """A product with the rounds as one more axis that is summed over."""
        left, right, result = parse(e.attributes["spec"])
        t = next(letter for letter in "tuvwxyzabcdefgh" if letter not in left + right)
        fixed = [x for x in e.inputs if x in self.scan.consts]
        if fixed:  # the sum of the products is the product of the sum
            inputs = [self.scan.consts[x] if x in fixed else self.total(x) for x in e.inputs]
            return computed(self.scan.after, e, "contraction", *inputs, **e.attributes)
        a, b = (self._stack(x) for x in e.inputs)
        spec = f"{t}{left},{t}{right}->{result}"
        return computed(self.scan.after, e, "contraction", a, b, spec=spec)

    def _summed(self, stack: Variable, axes: tuple[int, ...]) -> Variable:
        axes = (0, *(axis + 1 for axis in axes))
        return computed(self.scan.after, self.scan.equation, "sum", stack, axes=axes)

    def _stack(self, atom: Atom) -> Variable:
        """The values of all rounds, along axis 0."""
        assert isinstance(atom, Variable)
        if not self.stacks.has(atom):
            self._provide(atom)
        found, is_stack = self.stacks.of(atom)
        if not is_stack or not isinstance(found, Variable):
            shape = (self.scan.length, *atom.shape)
            return computed(self.scan.after, self.scan.equation, "broadcast", found, shape=shape)
        return found

    def _provide(self, atom: Variable) -> None:
        """Stack a value, or only show it where what it shows is there."""
        e = self.made.get(atom)
        moves = e is not None and e.op.name in ("transpose", "reshape") and _can_stack(e)
        if e is None or not moves:
            self.stacks.keep(atom)
            return
        (source,) = e.inputs
        if isinstance(source, Variable) and not self.stacks.has(source):
            self._provide(source)
        self.stacks.add(e)
