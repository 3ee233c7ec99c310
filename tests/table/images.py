"""Rows of convolution and pooling; the oracles go window by window, as the definitions do."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from tests.table.networks import f
from tests.table.row import Array, Bad, distinct, normal, s
from thalweg.errors import ConfigError

__all__ = ["ROWS"]


def spread(option: Any, rank: int) -> tuple[int, ...]:
    return (option,) * rank if isinstance(option, int) else tuple(option)


def convolved(rank: int) -> Any:
    def oracle(
        x: Array,
        w: Array,
        b: Array | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Array:
        if x.ndim == rank + 1:
            return oracle(x[None], w, b, stride, padding, dilation, groups)[0]
        strides, dilations = spread(stride, rank), spread(dilation, rank)
        sizes = w.shape[2:]
        reach = [d * (k - 1) for d, k in zip(dilations, sizes, strict=True)]
        named = {"valid": [(0, 0)] * rank, "same": [(r // 2, r - r // 2) for r in reach]}
        sides = (
            named[padding] if isinstance(padding, str) else [(n, n) for n in spread(padding, rank)]
        )
        x = np.pad(x, [(0, 0), (0, 0), *sides])
        pairs = zip(x.shape[2:], reach, strides, strict=True)
        counts = [(n - r - 1) // step + 1 for n, r, step in pairs]
        out = np.zeros((len(x), len(w), *counts))
        share, each = x.shape[1] // groups, len(w) // groups
        for o, place in itertools.product(range(len(w)), np.ndindex(*counts)):
            channels = slice(o // each * share, (o // each + 1) * share)
            axes = zip(place, strides, dilations, sizes, strict=True)
            window = [slice(h * step, h * step + d * (k - 1) + 1, d) for h, step, d, k in axes]
            taps = tuple(range(1, rank + 2))
            out[(slice(None), o, *place)] = (x[(slice(None), channels, *window)] * w[o]).sum(taps)
        return out if b is None else out + b.reshape(-1, *(1,) * rank)

    return oracle


def pooled(rank: int, mean: bool) -> Any:
    def oracle(
        x: Array,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
        return_indices: bool = False,
    ) -> Any:
        sizes, pads = spread(kernel_size, rank), spread(padding, rank)
        strides = spread(stride or kernel_size, rank)
        dilations = spread(dilation, rank)
        own, lead = x.shape[x.ndim - rank :], x.shape[: x.ndim - rank]
        counts = []
        for n, k, step, p, d in zip(own, sizes, strides, pads, dilations, strict=True):
            fits = (n + 2 * p - d * (k - 1) - 1) / step
            count = (math.ceil(fits) if ceil_mode else math.floor(fits)) + 1
            counts.append(count - (ceil_mode and (count - 1) * step >= n + p))
        out = np.zeros((*lead, *counts))
        where = np.zeros(out.shape, np.int64)
        for place in np.ndindex(*counts):
            axes = zip(place, strides, pads, dilations, sizes, strict=True)
            lines = [[h * step - p + d * i for i in range(k)] for h, step, p, d, k in axes]
            inside = [[i for i in line if 0 <= i < n] for line, n in zip(lines, own, strict=True)]
            window = x[(..., *np.ix_(*inside))].reshape(*lead, -1)
            if mean:
                padded = [
                    sum(-p <= i < n + p for i in line)
                    for line, n, p in zip(lines, own, pads, strict=True)
                ]
                members = math.prod(padded if count_include_pad else map(len, inside))
                out[(..., *place)] = window.sum(-1) / (divisor_override or members)
            else:
                out[(..., *place)] = window.max(-1)
                flat = np.arange(math.prod(own)).reshape(own)[np.ix_(*inside)].ravel()
                where[(..., *place)] = flat[window.argmax(-1)]
        return (out, where) if return_indices else out

    return oracle


LINE, IMAGE = normal(2, 4, 7), normal(2, 4, 5, 6)
WIDE = Bad((normal(1, 2, 3), normal(1, 2, 4)), mentions=("(4,)", "(3,)"))
HALF = {"error": ConfigError, "mentions": ("padding", "2")}

# fmt: off
ROWS = [
    f("conv1d", convolved(1), s(LINE, normal(3, 4, 3)),
        s(LINE, normal(3, 4, 3), normal(3), stride=2, padding=1),
        s(LINE, normal(4, 2, 2), normal(4), dilation=2, groups=2),
        s(LINE, normal(3, 4, 2), padding="same"),
        s(normal(4, 5), normal(3, 4, 2)), s(normal(0, 4, 5), normal(3, 4, 2)),
        bad=(WIDE, Bad((LINE, normal(3, 3, 2)), mentions=("(2, 4, 7)", "(3, 3, 2)")))),
    f("conv2d", convolved(2), s(IMAGE, normal(3, 4, 3, 2)),
        s(IMAGE, normal(3, 4, 2, 3), normal(3), stride=(2, 1), padding=(1, 2)),
        s(IMAGE, normal(4, 2, 2, 2), normal(4), dilation=(2, 1), groups=2),
        s(IMAGE, normal(4, 1, 3, 3), groups=4, padding="same"),
        s(normal(4, 3, 3), normal(2, 4, 1, 1), stride=2), s(normal(0, 4, 5, 5), normal(3, 4, 2, 2)),
        bad=(Bad((IMAGE, normal(3, 3, 2, 2)), mentions=("(2, 4, 5, 6)", "(3, 3, 2, 2)")),
            Bad((IMAGE, normal(3, 4, 6, 2)), mentions=("(6, 2)", "(5, 6)")),
            Bad((IMAGE, normal(3, 4, 2, 2), normal(2)), mentions=("(2,)",)))),
    f("max_pool1d", pooled(1, False), s(distinct(2, 3, 7), args=(2,)),
        s(distinct(2, 3, 7), args=(3, 2, 1)),
        s(distinct(3, 7), args=(2,), ceil_mode=True), s(distinct(2, 3, 7), args=(2, 1), dilation=3),
        result="same", kinds="i",
        bad=(Bad((distinct(1, 2, 3),), (4,), mentions=("(4,)", "(3,)")),
            Bad((distinct(1, 2, 9),), (2, 2, 2), **HALF))),
    f("max_pool2d", pooled(2, False), s(distinct(2, 2, 4, 5), args=(2,)),
        s(distinct(2, 2, 5, 5), args=((3, 2), 2, 1)),
        s(distinct(2, 5, 5), args=(2,), ceil_mode=True),
        s(distinct(2, 2, 5, 5), args=(2, 1), dilation=(3, 2)), result="same", kinds="i",
        bad=(Bad((distinct(1, 2, 3, 3),), (4,), mentions=("(4, 4)", "(3, 3)")),
            Bad((distinct(1, 1, 9, 9),), (2, 2, 2), **HALF))),
    f("max_pool2d", pooled(2, False), s(distinct(2, 2, 4, 5), args=(2,), return_indices=True),
        result="same", indexed=True),
    f("avg_pool1d", pooled(1, True), s(normal(2, 3, 7), args=(2,)),
        s(normal(2, 3, 7), args=(3, 2, 1)),
        s(normal(2, 3, 7), args=(3, 2, 1), count_include_pad=False),
        s(normal(3, 7), args=(2,), ceil_mode=True), kinds="i",
        bad=(Bad((normal(1, 2, 3),), (4,), mentions=("(4,)", "(3,)")),
            Bad((normal(1, 2, 9),), (2, 2, 2), **HALF))),
    f("avg_pool2d", pooled(2, True), s(normal(2, 2, 4, 5), args=(2,)),
        s(normal(2, 2, 5, 5), args=((3, 2), 2, 1)),
        s(normal(2, 2, 5, 5), args=(3, 2, 1), count_include_pad=False),
        s(normal(2, 5, 5), args=(2,), ceil_mode=True),
        s(normal(2, 2, 4, 4), args=(2,), divisor_override=3), kinds="i",
        bad=(Bad((normal(1, 2, 3, 3),), (4,), mentions=("(4, 4)", "(3, 3)")),
            Bad((normal(1, 1, 9, 9),), (2, 2, 2), **HALF))),
]
# fmt: on
