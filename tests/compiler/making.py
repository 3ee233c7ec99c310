"""Random programs of primitives, as a hypothesis strategy: `recipes()`.

What a rounding more or less would change by a jump (comparisons, rounding to an integer, the
place of a maximum) is applied only to values that are exact in any order of evaluation:
integers, and floats that hold small ones. `Value` keeps track of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tests.compiler.recipes import FLOATS, Given, Recipe, Shape, Step
from thalweg.compiler.graph import Variable
from thalweg.primitives import REGISTRY

__all__ = ["Maker", "Value", "recipes"]

LIMIT = 1 << 20  # floats up to here hold integers, and their sums, without rounding
SIZES = (3, 0, 1, 2, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33)
DTYPES = ("float32", "float32", "float32", "float64", "int64", "int32", "uint8", "bool")
Bounds = tuple[float | None, float | None]
UNKNOWN: Bounds = (None, None)


@dataclass(frozen=True)
class Value:
    """`low` and `high`: what an exact value lies between; None: a float that may be rounded."""

    shape: Shape
    dtype: str
    low: float | None = None
    high: float | None = None

    @property
    def exact(self) -> bool:
        return self.low is not None

    @property
    def bounds(self) -> tuple[float, float]:
        return (-math.inf if self.low is None else self.low), (self.high or 0.0)


def bounded(dtype: str, low: float, high: float) -> Bounds:
    """What is known of numbers from low to high in `dtype`: they may have wrapped, or rounded."""
    if dtype == "bool":
        return 0, 1
    if dtype in FLOATS:
        return (low, high) if -LIMIT <= low <= high <= LIMIT else UNKNOWN
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    return (low, high) if least <= low <= high <= most else (int(least), int(most))


class Maker:
    """A recipe in the making: what to draw from, and the values so far."""

    def __init__(self, draw: Callable[[Any], Any], largest: int) -> None:
        self.draw = draw
        self.largest = largest
        self.values: list[Value] = []
        self.givens: dict[int, Given] = {}
        self.steps: list[tuple[int | None, Step]] = []  # with the number of the value it makes

    # --- draws --------------------------------------------------------------------------------

    def one_of(self, choices: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(list(choices)))

    def up_to(self, most: int, least: int = 0) -> int:
        return int(self.draw(st.integers(least, most)))

    def chance(self, percent: int) -> bool:
        return self.up_to(99) >= 100 - percent

    def shape(self, rank: int | None = None) -> Shape:
        sizes: list[int] = []
        for _ in range(self.one_of((2, 1, 3, 0, 4)) if rank is None else rank):
            room = self.largest // max(1, math.prod(sizes))
            sizes.append(min(self.one_of(SIZES), max(1, room)))
        return tuple(sizes)

    def axes(self, rank: int, least: int = 0) -> Shape:
        if not rank:
            return ()
        return tuple(sorted(self.draw(st.sets(st.integers(0, rank - 1), min_size=least))))

    # --- values -------------------------------------------------------------------------------

    def given(
        self, shape: Shape, dtype: str, low: int | None = None, high: int | None = None
    ) -> int:
        """The number of a new input, of integers from `low` to `high`, or of any floats."""
        bounds: Bounds = (0, 1) if dtype == "bool" else (low, high)
        self.values.append(Value(shape, dtype, *bounds))
        self.givens[len(self.values) - 1] = Given(shape, dtype, low, high)
        return len(self.values) - 1

    def fresh(self, shape: Shape, dtype: str, exact: bool = False) -> int:
        """A new input of `dtype`, if `exact` without rounding."""
        if dtype in FLOATS and not (exact or self.chance(40)):
            return self.given(shape, dtype)
        return self.given(shape, dtype, *((0, 9) if dtype == "uint8" else (-9, 9)))

    def pick(self, fits: Callable[[Value], bool]) -> int | None:
        """One of the values that fit; the later the likelier."""
        found = [number for number, value in enumerate(self.values) if fits(value)]
        return self.one_of(found[::-1]) if found else None

    def need(self, dtypes: Sequence[str], exact: bool = False, rank: int = 0) -> int:
        """A value of one of `dtypes` and at least `rank` dimensions, a new one if there is none."""
        number = self.pick(
            lambda v: v.dtype in dtypes and (v.exact or not exact) and len(v.shape) >= rank
        )
        if number is not None and not self.chance(10):
            return number
        return self.fresh(self.shape(self.up_to(3, rank)), self.one_of(dtypes), exact)

    def beside(self, number: int, exact: bool = False) -> Any:
        """An operand that broadcasts with value `number`, of its dtype."""
        value = self.values[number]
        if value.dtype != "bool" and self.chance(20):
            return (self.one_of((2, 1, 3, 0, 5)),)
        other = self.pick(
            lambda v: (
                v.dtype == value.dtype and (v.exact or not exact) and _meet(v, value, self.largest)
            )
        )
        if other is not None and not self.chance(30):
            return other
        kept = value.shape[self.up_to(len(value.shape)) :]
        shape = tuple(1 if self.chance(25) else size for size in kept)
        return self.fresh(shape, value.dtype, exact)

    def fact(self, operand: Any) -> Value:
        """What is known of an operand."""
        if isinstance(operand, tuple):
            return Value((), "", operand[0], operand[0])
        return self.values[operand]

    def put(
        self, name: str, *operands: Any, bounds: Bounds = UNKNOWN, **attributes: Any
    ) -> int | None:
        """A step; None where its result would be too large."""
        numbered = operands[1:] if name == "select" else operands
        dtype = next((self.values[n].dtype for n in numbered if not isinstance(n, tuple)), None)
        known = [
            Variable((), np.dtype(dtype)) if isinstance(n, tuple) else _variable(self.values[n])
            for n in operands
        ]
        shape, kind = REGISTRY[name].infer(*known, **_typed(attributes))
        if math.prod(shape) > self.largest:
            return None
        low, high = bounds
        if low is None or high is None:
            low, high = (None, None) if kind.name in FLOATS else bounded(kind.name, -math.inf, 0)
        else:
            low, high = bounded(kind.name, low, high)
        self.values.append(Value(tuple(shape), kind.name, low, high))
        self.steps.append((len(self.values) - 1, Step(name, operands, attributes)))
        return len(self.values) - 1

    def assign(self) -> None:
        """An input becomes a state that is given a new value."""
        target = self.pick(lambda v: True)
        if target not in self.givens:
            target = next(iter(self.givens), None)
        if target is None:
            return
        old = self.values[target]
        source = self.pick(lambda v: (v.shape, v.dtype) == (old.shape, old.dtype) and v is not old)
        if source is not None and source != target:
            self.givens[target] = replace(self.givens[target], state=True)
            self.values[target] = self.values[source]
            self.steps.append((None, Step("assign", (target, source))))

    # --- the end ------------------------------------------------------------------------------

    def recipe(self) -> Recipe:
        """What has been made, inputs first."""
        number = {old: new for new, old in enumerate(self.givens)}
        steps = []
        for made, step in self.steps:
            operands = tuple(n if isinstance(n, tuple) else number[n] for n in step.operands)
            steps.append(replace(step, operands=operands))
            if made is not None:
                number[made] = len(number)
        last = [n for n in (made for made, _ in self.steps) if n is not None] or [*self.givens]
        assume(last)  # a choice that none of its ways can be made of makes nothing
        results = {last[-1], *self.draw(st.lists(st.sampled_from(last), max_size=3))}
        loss: tuple[int, ...] = ()
        floats = [n for n in last if self.values[n].dtype in FLOATS]
        if floats and self.chance(50):
            loss = tuple({floats[-1], self.one_of(floats)})
        return Recipe(
            inputs=tuple(self.givens.values()),
            steps=tuple(steps),
            results=tuple(number[n] for n in sorted(results)),
            loss=tuple(number[n] for n in sorted(loss)),
            seed=self.up_to(1000),
        )


def _variable(value: Value) -> Variable:
    return Variable(value.shape, np.dtype(value.dtype))


def _typed(attributes: dict[str, Any]) -> dict[str, Any]:
    return {k: np.dtype(v) if k == "dtype" else v for k, v in attributes.items()}


def _meet(a: Value, b: Value, largest: int) -> bool:
    """Whether the shapes broadcast to one that is not too large."""
    try:
        return math.prod(np.broadcast_shapes(a.shape, b.shape)) <= largest
    except ValueError:
        return False


@st.composite
def recipes(
    draw: Callable[[Any], Any], most: int = 10, largest: int = 3000, rows: bool = False
) -> Recipe:
    """Programs of up to `most` steps, over values of at most `largest` elements.

    With `rows` they are about those of a matrix: normalized, added up, one after the other.
    """
    from tests.compiler.moves import MOVES, OF_ROWS

    maker = Maker(draw, largest)
    if rows:
        lead = (maker.one_of((2, 3, 4, 6)),) if maker.chance(30) else ()
        count, size = maker.one_of((12, 6, 8, 16, 24, 7)), maker.one_of((17, 3, 5, 8, 33, 16))
        maker.given((*lead, count, size), maker.one_of(FLOATS))
    for _ in range(maker.up_to(most, 1)):
        if maker.chance(12) and maker.givens:
            maker.assign()
        else:
            maker.one_of(OF_ROWS if rows else MOVES)(maker)
    return maker.recipe()
