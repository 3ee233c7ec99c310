"""Rows of what changes the size of images: transposed convolution, adaptive pooling, the rest."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.table.row import Array, Bad, Row, distinct, normal, positive, row, s
from tests.table.sliding import mean, pooled, spread
from thalweg.errors import ConfigError

__all__ = ["ROWS"]


def f(name: str, oracle: Callable[..., Any], *samples: Any, **settings: Any) -> Row:
    return row(f"nn.functional.{name}", oracle, *samples, **settings)


def transposed(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Array:
    """Every element, times the weight, added where it belongs."""
    rank = w.ndim - 2
    if x.ndim == rank + 1:
        return transposed(x[None], w, b, stride, padding, output_padding, groups, dilation)[0]
    options = [spread(o, rank) for o in (stride, padding, output_padding, dilation)]
    strides, margins, more, dilations = options
    axes = zip(x.shape[2:], w.shape[2:], strides, more, dilations, strict=True)
    room = [(n - 1) * st + d * (k - 1) + 1 + extra for n, k, st, extra, d in axes]
    share, each = x.shape[1] // groups, w.shape[1]
    out = np.zeros((len(x), each * groups, *room), np.result_type(x, w))
    for c in range(x.shape[1]):
        own = slice(c // share * each, (c // share + 1) * each)
        for place, tap in itertools.product(np.ndindex(*x.shape[2:]), np.ndindex(*w.shape[2:])):
            at = [
                h * st + d * i for h, i, st, d in zip(place, tap, strides, dilations, strict=True)
            ]
            out[(slice(None), own, *at)] += x[(slice(None), c, *place)][:, None] * w[(c, ..., *tap)]
    inner = (slice(p, n - p) for p, n in zip(margins, room, strict=True))
    out = out[(..., *inner)]
    return out if b is None else out + b.reshape(-1, *(1,) * rank)


def columns(
    x: Array, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Array:
    """A window at a time."""
    if x.ndim == 3:
        return columns(x[None], kernel_size, dilation, padding, stride)[0]
    options = (kernel_size, dilation, padding, stride)
    (k, n), (d, e), (p, q), (r, c) = (spread(o, 2) for o in options)
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (q, q)))
    tall, wide = d * (k - 1) + 1, e * (n - 1) + 1
    found = [
        x[:, :, h : h + tall : d, w : w + wide : e].reshape(len(x), -1)
        for h in range(0, x.shape[2] - tall + 1, r)
        for w in range(0, x.shape[3] - wide + 1, c)
    ]
    return np.stack(found, -1)


def folded(
    x: Array,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Array:
    """A window at a time."""
    if x.ndim == 2:
        return folded(x[None], output_size, kernel_size, dilation, padding, stride)[0]
    options = (output_size, kernel_size, dilation, padding, stride)
    (m, o), (k, n), (d, e), (p, q), (r, c) = (spread(o, 2) for o in options)
    out = np.zeros((len(x), x.shape[1] // (k * n), m + 2 * p, o + 2 * q))
    tall, wide = d * (k - 1) + 1, e * (n - 1) + 1
    places = [(h, w) for h in range(0, m + 2 * p - tall + 1, r)
              for w in range(0, o + 2 * q - wide + 1, c)]  # fmt: skip
    for at, (h, w) in enumerate(places):
        window = x[:, :, at].reshape(len(x), -1, k, n)
        out[:, :, h : h + tall : d, w : w + wide : e] += window
    return out[:, :, p : p + m, q : q + o]


def adaptive(of: Callable[..., Any], rank: int) -> Callable[..., Array]:
    def oracle(x: Array, output_size: Any) -> Array:
        given = (output_size,) * rank if isinstance(output_size, int) else output_size
        shape = x.shape[-rank:]
        sizes = [n if o is None else o for n, o in zip(shape, given, strict=True)]
        out = np.zeros((*x.shape[:-rank], *sizes), x.dtype)
        for place in np.ndindex(*sizes):
            axes = zip(place, shape, sizes, strict=True)
            window = [slice(i * n // o, math.ceil((i + 1) * n / o)) for i, n, o in axes]
            out[(..., *place)] = of(x[(..., *window)], tuple(range(-rank, 0)))
        return out

    return oracle


def norm_pooled(rank: int) -> Callable[..., Array]:
    plain = pooled(mean, 0, rank)

    def oracle(x: Array, p: float, size: Any, stride: Any = None, ceil_mode: bool = False) -> Array:
        count = math.prod(spread(size, rank))
        sums = plain(x**p, size, stride, ceil_mode=ceil_mode) * count
        return np.asarray(np.maximum(sums, 0) ** (1 / p))

    return oracle


def resized(
    x: Array,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool = False,
    recompute_scale_factor: bool = False,
) -> Array:
    """An axis at a time, a place at a time."""
    rank = x.ndim - 2
    if mode == "area":
        return adaptive(np.mean, rank)(x, size)
    for axis in range(2, x.ndim):
        n = x.shape[axis]
        if size is not None:
            o = spread(size, rank)[axis - 2]
            step = n / o
        else:
            factor = (scale_factor,) * rank if isinstance(scale_factor, float) else scale_factor
            o = math.floor(n * factor[axis - 2])
            step = n / o if recompute_scale_factor else 1 / factor[axis - 2]
        taken = [between(x, axis, i, n, o, step, mode, align_corners) for i in range(o)]
        x = np.stack(taken, axis)
    return x


def between(
    x: Array, axis: int, i: int, n: int, o: int, step: float, mode: str, align: bool
) -> Array:
    if "nearest" in mode:
        return x.take(min(math.floor((i + (mode != "nearest") / 2) * step), n - 1), axis)
    at = i * (n - 1) / max(o - 1, 1) if align else (i + 0.5) * step - 0.5
    if mode == "bicubic":
        low = math.floor(at)
        return sum(
            cubic(at - j) * x.take(min(max(j, 0), n - 1), axis) for j in range(low - 1, low + 3)
        )
    low = math.floor(max(at, 0))
    rest = max(at, 0) - low
    return (1 - rest) * x.take(min(low, n - 1), axis) + rest * x.take(min(low + 1, n - 1), axis)


def cubic(d: float) -> float:
    """The kernel with slope -3/4, written out."""
    d = abs(d)
    if d <= 1:
        return 1.25 * d**3 - 2.25 * d**2 + 1
    return -0.75 * d**3 + 3.75 * d**2 - 6 * d + 3


def shuffled(x: Array, r: int) -> Array:
    *lead, c, h, w = x.shape
    out = np.zeros((*lead, c // r**2, h * r, w * r), x.dtype)
    for i, j in np.ndindex(r, r):
        out[..., i::r, j::r] = x[..., i * r + j :: r**2, :, :]
    return out


def unshuffled(x: Array, r: int) -> Array:
    parts = [x[..., i::r, j::r] for i, j in np.ndindex(r, r)]
    return np.stack(parts, -3).reshape(*x.shape[:-3], -1, x.shape[-2] // r, x.shape[-1] // r)


def dealt(x: Array, groups: int) -> Array:
    return np.stack(np.split(x, groups, 1), 2).reshape(x.shape)


LINE, IMAGE = normal(2, 4, 5), normal(2, 2, 3, 4)
W1, W2 = normal(4, 3, 3, seed=1), normal(2, 3, 3, 2, seed=1)
LEVELS, PLANE = distinct(2, 2, 7), distinct(2, 2, 5, 6)
SQUARES = normal(2, 8, 2, 3)

# fmt: off
TRANSPOSED = [
    f("conv_transpose1d", transposed, s(LINE, W1), s(LINE, W1, normal(3), args=(2, 1)),
        s(LINE, W1, stride=3, output_padding=2), s(LINE, W1, dilation=3, padding=2),
        s(LINE, W1, stride=2, padding=2, output_padding=1, dilation=2), s(LINE[0].copy(), W1),
        s(LINE, normal(4, 2, 2), stride=2, groups=2), s(LINE, normal(4, 1, 3), groups=4, padding=1),
        s(LINE, W1, dilation=3, output_padding=2), s(normal(0, 4, 5), W1), kinds="i",
        bad=(Bad((LINE, normal(3, 4, 3)), mentions=("(2, 4, 5)", "(3, 4, 3)", "(in, out, ..)")),
             Bad((LINE, normal(4, 3)), mentions=("(4, 3)", "(C, O / groups, K)")),
             Bad((LINE, W1, normal(4)), mentions=("bias", "(4,)", "(3,)")),
             Bad((LINE, W1), kwargs={"groups": 3}, mentions=("groups", "4 input")),
             Bad((LINE, W1), kwargs={"output_padding": 1}, error=ConfigError,
                 mentions=("output_padding (1,)", "stride")),
             Bad((LINE, W1), kwargs={"padding": 4}, mentions=("(-1,)", "Pad less")))),
    f("conv_transpose2d", transposed, s(IMAGE, W2), s(IMAGE, W2, normal(3), args=(2, 1)),
        s(IMAGE, W2, stride=(3, 2), output_padding=(2, 1)), s(IMAGE, W2, dilation=(1, 2)),
        s(IMAGE, W2, padding=(2, 0), stride=2), s(IMAGE[1].copy(), W2),
        s(IMAGE, normal(2, 2, 2, 2), stride=2), s(IMAGE, normal(2, 3, 1, 1), stride=2, padding=1),
        s(IMAGE, normal(2, 2, 3, 3), groups=2, stride=2, padding=1, output_padding=1), kinds="i",
        bad=(Bad((IMAGE, W1), mentions=("(4, 3, 3)", "(C, O / groups, K, L)")),
             Bad((normal(2, 3, 3, 4), W2), mentions=("3 channels", "(2, 3, 3, 2)", "(in, out")))),
]

ADAPTIVE = [
    f("adaptive_avg_pool1d", adaptive(np.mean, 1), s(LINE, args=(2,)), s(LINE, args=(5,)),
        s(LINE, args=(7,)), s(LINE, args=((None,),)), s(LINE[0].copy(), args=(1,)), result="float",
        kinds="i", bad=(Bad((LINE,), (0,), error=ConfigError, mentions=("output_size", "0")),
                        Bad((normal(5),), (1,), mentions=("(5,)", "(N, C, L)")))),
    f("adaptive_avg_pool2d", adaptive(np.mean, 2), s(PLANE, args=((2, 4),)), s(PLANE, args=(1,)),
        s(PLANE, args=((5, 3),)), s(PLANE, args=((None, 4),)), s(PLANE[0].copy(), args=(7,)),
        s(normal(0, 2, 3, 3), args=(2,)), result="float", kinds="i",
        bad=Bad((PLANE,), ((1, 2, 3),), error=ConfigError, mentions=("(1, 2, 3)",))),
    f("adaptive_max_pool1d", adaptive(np.max, 1), s(LEVELS, args=(2,)), s(LEVELS, args=(7,)),
        s(LEVELS, args=(9,)), s(LEVELS[0].copy(), args=(1,)), kinds="i",
        bad=Bad((LEVELS,), ((1, 2),), error=ConfigError, mentions=("output_size", "(1, 2)"))),
    f("adaptive_max_pool2d", adaptive(np.max, 2), s(PLANE, args=((2, 4),)), s(PLANE, args=(1,)),
        s(PLANE, args=((5, 3),)), s(PLANE, args=((None, 4),)), s(PLANE[0].copy(), args=(7,)),
        kinds="i", bad=Bad((normal(5, 4),), (2,), mentions=("(5, 4)", "(N, C, H, W)"))),
    f("lp_pool1d", norm_pooled(1), s(positive(2, 2, 7), args=(2, 2)), s(LEVELS, args=(2, (3,), 2)),
        s(positive(2, 7), args=(3.0, 2, 3, True)), result="float",
        bad=Bad((LEVELS,), (0, 2), error=ConfigError, mentions=("norm_type", "0"))),
    f("lp_pool2d", norm_pooled(2), s(PLANE, args=(2, 2)), s(PLANE, args=(2, (3, 2), 1)),
        s(positive(2, 4, 4), args=(1.5, 2)), result="float",
        bad=Bad((PLANE,), (-1, 2), error=ConfigError, mentions=("norm_type", "-1"))),
]

SIZES = [
    f("interpolate", resized, s(PLANE, scale_factor=2.0), s(PLANE, size=(10, 18)),
        s(PLANE, size=(7, 4)), s(LEVELS, scale_factor=1.75), s(PLANE, size=3), s(LEVELS, size=1),
        s(PLANE, scale_factor=(0.5, 2.5), recompute_scale_factor=True),
        s(PLANE, size=(7, 4), mode="nearest-exact"), s(PLANE, size=(3, 4), mode="area"), kinds="m"),
    f("interpolate", resized, s(PLANE, scale_factor=2.0, mode="bilinear"), s(LEVELS, size=4,
        mode="linear"), s(PLANE, size=(7, 3), mode="bilinear", align_corners=True),
        s(LEVELS, size=1, mode="linear", align_corners=True), s(PLANE, size=(7, 3), mode="bicubic"),
        s(PLANE, scale_factor=(0.5, 1.5), mode="bicubic", align_corners=True),
        s(PLANE, scale_factor=1.7, mode="bilinear"), result="float",
        bad=(Bad((PLANE,), error=ConfigError, mentions=("size", "scale_factor")),
             Bad((PLANE,), (2, 2.0), error=ConfigError, mentions=("size", "not both")),
             Bad((PLANE,), (2,), {"mode": "cubic"}, error=ConfigError, mentions=("bicubic",)),
             Bad((PLANE,), (2,), {"mode": "linear"}, mentions=("(N, C, L)", "(2, 2, 5, 6)")),
             Bad((PLANE,), (2,), {"align_corners": True}, error=ConfigError, mentions=("nearest",)),
             Bad((PLANE,), ((2, 3, 4),), error=ConfigError, mentions=("(2, 3, 4)", "2 of them")),
             Bad((PLANE,), kwargs={"scale_factor": 0.1}, error=ConfigError, mentions=("0.1",)))),
    f("pixel_shuffle", shuffled, s(SQUARES, args=(2,)), s(normal(9, 1, 2), args=(3,)),
        s(SQUARES, args=(1,)), kinds="s", exact=True,
        bad=(Bad((SQUARES,), (3,), mentions=("(2, 8, 2, 3)", "multiple of 9")),
             Bad((SQUARES,), (0,), error=ConfigError, mentions=("upscale_factor", "0")))),
    f("pixel_unshuffle", unshuffled, s(normal(2, 3, 4, 6), args=(2,)),
        s(normal(1, 3, 6), args=(3,)),
        kinds="s", exact=True,
        bad=Bad((SQUARES,), (2,), mentions=("(2, 8, 2, 3)", "multiples of 2"))),
    f("unfold", columns, s(PLANE, args=(2,)), s(PLANE[0], args=((3, 2),)),
        s(PLANE, args=((2, 3),), dilation=2, padding=(1, 2), stride=(2, 1)), kinds="s", exact=True,
        bad=(Bad((PLANE,), (7,), mentions=("(7, 7)", "(5, 6)")),
             Bad((PLANE[0, 0],), (2,), mentions=("(5, 6)",)))),
    f("fold", folded, s(normal(2, 8, 20), args=((5, 6), 2)),
        s(normal(12, 9), args=((4, 5), (2, 3))),
        s(normal(2, 12, 12), args=((5, 4), (2, 3)), dilation=2, padding=(1, 2), stride=(2, 1)),
        bad=(Bad((normal(2, 8, 20),), ((5, 5), 2), mentions=("(2, 8, 20)", "16")),
             Bad((normal(8),), ((5, 6), 2), mentions=("(8,)",)))),
    f("channel_shuffle", dealt, s(SQUARES, args=(2,)), s(SQUARES, args=(4,)), kinds="s", exact=True,
        bad=Bad((SQUARES,), (3,), mentions=("(2, 8, 2, 3)", "multiple of 3"))),
]
# fmt: on

ROWS = [*TRANSPOSED, *ADAPTIVE, *SIZES]
