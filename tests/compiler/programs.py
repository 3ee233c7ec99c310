"""Random programs: graphs of primitives of random shapes, for tests of every part of the compiler.

Inputs hold small integers, in every dtype. A value is exact as long as it was computed by
operations that do not round: only exact values are compared, sorted or turned into indices, so
that two right evaluations cannot differ by more than rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.compiler.graph import Atom, Equation, Graph, Literal, Variable
from thalweg.errors import ThalwegError
from thalweg.primitives import REGISTRY

__all__ = ["Program", "random_program"]

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))
INTEGERS = (np.dtype(np.int64), np.dtype(np.int32))
BOOL = np.dtype(np.bool_)
EXACT = ("add", "subtract", "multiply", "maximum", "minimum")
ROUNDED = ("exp", "tanh", "logistic", "sin", "cos", "sqrt", "atan", "erf", "log1p")
COMPARED = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
MOST = 2.0**20  # what exact values stay below, in magnitude
LARGEST = 600  # elements


@dataclass(slots=True)
class Program:
    """A graph under construction, with arrays for its inputs and a bound for each value.

    bound   what the magnitude of an exact value stays below; of rounded ones infinity
    """

    generator: np.random.Generator
    graph: Graph = field(default_factory=lambda: Graph([], [], []))
    arrays: list[Any] = field(default_factory=list)
    bound: dict[Variable, float] = field(default_factory=dict)
    updates: dict[int, int] = field(default_factory=dict)

    def pick(self, choices: Any) -> Any:
        """One of `choices`."""
        return choices[int(self.generator.integers(len(choices)))]

    def whole(self, low: int, high: int) -> int:
        """An integer from `low` to `high`."""
        return int(self.generator.integers(low, high + 1))

    def shape(self, rank: int) -> tuple[int, ...]:
        """Sizes, often small and odd."""
        return tuple(self.pick((1, 2, 3, 4, 5, 7)) for _ in range(rank))

    def given(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Variable:
        """A new input."""
        variable = Variable(shape, dtype)
        low, high = (0, 2) if dtype == BOOL else (-3, 4)
        self.graph.inputs.append(variable)
        self.arrays.append(self.generator.integers(low, high, shape).astype(dtype))
        self.bound[variable] = 3
        return variable

    def emit(self, name: str, inputs: list[Atom], bound: float, **attributes: Any) -> Variable:
        """A new equation."""
        op = REGISTRY[name]
        shape, dtype = op.infer(*inputs, **attributes)
        output = Variable(tuple(shape), np.dtype(dtype))
        self.graph.equations.append(Equation(op, tuple(inputs), output, attributes))
        self.bound[output] = bound
        return output

    def values(self, kinds: str = "fiub", exact: bool = False, rank: int = 0) -> list[Variable]:
        """The values so far of these kinds of dtype, and of at least this rank."""
        return [
            v
            for v, bound in self.bound.items()
            if v.dtype.kind in kinds and len(v.shape) >= rank and (bound < MOST or not exact)
        ]

    def value(self, kinds: str = "fiub", exact: bool = False, rank: int = 0) -> Variable:
        """One of them, or a new input."""
        known = self.values(kinds, exact, rank)
        if known and self.generator.random() < 0.9:
            recent = known[-6:] if self.generator.random() < 0.7 else known
            return self.pick(recent)  # type: ignore[no-any-return]
        dtypes = [t for t in (*FLOATS, *INTEGERS, BOOL) if t.kind in kinds]
        return self.given(self.shape(self.whole(rank, max(rank, 3))), self.pick(dtypes))

    def beside(self, x: Variable) -> Atom:
        """Something of the dtype of `x` that broadcasts with it: a value, an input or a number."""
        if self.generator.random() < 0.2 and x.dtype != BOOL:
            return Literal(x.dtype.type(self.whole(-2, 3)).item(), x.dtype)
        fitting = [v for v in self.bound if v.dtype == x.dtype and _broadcasts(v, x)]
        if fitting and self.generator.random() < 0.8:
            return self.pick(fitting)  # type: ignore[no-any-return]
        shape = tuple(self.pick((1, n)) for n in x.shape)[self.whole(0, len(x.shape)) :]
        return self.given(shape, x.dtype)

    def of(self, atom: Atom) -> float:
        """The bound of an atom."""
        return self.bound[atom] if isinstance(atom, Variable) else abs(float(atom.value))


def _broadcasts(a: Variable, b: Variable) -> bool:
    try:
        return math.prod(np.broadcast_shapes(a.shape, b.shape)) <= LARGEST
    except ValueError:
        return False


# --- steps: each adds an equation or two ----------------------------------------------------------


def _exact(p: Program) -> None:
    x = p.value("fi")
    y, name = p.beside(x), p.pick(EXACT)
    a, b = p.of(x), p.of(y)
    bound = {"multiply": a * b, "maximum": max(a, b), "minimum": max(a, b)}.get(name, a + b)
    if bound < MOST or max(a, b) == math.inf:
        operands: list[Atom] = [x, y]
        p.emit(name, operands if p.generator.random() < 0.5 else operands[::-1], bound)


def _unary(p: Program) -> None:
    x = p.value("fi")
    name = p.pick(("negative", "absolute"))
    p.emit(name, [x], p.of(x))


def _rounded(p: Program) -> None:
    x = p.value("f")
    small = p.emit("multiply", [x, Literal(0.01, x.dtype)], math.inf)
    if p.of(x) == math.inf:
        small = p.emit("tanh", [x], math.inf)
    if p.generator.random() < 0.5:
        small = p.emit("absolute", [small], math.inf)
        p.emit(p.pick(ROUNDED), [small], math.inf)
    else:
        p.emit(p.pick([n for n in ROUNDED if n not in ("sqrt", "log1p")]), [small], math.inf)


def _compare(p: Program) -> None:
    x = p.value("fi", exact=True)
    y = p.beside(x)
    if p.of(y) < MOST:
        condition = p.emit(p.pick(COMPARED), [x, y], 1)
        if p.generator.random() < 0.6:
            p.emit("select", [condition, x, y], max(p.of(x), p.of(y)))


def _logic(p: Program) -> None:
    x = p.value("b")
    p.emit(p.pick(("bitwise_and", "bitwise_or", "bitwise_xor")), [x, p.beside(x)], 1)


def _cast(p: Program) -> None:
    x = p.value(exact=True)
    p.emit("cast", [x], p.of(x), dtype=p.pick((*FLOATS, *INTEGERS)))


def _reshape(p: Program) -> None:
    x = p.value()
    count, sizes = math.prod(x.shape), []
    while count > 1 and len(sizes) < 4:
        size = p.pick([n for n in range(1, count + 1) if count % n == 0])
        sizes.append(size)
        count //= size
    p.emit("reshape", [x], p.of(x), shape=(*sizes, count))


def _transpose(p: Program) -> None:
    x = p.value(rank=1)
    axes = tuple(int(a) for a in p.generator.permutation(len(x.shape)))
    p.emit("transpose", [x], p.of(x), axes=axes)


def _broadcast(p: Program) -> None:
    x = p.value()
    shape = tuple(n if n != 1 else p.pick((1, 3)) for n in x.shape)
    if p.generator.random() < 0.5:
        shape = (p.whole(1, 3), *shape)
    if math.prod(shape) <= LARGEST:
        p.emit("broadcast", [x], p.of(x), shape=shape)


def _slice(p: Program) -> None:
    x = p.value(rank=1)
    starts = tuple(p.whole(0, n - 1) for n in x.shape)
    steps = tuple(p.whole(1, 2) for _ in x.shape)
    room = zip(x.shape, starts, steps, strict=True)
    sizes = tuple(p.whole(1, (n - start - 1) // step + 1) for n, start, step in room)
    p.emit("slice", [x], p.of(x), starts=starts, sizes=sizes, steps=steps)


def _flip(p: Program) -> None:
    x = p.value(rank=1)
    axes = tuple(a for a in range(len(x.shape)) if p.generator.random() < 0.5)
    p.emit("flip", [x], p.of(x), axes=axes or (0,))


def _pad(p: Program) -> None:
    x = p.value("fi", rank=1)
    low, high, inner = (tuple(p.whole(0, 1) for _ in x.shape) for _ in range(3))
    value = p.whole(-1, 1)
    p.emit("pad", [x], max(p.of(x), 1), low=low, high=high, inner=inner, value=value)


def _concatenate(p: Program) -> None:
    x = p.value(rank=1)
    axis = p.whole(0, len(x.shape) - 1)
    parts = [
        v for v in p.bound
        if v.dtype == x.dtype and len(v.shape) == len(x.shape)
        and all(a == b for i, (a, b) in enumerate(zip(v.shape, x.shape, strict=True)) if i != axis)
    ]  # fmt: skip
    chosen = [x, *(p.pick(parts) for _ in range(p.whole(1, 2)))]
    p.emit("concatenate", list(chosen), max(map(p.of, chosen)), axis=axis)


def _reduce(p: Program) -> None:
    name = p.pick(("sum", "sum", "max", "min", "prod"))
    x = p.value("fi", rank=1)
    axes = tuple(a for a in range(len(x.shape)) if p.generator.random() < 0.6)
    count = math.prod(x.shape[axis] for axis in axes)
    bound = p.of(x) * count if name == "sum" else p.of(x)
    if name == "prod":
        bound = max(p.of(x), 1.0) ** count if count < 40 else math.inf
    if bound < MOST or (p.of(x) == math.inf and name == "sum"):
        p.emit(name, [x], bound, axes=axes)


def _position(p: Program) -> None:
    x = p.value("fi", exact=True, rank=1)
    p.emit(p.pick(("argmax", "argmin")), [x], 7, axis=p.whole(0, len(x.shape) - 1))


def _along(p: Program) -> None:
    x = p.value("fi", exact=True, rank=1)
    axis = p.whole(0, len(x.shape) - 1)
    if p.generator.random() < 0.5:
        p.emit("argsort", [x], x.shape[axis], axis=axis, descending=p.generator.random() < 0.5)
    elif p.of(x) * x.shape[axis] < MOST:
        p.emit("cumsum", [x], p.of(x) * x.shape[axis], axis=axis)


def _contract(p: Program) -> None:
    x = p.value("fi", rank=1)
    names = "abcdefghijklm"[: len(x.shape)]
    roles = [p.pick(("rows", "inner", "batch")) for _ in names]
    right = [(n, s) for n, s, r in zip(names, x.shape, roles, strict=True) if r != "rows"]
    right += [("xyz"[k], p.pick((1, 2, 3))) for k in range(p.whole(0, 2))]
    order = [right[int(k)] for k in p.generator.permutation(len(right))]
    kept = [n for n, r in zip(names, roles, strict=True) if r != "inner"]
    kept += [n for n, _ in right if n in "xyz"]
    result = "".join(kept[int(k)] for k in p.generator.permutation(len(kept)))
    other = p.given(tuple(size for _, size in order), x.dtype)
    if p.generator.random() < 0.3:
        other = p.emit("negative", [other], 3)
    spec = f"{names},{''.join(n for n, _ in order)}->{result}"
    count = math.prod(s for s, r in zip(x.shape, roles, strict=True) if r == "inner")
    bound = p.of(x) * 3 * count
    sizes = dict(zip(names, x.shape, strict=True)) | dict(right)
    if (bound < MOST or bound == math.inf) and math.prod(sizes[n] for n in result) <= LARGEST:
        p.emit("contraction", [x, other], bound, spec=spec)


def _gather(p: Program) -> None:
    x = p.value(rank=1)
    axis = p.whole(0, len(x.shape) - 1)
    index = _index(p, x.shape[axis], p.shape(p.whole(0, 2)))
    if math.prod(index.shape) * math.prod(x.shape) <= LARGEST * x.shape[axis]:
        p.emit("gather", [x, index], p.of(x), axes=(axis,), wrap=p.generator.random() < 0.5)


def _scatter(p: Program) -> None:
    x = p.value("fi", rank=1)
    axis, size = p.whole(0, len(x.shape) - 1), p.whole(1, 6)
    rest = x.shape[1:]
    shape = (*rest[:axis], size, *rest[axis:])
    index = _index(p, size, x.shape[:1])
    bound = p.of(x) * x.shape[0]
    if bound < MOST or bound == math.inf:
        p.emit("scatter_add", [x, index], bound, shape=shape, axes=(axis,), wrap=False)


def _index(p: Program, size: int, shape: tuple[int, ...]) -> Variable:
    """Places from 0 to size - 1: given, counted, or computed."""
    way = p.whole(0, 2)
    if way == 0 and shape and shape[0] <= size:
        return p.emit("iota", [], size, shape=shape, axis=0, dtype=INTEGERS[0])
    x = p.given(shape, INTEGERS[0])
    limit: Atom = Literal(size, INTEGERS[0])
    index = p.emit("remainder", [x, limit], size)
    if way == 1:  # a given index
        p.graph.equations.pop()
        del p.bound[index]
        p.arrays[-1] = p.arrays[-1] % size
        p.bound[x] = max(size, 3)
        return x
    return index


def _windowed(p: Program) -> tuple[Variable, Variable, dict[str, Any]]:
    """An image (n, c, h, w), its windows, and how they lie."""
    images = [v for v in p.values("fi") if len(v.shape) == 4]
    if images and p.generator.random() < 0.8:
        x = p.pick(images)
    else:
        shape = (p.whole(1, 2), p.whole(1, 4), p.whole(3, 6), p.whole(3, 6))
        x = p.given(shape, p.pick((*FLOATS, INTEGERS[0])))
    if p.generator.random() < 0.5:
        around = (0, 0, p.whole(0, 2), p.whole(0, 2))
        x = p.emit("pad", [x], p.of(x), low=around, high=around, inner=(0,) * 4, value=0)
    sizes = tuple(p.whole(1, min(3, n)) for n in x.shape[2:])
    room = zip(x.shape[2:], sizes, strict=True)
    dilations = tuple(p.whole(1, 2) if (k - 1) * 2 < n else 1 for n, k in room)
    how = {"strides": (p.whole(1, 3), p.whole(1, 3)), "dilations": dilations}
    return x, p.emit("windows", [x], p.of(x), sizes=sizes, **how), how


def _convolve(p: Program) -> None:
    x, windows, _ = _windowed(p)
    weight = p.given((p.pick((1, 2, 3)), *x.shape[1:2], *windows.shape[-2:]), x.dtype)
    bound = p.of(x) * 3 * math.prod(weight.shape[1:])
    count = math.prod(windows.shape[2:4]) * x.shape[0] * weight.shape[0]
    if (bound < MOST or bound == math.inf) and count <= LARGEST:
        y = p.emit("contraction", [windows, weight], bound, spec="nchwij,ocij->nohw")
        if p.generator.random() < 0.5:
            spec = "nohw,nchwij->ocij"
            deep = p.of(y) * p.of(x) * count
            if deep < MOST or deep == math.inf:
                p.emit("contraction", [y, windows], deep, spec=spec)


def _pool(p: Program) -> None:
    x, windows, how = _windowed(p)
    if p.generator.random() < 0.5:
        p.emit("max", [windows], p.of(x), axes=(4, 5))
    else:
        doubled = p.emit("add", [windows, windows], 2 * p.of(x))
        taps = 2 * p.of(x) * math.prod(windows.shape[-2:])
        if taps < MOST or taps == math.inf:
            p.emit("overlap_add", [doubled], taps, shape=x.shape[2:], **how)


def _source(p: Program) -> None:
    shape = p.shape(p.whole(1, 3))
    way, dtype = p.whole(0, 2), p.pick((*FLOATS, *INTEGERS))
    if way == 0:
        p.emit("iota", [], max(shape), shape=shape, axis=p.whole(0, len(shape) - 1), dtype=dtype)
    elif way == 1:
        p.emit("full", [], 2, shape=shape, value=p.whole(-2, 2), dtype=dtype)
    else:
        key, counter = p.given((), INTEGERS[0]), p.given((), INTEGERS[0])
        bits = p.emit("random_bits", [key, counter], 2.0**32, shape=shape)
        p.emit("cast", [p.emit("shift_right", [bits, Literal(29, bits.dtype)], 8)], 8, dtype=dtype)


STEPS = (
    *(_exact, _exact, _exact, _unary, _rounded, _compare, _logic, _cast, _reshape, _reshape),
    *(_transpose, _transpose, _broadcast, _slice, _flip, _pad, _concatenate, _reduce, _reduce),
    *(
        _position,
        _along,
        _contract,
        _contract,
        _gather,
        _scatter,
        _source,
        _convolve,
        _convolve,
        _pool,
    ),
)


def random_program(seed: int, length: int = 20) -> Program:
    """A program of about `length` equations, with results and states."""
    p = Program(np.random.default_rng(seed))
    p.given(p.shape(p.whole(0, 3)), p.pick(FLOATS))
    while len(p.graph.equations) < length:
        try:
            p.pick(STEPS)(p)
        except ThalwegError as error:
            raise AssertionError(f"seed {seed}: a step that is no program") from error
    made = [e.output for e in p.graph.equations]
    outputs: list[Atom] = [p.pick(made) for _ in range(p.whole(1, 3))]
    outputs.append(made[-1])
    for number, variable in enumerate(p.graph.inputs):
        same = [v for v in p.bound if (v.shape, v.dtype) == (variable.shape, variable.dtype)]
        if p.generator.random() < 0.3:
            p.updates[number] = len(outputs)
            outputs.append(p.pick(same))
    p.graph.outputs = outputs
    return p
