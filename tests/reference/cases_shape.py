"""Movement: other shapes and orders, joined, split and repeated; and what a tensor tells."""

from __future__ import annotations

from typing import Any

from tests.reference.both import Case
from tests.reference.spelling import Samples, call, named

__all__ = ["CASES", "MOVEMENT"]

_samples = Samples(9)
normal, integers, truths = _samples.normal, _samples.integers, _samples.truths

_X, _Y, _V, _M = normal(2, 3, 4), normal(2, 3, 4), normal(6), normal(3, 4)

# fmt: off
MOVEMENT = {
    "reshape":   [call(_X, (4, 6)), call(_X, (2, -1)), call(_X, (-1,)),
                  call(normal(), (1, 1)), call(normal(0, 3), (3, 0))],
    "view":      [call(_X, 4, 6), call(_X, -1), call(_X, (2, 12))],
    "view_as":   [call(_X, normal(6, 4))],
    "reshape_as": [call(_X, normal(6, 4))],
    "flatten":   [call(_X), call(_X, 1), call(_X, 0, 1), call(_X, start_dim=-2, end_dim=-1),
                  call(normal()), call(normal(0, 3))],
    "ravel":     [call(_X)],
    "unflatten": [call(_X, 2, (2, 2)), call(_V, 0, (2, -1))],
    "squeeze":   [call(normal(1, 3, 1)), call(normal(1, 3, 1), 0), call(normal(1, 3, 1), -2),
                  call(normal(1, 3, 1), (0, 2))],
    "unsqueeze": [call(_M, 0), call(_M, -1), call(_M, 1), call(normal(), 0)],
    "permute":   [call(_X, (2, 0, 1)), call(_X, (-1, 0, 1)), call(_X, (0, 1, 2))],
    "transpose": [call(_X, 0, 1), call(_X, -1, 0), call(_X, 1, 1)],
    "swapaxes":  [call(_X, 0, 2)],
    "atleast_1d": [call(normal()), call(_M)],
    "movedim":   [call(_X, 0, 2), call(_X, -1, 0), call(_X, 1, 1)],
    "t":         [call(_M), call(_V), call(normal())],
    "expand":    [call(normal(3, 1), 3, 4), call(normal(3, 1), (2, 3, 4)),
                  call(normal(3, 1), -1, 4), call(normal(), 2, 2)],
    "expand_as": [call(normal(3, 1), _X[0])],
    "broadcast_to": [call(normal(3, 1), (2, 3, 4))],
    "broadcast_tensors": [call(normal(3, 1), normal(4)),
                          call(normal(), normal(2, 1), normal(1, 3))],
    "repeat":    [call(_M, 2, 3), call(_M, (2, 1, 1)), call(_V, 2), call(_V, 0)],
    "tile":      [call(_M, (2, 3)), call(_M, (2,)), call(_V, (2, 2))],
    "repeat_interleave": [call(_M, 2), call(_M, 3, dim=0), call(_M, 2, -1)],
    "flip":      [call(_X, (0,)), call(_X, (0, 2)), call(_X, (-1,))],
    "roll":      [call(_M, 1), call(_M, 2, 1), call(_M, -1, 0), call(_M, shifts=7, dims=0)],
    "narrow":    [call(_M, 0, 1, 2), call(_M, -1, 0, 3), call(_M, 1, 4, 0)],
    "split":     [call(_V, 4), call(_X, 2, dim=-1), call(_X, [1, 3], 2), call(_V, 6)],
    "chunk":     [call(_V, 4), call(_X, 2, dim=-1), call(_V, 1), call(normal(3), 5)],
    "unbind":    [call(_X), call(_X, 1), call(_X, -1)],
    "diagonal":  [call(_M), call(_M, 1), call(_M, -2), call(_X, 0, 1, 2),
                  call(_X, offset=1, dim1=2, dim2=0), call(_M, 4)],
    "diag":      [call(_V), call(_V, 1), call(_V, -2), call(_M), call(_M, 1)],
    "triu":      [call(_M), call(_M, 1), call(_M, -1), call(_X, 2), call(integers(3, 3))],
    "tril":      [call(_M), call(_M, 1), call(_M, -1), call(_X, 2), call(integers(3, 3))],
    "cat":       [call([_X, _Y]), call([_X, _Y], 1), call([_X, normal(2, 3, 1)], dim=-1),
                  call([_V, integers(3)]), call((_M,)),
                  call([normal(0, 4), _M])],
    "stack":     [call([_M, normal(3, 4)]), call([_M, normal(3, 4)], 1),
                  call([_M, normal(3, 4)], dim=-1), call([normal(), normal()])],
    "meshgrid":  [call(_V, normal(3), indexing="ij"), call(_V, normal(3), indexing="xy"),
                  call(_V, normal(3), normal(2), indexing="ij")],
    "concat":    [call([_M, _M], 1)], "concatenate": [call([_M, _M], 1)],
    "hstack":    [call([_V, _V]), call([_M, _M]), call([normal(), normal()])],
    "vstack":    [call([_V, _V]), call([_M, _M]), call([normal(), normal()])],
    "column_stack": [call([_V, _V]), call([_M, _M]), call([normal(3), _M])],
    "tensor_split": [call(_V, 4), call(_X, 3, dim=-1), call(_V, (1, 4))],
    "moveaxis":  [call(_X, 0, 2)],
    "swapdims":  [call(_X, 0, 2)],
    "flipud":    [call(_M)],
    "fliplr":    [call(_M)],
    "unfold":    [call(_V, 0, 3, 2), call(_X, -1, 2, 1), call(_X, 1, 3, 4), call(_V, 0, 6, 1)],
    "diag_embed": [call(_V), call(_M, 1), call(_M, offset=-1)],
    "clone":     [call(_X)],
    "detach":    [call(_X)],
    "contiguous": [call(_X)],
}
# fmt: on


def _described(tw: Any, x: Any) -> Any:
    assert (x.shape == (2, 3, 4)) is True
    return [
        tuple(x.shape),
        tuple(x.size()),
        x.size(-1),
        x.shape.numel(),
        x.dim(),
        x.ndim,
        x.numel(),
        x.nelement(),
        x.is_contiguous(),
        x.nbytes,
        x.element_size(),
        len(x),
        x.is_floating_point(),
        x.is_leaf,
        str(x.device),
        tw.is_tensor(x),
        tw.numel(x),
        x.detach().tolist(),
        x[0, 0, 0].item(),
        float(x.detach()[0, 0, 0]),
        int(x.detach()[0, 0, 0] * 10),
        bool(x.detach()[0, 0, 0]),
    ]


CASES = [
    *named(MOVEMENT),
    Case("permute-spread", lambda tw, x: (x.permute(2, 0, 1), x.flip(0, 1)), (_X,)),
    Case(
        "reshape-spread", lambda tw, x: (x.reshape(4, -1), x.repeat(1, 1, 2), x.tile(2, 2)), (_X,)
    ),
    Case("T", lambda tw, x: x.T, (_M,)),
    Case("mT", lambda tw, x: x.mT, (_X,)),
    Case("broadcast_shapes", lambda tw: tuple(tw.broadcast_shapes((3, 1), (4,), (2, 1, 1))), ()),
    Case("iteration", lambda tw, x: list(x), (_X,)),
    Case("described", _described, (_X,)),
    Case("masks move", lambda tw, x: (x.reshape(4, 3), x.T, x.flip(0), x[1:]), (truths(3, 4),)),
]
