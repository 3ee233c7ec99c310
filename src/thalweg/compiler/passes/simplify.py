"""Algebra: a table of (primitive, rewrite), applied to each equation in order.

Every rewrite is exact, bit for bit, for every number, NaN, infinity and sign of zero (but not
for the payload of a NaN). So x + 0.0 stays (it turns -0.0 into 0.0), and x * 0 stays.

A rewrite is given the equation and the equations so far. It gives an atom that is the result, an
equation with the same output that is computed instead, or None.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from thalweg.compiler.graph import Atom, Equation, Graph, Literal, Variable
from thalweg.compiler.interpret import evaluate
from thalweg.compiler.passes.operations import ELEMENTWISE
from thalweg.primitives import REGISTRY
from thalweg.primitives.contraction import parse

__all__ = ["simplify"]

Known: TypeAlias = dict[Variable, Equation]
Rewrite: TypeAlias = Callable[[Equation, Known], "Atom | Equation | None"]
TABLE: list[tuple[str, Rewrite]] = []


def simplify(graph: Graph) -> Graph:
    """`graph` with every rewrite of the table applied until none fits."""
    known: Known = {}
    same: dict[Variable, Atom] = {}
    for equation in graph.equations:
        inputs = tuple(same.get(x, x) if isinstance(x, Variable) else x for x in equation.inputs)
        result = _rewritten(replace(equation, inputs=inputs), known)
        if isinstance(result, Equation):
            known[result.output] = result
        else:
            same[equation.output] = result
    outputs = [same.get(x, x) if isinstance(x, Variable) else x for x in graph.outputs]
    return replace(graph, equations=list(known.values()), outputs=outputs)


def _rewritten(equation: Equation, known: Known) -> Equation | Atom:
    """`equation` after all rewrites that fit."""
    if _is_empty(equation):  # of no element: no matter what it is computed from
        return _full(equation, 0)
    for name, rewrite in TABLE:
        if name != equation.op.name and not (name == "" and equation.op.name in ELEMENTWISE):
            continue
        result = rewrite(equation, known)
        if isinstance(result, Equation):
            return _rewritten(result, known)
        if result is not None and result.shape == equation.output.shape:
            return result
        if isinstance(result, Literal):  # the number, at every place
            return _full(equation, result.value)
    return equation


def _is_empty(equation: Equation) -> bool:
    output = equation.output
    return 0 in output.shape and not output.dtype.names and equation.op.name != "full"


def _rule(*names: str) -> Callable[[Rewrite], Rewrite]:
    """Enter a rewrite into the table, for each of `names`; "" stands for all elementwise ones."""

    def enter(rewrite: Rewrite) -> Rewrite:
        TABLE.extend((name, rewrite) for name in names)
        return rewrite

    return enter


def _instead(equation: Equation, name: str, *inputs: Atom, **attributes: Any) -> Equation:
    return replace(equation, op=REGISTRY[name], inputs=inputs, attributes=attributes)


def _full(equation: Equation, value: Any) -> Equation:
    output = equation.output
    return _instead(equation, "full", shape=output.shape, value=value, dtype=output.dtype)


def _made_by(atom: Atom, name: str, known: Known) -> Equation | None:
    """The equation that computes `atom`, if it is an application of `name`."""
    made = known.get(atom) if isinstance(atom, Variable) else None
    return made if made is not None and made.op.name == name else None


def _is(atom: Atom, number: float) -> bool:
    """Whether `atom` is this very number: of two zeros the one with its sign."""
    if not isinstance(atom, Literal) or atom.dtype.kind == "b" or atom.value != number:
        return False
    return atom.dtype.kind != "f" or math.copysign(1, atom.value) == math.copysign(1, number)


# --- numbers that are known ----------------------------------------------------------------------


def _constant(atom: Atom, known: Known) -> Atom:
    """A `full` as the literal it repeats."""
    made = _made_by(atom, "full", known)
    if made is None or made.output.dtype.names:
        return atom
    return Literal(np.asarray(made.attributes["value"], made.output.dtype).item(), atom.dtype)


@_rule("")
def _full_is_a_literal(equation: Equation, known: Known) -> Equation | None:
    """x * full(2.0) = x * 2.0, where the other operands give the shape."""
    inputs = tuple(_constant(atom, known) for atom in equation.inputs)
    if inputs == equation.inputs:
        return None
    shapes = [atom.shape for atom in inputs]
    if all(isinstance(atom, Literal) for atom in inputs):
        return replace(equation, inputs=inputs)  # folded next
    fits = np.broadcast_shapes(*shapes) == equation.output.shape
    return replace(equation, inputs=inputs) if fits else None


@_rule("")
def _fold(equation: Equation, known: Known) -> Atom | None:
    """An equation of literals is a literal."""
    if not all(isinstance(atom, Literal) for atom in equation.inputs):
        return None
    if equation.output.dtype.names:
        return None
    operands = [np.asarray(x.value, x.dtype) for x in equation.inputs if isinstance(x, Literal)]
    return Literal(evaluate(equation, operands).item(), equation.output.dtype)


@_rule("reshape", "broadcast", "transpose", "slice", "flip")
def _moved_constant(equation: Equation, known: Known) -> Equation | None:
    """A constant, moved, is that constant."""
    value = _constant(equation.inputs[0], known)
    if not isinstance(value, Literal) or equation.output.shape == ():
        return None
    return _full(equation, value.value)


@_rule("full")
def _full_of_rank_0(equation: Equation, known: Known) -> Atom | None:
    """A constant of rank 0 is a literal."""
    value, dtype = equation.attributes["value"], equation.output.dtype
    if equation.output.shape or dtype.names:
        return None
    return Literal(np.asarray(value, dtype).item(), dtype)


# --- arithmetic ----------------------------------------------------------------------------------


@_rule("multiply")
def _times_one(equation: Equation, known: Known) -> Atom | None:
    """x * 1 = x."""
    a, b = equation.inputs
    return a if _is(b, 1) else b if _is(a, 1) else None


@_rule("multiply")
def _times_minus_one(equation: Equation, known: Known) -> Equation | None:
    """x * -1 = -x."""
    a, b = equation.inputs
    if equation.output.dtype.kind not in "fi" or not (_is(a, -1) or _is(b, -1)):
        return None
    return _instead(equation, "negative", a if _is(b, -1) else b)


@_rule("divide")
def _by_one(equation: Equation, known: Known) -> Atom | None:
    """x / 1 = x."""
    return equation.inputs[0] if _is(equation.inputs[1], 1) else None


@_rule("divide")
def _by_power_of_two(equation: Equation, known: Known) -> Equation | None:
    """x / 2^n = x * 2^-n, exactly."""
    a, b = equation.inputs
    if not isinstance(b, Literal) or b.value == 0 or not math.isfinite(b.value):
        return None
    mantissa, exponent = math.frexp(b.value)
    if abs(mantissa) != 0.5 or abs(exponent) > 100:
        return None
    return _instead(equation, "multiply", a, Literal(1 / b.value, b.dtype))


@_rule("add")
def _plus_nothing(equation: Equation, known: Known) -> Atom | None:
    """x + 0 = x for integers, x + -0.0 = x for floats."""
    a, b = equation.inputs
    kind = equation.output.dtype.kind
    zero = -0.0 if kind == "f" else 0
    return a if _is(b, zero) else b if _is(a, zero) else None


@_rule("subtract")
def _minus_nothing(equation: Equation, known: Known) -> Atom | None:
    """x - 0 = x."""
    return equation.inputs[0] if _is(equation.inputs[1], 0) else None


@_rule("negative", "bitwise_not")
def _twice(equation: Equation, known: Known) -> Atom | None:
    """-(-x) = x, and not not x = x."""
    made = _made_by(equation.inputs[0], equation.op.name, known)
    return made.inputs[0] if made else None


@_rule("add")
def _plus_negative(equation: Equation, known: Known) -> Equation | None:
    """a + -b = a - b."""
    a, b = equation.inputs
    if (made := _made_by(b, "negative", known)) is not None:
        return _instead(equation, "subtract", a, made.inputs[0])
    if (made := _made_by(a, "negative", known)) is not None:
        return _instead(equation, "subtract", b, made.inputs[0])
    return None


@_rule("subtract")
def _minus_negative(equation: Equation, known: Known) -> Equation | None:
    """a - -b = a + b."""
    made = _made_by(equation.inputs[1], "negative", known)
    return _instead(equation, "add", equation.inputs[0], made.inputs[0]) if made else None


@_rule("scalar_power")
def _small_power(equation: Equation, known: Known) -> Atom | Equation | None:
    """x^1 = x, x^2 = x x; of a float x^-1 = 1 / x and x^(1/2) = sqrt x, as NumPy takes them."""
    (x,), exponent = equation.inputs, equation.attributes["exponent"]
    if exponent == 1:
        return x
    if exponent == 2:
        return _instead(equation, "multiply", x, x)
    if x.dtype.kind == "f" and exponent == 0.5:
        return _instead(equation, "sqrt", x)
    if x.dtype.kind == "f" and exponent == -1:
        return _instead(equation, "divide", Literal(1.0, x.dtype), x)
    return None


@_rule("maximum", "minimum")
def _of_itself(equation: Equation, known: Known) -> Atom | None:
    """max(x, x) = x."""
    return equation.inputs[0] if equation.inputs[0] is equation.inputs[1] else None


@_rule("select")
def _chosen(equation: Equation, known: Known) -> Atom | None:
    """Where the condition is known, or both are the same, there is nothing to choose."""
    condition, a, b = equation.inputs
    if isinstance(condition, Literal):
        return a if condition.value else b
    return a if a is b else None


@_rule("cast")
def _same_type(equation: Equation, known: Known) -> Atom | None:
    """x as its own type."""
    return equation.inputs[0] if equation.inputs[0].dtype == equation.output.dtype else None


@_rule("cast")
def _widened_before(equation: Equation, known: Known) -> Equation | None:
    """A cast of a cast that lost nothing is one cast."""
    made = _made_by(equation.inputs[0], "cast", known)
    if made is None or made.inputs[0].dtype.names or made.output.dtype.names:
        return None
    source, middle, result = made.inputs[0].dtype, made.output.dtype, equation.output.dtype
    if result.names or not np.can_cast(source, middle, "safe"):
        return None
    if middle.kind == "f" and source.kind in "iu" and source.itemsize >= middle.itemsize:
        return None  # NumPy takes int64 to float64 for safe
    return _instead(equation, "cast", made.inputs[0], dtype=result)


# --- movement ------------------------------------------------------------------------------------


@_rule("reshape", "broadcast", "transpose", "slice")
def _stays(equation: Equation, known: Known) -> Atom | None:
    """Movement that moves nothing."""
    x, attributes = equation.inputs[0], equation.attributes
    if x.shape != equation.output.shape:
        return None
    if equation.op.name == "transpose":
        small = [axis for axis in attributes["axes"] if x.shape[axis] != 1]
        return x if small == sorted(small) else None
    return x  # a slice of the whole shape starts at 0, by steps of 1


@_rule("flip")
def _flipped_back(equation: Equation, known: Known) -> Atom | Equation | None:
    """Flips of the same axes cancel; an axis of size 1 has no direction."""
    x, axes = equation.inputs[0], equation.attributes["axes"]
    made = _made_by(x, "flip", known)
    if made is not None:
        x, axes = made.inputs[0], tuple(sorted({*axes} ^ {*made.attributes["axes"]}))
    axes = tuple(axis for axis in axes if x.shape[axis] > 1)
    if axes == equation.attributes["axes"]:
        return None
    return _instead(equation, "flip", x, axes=axes) if axes else x


@_rule("reshape")
def _reshaped_twice(equation: Equation, known: Known) -> Equation | None:
    """A reshape of a reshape is one reshape."""
    made = _made_by(equation.inputs[0], "reshape", known)
    return replace(equation, inputs=made.inputs) if made else None


@_rule("transpose")
def _transposed_twice(equation: Equation, known: Known) -> Equation | None:
    """A transpose of a transpose is one transpose."""
    made = _made_by(equation.inputs[0], "transpose", known)
    if made is None:
        return None
    first = made.attributes["axes"]
    axes = tuple(first[axis] for axis in equation.attributes["axes"])
    return _instead(equation, "transpose", made.inputs[0], axes=axes)


@_rule("broadcast")
def _broadcast_twice(equation: Equation, known: Known) -> Equation | None:
    """A broadcast of a broadcast is one broadcast."""
    made = _made_by(equation.inputs[0], "broadcast", known)
    return replace(equation, inputs=made.inputs) if made else None


@_rule("slice")
def _sliced_twice(equation: Equation, known: Known) -> Equation | None:
    """A slice of a slice is one slice."""
    made = _made_by(equation.inputs[0], "slice", known)
    if made is None:
        return None
    inner, outer = made.attributes, equation.attributes
    first = zip(inner["starts"], inner["steps"], outer["starts"], strict=True)
    starts = tuple(start + step * at for start, step, at in first)
    steps = tuple(a * b for a, b in zip(inner["steps"], outer["steps"], strict=True))
    return _instead(
        equation, "slice", made.inputs[0], starts=starts, sizes=outer["sizes"], steps=steps
    )


@_rule("")
def _broadcast_by_itself(equation: Equation, known: Known) -> Equation | None:
    """Elementwise operations broadcast their operands themselves."""
    inputs = list(equation.inputs)
    for position, atom in enumerate(inputs):
        if (made := _made_by(atom, "broadcast", known)) is not None:
            inputs[position] = made.inputs[0]
            if np.broadcast_shapes(*(x.shape for x in inputs)) != equation.output.shape:
                inputs[position] = atom
    return None if tuple(inputs) == equation.inputs else replace(equation, inputs=tuple(inputs))


@_rule("pad")
def _padded_with_nothing(equation: Equation, known: Known) -> Atom | Equation | None:
    """Padding of no width; padding around nothing, or around the same number, is a constant."""
    x, output = equation.inputs[0], equation.output
    if x.shape == output.shape:
        return x
    value, constant = equation.attributes["value"], _constant(x, known)
    same = isinstance(constant, Literal) and _is(constant, value)
    return _full(equation, value) if same or 0 in x.shape else None


@_rule("concatenate")
def _joined_alone(equation: Equation, known: Known) -> Atom | Equation | None:
    """Operands that hold nothing are left out."""
    axis = equation.attributes["axis"]
    inputs = tuple(x for x in equation.inputs if x.shape[axis])
    if len(inputs) == 1:
        return inputs[0]
    if not inputs or inputs == equation.inputs:
        return None
    return replace(equation, inputs=inputs)


@_rule("overlap_add")
def _tiles(equation: Equation, known: Known) -> Equation | None:
    """Windows that tile the result, each element in one of them, are added up by moving them."""
    (y,), how = equation.inputs, equation.attributes
    shape, rank = how["shape"], len(how["shape"])
    lead = len(y.shape) - 2 * rank
    counts, sizes = y.shape[lead : lead + rank], y.shape[lead + rank :]
    axes = zip(shape, counts, sizes, how["strides"], how["dilations"], strict=True)
    if not all(n == c * k and s == k and (d == 1 or k == 1) for n, c, k, s, d in axes):
        return None
    paired = [axis for a in range(lead, lead + rank) for axis in (a, a + rank)]
    order = (*range(lead), *paired)
    moved = Variable(tuple(y.shape[axis] for axis in order), y.dtype)
    known[moved] = replace(
        equation, op=REGISTRY["transpose"], output=moved, attributes={"axes": order}
    )
    return _instead(equation, "reshape", moved, shape=equation.output.shape)


# --- reductions, products, places ----------------------------------------------------------------

_OF_NOTHING = {"sum": 0, "prod": 1}


@_rule("sum", "prod", "max", "min")
def _reduced_by_nothing(equation: Equation, known: Known) -> Equation | None:
    """A reduction over axes of size 1 is a reshape; over no elements, a constant."""
    x, axes = equation.inputs[0], equation.attributes["axes"]
    if 0 in x.shape and equation.op.name in _OF_NOTHING:
        return _full(equation, _OF_NOTHING[equation.op.name])
    if any(x.shape[axis] != 1 for axis in axes):
        return None
    return _instead(equation, "reshape", x, shape=equation.output.shape)


_FEW = 4  # elements whose largest is found by comparing them where it is needed


@_rule("max", "min")
def _of_few(equation: Equation, known: Known) -> Equation | None:
    """The largest of a few, in a window of a pool say, is computed like any elementwise value."""
    x, axes = equation.inputs[0], equation.attributes["axes"]
    if x.dtype.kind not in "fiu" or math.prod(x.shape[axis] for axis in axes) > _FEW:
        return None
    which = {"max": "maximum", "min": "minimum"}[equation.op.name]

    def element(place: tuple[int, ...]) -> Variable:
        at = dict(zip(axes, place, strict=True))
        starts = tuple(at.get(axis, 0) for axis in range(len(x.shape)))
        sizes = tuple(1 if axis in at else size for axis, size in enumerate(x.shape))
        attributes = {"starts": starts, "sizes": sizes, "steps": (1,) * len(sizes)}
        part = Variable(sizes, x.dtype)
        known[part] = replace(
            equation, op=REGISTRY["slice"], inputs=(x,), output=part, attributes=attributes
        )
        return made("reshape", part, shape=equation.output.shape)

    def made(name: str, *inputs: Atom, **attributes: Any) -> Variable:
        output = Variable(equation.output.shape, x.dtype)
        op = REGISTRY[name]
        known[output] = replace(
            equation, op=op, inputs=inputs, output=output, attributes=attributes
        )
        return output

    first, *rest = map(element, np.ndindex(*(x.shape[axis] for axis in axes)))
    for other in rest[:-1]:
        first = made(which, first, other)
    return _instead(equation, which, first, rest[-1])


@_rule("argmax", "argmin")
def _the_only_one(equation: Equation, known: Known) -> Equation | None:
    """The largest of one stands at 0."""
    single = equation.inputs[0].shape[equation.attributes["axis"]] == 1
    return _full(equation, 0) if single else None


@_rule("cumsum", "argsort")
def _of_one(equation: Equation, known: Known) -> Atom | Equation | None:
    """Along an axis of size 1 a cumulative sum changes nothing and an order is 0."""
    x = equation.inputs[0]
    if x.shape[equation.attributes["axis"]] != 1:
        return None
    return x if equation.op.name == "cumsum" else _full(equation, 0)


@_rule("contraction")
def _inner_product(equation: Equation, known: Known) -> Equation | None:
    """A sum of products of arrays of the same axes: a reduction, into which much can be fused.

    Only where nothing is reused: each element of either operand is read once.
    """
    a, b = equation.inputs
    left, right, result = parse(equation.attributes["spec"])
    inner = tuple(axis for axis, name in enumerate(left) if name not in result)
    if left != right or not inner or result != "".join(n for n in left if n in result):
        return None
    if a.dtype.kind == "b":  # of truths there is no sum
        return None
    product = Variable(a.shape, a.dtype)
    known[product] = replace(
        equation, op=REGISTRY["multiply"], inputs=(a, b), output=product, attributes={}
    )
    return _instead(equation, "sum", product, axes=inner)


@_rule("contraction", "scatter_add")
def _sum_of_nothing(equation: Equation, known: Known) -> Equation | None:
    """Where there is nothing to add up, the result is 0."""
    operands = equation.inputs[:1] if equation.op.name == "scatter_add" else equation.inputs
    nothing = any(0 in atom.shape for atom in operands)
    return _full(equation, 0) if nothing else None
