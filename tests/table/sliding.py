"""Rows of convolution and pooling: by their definitions, an output at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.table.row import Array, Bad, Row, distinct, normal, row, s
from thalweg.errors import ConfigError

__all__ = ["ROWS"]


def spread(given: Any, rank: int) -> tuple[int, ...]:
    return (given,) * rank if isinstance(given, int) else tuple(given)


def standing(
    n: int, k: int, stride: int, padding: tuple[int, int], dilation: int, ceil: bool = False
) -> list[range]:
    """The places, in the unpadded input, of each window along one axis."""
    low, high = padding
    reach, found, start = dilation * (k - 1), [], -low
    while start + reach < n + high or (ceil and start < n and start + reach < n + high + stride):
        found.append(range(start, start + reach + 1, dilation))
        start += stride
    return found


def patches(x: Array, windows: list[list[range]], fill: float) -> Iterator[tuple[Any, Array]]:
    """Each window of the last axes of x, with `fill` where it reaches outside."""
    rank = len(windows)
    sizes = x.shape[-rank:]
    for place in np.ndindex(*(len(w) for w in windows)):
        ranges = [windows[axis][i] for axis, i in enumerate(place)]
        patch = np.full(x.shape[:-rank] + tuple(map(len, ranges)), fill, x.dtype)
        for tap in np.ndindex(*map(len, ranges)):
            at = tuple(r[i] for r, i in zip(ranges, tap, strict=True))
            if all(0 <= i < n for i, n in zip(at, sizes, strict=True)):
                patch[(..., *tap)] = x[(..., *at)]
        yield place, patch


def conv(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    rank = w.ndim - 2
    if x.ndim == rank + 1:
        return conv(x[None], w, b, stride, padding, dilation, groups)[0]
    strides, dilations = spread(stride, rank), spread(dilation, rank)
    totals = [d * (k - 1) for d, k in zip(dilations, w.shape[2:], strict=True)]
    if padding == "same":
        margins = [(n // 2, n - n // 2) for n in totals]
    else:
        margins = [(p, p) for p in spread(0 if padding == "valid" else padding, rank)]
    axes = zip(x.shape[2:], w.shape[2:], strides, margins, dilations, strict=True)
    windows = [standing(*axis) for axis in axes]
    out = np.zeros((len(x), len(w), *map(len, windows)), np.result_type(x, w))
    for place, patch in patches(x, windows, 0):
        for o, kernel in enumerate(w):
            first = o // (len(w) // groups) * len(kernel)
            own = patch[:, first : first + len(kernel)]
            out[(slice(None), o, *place)] = (own * kernel).sum(tuple(range(1, own.ndim)))
    return out if b is None else out + b.reshape(-1, *(1,) * rank)


def pooled(
    of: Callable[[Array, list[range], tuple[int, ...]], Array], fill: float, rank: int
) -> Callable[..., Array]:
    def oracle(
        x: Array,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        **kwargs: Any,
    ) -> Array:
        sizes, sides = spread(kernel_size, rank), x.shape[-rank:]
        strides = sizes if stride is None else spread(stride, rank)
        margins = [(p, p) for p in spread(padding, rank)]
        axes = zip(sides, sizes, strides, margins, spread(dilation, rank), strict=True)
        windows = [standing(*axis, ceil_mode) for axis in axes]
        out = np.zeros(x.shape[:-rank] + tuple(map(len, windows)), x.dtype)
        for place, patch in patches(x, windows, fill if x.dtype.kind == "f" else -(10**6)):
            ranges = [windows[axis][i] for axis, i in enumerate(place)]
            flat = patch.reshape(*x.shape[:-rank], np.prod(sizes))
            out[(..., *place)] = of(flat, ranges, sides, margins, **kwargs)
        return out

    return oracle


def largest(flat: Array, ranges: Any, sides: Any, margins: Any) -> Array:
    return np.asarray(flat.max(-1))


def mean(
    flat: Array,
    ranges: list[range],
    sides: tuple[int, ...],
    margins: list[tuple[int, int]],
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    count = 1
    for places, n, (low, high) in zip(ranges, sides, margins, strict=True):
        first, last = (-low, n + high) if count_include_pad else (0, n)
        count *= sum(first <= i < last for i in places)
    return np.asarray(flat.sum(-1) / (divisor_override or count))


def f(name: str, oracle: Callable[..., Any], *samples: Any, **settings: Any) -> Row:
    return row(f"nn.functional.{name}", oracle, *samples, **settings)


LINE, IMAGE = normal(2, 4, 7), normal(2, 2, 5, 4)
W1, W2 = normal(6, 4, 3, seed=1), normal(2, 2, 3, 2, seed=1)
ONE, PAIRED, BIAS = normal(3, 2, 1, 1), normal(4, 1, 2, 2, seed=1), normal(4, seed=2)
LEVELS, PLANE = distinct(2, 2, 7), distinct(2, 2, 5, 4)
THIN = {"error": ConfigError, "mentions": ("padding", "half", "(2,)")}

# fmt: off
CONVOLUTIONS = [
    f("conv1d", conv, s(LINE, W1), s(LINE, W1, normal(6, seed=3), stride=2, padding=1),
        s(LINE, normal(2, 2, 2, seed=1), groups=2, dilation=3), s(LINE[0].copy(), W1),
        s(LINE, normal(2, 4, 4), padding="same", dilation=1), s(LINE, normal(2, 4, 2), stride=3),
        s(normal(0, 4, 7), W1), s(LINE, W1, padding=(2,)), kinds="i",
        bad=(Bad((normal(2, 3, 7), W1), mentions=("(2, 3, 7)", "(6, 4, 3)", "3 channels", "4")),
             Bad((normal(2, 7, 4), W1), mentions=("(2, 7, 4)", "movedim(-1, -2)")),
             Bad((normal(7), W1), mentions=("(7,)", "(N, C, L)", "unsqueeze")),
             Bad((LINE, normal(6, 4)), mentions=("(6, 4)", "(O, C / groups, K)")),
             Bad((LINE, normal(6, 4, 8)), mentions=("(8,)", "(7,)", "does not fit")))),
    f("conv2d", conv, s(IMAGE, W2), s(IMAGE, W2, normal(2, seed=3), stride=(2, 1), padding=1),
        s(IMAGE, PAIRED, BIAS, groups=2, padding=(0, 2)), s(IMAGE, W2, dilation=(1, 2)),
        s(IMAGE, W2, padding="same"), s(IMAGE, W2, padding="valid", stride=2),
        s(IMAGE[1].copy(), W2), s(IMAGE, ONE), s(IMAGE, ONE, stride=2),
        s(IMAGE, normal(3, 2, 2, 2), stride=2, padding=1), s(IMAGE, W2, padding=3),
        s(normal(0, 2, 5, 4), W2), kinds="i",
        bad=(Bad((normal(2, 3, 5, 4), W2), mentions=("(2, 3, 5, 4)", "(2, 2, 3, 2)", "3 channels")),
             Bad((IMAGE, normal(4, 1, 2, 2)), mentions=("2 channels", "groups=2 would fit")),
             Bad((normal(6, 5, 5), normal(4, 1, 2, 2)), mentions=("(6, 5, 5)", "unsqueeze(1)")),
             Bad((IMAGE, W2, normal(3)), mentions=("bias", "(3,)", "(2,)")),
             Bad((IMAGE, normal(3, 1, 2, 2)), kwargs={"groups": 2},
                 mentions=("groups", "3 output")),
             Bad((IMAGE, W2), kwargs={"dilation": 3},
                 mentions=("(3, 2)", "spans (7, 4)", "(5, 4)")),
             Bad((IMAGE, W2), kwargs={"stride": 0}, error=ConfigError, mentions=("stride", "0")),
             Bad((IMAGE, W2), kwargs={"stride": (1, 1, 1)}, error=ConfigError,
                 mentions=("(1, 1, 1)",)),
             Bad((IMAGE, W2), kwargs={"padding": "full"}, error=ConfigError,
                 mentions=("full", "same")),
             Bad((IMAGE, W2), kwargs={"padding": "same", "stride": 2}, error=ConfigError,
                 mentions=("same", "stride 1", "(2, 2)")))),
]

POOLS = [
    f("max_pool1d", pooled(largest, -np.inf, 1), s(LEVELS, args=(2,)), s(LEVELS, args=(3, 2, 1)),
        s(LEVELS, args=(2, 3), dilation=2, ceil_mode=True), s(LEVELS[0].copy(), args=((3,), 1)),
        s(np.zeros((1, 1, 4)), args=(2, 1), smooth=False), s(distinct(0, 2, 4), args=(2,)),
        kinds="i",
        bad=(Bad((LEVELS,), (8,), mentions=("(8,)", "(7,)", "does not fit")),
             Bad((LEVELS,), (2, 2, 2), **THIN),
             Bad((normal(7),), (2,), mentions=("(7,)", "(N, C, L)")))),
    f("max_pool2d", pooled(largest, -np.inf, 2), s(PLANE, args=(2,)), s(PLANE, args=((3, 2), 2, 1)),
        s(PLANE, args=(2, 3), ceil_mode=True), s(PLANE, args=(2, 1), dilation=(2, 1)),
        s(PLANE[0].copy(), args=(2, (1, 2))), s(np.zeros((1, 4, 4)), args=(3, 1), smooth=False),
        kinds="i",
        bad=(Bad((PLANE,), (5,), mentions=("(5, 5)", "(5, 4)", "does not fit")),
             Bad((PLANE,), (2.5,), error=ConfigError, mentions=("kernel_size", "2.5")),
             Bad((PLANE,), (2, 2, 2), error=ConfigError, mentions=("padding", "half")))),
    f("avg_pool1d", pooled(mean, 0, 1), s(LINE, args=(2,)), s(LINE, args=(3, 2, 1)),
        s(LINE, args=(3, 2, 1), count_include_pad=False),
        s(LINE[0].copy(), args=(2, 3), ceil_mode=True), result="float", kinds="i",
        bad=(Bad((LINE,), (8,), mentions=("(8,)", "(7,)")), Bad((LINE,), (2, 2, 2), **THIN))),
    f("avg_pool2d", pooled(mean, 0, 2), s(IMAGE, args=(2,)), s(IMAGE, args=((3, 2), 2, 1)),
        s(IMAGE, args=(3, 2, 1), count_include_pad=False), s(IMAGE, args=(2, 3), ceil_mode=True),
        s(IMAGE, args=(3, 2, 1), ceil_mode=True), s(IMAGE, args=(2,), divisor_override=3),
        s(normal(2, 0, 4, 4), args=(2,)), result="float", kinds="i",
        bad=(Bad((IMAGE,), (6,), mentions=("(6, 6)", "(5, 4)")),
             Bad((IMAGE,), (2,), {"divisor_override": 0}, error=ConfigError,
                 mentions=("divisor",)))),
]
# fmt: on

ROWS = [*CONVOLUTIONS, *POOLS]
