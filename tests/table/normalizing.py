"""Rows of normalization: by means and variances of float64, a slice at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import thalweg as tw
from tests.table.row import Array, Bad, Row, normal, positive, row, s
from thalweg.errors import ConfigError

__all__ = ["ROWS"]


def f(name: str, oracle: Callable[..., Any], *samples: Any, **settings: Any) -> Row:
    return row(f"nn.functional.{name}", oracle, *samples, result="float", **settings)


def standard(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def wide(vector: Any, x: Array) -> Any:
    """Numbers of the channels, along dimension 1 of x."""
    return vector.reshape(-1, *(1,) * (x.ndim - 2)) if isinstance(vector, np.ndarray) else vector


def batch(x: Array, w: Any = 1, b: Any = 0, eps: float = 1e-5, momentum: float = 0.1) -> Array:
    return standard(x, (0, *range(2, x.ndim)), eps) * wide(w, x) + wide(b, x)


def by_running(x: Array, m: Array, v: Array, w: Any = 1, b: Any = 0, eps: float = 1e-5) -> Array:
    return (x - wide(m, x)) / np.sqrt(wide(v, x) + eps) * wide(w, x) + wide(b, x)


def instance(x: Array, w: Any = 1, b: Any = 0, eps: float = 1e-5) -> Array:
    return standard(x, tuple(range(2, x.ndim)), eps) * wide(w, x) + wide(b, x)


def layer(x: Array, w: Any = 1, b: Any = 0, shape: Any = (), eps: float = 1e-5) -> Array:
    rank = 1 if isinstance(shape, int) else len(shape)
    return standard(x, tuple(range(-rank, 0)), eps) * w + b


def group(x: Array, w: Any = 1, b: Any = 0, groups: int = 1, eps: float = 1e-5) -> Array:
    parts = np.split(x, groups, 1)
    axes = tuple(range(1, x.ndim))
    return np.concatenate([standard(p, axes, eps) for p in parts], 1) * wide(w, x) + wide(b, x)


def rms(x: Array, w: Any = 1, shape: Any = (), eps: float | None = None) -> Array:
    axes = tuple(range(-1 if isinstance(shape, int) else -len(shape), 0))
    return x / np.sqrt((x * x).mean(axes, keepdims=True) + (eps or 0)) * w


def response(x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> Array:
    sums = np.zeros_like(x)
    for c in range(x.shape[1]):
        first = max(c - size // 2, 0)
        sums[:, c] = (x[:, first : c - size // 2 + size] ** 2).sum(1)
    return x / (k + alpha * sums / size) ** beta


def batch_norm(x: Any, w: Any = None, b: Any = None, **options: Any) -> Any:
    return tw.nn.functional.batch_norm(x, None, None, w, b, True, **options)


def batch_norm_in_eval(x: Any, *vectors: Any, **options: Any) -> Any:
    return tw.nn.functional.batch_norm(x, *vectors, **options)


def instance_norm(x: Any, w: Any = None, b: Any = None, **options: Any) -> Any:
    return tw.nn.functional.instance_norm(x, None, None, w, b, **options)


def layer_norm(x: Any, w: Any = None, b: Any = None, *, shape: Any, **options: Any) -> Any:
    return tw.nn.functional.layer_norm(x, shape, w, b, **options)


def group_norm(x: Any, w: Any = None, b: Any = None, *, groups: int, **options: Any) -> Any:
    return tw.nn.functional.group_norm(x, groups, w, b, **options)


def rms_norm(x: Any, w: Any = None, *, shape: Any, **options: Any) -> Any:
    return tw.nn.functional.rms_norm(x, shape, w, **options)


ROWS2, LINES, IMAGES = normal(5, 3), normal(4, 3, 5), normal(2, 4, 3, 2)
W3, B3, M3, V3 = (normal(3, seed=i) for i in (1, 2, 3, 4))
W4, B4 = normal(4, seed=1), normal(4, seed=2)
FAR = normal(4, 3, 5) + 16

# fmt: off
ROWS = [
    f("batch_norm", batch, s(ROWS2), s(ROWS2, W3, B3), s(LINES, W3, B3), s(IMAGES, W4, B4, eps=0.1),
        s(FAR, W3, B3), s(LINES, W3), s(normal(1, 2, 7), momentum=0.5), call=batch_norm,
        bad=(Bad((normal(3),), mentions=("(3,)", "(N, C)")),
             Bad((LINES, normal(4)), mentions=("weight", "(4,)", "(3,)")),
             Bad((normal(1, 3),), mentions=("(1, 3)", "1 element", "drop_last")))),
    f("batch_norm", by_running, s(ROWS2, M3, np.abs(V3)), s(LINES, M3, np.abs(V3), W3, B3),
        s(normal(0, 3), M3, np.abs(V3)), s(normal(1, 3), M3, np.abs(V3), W3, B3, eps=0.5),
        call=batch_norm_in_eval,
        bad=(Bad((LINES, M3, normal(2)), mentions=("running_var", "(2,)", "(3,)")),
             Bad((LINES,), (None, None), error=ConfigError, mentions=("running_mean", "training")),
            )),
    f("instance_norm", instance, s(LINES), s(LINES, W3, B3), s(IMAGES, W4, B4, eps=0.1), s(FAR),
        s(normal(0, 2, 3)), call=instance_norm,
        bad=(Bad((ROWS2,), mentions=("(5, 3)", "(N, C, L, ..)")),
             Bad((normal(2, 3, 1),), mentions=("(2, 3, 1)", "group_norm")))),
    f("layer_norm", layer, s(ROWS2, shape=3), s(ROWS2, W3, B3, shape=(3,)), s(FAR, shape=(3, 5)),
        s(LINES, normal(3, 5, seed=1), normal(3, 5, seed=2), shape=(3, 5), eps=0.1),
        s(normal(7), shape=7), s(LINES, normal(5), shape=5), s(normal(0, 3), shape=3),
        call=layer_norm,
        bad=(Bad((LINES,), kwargs={"shape": 3}, mentions=("(4, 3, 5)", "(3,)")),
             Bad((ROWS2, normal(4)), kwargs={"shape": 3}, mentions=("weight", "(4,)", "(3,)")),
             Bad((ROWS2,), kwargs={"shape": ()}, error=ConfigError,
                 mentions=("normalized_shape", "()")))),
    f("group_norm", group, s(IMAGES, groups=2), s(IMAGES, W4, B4, groups=1),
        s(normal(3, 4), W4, groups=2), s(IMAGES, groups=4, eps=0.1), s(FAR, W3, B3, groups=3),
        call=group_norm,
        bad=(Bad((IMAGES,), kwargs={"groups": 3}, mentions=("(2, 4, 3, 2)", "4 channels", "3")),
             Bad((IMAGES, W3), kwargs={"groups": 2}, mentions=("weight", "(3,)", "(4,)")))),
    f("rms_norm", rms, s(ROWS2, shape=3), s(ROWS2, W3, shape=(3,)), s(LINES, shape=(3, 5), eps=0.1),
        s(FAR, normal(5), shape=5), call=rms_norm,
        bad=Bad((LINES,), kwargs={"shape": 4}, mentions=("(4, 3, 5)", "(4,)"))),
    f("local_response_norm", response, s(LINES, args=(2,)), s(IMAGES, args=(3, 0.5, 0.5, 2.0)),
        s(IMAGES, args=(1,), alpha=1.0), s(positive(1, 6, 2), args=(4,), alpha=2.0),
        bad=(Bad((ROWS2,), (2,), mentions=("(5, 3)",)),
             Bad((LINES,), (0,), error=ConfigError, mentions=("size", "0")))),
]
# fmt: on
