"""What a random program may do next: a function for each family of primitives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.compiler.making import Bounds, Maker, Value
from tests.compiler.recipes import FLOATS

__all__ = ["MOVES", "OF_ROWS"]

INTEGERS = ("int64", "int32", "uint8")
NUMBERS = (*FLOATS, *INTEGERS)
ALL = (*NUMBERS, "bool")
MAXIMUM_SPECS = 20_000

_SMOOTH = "exp expm1 log log1p sqrt sin cos tan asin acos atan tanh logistic erf negative absolute"
SMOOTH = _SMOOTH.split()
JUMPS = ("sign", "floor", "ceil", "round", "trunc")
COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")


def smooth(m: Maker) -> None:
    m.put(m.one_of(SMOOTH), m.need(FLOATS))


def powers(m: Maker) -> None:
    if m.chance(70):
        m.put("scalar_power", m.need(FLOATS), exponent=m.one_of((2, 3, 0.5, -1, -2, 1.5, 4, 0, 1)))
        return
    x = m.need(FLOATS)
    m.put("power", m.put("absolute", x), m.beside(x))


def jumps(m: Maker) -> None:
    if m.chance(70):
        x = m.need(FLOATS, exact=True)
        m.put(m.one_of(JUMPS), x, bounds=m.values[x].bounds)
    else:
        m.put(m.one_of(("isfinite", "isnan")), m.need(ALL))


def _signs(m: Maker, name: str) -> None:
    x = m.need(NUMBERS)
    low, high = m.values[x].bounds
    bounds: Bounds = (-high, -low) if name == "negative" else (0, max(abs(low), abs(high)))
    m.put(name, x, bounds=bounds if m.values[x].exact else (None, None))


def signs(m: Maker) -> None:
    _signs(m, m.one_of(("negative", "absolute")))


ARITHMETIC: dict[str, Callable[[Any, Any], tuple[float, float]]] = {
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "subtract": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "multiply": lambda a, b: (
        min(x * y for x in a for y in b),
        max(x * y for x in a for y in b),
    ),
    "maximum": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "minimum": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
}


def arithmetic(m: Maker) -> None:
    name = m.one_of(ARITHMETIC)
    x = m.need(NUMBERS if name == "subtract" else ALL)
    y = m.beside(x)
    _combined(m, name, x, y)


def _combined(m: Maker, name: str, x: int, y: Any) -> int | None:
    a, b = m.fact(x), m.fact(y)
    bounds: Bounds = (None, None)
    if a.exact and b.exact:
        low, high = ARITHMETIC[name](a.bounds, b.bounds)
        bounds = (None, None) if math.isnan(low + high) else (low, high)
    first = m.chance(30) and isinstance(y, tuple)
    return m.put(name, *((y, x) if first and name != "subtract" else (x, y)), bounds=bounds)


def shared(m: Maker) -> None:
    """The same value twice, or the same step twice: x - x, x * x, and again."""
    x = m.need(NUMBERS)
    name = m.one_of(ARITHMETIC)
    for _ in range(m.up_to(2, 1)):
        _combined(m, name, x, x)


def division(m: Maker) -> None:
    if m.chance(60):
        x = m.need(FLOATS)
        m.put("divide", x, m.beside(x))
        return
    x = m.need(NUMBERS, exact=True)
    m.put(m.one_of(("remainder", "floor_divide")), x, m.beside(x, exact=True))


def comparison(m: Maker) -> None:
    x = m.need(ALL, exact=True)
    m.put(m.one_of(COMPARISONS), x, m.beside(x, exact=True))


def logic(m: Maker) -> None:
    name = m.one_of(("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not"))
    x = m.need(("bool", *INTEGERS))
    m.put(name, x, *(() if name == "bitwise_not" else (m.beside(x),)))


def shifts(m: Maker) -> None:
    x = m.need(INTEGERS)
    value = m.values[x]
    count = m.given(value.shape[m.up_to(len(value.shape)) :], value.dtype, 0, 7)
    m.put(m.one_of(("shift_left", "shift_right")), x, count)


def select(m: Maker) -> None:
    x = m.need(ALL)
    y = m.beside(x)
    a, b = m.fact(x), m.fact(y)
    condition = m.pick(  # of the shape of one of them, or less
        lambda v: (
            v.dtype == "bool"
            and _broadcasts(v.shape, a.shape, b.shape)
            and math.prod(np.broadcast_shapes(v.shape, a.shape, b.shape)) <= m.largest
        )
    )
    if condition is None:
        condition = m.given(a.shape[m.up_to(len(a.shape)) :], "bool")
    bounds: Bounds = (None, None)
    if a.exact and b.exact:
        bounds = (min(a.bounds[0], b.bounds[0]), max(a.bounds[1], b.bounds[1]))
    m.put("select", condition, x, y, bounds=bounds)


def _broadcasts(*shapes: Sequence[int]) -> bool:
    try:
        np.broadcast_shapes(*map(tuple, shapes))
    except ValueError:
        return False
    return True


def casts(m: Maker) -> None:
    x = m.need(ALL)
    value = m.values[x]
    targets = [*FLOATS]
    if value.exact:
        targets += ["bool"]
        for name in INTEGERS if value.dtype not in FLOATS else ():
            targets.append(name)
        if value.dtype in FLOATS:
            low, high = value.bounds
            targets += [n for n in INTEGERS if np.iinfo(n).min <= low <= high <= np.iinfo(n).max]
    target = m.one_of(targets)
    m.put("cast", x, dtype=target, bounds=value.bounds if value.exact else (None, None))


def _counted(shape: Sequence[int], axes: Sequence[int]) -> int:
    return math.prod(shape[axis] for axis in axes)


def sums(m: Maker) -> None:
    x = m.need(NUMBERS)
    value = m.values[x]
    axes = m.axes(len(value.shape))
    low, high = value.bounds
    count = _counted(value.shape, axes)
    bounds: Bounds = (min(0, low * count), max(0, high * count)) if count else (0, 0)
    m.put("sum", x, axes=axes, bounds=bounds if value.exact else (None, None))


def normalized(m: Maker) -> None:
    """Rows that add up to 1, or with mean 0 and variance 1: a softmax or a layer norm."""
    x = m.need(FLOATS, rank=1)
    shape = m.values[x].shape
    axes = (len(shape) - 1,) if m.chance(70) else m.axes(len(shape), least=1)
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    count = _counted(shape, axes)
    if not count or math.prod(shape) > m.largest:
        return

    def over(name: str, value: int | None) -> int | None:
        return m.put("reshape", m.put(name, value, axes=axes), shape=kept)

    if m.chance(60):
        apart = m.put("subtract", x, over("max", x))
        exponentials = m.put("exp", apart)
        total = over("sum", exponentials)
        if m.chance(50):
            m.put("divide", exponentials, total)
        else:
            m.put("subtract", apart, m.put("log", total))
        return
    apart = m.put("subtract", x, m.put("divide", over("sum", x), (count,)))
    squares = m.put("divide", over("sum", m.put("multiply", apart, apart)), (count,))
    root = m.put("sqrt", m.put("add", squares, (1,)))
    result = m.put("divide", apart, root)
    if m.chance(50):
        assert result is not None
        m.put("multiply", result, m.fresh(shape[min(axes) :], m.values[x].dtype))


def products(m: Maker) -> None:
    x = m.need(NUMBERS)
    m.put("prod", x, axes=m.axes(len(m.values[x].shape)))


def extremes(m: Maker) -> None:
    x = m.need(ALL)
    value = m.values[x]
    axes = tuple(a for a in m.axes(len(value.shape)) if value.shape[a])
    m.put(
        m.one_of(("max", "min")), x, axes=axes, bounds=value.bounds if value.exact else (None, None)
    )


def along(m: Maker) -> None:
    """argmax, argmin, cumsum, argsort: along one axis."""
    name = m.one_of(("argmax", "argmin", "cumsum", "argsort"))
    x = m.need(NUMBERS if name == "cumsum" else ALL, exact=name != "cumsum", rank=1)
    value = m.values[x]
    axis = m.up_to(len(value.shape) - 1)
    size = value.shape[axis]
    if name == "cumsum":
        low, high = value.bounds
        bounds: Bounds = (min(low, low * size), max(high, high * size))
        m.put(name, x, axis=axis, bounds=bounds if value.exact and size else (None, None))
    elif name == "argsort":
        m.put(name, x, axis=axis, descending=m.chance(50), bounds=(0, max(0, size - 1)))
    elif size:
        m.put(name, x, axis=axis, bounds=(0, size - 1))


def _kept(m: Maker, name: str, x: int, **attributes: Any) -> None:
    value = m.values[x]
    m.put(name, x, bounds=value.bounds if value.exact else (None, None), **attributes)


def reshapes(m: Maker) -> None:
    x = m.need(ALL)
    left = math.prod(m.values[x].shape)
    sizes: list[int] = []
    for _ in range(m.up_to(3)):
        divisors = [d for d in range(1, left + 1) if left % d == 0][:12] if left else [0, 1, 3]
        sizes.append(m.one_of(divisors))
        left = left // sizes[-1] if sizes[-1] else left
    if not math.prod(m.values[x].shape):
        sizes.append(0)
    elif left != 1 or m.chance(30):
        sizes.insert(m.up_to(len(sizes)), left)
    _kept(m, "reshape", x, shape=tuple(sizes))


def transposes(m: Maker) -> None:
    x = m.need(ALL, rank=1)
    axes = m.draw(st.permutations(range(len(m.values[x].shape))))
    _kept(m, "transpose", x, axes=tuple(axes))


def broadcasts(m: Maker) -> None:
    x = m.need(ALL)
    shape = m.values[x].shape
    grown = tuple(m.one_of((1, 3, 7, 17)) if size == 1 else size for size in shape)
    _kept(m, "broadcast", x, shape=(*m.shape(m.up_to(max(0, 4 - len(shape)))), *grown))


def slices(m: Maker) -> None:
    x = m.need(ALL, rank=1)
    starts, sizes, steps = [], [], []
    for size in m.values[x].shape:
        step = m.one_of((1, 1, 2, 3))
        start = m.up_to(size)
        most = max(0, -(-(size - start) // step))
        count = most if m.chance(50) else m.up_to(most)
        starts.append(start)
        sizes.append(count)
        steps.append(step)
    _kept(m, "slice", x, starts=tuple(starts), sizes=tuple(sizes), steps=tuple(steps))


def pads(m: Maker) -> None:
    x = m.need(ALL, rank=1)
    rank = len(m.values[x].shape)
    low, high = (tuple(m.one_of((0, 1, 2, 5)) for _ in range(rank)) for _ in range(2))
    inner = tuple(m.one_of((0, 0, 1, 2)) for _ in range(rank))
    value = m.one_of((0, 0, 1))
    a, b = m.values[x].bounds
    bounds = (min(a, value), max(b, value)) if m.values[x].exact else (None, None)
    m.put("pad", x, low=low, high=high, inner=inner, value=value, bounds=bounds)


def flips(m: Maker) -> None:
    x = m.need(ALL, rank=1)
    _kept(m, "flip", x, axes=m.axes(len(m.values[x].shape), 1))


def joins(m: Maker) -> None:
    x = m.need(ALL, rank=1)
    first = m.values[x]
    axis = m.up_to(len(first.shape) - 1)

    def fits(v: Value) -> bool:
        rest = (*first.shape[:axis], *first.shape[axis + 1 :])
        return (
            v.dtype == first.dtype
            and len(v.shape) == len(first.shape)
            and (*v.shape[:axis], *v.shape[axis + 1 :]) == rest
        )

    others = [m.pick(fits) for _ in range(m.up_to(2, 1))]
    parts = [x, *(n for n in others if n is not None)]
    facts = [m.values[n] for n in parts]
    bounds: Bounds = (None, None)
    if all(v.exact for v in facts):
        bounds = (min(v.bounds[0] for v in facts), max(v.bounds[1] for v in facts))
    m.put("concatenate", *parts, axis=axis, bounds=bounds)


def _indices(m: Maker, sizes: Sequence[int], wrap: bool) -> list[int] | None:
    """Numbers of values that are indices into axes of these sizes; None where one is empty."""
    if not all(sizes):
        return None
    shape = m.shape(m.up_to(2))
    found = []
    for size in sizes:
        low = -size if wrap else 0
        number = m.pick(
            lambda v, low=low, size=size, shape=shape: (
                v.dtype in ("int64", "int32")
                and low <= v.bounds[0] <= v.bounds[1] < size
                and _broadcasts(v.shape, shape)
            )
        )
        if number is None or m.chance(40):
            number = m.given(
                shape[m.up_to(len(shape)) :], m.one_of(("int64", "int32")), low, size - 1
            )
        shape = np.broadcast_shapes(shape, m.values[number].shape)
        found.append(number)
    return found


def gathers(m: Maker) -> None:
    x = m.need(ALL, rank=1)
    value = m.values[x]
    axes, wrap = m.axes(len(value.shape), 1)[:2], m.chance(50)
    indices = _indices(m, [value.shape[a] for a in axes], wrap)
    if indices is not None:
        bounds = value.bounds if value.exact else (None, None)
        m.put("gather", x, *indices, axes=axes, wrap=wrap, bounds=bounds)


def scatters(m: Maker) -> None:
    """Into the shape of some value, at places of a gather from it."""
    target = m.values[m.need(NUMBERS, rank=1)]
    axes, wrap = m.axes(len(target.shape), 1)[:2], m.chance(50)
    indices = _indices(m, [target.shape[a] for a in axes], wrap)
    if indices is None:
        return
    places = np.broadcast_shapes(*(m.values[n].shape for n in indices))
    rest = tuple(size for a, size in enumerate(target.shape) if a not in axes)
    if math.prod((*places, *rest)) <= m.largest:
        updates = m.fresh((*places, *rest), target.dtype)
        m.put("scatter_add", updates, *indices, shape=target.shape, axes=axes, wrap=wrap)


def windows(m: Maker) -> None:
    x = m.need(ALL, rank=1)
    shape = m.values[x].shape
    rank = m.up_to(min(2, len(shape)), 1)
    own = shape[len(shape) - rank :]
    if not all(own):
        return
    dilations = tuple(m.one_of((1, 1, 2)) for _ in own)
    sizes = tuple(
        m.up_to(max(1, min(4, (n - 1) // d + 1)), 1) for n, d in zip(own, dilations, strict=True)
    )
    strides = tuple(m.one_of((1, 1, 2, 3)) for _ in own)
    _kept(m, "windows", x, sizes=sizes, strides=strides, dilations=dilations)
    made = m.values[-1]
    if m.chance(30) and made.dtype in NUMBERS and len(made.shape) == len(shape) + rank:
        m.put("overlap_add", len(m.values) - 1, shape=own, strides=strides, dilations=dilations)


def contractions(m: Maker) -> None:
    """Any spec: each axis of the first is summed over, shared, or its own."""
    x = m.need((*FLOATS, *FLOATS, "int64", "int32", "bool"))
    a = m.values[x]
    letters = "abcdefghij"
    left = letters[: len(a.shape)]
    size = dict(zip(left, a.shape, strict=True))
    kinds = {name: m.one_of(("summed", "own", "own", "shared")) for name in left}
    own = letters[len(left) : len(left) + m.up_to(2)]
    size |= {name: m.one_of((3, 1, 2, 5, 16, 17, 33)) for name in own}
    right = "".join(m.draw(st.permutations([n for n in left if kinds[n] != "own"] + list(own))))
    result = [n for n in left if kinds[n] != "summed"] + list(own)
    spec = f"{left},{right}->{''.join(m.draw(st.permutations(result)))}"
    if math.prod(size.values()) > MAXIMUM_SPECS or len(result) > 5:
        return
    shape = tuple(size[n] for n in right)
    y = m.pick(lambda v: v.dtype == a.dtype and v.shape == shape)
    if y is None:
        if math.prod(shape) > m.largest:
            return
        y = m.fresh(shape, a.dtype)
    b = m.values[y]
    bounds: Bounds = (None, None)
    count = math.prod(size[n] for n in left if kinds[n] == "summed")
    if a.exact and b.exact:
        low, high = ARITHMETIC["multiply"](a.bounds, b.bounds)
        bounds = (min(0, low * count), max(0, high * count))
        bounds = (None, None) if any(map(math.isnan, bounds)) else bounds
    m.put("contraction", x, y, spec=spec, bounds=bounds)


def sources(m: Maker) -> None:
    shape = m.shape()
    kind = m.one_of(("iota", "full", "random_bits"))
    if kind == "iota" and shape:
        axis = m.up_to(len(shape) - 1)
        m.put(
            "iota",
            shape=shape,
            axis=axis,
            dtype=m.one_of(("int64", "float32")),
            bounds=(0, max(0, shape[axis] - 1)),
        )
    elif kind == "full":
        value = m.one_of((1, 0, -3, 2))
        m.put(
            "full",
            shape=shape,
            value=value,
            dtype=m.one_of(("float32", "int64")),
            bounds=(value, value),
        )
    elif kind == "random_bits":
        key, counter = m.given((), "int64", 0, 2**40), m.given((), "int64", 0, 2**40)
        m.put("random_bits", key, counter, shape=shape)
        if m.chance(70):
            m.put("cast", len(m.values) - 1, dtype="float32")


# fmt: off
MOVES = [
    smooth, smooth, powers, jumps, signs, arithmetic, arithmetic, arithmetic, shared, division,
    comparison, logic, shifts, select, select, casts, sums, sums, products, extremes, along, along,
    reshapes, transposes, transposes, broadcasts, slices, pads, flips, joins, gathers, gathers,
    scatters, windows, contractions, contractions, contractions, sources,
]
OF_ROWS = [
    normalized, normalized, normalized, normalized, normalized, arithmetic, arithmetic, smooth,
    sums, sums, division, extremes, select, casts, gathers, contractions, slices, transposes,
]
# fmt: on
