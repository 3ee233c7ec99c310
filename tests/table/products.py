"""Rows of products and of what makes tensors from nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import thalweg as tw
from tests.table.elementwise import primitive
from tests.table.row import Array, Bad, normal, row, s
from thalweg.dtypes import uint32
from thalweg.errors import DTypeError

__all__ = ["ROWS"]


def einsum(*operands: Array, equation: str) -> Array:
    return np.einsum(equation, *operands)


def letters(spec: str) -> Any:
    return lambda a, b: np.einsum(spec, a, b)


def outer(a: Array, b: Array) -> Array:
    return np.multiply.outer(a, b)


def made(name: str) -> Any:
    return getattr(tw, name)


def philox(key: Array, counter: Array, shape: tuple[int, ...]) -> Array:
    """Philox4x32-10 as the paper defines it, in Python integers, one block at a time."""
    words: list[int] = []
    for block in range(int(counter), int(counter) + math.prod(shape) // 4 + 1):
        c = [block & LOW, block >> 32, 0, 0]
        k = [int(key) & LOW, int(key) >> 32]
        for _ in range(10):
            first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
            c = [second >> 32 ^ c[1] ^ k[0], second & LOW, first >> 32 ^ c[3] ^ k[1], first & LOW]
            k = [(k[0] + 0x9E3779B9) & LOW, (k[1] + 0xBB67AE85) & LOW]
        words += c
    return np.array(words[: math.prod(shape)], np.uint32).reshape(shape)


LOW = 0xFFFFFFFF
PRODUCT = {"kinds": "i"}
A, B, V = normal(3, 4), normal(4, 2, seed=1), normal(4, seed=2)
FAR = Bad((normal(2, 3), normal(4, 5)))

# fmt: off
PRODUCTS = [
    row("matmul", np.matmul, s(A, B), s(A, V), s(V, B), s(V, V), s(normal(2, 3, 4), B),
        s(normal(2, 3, 4), normal(2, 4, 2)), s(normal(2, 1, 3, 4), normal(5, 4, 2)),
        s(V, normal(2, 4, 3)), s(normal(2, 3, 4), V), s(normal(0, 3), normal(3, 2)),
        s(normal(2, 0), normal(0, 3)), s(normal(2, 3, 0), normal(0, 4)), **PRODUCT,
        bad=(FAR, Bad((normal(2, 3, 4), normal(2, 3, 4))), Bad((normal(2, 3, 4), normal(3, 4, 5))),
            Bad((normal(), normal(3)), mentions=("()", "(3,)")))),
    row("mm",     np.matmul, s(A, B), s(normal(2, 0), normal(0, 3)), **PRODUCT,
        bad=(FAR, Bad((normal(3), normal(3))))),
    row("bmm",    np.matmul, s(normal(2, 3, 4), normal(2, 4, 2)),
        s(normal(0, 3, 4), normal(0, 4, 2)), **PRODUCT,
        bad=(FAR, Bad((normal(2, 3, 4), normal(4, 2, 5))))),
    row("mv",     np.matmul, s(A, V), **PRODUCT, bad=Bad((normal(2, 3), normal(4)))),
    row("dot",    np.dot,    s(V, V), s(normal(0), normal(0)), **PRODUCT,
        bad=(Bad((normal(3), normal(4))), Bad((normal(3, 3), normal(3, 3))))),
    row("inner",  np.inner,  s(A, normal(2, 4)), s(V, V), s(normal(), V), **PRODUCT,
        bad=Bad((normal(2, 3), normal(4)))),
    row("outer",  np.outer,  s(V, normal(3)), s(normal(0), normal(3)), **PRODUCT,
        bad=Bad((normal(2, 3), normal(4)))),
    row("addmm",  lambda c, a, b, beta=1, alpha=1: beta * c + alpha * (a @ b),
        s(normal(3, 2), A, B), s(normal(2), A, B, beta=0.5, alpha=2),
        bad=Bad((normal(3, 2), A, A), mentions=("(3, 4)",))),
    row("tensordot", lambda a, b, dims=2: np.tensordot(a, b, dims),
        s(normal(2, 3, 4), normal(3, 4, 2)), s(A, B, args=(1,)), s(A, B, args=(0,)),
        s(normal(2, 3, 4), normal(4, 2, 5), args=(((0, 2), (1, 0)),)), **PRODUCT,
        bad=Bad((normal(2, 3), normal(4, 5)), (1,))),
    row("einsum", einsum, s(A, B, equation="ij,jk->ik"), s(A, equation="ij->"),
        s(A, equation="ij->ji"), s(normal(3, 3), equation="ii"), s(normal(3, 3), equation="ii->i"),
        s(A, A, equation="ij,ij"), s(A, B, normal(2, 3), equation="ij,jk,ki->i"),
        s(V, normal(3), equation="i,j->ji"), s(normal(2, 3, 4), normal(4, 5),
            equation="...j,jk->...k"), s(normal(2, 1, 3), normal(4, 3), equation="...i,...i"),
        s(normal(0, 3), normal(3), equation="ij,j->i"),
        call=lambda *t, equation: tw.einsum(equation, *t), kinds="m",
        bad=(Bad((normal(2, 3), normal(4, 5)), kwargs={"equation": "ij,jk->ik"}),
            Bad((normal(2, 6), normal(3, 4)), kwargs={"equation": "ij,ij->"}),
            Bad((normal(2, 3),), kwargs={"equation": "ij,jk->ik"},
            mentions=("2 operands", "1 were given")),
            Bad((normal(2, 3),), kwargs={"equation": "i->i"}, mentions=("(2, 3)",)),
            Bad((normal(2, 3),), kwargs={"equation": "ij->k"}, mentions=("ij->k",)),
            Bad((normal(3),), kwargs={"equation": "...ij->..."}, mentions=("(3,)",)))),
    row("Tensor.contract", letters("mk,nk->mn"), s(A, normal(2, 4)), call=lambda a,
        b: a.contract(b, "mk,nk->mn"), **PRODUCT, bad=FAR),
    *(primitive("contraction", lambda a, b, spec: np.einsum(spec, a, b), *samples, **PRODUCT)
        for samples in (
            [s(A, normal(2, 4), spec="mk,nk->mn"), s(A, normal(2, 4), spec="mk,nk->nm"),
            s(A, B, spec="nk,km->nm"), s(A, normal(3, 2), spec="km,kn->mn")],
            [s(normal(2, 3, 4), normal(2, 4, 2), spec="bnk,bkm->bnm"),
            s(normal(2, 3, 4), normal(4, 3, 2), spec="anb,bna->"), s(V, normal(3), spec="a,b->ba"),
            s(normal(0, 4), B, spec="nk,km->nm")])),
]

SOURCES = [
    row("zeros",  lambda *n: np.zeros(n), s(args=(2, 3)), s(args=()), s(args=(0, 2)), exact=True,
        bad=(Bad((), (-1,), mentions=("-1",)), Bad((), (2.5,), mentions=("2.5",)))),
    row("ones",   lambda *n: np.ones(n), s(args=(2, 3)), s(args=()), exact=True,
        bad=Bad((), (-1,), mentions=("-1",))),
    row("empty",  lambda *n: np.zeros(n), s(args=(2, 3)), exact=True,
        bad=Bad((), (-1,), mentions=("-1",))),
    row("full",   np.full, s(args=((2, 3), 1.5)), s(args=(2, -1.0)), s(args=((), 0.5)), exact=True,
        bad=(Bad((), ((-1,), 1), mentions=("-1",)),
        Bad((), ((2,), 300), {"dtype": tw.uint8}, error=DTypeError, mentions=("300", "uint8")))),
    row("eye",    np.eye, s(args=(3,)), s(args=(2, 3)), s(args=(0,)), exact=True,
        bad=Bad((), (-1,), mentions=("-1",))),
    row("arange", np.arange, s(args=(2.5,)), s(args=(1, 2, 0.25)), s(args=(3.0, 0, -1)), exact=True,
        bad=(Bad((), (3, 0), mentions=("from 3", "to 0")),
            Bad((), (0, 3, 0), mentions=("steps of 0",)))),
    row("arange", np.arange, s(args=(5,)), s(args=(2, 9, 3)), s(args=(0,)), result=tw.int64,
        exact=True),
    row("linspace", np.linspace, s(args=(0, 1, 5)), s(args=(2, -1, 4)), s(args=(3, 4, 1)),
        s(args=(3, 4, 0)), bad=Bad((), (0, 1, -1), mentions=("-1",))),
    row("tril_indices", lambda n, m, k=0: np.stack(np.tril_indices(n, k, m)), s(args=(3, 2)),
        s(args=(2, 3, -1)), s(args=(0, 2)),
        result=tw.int64, exact=True),
    row("triu_indices", lambda n, m, k=0: np.stack(np.triu_indices(n, k, m)), s(args=(3, 2)),
        s(args=(2, 3, 1)), result=tw.int64, exact=True),
    row("logspace", np.logspace, s(args=(0, 2, 5)), bad=Bad((), (0, 1, -1), mentions=("-1",))),
    *(row(f"{name}_like", oracle, s(normal(2, 3)), s(normal()), s(normal(0, 2)), kinds="ibs",
            derivatives=0, exact=True) for name, oracle in (("zeros", np.zeros_like),
            ("ones", np.ones_like), ("empty", np.zeros_like))),
    row("full_like", np.full_like, s(normal(2, 3), args=(1,)), kinds="ibs", derivatives=0,
        exact=True),
    *(row(f"Tensor.new_{name}", lambda x, *n, function=oracle: function(n).astype(x.dtype),
            s(normal(2), args=(3, 2)), kinds="ibs", derivatives=0, exact=True) for name,
        oracle in (("zeros", np.zeros), ("ones", np.ones), ("empty", np.zeros))),
    row("Tensor.new_full", lambda x, n, v: np.full(n, v).astype(x.dtype),
        s(normal(2), args=((3, 2), 1)), kinds="ibs", derivatives=0, exact=True),
    row("Tensor.new_tensor", lambda x, data: np.array(data).astype(x.dtype),
        s(normal(2), args=([[1, 0]],)), kinds="ibs", derivatives=0, exact=True),
    primitive("random_bits", philox, s(np.array(7), np.array(0), shape=(3, 5)),
        s(np.array(2**40 + 3), np.array(2**33 + 1), shape=(4,)),
        s(np.array(0), np.array(0), shape=()), s(np.array(0), np.array(9), shape=(0, 2)),
        result=uint32, exact=True, derivatives=0),
    primitive("full", lambda shape, value, dtype: np.full(shape, value, dtype),
        s(shape=(2, 3), value=1.5, dtype=np.dtype(np.float32)),
        s(shape=(), value=0, dtype=np.dtype(np.float32)), result=tw.float32, exact=True),
    primitive("iota", lambda shape, axis, dtype: np.broadcast_to(np.arange(shape[axis],
            dtype=dtype).reshape([-1 if k == axis else 1 for k in range(len(shape))]), shape),
        s(shape=(3,), axis=0, dtype=np.dtype(np.int64)),
        s(shape=(2, 3, 4), axis=1, dtype=np.dtype(np.int64)),
        s(shape=(0, 2), axis=0, dtype=np.dtype(np.int64)), result=tw.int64, exact=True),
]
# fmt: on

ROWS = [*PRODUCTS, *SOURCES]
