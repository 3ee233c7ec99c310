"""Rows of movement, joining and indexing: the same elements at other places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import thalweg as tw
from tests.table.elementwise import primitive
from tests.table.row import Array, Bad, integers, mask, normal, row, s
from thalweg.errors import DTypeError, OutOfRangeError

__all__ = ["ROWS"]


def split(x: Array, size: Any, dim: int = 0) -> list[Array]:
    cuts = range(size, x.shape[dim], size) if isinstance(size, int) else np.cumsum(size)[:-1]
    return np.split(x, list(cuts), dim)


def unfolded(x: Array, dim: int, sizes: Sequence[int]) -> Array:
    axis = dim % x.ndim
    inside = np.empty(x.shape[axis], np.bool_).reshape(sizes).shape  # NumPy infers a -1
    return x.reshape((*x.shape[:axis], *inside, *x.shape[axis + 1 :]))


def expanded(x: Array, *sizes: int) -> Array:
    own = (1,) * (len(sizes) - x.ndim) + x.shape
    return np.broadcast_to(x, [o if n == -1 else n for n, o in zip(sizes, own, strict=True)])


def diagonal(x: Array, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Array:
    return np.diagonal(x, offset, dim1, dim2)


def diag_embed(x: Array, offset: int = 0) -> Array:
    rows = [np.diag(line, offset) for line in x.reshape(-1, x.shape[-1])]
    size = x.shape[-1] + abs(offset)
    return np.array(rows).reshape((*x.shape[:-1], size, size))


def padded(x: Array, low: Any, high: Any, inner: Any = None, value: float = 0) -> Array:
    inner = inner or (0,) * x.ndim
    sizes = [n + max(n - 1, 0) * between for n, between in zip(x.shape, inner, strict=True)]
    spread = np.full(sizes, value, x.dtype)
    spread[tuple(slice(None, None, between + 1) for between in inner)] = x
    return np.pad(spread, list(zip(low, high, strict=True)), constant_values=value)


def window(x: Array, starts: Any, sizes: Any, steps: Any) -> Array:
    places = zip(starts, sizes, steps, strict=True)
    return x[tuple(slice(a, a + n * step, step) for a, n, step in places)]


def along(x: Array, dim: int, index: Array) -> tuple[Array, ...]:
    """The places that `gather` reads."""
    places = list(np.indices(index.shape))
    places[dim] = index
    return tuple(places)


def scatter(x: Array, dim: int, index: Array, source: Any) -> Array:
    out = x.copy()
    part = np.asarray(source)[tuple(map(slice, index.shape))] if np.ndim(source) else source
    out[along(x, dim, index)] = part
    return out


def scatter_add(x: Array, dim: int, index: Array, source: Array) -> Array:
    out = x.copy()
    np.add.at(out, along(x, dim, index), source[tuple(map(slice, index.shape))])
    return out


def index_add(x: Array, dim: int, index: Array, source: Array, alpha: float = 1) -> Array:
    out = x.copy()
    np.add.at(out, (slice(None),) * dim + (index,), alpha * source)
    return out


def index_put(x: Array, dim: int, index: Array, value: Any) -> Array:
    out = x.copy()
    out[(slice(None),) * dim + (index,)] = value
    return out


def scattered(updates: Array, *indices: Array, shape: Any, axes: Any, wrap: bool) -> Array:
    out = np.zeros(shape, updates.dtype)
    np.add.at(np.moveaxis(out, axes, range(len(axes))), indices, updates)
    return out


def gathered(x: Array, *indices: Array, axes: Any, wrap: bool) -> Array:
    return np.moveaxis(x, axes, range(len(axes)))[indices]


def joined(function: Any) -> Any:
    return lambda *arrays, **kwargs: function(arrays, **kwargs)


def joining(name: str) -> Any:
    function = getattr(tw, name)
    return lambda *tensors, **kwargs: function(tensors, **kwargs)


def windows(x: Array, sizes: Any, strides: Any, dilations: Any) -> Array:
    reach = tuple(d * (k - 1) + 1 for k, d in zip(sizes, dilations, strict=True))
    axes = tuple(range(x.ndim - len(sizes), x.ndim))
    slid = np.lib.stride_tricks.sliding_window_view(x, reach, axes)
    steps = tuple(slice(None, None, n) for n in (*strides, *dilations))
    return slid[(..., *steps)]


def overlap_add(y: Array, shape: Any, strides: Any, dilations: Any) -> Array:
    """By its definition, an element at a time."""
    rank = len(shape)
    out = np.zeros((*y.shape[: y.ndim - 2 * rank], *shape), y.dtype)
    for place in np.ndindex(*y.shape[y.ndim - 2 * rank :]):
        at = zip(strides, place[:rank], dilations, place[rank:], strict=True)
        out[(..., *(s * h + d * i for s, h, d, i in at))] += y[(..., *place)]
    return out


def unfold(x: Array, axis: int, size: int, step: int) -> Array:
    slid = np.lib.stride_tricks.sliding_window_view(x, size, axis)
    return np.take(slid, range(0, slid.shape[axis], step), axis)


X, Y = normal(3, 4), normal(2, 3, 2)
COLUMN = np.array([2, 0, 2])
INDEX = np.array([[0, 2, 1, 1], [2, 2, 0, 1]])
MOVES = {"kinds": "ibs", "exact": True}
FLAT = Bad((normal(2, 3),), (2,), mentions=("dimension 2", "rank 2"))
WORDS = {"error": DTypeError, "mentions": ("index", "float32")}
OUTSIDE = {"error": OutOfRangeError, "mentions": ("index 5", "(3, 4)", "0 to 2")}

# fmt: off
SHAPES = [
    row("reshape",   lambda x, *n: x.reshape(n), s(X, args=(4, 3)), s(X, args=(2, -1)),
        s(normal(), args=(1, 1)), s(normal(0, 3), args=(3, 0)), s(X, args=(3, 4)), **MOVES,
        bad=(Bad((X,), (5, -1), mentions=("(3, 4)", "(5, -1)")),
            Bad((X,), (5, 2), mentions=("(3, 4)", "12 elements", "(5, 2)")),
            Bad((X,), (-3, -4), mentions=("(3, 4)",)), Bad((X,), (2.5,), mentions=("2.5",)))),
    row("Tensor.view", lambda x, *n: x.reshape(n), s(X, args=(12,)), **MOVES,
        bad=Bad((X,), (tw.int32,), error=DTypeError, mentions=("int32", "x.to"))),
    row("Tensor.view_as", lambda x, y: x.reshape(y.shape), s(X, integers(0, 2, 4, 3)), **MOVES,
        bad=Bad((X, normal(5)))),
    row("Tensor.reshape_as", lambda x, y: x.reshape(y.shape), s(X, integers(0, 2, 4, 3)), **MOVES,
        bad=Bad((X, normal(5)))),
    row("flatten",   lambda x, a=0, b=-1: x.reshape((*x.shape[:a], -1, *x.shape[b % x.ndim + 1:]))
        if x.ndim else x.reshape(1), s(Y), s(Y, args=(1,)), s(Y, args=(0, 1)), s(normal()), **MOVES,
        bad=FLAT),
    row("ravel",     np.ravel, s(Y), s(normal(0, 2)), **MOVES),
    row("unflatten", unfolded, s(normal(2, 6), args=(1, (2, 3))),
        s(normal(0, 6), args=(-1, (2, -1))), **MOVES,
        bad=Bad((normal(2, 6),), (1, (4, 2)), mentions=("(2, 6)",))),
    row("squeeze",   np.squeeze, s(normal(1, 3, 1)), s(normal(1, 3, 1), args=(0,)),
        s(normal(1, 3, 1), args=((0, 2),)), **MOVES, bad=FLAT),
    row("squeeze",   lambda x, dim: x, s(normal(2, 3), args=(1,)), **MOVES),
    row("unsqueeze", np.expand_dims, s(X, args=(0,)), s(X, args=(-1,)), s(normal(), args=(0,)),
        **MOVES, bad=Bad((X,), (3,), mentions=("dimension 3", "rank 3"))),
    row("atleast_1d", np.atleast_1d, s(normal()), s(X), **MOVES),
    row("permute",   lambda x, *dims: x.transpose(dims), s(Y, args=(2, 0, 1)),
        s(Y, args=(0, -1, 1)), s(normal()), **MOVES,
        bad=(Bad((Y,), (0, 0, 1), mentions=("(0, 0, 1)", "(2, 3, 2)")),
            Bad((Y,), (0, 1), mentions=("(2, 3, 2)",)))),
    row("transpose", np.swapaxes, s(Y, args=(0, 2)), s(Y, args=(-1, 1)), **MOVES,
        bad=Bad((X,), (0, 2), mentions=("dimension 2",))),
    row("swapaxes",  np.swapaxes, s(Y, args=(0, 2)), **MOVES),
    row("swapdims",  np.swapaxes, s(Y, args=(0, 2)), **MOVES),
    row("movedim",   np.moveaxis, s(Y, args=(0, 2)), s(Y, args=((0, 1), (2, 0))), **MOVES,
        bad=Bad((Y,), ((0, 1), (2,)), mentions=("(0, 1)",))),
    row("moveaxis",  np.moveaxis, s(Y, args=(0, -1)), **MOVES),
    row("t",         np.transpose, s(X), s(normal(3)), s(normal()), **MOVES, bad=Bad((Y,))),
    row("Tensor.T",  np.transpose, s(Y), s(X), call=lambda x: x.T, **MOVES),
    row("Tensor.mT", lambda x: np.swapaxes(x, -1, -2), s(Y), call=lambda x: x.mT, **MOVES),
    row("Tensor.expand", expanded, s(normal(3, 1), args=(3, 4)), s(normal(3, 1), args=(2, -1, 2)),
        s(normal(), args=(2,)), s(normal(1, 3), args=(0, 3)), **MOVES,
        bad=(Bad((normal(3, 2),), (3, 4), mentions=("(3, 2)", "(3, 4)")),
            Bad((normal(3),), (-1, 3), mentions=("(3,)",)))),
    row("Tensor.expand_as", lambda x, y: np.broadcast_to(x, y.shape),
        s(normal(3, 1), integers(0, 2, 3, 4)), **MOVES, bad=Bad((normal(3), normal(4)))),
    row("broadcast_to", np.broadcast_to, s(normal(3, 1), args=((2, 3, 4),)), **MOVES,
        bad=Bad((normal(3, 2),), ((3, 4),), mentions=("(3, 2)", "(3, 4)"))),
    row("Tensor.repeat", lambda x, *n: np.tile(x, n), s(X, args=(2, 1)), s(normal(3), args=(2, 2)),
        s(X, args=(0, 1)), **MOVES, bad=Bad((X,), (2,), mentions=("(3, 4)",))),
    row("tile",      lambda x, *n: np.tile(x, n), s(X, args=(2,)), s(normal(3), args=(2, 2)),
        **MOVES),
    row("repeat_interleave", np.repeat, s(X, args=(2,)), s(X, args=(3, 1)), **MOVES,
        bad=Bad((X,), (2, 2), mentions=("dimension 2",))),
    row("flip",      lambda x, *dims: np.flip(x, dims), s(Y, args=(0,)), s(Y, args=(0, -1)),
        **MOVES, bad=FLAT),
    row("fliplr",    np.fliplr, s(X), **MOVES),
    row("flipud",    np.flipud, s(X), **MOVES),
    row("roll",      np.roll, s(X, args=(1, 0)), s(X, args=(-3, 1)), s(X, args=(5,)),
        s(X, args=((1, 2), (0, 1))), s(normal(0, 2), args=(1, 0)), **MOVES,
        bad=Bad((X,), (1, 2), mentions=("dimension 2",))),
    row("narrow",    lambda x, dim, a, n: np.take(x, range(a % x.shape[dim], a % x.shape[dim] + n),
            dim), s(X, args=(1, 1, 2)), s(X, args=(0, -2, 2)), s(X, args=(0, 1, 0)), **MOVES,
        bad=(Bad((X,), (0, 2, 2), mentions=("(3, 4)", "2 elements from 2")),
            Bad((X,), (0, 0, -1), mentions=("(3, 4)",)))),
    row("select",    lambda x, dim, i: np.take(x, i, dim), s(X, args=(1, -1)), s(Y, args=(0, 1)),
        **MOVES, bad=Bad((X,), (0, 5), **OUTSIDE)),
    row("Tensor.window", window, s(normal(5, 4), args=((0, 1), (3, 2), (2, 1))),
        s(X, args=((0, 0), (0, 4), (1, 1))), **MOVES,
        bad=Bad((X,), ((0, 0), (3, 3), (1, 2)), mentions=("(3, 4)",))),
    row("Tensor.padded", padded, s(X, args=((1, 0), (0, 2))),
        s(X, args=((1, 0), (0, 2), (1, 2), 5.0)), s(normal(0, 2), args=((1, 0), (1, 0))),
        kinds="im", exact=True, bad=Bad((X,), ((-1, 0), (0, 0)), mentions=("(3, 4)", "(-1, 0)"))),
    row("Tensor.shifted", lambda x, by, fill: np.concatenate([np.full((*x.shape[:-1], min(by,
            x.shape[-1])), fill), x[..., :max(x.shape[-1] - by, 0)]], -1), s(X, args=(1, 2.0)),
        s(X, args=(9, 2.0)), exact=True),
    row("split",     split, s(X, args=(2, 1)), s(X, args=(3,)), s(X, args=([1, 0, 2],)), **MOVES,
        bad=(Bad((X,), ([1, 1],), mentions=("add up to 2", "is 3")),
            Bad((X,), (0,), mentions=("got 0",)))),
    row("chunk",     lambda x, n, dim=0: split(x, -(-x.shape[dim] // n), dim), s(X, args=(2,)),
        s(X, args=(3, 1)), **MOVES, bad=Bad((X,), (0,), mentions=("got 0",))),
    row("tensor_split", np.array_split, s(X, args=(2, 1)), s(X, args=(5,)), s(X, args=((1, 3), 1)),
        s(X, args=((2, 1),)), **MOVES, bad=Bad((X,), (0,), mentions=("0 pieces",))),
    row("unbind",    lambda x, dim=0: [np.take(x, i, dim) for i in range(x.shape[dim])], s(X),
        s(X, args=(-1,)), **MOVES, bad=FLAT),
    row("diagonal",  diagonal, s(X), s(X, args=(1,)), s(X, args=(-2,)), s(Y, args=(0, 1, 2)),
        **MOVES, bad=Bad((Y,), (0, 1, 1), mentions=("1 and 1",))),
    row("diag",      np.diag, s(X), s(normal(3)), s(normal(3), args=(-1,)), kinds="im", exact=True,
        bad=Bad((Y,))),
    row("diag_embed", diag_embed, s(normal(3)), s(X, args=(1,)), kinds="i", exact=True),
    row("triu",      np.triu, s(X), s(Y, args=(1,)), kinds="ibs", exact=True,
        bad=Bad((normal(3),))),
    row("tril",      np.tril, s(X), s(Y, args=(-1,)), kinds="ibs", exact=True,
        bad=Bad((normal(3),))),
]

JOINING = [
    row("cat",     lambda *t, dim=0: np.concatenate(t, dim), s(X, X),
        s(X, normal(3, 1), normal(3, 0), dim=1), s(normal(2), normal(0), dim=-1),
        call=joining("cat"), kinds="ibs", exact=True,
        bad=(Bad((normal(2, 3), normal(2, 4))), Bad((normal(2, 3), normal(3))),
            Bad((normal(), normal()), mentions=("rank 0", "stack")), Bad((), mentions=("none",)))),
    row("concat",  lambda *t, dim=0: np.concatenate(t, dim), s(X, X, dim=1), call=joining("concat"),
        **MOVES),
    row("concatenate", lambda *t, dim=0: np.concatenate(t, dim), s(X, X, dim=1),
        call=joining("concatenate"), **MOVES),
    row("stack",   lambda *t, dim=0: np.stack(t, dim), s(X, X), s(normal(), normal(seed=1)),
        s(normal(2), normal(2, seed=1), dim=-1), call=joining("stack"), **MOVES,
        bad=Bad((normal(2, 3), normal(3)))),
    row("hstack",  joined(np.hstack), s(X, normal(3, 2)), s(normal(2), normal(3)),
        s(normal(), normal()), call=joining("hstack"), **MOVES,
        bad=Bad((normal(2, 3), normal(3, 3)))),
    row("vstack",  joined(np.vstack), s(X, normal(2, 4)), s(normal(3), normal(3, seed=1)),
        call=joining("vstack"), **MOVES, bad=Bad((normal(2, 3), normal(2, 4)))),
    row("column_stack", joined(np.column_stack), s(X, normal(3)), call=joining("column_stack"),
        **MOVES, bad=Bad((normal(2, 3), normal(4, 1)))),
    row("broadcast_tensors", lambda *t: list(np.broadcast_arrays(*t)), s(normal(3, 1), normal(4)),
        s(normal(), normal(2)), result="first", **MOVES, bad=Bad((normal(2, 3), normal(4)))),
    row("meshgrid", lambda *t, indexing="ij": list(np.meshgrid(*t, indexing=indexing)),
        s(normal(2), normal(3)), s(normal(2), normal(3), normal(1), indexing="xy"), result="first",
        **MOVES, bad=Bad((normal(2, 3), normal(4)), mentions=("(2, 3)",))),
]

INDEXING = [
    row("index_select", lambda x, i, dim: np.take(x, i, dim), s(X, COLUMN, args=(0,)),
        s(X, COLUMN, args=(1,)), s(X, integers(0, 1, 0), args=(1,)), call=lambda x, i,
        dim: x.index_select(dim, i), **MOVES,
        bad=(Bad((X, np.array([5])), (0,), **OUTSIDE),
            Bad((X, np.array([-1])), (0,), error=OutOfRangeError, mentions=("index -1", "0 to 2")),
            Bad((X, normal(2)), (0,), **WORDS),
            Bad((X, INDEX), (0,), mentions=("(2, 4)", "vector")))),
    row("index_add", lambda x, i, y, dim, alpha=1: index_add(x, dim, i, y, alpha),
        s(X, COLUMN, normal(3, 4, seed=1), args=(0,)),
        s(X, COLUMN, normal(3, 3), args=(1,), alpha=0.5), call=lambda x, i, y, dim,
        **k: x.index_add(dim, i, y, **k), bad=Bad((X, COLUMN, normal(2, 4)), (0,),
            mentions=("(3, 4)", "(2, 4)"))),
    row("index_copy", lambda x, i, y, dim: index_put(x, dim, i, y),
        s(X, np.array([2, 0]), normal(2, 4, seed=1), args=(0,)),
        s(X, np.array([1]), normal(3, 1), args=(1,)), call=lambda x, i, y,
        dim: x.index_copy(dim, i, y), result="first", kinds="s", exact=True,
        bad=Bad((X, np.array([2, 0]), normal(3, 4)), (0,), mentions=("(3, 4)", "(2, 4)"))),
    row("index_fill", lambda x, i, dim, v: index_put(x, dim, i, v), s(X, COLUMN, args=(0, 1.0)),
        s(X, COLUMN, args=(1, 0.0)), call=lambda x, i, dim, v: x.index_fill(dim, i, v), kinds="is",
        exact=True),
    row("gather",  lambda x, i, dim: x[along(x, dim, i)], s(X, INDEX, args=(0,)),
        s(X, INDEX[:, :2], args=(1,)), s(X, integers(0, 1, 0, 4), args=(0,)), call=lambda x, i,
        dim: x.gather(dim, i), **MOVES,
        bad=(Bad((X, INDEX + 3), (0,), error=OutOfRangeError, mentions=("index 3", "(3, 4)")),
            Bad((X, COLUMN), (0,)), Bad((X, INDEX[:, :1].astype(np.float64)), (0,), **WORDS))),
    row("scatter", lambda x, i, y, dim: scatter(x, dim, i, y),
        s(X, INDEX[:, :2] + [[0, 1]], normal(2, 4, seed=1), args=(1,)), call=lambda x, i, y,
        dim: x.scatter(dim, i, y), result="first", kinds="s", exact=True,
        bad=Bad((X, INDEX, normal(4)), (0,), mentions=("(4,)", "(2, 4)"))),
    row("scatter", lambda x, i, dim, v: scatter(x, dim, i, v), s(X, INDEX, args=(0, 2.0)),
        s(X, integers(0, 1, 0, 4), args=(0, 2.0)), call=lambda x, i, dim, v: x.scatter(dim, i, v),
        kinds="is", exact=True, bad=Bad((X, INDEX + 3), (0, 1.0), error=OutOfRangeError,
            mentions=("index 3", "(3, 4)"))),
    row("scatter_add", lambda x, i, y, dim: scatter_add(x, dim, i, y),
        s(X, INDEX, normal(2, 4, seed=1), args=(0,)),
        s(X, INDEX[:, :2], normal(2, 4, seed=1), args=(1,)), call=lambda x, i, y,
        dim: x.scatter_add(dim, i, y), bad=(Bad((X, COLUMN, normal(3)), (0,),
        mentions=("(3,)", "(3, 4)")), Bad((X, INDEX, normal(1, 4)), (0,), mentions=("(1, 4)",)))),
    row("take_along_dim", np.take_along_axis, s(X, INDEX, args=(0,)),
        s(X, integers(0, 4, 3, 2), args=(1,)), s(X, integers(0, 12, 5), args=(None,)), **MOVES,
        bad=Bad((X, COLUMN), (0,))),
    row("take",    lambda x, i: np.take(x, i), s(X, integers(-12, 12, 2, 2)), **MOVES,
        bad=Bad((X, np.array([12])), error=OutOfRangeError, mentions=("index 12", "(12,)"))),
    row("masked_select", lambda x, m: np.broadcast_to(x,
            np.broadcast_shapes(x.shape, m.shape))[np.broadcast_to(m,
            np.broadcast_shapes(x.shape, m.shape))], s(X, mask(3, 4)), s(X, mask(4)),
        s(normal(3), mask(2, 3)), concrete=True, **MOVES, bad=Bad((X, mask(3)))),
    row("nonzero", np.argwhere, s(np.array([[0.0, 1.0], [2.0, 0.0]])), s(normal()), s(np.zeros(())),
        s(normal(0, 2)), result=tw.int64, kinds="ib", derivatives=0, concrete=True),
    row("argwhere", np.argwhere, s(np.array([[0.0, 1.0], [2.0, 0.0]])), result=tw.int64, kinds="ib",
        derivatives=0, concrete=True),
    row("Tensor.with_item", lambda x, v, key: put(x, key, v), s(X, normal(4), args=(1,)),
        s(X, normal(), args=((slice(None), slice(None, None, -2)),)),
        s(X, normal(2, 4), args=([2, 0],)), s(X, normal(), args=(tw.tensor(X > 0),)),
        s(normal(), normal(seed=1), args=(...,), smooth=False),
        s(X, normal(2), args=(([0, 0], [1, 1]),)), call=lambda x, v, key: x.with_item(key, v),
        result="first", kinds="s", exact=True,
        bad=(Bad((X, normal(3)), (1,), mentions=("(3,)", "(4,)")),
            Bad((X, normal()), (5,), error=OutOfRangeError, mentions=("index 5", "(3, 4)")))),
    row("Tensor.gather_places", gathered, s(X, COLUMN, axes=(0,), wrap=False),
        s(X, COLUMN, INDEX[0][:3], axes=(0, 1), wrap=False), call=lambda x, *i, axes,
        wrap: x.gather_places(i, axes, wrap), **MOVES),
    row("Tensor.scatter_places", scattered, s(normal(3, 4), COLUMN, shape=(3, 4), axes=(0,),
        wrap=False), call=lambda x, *i, shape, axes, wrap: x.scatter_places(i, shape, axes, wrap)),
]


def put(x: Array, key: Any, value: Array) -> Array:
    out = x.copy()
    out[key.numpy() if isinstance(key, tw.Tensor) else key] = value
    return out


PRIMITIVES = [
    primitive("reshape",     lambda x, shape: x.reshape(shape), s(X, shape=(4, 3)),
        s(normal(), shape=(1,)), s(normal(0, 3), shape=(3, 0)), **MOVES,
        bad=Bad((X,), kwargs={"shape": (5, 2)}, mentions=("(3, 4)", "(5, 2)"))),
    primitive("transpose",   lambda x, axes: x.transpose(axes), s(Y, axes=(2, 0, 1)), **MOVES,
        bad=Bad((X,), kwargs={"axes": (0, 0)})),
    primitive("broadcast",   lambda x, shape: np.broadcast_to(x, shape),
        s(normal(3, 1), shape=(2, 3, 4)), s(normal(1, 3), shape=(0, 3)), **MOVES,
        bad=Bad((X,), kwargs={"shape": (3, 5)}, mentions=("(3, 4)", "(3, 5)"))),
    primitive("slice",       window, s(normal(7, 4), starts=(1, 0), sizes=(3, 4), steps=(2, 1)),
        s(normal(7), starts=(0,), sizes=(0,), steps=(1,)), **MOVES,
        bad=Bad((X,), kwargs={"starts": (1, 0), "sizes": (3, 4), "steps": (1, 1)})),
    primitive("pad",         padded, s(X, low=(1, 0), high=(0, 2), inner=(0, 0), value=2.0),
        s(X, low=(1, 0), high=(0, 2), inner=(1, 2), value=0),
        s(normal(0, 2), low=(1, 1), high=(0, 0), inner=(3, 1), value=0), kinds="im", exact=True,
        bad=Bad((X,), kwargs={"low": (-1, 0), "high": (0, 0), "inner": (0, 0), "value": 0})),
    primitive("flip",        lambda x, axes: np.flip(x, axes), s(Y, axes=(0, 2)), **MOVES),
    primitive("concatenate", lambda *t, axis: np.concatenate(t, axis),
        s(X, normal(3, 1), normal(3, 0), axis=1), s(X, axis=0), **MOVES,
        bad=Bad((normal(2, 3), normal(2, 4)), kwargs={"axis": 0})),
    primitive("hold",        lambda x, after: x, s(X, integers(0, 2, 2)),
        s(normal(), integers(0, 2, 0)), **MOVES),
    primitive("gather",      gathered, s(X, COLUMN, axes=(0,), wrap=False),
        s(X, COLUMN - 1, axes=(1,), wrap=True),
        s(Y, INDEX[:, :1] % 2, INDEX[0][:2] % 2, axes=(0, 2), wrap=True), **MOVES,
        bad=(Bad((X, np.array([3])), kwargs={"axes": (0,), "wrap": True},
            error=OutOfRangeError, mentions=("index 3", "-3 to -1")),
            Bad((X, mask(3)), kwargs={"axes": (0,), "wrap": False}, error=DTypeError,
            mentions=("index", "bool")))),
    primitive("scatter_add", scattered, s(normal(3, 4), COLUMN, shape=(3, 4), axes=(0,),
            wrap=False), s(normal(3, 3), COLUMN - 1, shape=(3, 4), axes=(1,), wrap=True),
        s(normal(4), INDEX[0], INDEX[1], shape=(3, 3), axes=(0, 1), wrap=False), kinds="i",
        bad=(Bad((normal(2, 4), COLUMN),
            kwargs={"shape": (3, 4), "axes": (0,), "wrap": False},
            mentions=("(2, 4)", "(3, 4)")),
            Bad((normal(1, 4), np.array([-1])),
            kwargs={"shape": (3, 4), "axes": (0,), "wrap": False}, error=OutOfRangeError,
            mentions=("index -1",)))),
    primitive("windows",     windows, s(normal(5), sizes=(2,), strides=(1,), dilations=(1,)),
        s(normal(2, 7, 6), sizes=(3, 2), strides=(2, 1), dilations=(1, 3)),
        s(normal(0, 4), sizes=(2,), strides=(2,), dilations=(1,)), **MOVES,
        bad=(Bad((X,), kwargs={"sizes": (5,), "strides": (1,), "dilations": (1,)}),
            Bad((X,), kwargs={"sizes": (2,), "strides": (0,), "dilations": (1,)},
            mentions=("(0,)", "1 or more")))),
    primitive("overlap_add", overlap_add, s(normal(4, 2), shape=(5,), strides=(1,), dilations=(1,)),
        s(normal(2, 3, 3, 3, 2), shape=(7, 6), strides=(2, 1), dilations=(1, 3)),
        s(normal(0, 2, 2), shape=(4,), strides=(2,), dilations=(1,)), kinds="i",
        bad=Bad((X,), kwargs={"shape": (5,), "strides": (1,), "dilations": (1,)})),
    row("Tensor.windows", windows, s(normal(2, 5), args=((2,), (1,), (2,))), **MOVES,
        bad=Bad((X,), ((5,), (1,), (1,)))),
    row("Tensor.overlap_add", overlap_add, s(normal(3, 2), args=((4,), (1,), (1,))), kinds="i",
        bad=Bad((X,), ((5,), (1,), (1,)))),
    row("Tensor.unfold", unfold, s(normal(7), args=(0, 3, 2)), s(X, args=(0, 2, 1)), **MOVES,
        bad=Bad((X,), (0, 4, 1))),
    primitive("cast",        lambda x, dtype: x.astype(dtype), s(X, dtype=np.dtype(np.float64)),
        s(normal(), dtype=np.dtype(np.float64)), result=tw.float64, kinds="ibm"),
    primitive("cast",        lambda x, dtype: x.astype(dtype), s(X, dtype=np.dtype(np.int64)),
        s(np.array([1.9, -1.9, 0.5]), dtype=np.dtype(np.int64)), result=tw.int64, kinds="ibm",
        derivatives=0),
]
# fmt: on

ROWS = [*SHAPES, *JOINING, *INDEXING, *PRIMITIVES]
