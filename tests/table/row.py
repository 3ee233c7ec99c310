"""What a row of the table of operations is, and the samples that rows share.

A row is a function, its NumPy oracle and its samples. Sample arrays of float64 are the slots that
tests fill with float32, float64, integers or bools; those of another dtype (indices, masks,
labels) stay as they are. Python arguments come after the arrays, in function and oracle alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import thalweg as tw
from thalweg.errors import ShapeError, ThalwegError

Array = np.ndarray

# How near a result in each dtype must be to its oracle, which is computed in float64.
TOLERANCE = {
    tw.float32: {"rtol": 2e-5, "atol": 2e-6},
    tw.float64: {"rtol": 1e-11, "atol": 1e-12},
}
# How near a derivative must be to central differences in float64.
DERIVATIVE = {"rtol": 1e-5, "atol": 1e-6}


@dataclass(frozen=True)
class Sample:
    """Arrays for the tensor operands, and what follows them."""

    arrays: tuple[Array, ...]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    smooth: bool = True  # whether central differences mean anything here

    def call(self, function: Callable[..., Any], operands: Sequence[Any]) -> Any:
        return function(*operands, *self.args, **self.kwargs)

    def __str__(self) -> str:
        shapes = " ".join(str(a.shape).replace(" ", "") for a in self.arrays)
        given = [repr(a) for a in self.args] + [f"{k}={v!r}" for k, v in self.kwargs.items()]
        return f"{shapes}{'' if self.smooth else ' kink'}" + (f" {','.join(given)}" * bool(given))


@dataclass(frozen=True)
class Bad:
    """A call that must be refused, and what the message must contain."""

    arrays: tuple[Any, ...]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    error: type[ThalwegError] = ShapeError
    mentions: tuple[str, ...] | None = None  # the operands' shapes unless given


@dataclass(frozen=True)
class Row:
    """One operation.

    `result` says how the dtype of the result follows from the promoted dtype of the float slots:
    "same", "float" (the default dtype where that is an integer), "sum" (int64 where it is an
    integer or bool), "first" (of the first slot alone), or a fixed dtype. `kinds` are the kinds
    of dtype the slots take besides floats: i, b, and s for the storage types (m: some samples
    take these). `exact`: no tolerance. `derivatives`: how often it can be differentiated.
    """

    name: str
    call: Callable[..., Any]
    oracle: Callable[..., Any]
    samples: tuple[Sample, ...]
    result: Any = "same"
    kinds: str = ""
    bad: tuple[Bad, ...] = ()
    derivatives: int = 2
    exact: bool = False
    concrete: bool = False  # the result's shape depends on values: it cannot be traced
    judged: bool = False  # whether a call is refused depends on values
    indexed: bool = False  # results after the first are indices

    def dtype_of(self, promoted: tw.DType) -> tw.DType:
        if isinstance(self.result, tw.DType):
            return self.result
        if promoted.kind == "float" or self.result in ("same", "first"):
            return promoted
        return tw.get_default_dtype() if self.result == "float" else tw.int64


def slots(arrays: Iterable[Array]) -> list[int]:
    """The positions of the operands whose dtype tests choose."""
    return [i for i, a in enumerate(arrays) if a.dtype == np.float64]


# --- sample arrays, all from fixed numbers -------------------------------------------------------


def normal(*shape: int, seed: int = 0) -> Array:
    """Normal numbers that float32 holds exactly, none of them near 0 or another."""
    rng = np.random.default_rng([seed, *shape])
    x = rng.standard_normal(shape)
    x += np.copysign(0.1, x)
    return np.asarray(x, np.float32).astype(np.float64)


def positive(*shape: int, seed: int = 0) -> Array:
    return np.abs(normal(*shape, seed=seed)) + 0.125


def inside(*shape: int, seed: int = 0) -> Array:
    """In (-1, 1)."""
    return np.tanh(normal(*shape, seed=seed)).astype(np.float32).astype(np.float64)


def distinct(*shape: int, seed: int = 0) -> Array:
    """Distances of at least 1/8 between any two: no order that a small step would change."""
    rng = np.random.default_rng([seed, *shape])
    count = int(np.prod(shape))
    return (rng.permutation(count) - count / 2 + 0.25).reshape(shape) / 8


def integers(low: int, high: int, *shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).integers(low, high, shape)


def mask(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).random(shape) < 0.5


UNARY_SHAPES = ((3, 4), (), (2, 0, 3), (2, 1, 2))
PAIR_SHAPES = (
    ((3, 4), (3, 4)),
    ((3, 1), (4,)),
    ((), (2, 3)),
    ((2, 1, 3), (4, 1)),
    ((0, 3), (1, 3)),
    ((), ()),
)


def unary(make: Callable[..., Array] = normal, *kinks: float, **kwargs: Any) -> tuple[Sample, ...]:
    """One operand of each rank; `kinks` are points without central differences."""
    samples = [Sample((make(*shape),), kwargs=kwargs) for shape in UNARY_SHAPES]
    if kinks:
        samples.append(Sample((np.array(kinks, np.float64),), kwargs=kwargs, smooth=False))
    return tuple(samples)


def binary(
    first: Callable[..., Array] = normal,
    second: Callable[..., Array] | None = None,
    *kinks: tuple[float, float],
    **kwargs: Any,
) -> tuple[Sample, ...]:
    """Two operands that broadcast; `kinks` are pairs without central differences."""
    second = second or first
    samples = [Sample((first(*a), second(*b, seed=1)), kwargs=kwargs) for a, b in PAIR_SHAPES]
    if kinks:
        a, b = np.array(kinks, np.float64).T.copy()
        samples.append(Sample((a, b), kwargs=kwargs, smooth=False))
    return tuple(samples)


def over_dims(
    make: Callable[..., Array] = distinct, *, empty: bool = True, several: bool = True
) -> tuple[Sample, ...]:
    """Reductions: of everything, of one dimension, of several, keeping them or not."""
    x, cube = make(3, 4), make(2, 3, 2)
    samples = [Sample((x,)), Sample((x,), kwargs={"dim": 1}), Sample((make(),))]
    samples.append(Sample((x,), kwargs={"dim": -2, "keepdim": True}))
    if several:
        samples.append(Sample((cube,), kwargs={"dim": (0, 2)}))
        samples.append(Sample((cube,), kwargs={"dim": (-1, 0), "keepdim": True}))
    if empty:
        samples += [Sample((make(0, 3),), kwargs={"dim": 0}), Sample((make(0),))]
    samples.append(Sample((make(0, 3),), kwargs={"dim": 1}))
    return tuple(samples)


# --- kinds of row --------------------------------------------------------------------------------

APART = Bad((normal(2, 3), normal(4)))  # shapes that do not broadcast
ABSENT = Bad((normal(2, 3),), kwargs={"dim": 2}, mentions=("dimension 2", "rank 2"))


def spelled(name: str) -> Callable[..., Any]:
    """The function that a row is named after: tw.exp, Tensor.expand, nn.functional.elu."""
    home: Any = tw
    if name in tw.__all__:
        return getattr(tw, name)  # type: ignore[no-any-return]
    for part in name.split("."):
        home = getattr(home, part)
    return home  # type: ignore[no-any-return]


def row(name: str, oracle: Callable[..., Any], *samples: Any, **settings: Any) -> Row:
    """A row whose function is the one it is named after. Samples may come in tuples."""
    flat = itertools.chain.from_iterable(s if isinstance(s, tuple) else (s,) for s in samples)
    call = settings.pop("call", None) or spelled(name)
    bad = settings.pop("bad", ())
    bad = (bad,) if isinstance(bad, Bad) else tuple(bad)
    return Row(name, call, oracle, tuple(flat), bad=bad, **settings)


def s(*arrays: Array, args: tuple[Any, ...] = (), smooth: bool = True, **kwargs: Any) -> Sample:
    return Sample(arrays, args, kwargs, smooth)
