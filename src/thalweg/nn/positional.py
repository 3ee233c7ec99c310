"""Positional encodings: attention alone does not know where in the sequence a vector stands."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from thalweg._tensor import Parameter, Tensor
from thalweg.errors import ConfigError, OutOfRangeError, ShapeError
from thalweg.nn import init
from thalweg.nn.functional.arguments import checked, least
from thalweg.nn.module import Module
from thalweg.ops.creation import empty, tensor
from thalweg.ops.joining import cat
from thalweg.ops.lift import to_dtype

__all__ = ["LearnedEncoding", "RotaryEncoding", "SinusoidalEncoding"]


class SinusoidalEncoding(Module):
    """x + P: waves of geometrically growing length, a sine and a cosine each.

        P[l, 2i] = sin(l / base^(2i / d)),   P[l, 2i + 1] = cos(l / base^(2i / d))

    x (..., L, d_model), L up to `max_len`; with `offset`, its first place is number `offset`.
    Nothing is learned, and nothing is in the state dictionary. d_model may be odd: the last
    cosine is then left out. Raises `ShapeError` for another width, `OutOfRangeError` for a
    sequence that is too long.

    >>> import thalweg as tw
    >>> tw.nn.SinusoidalEncoding(4, max_len=10)(tw.zeros(2, 4))
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8415, 0.5403, 0.0100, 0.9999]])

    Source: Vaswani et al., "Attention is all you need", 2017, section 3.5.
    """

    table: Tensor

    @checked()
    def __init__(
        self,
        d_model: int,
        max_len: int = 5000,
        base: float = 10000.0,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.d_model, self.max_len, self.base = d_model, max_len, base
        angles = _angles(max_len, math.ceil(d_model / 2), d_model, base)
        waves = np.stack([np.sin(angles), np.cos(angles)], -1).reshape(max_len, -1)
        table = tensor(waves[:, :d_model].astype(np.float32))
        self.register_buffer("table", table if dtype is None else table.to(dtype), False)

    @checked()
    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """x plus the waves at its places."""
        _require_room(self, x, self.d_model, offset, self.max_len)
        return x + to_dtype(self.table.narrow(0, offset, x._value.shape[-2]), x.dtype)

    def extra_repr(self) -> str:
        """d_model=128, max_len=5000"""
        return f"d_model={self.d_model}, max_len={self.max_len}"


class LearnedEncoding(Module):
    """x + weight[l]: a learned vector for each place l.

    x (..., L, d_model), L up to `max_len`; with `offset`, its first place is number `offset`.
    `weight` (max_len, d_model) begins as N(0, 0.02^2), as in GPT-2. Raises `ShapeError` for
    another width, `OutOfRangeError` for a sequence that is too long.

    >>> import thalweg as tw
    >>> tw.nn.LearnedEncoding(4, max_len=10)(tw.zeros(32, 7, 4)).shape
    Size([32, 7, 4])

    Source: Radford et al., "Improving language understanding by generative pre-training", 2018.
    """

    @checked()
    def __init__(
        self, d_model: int, max_len: int, *, device: Any = None, dtype: Any = None
    ) -> None:
        self.d_model, self.max_len = d_model, max_len
        self.weight = Parameter(empty(max_len, d_model, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the vectors anew from N(0, 0.02^2)."""
        init.normal_(self.weight, std=0.02)

    @checked()
    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """x plus the vectors of its places."""
        _require_room(self, x, self.d_model, offset, self.max_len)
        return x + self.weight.narrow(0, offset, x._value.shape[-2])

    def extra_repr(self) -> str:
        """d_model=128, max_len=64"""
        return f"d_model={self.d_model}, max_len={self.max_len}"


class RotaryEncoding(Module):
    """Turn pairs of features by angles that grow with the place: for queries and keys.

        (x_a, x_b) -> (x_a cos t - x_b sin t, x_a sin t + x_b cos t),   t = l / base^(2i / dim)

    for pair i at place l, so that the product of a query and a key depends on how far apart they
    are, not on where. x (..., L, dim), dim even; the same shape. `interleaved` pairs are
    features 2i and 2i + 1, as in the paper; else i and i + dim / 2, as in GPT-NeoX and Llama.
    With `offset`, the first place is number `offset`. Nothing is learned. Raises `ConfigError`
    for an odd dim, `ShapeError` and `OutOfRangeError` for an x that does not fit.

    >>> import thalweg as tw
    >>> turn = tw.nn.RotaryEncoding(2, max_len=10)
    >>> turn(tw.tensor([[1.0, 0.0], [1.0, 0.0]]))
    tensor([[1.0000, 0.0000],
            [0.5403, 0.8415]])

    Source: Su et al., "RoFormer: enhanced Transformer with rotary position embedding", 2021.
    """

    cosine: Tensor
    sine: Tensor

    @checked(dim=least(2))
    def __init__(
        self,
        dim: int,
        max_len: int = 4096,
        base: float = 10000.0,
        interleaved: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if dim % 2:
            raise ConfigError(f"RotaryEncoding: features are turned in pairs, but dim is {dim}")
        self.dim, self.max_len, self.base = dim, max_len, base
        self.interleaved = interleaved
        angles = _angles(max_len, dim // 2, dim, base)
        for name, waves in (("cosine", np.cos(angles)), ("sine", np.sin(angles))):
            table = tensor(waves.astype(np.float32))
            self.register_buffer(name, table if dtype is None else table.to(dtype), False)

    @checked()
    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """x, turned."""
        _require_room(self, x, self.dim, offset, self.max_len)
        length = x._value.shape[-2]
        cosine, sine = (
            to_dtype(table.narrow(0, offset, length), x.dtype) for table in (self.cosine, self.sine)
        )
        half = self.dim // 2
        pairs = x.unflatten(-1, (half, 2) if self.interleaved else (2, half))
        axis = -1 if self.interleaved else -2
        a, b = pairs.select(axis, 0), pairs.select(axis, 1)
        turned = a * cosine - b * sine, a * sine + b * cosine
        return cat([part.unsqueeze(axis) for part in turned], axis).flatten(-2)

    def extra_repr(self) -> str:
        """dim=32, max_len=4096, interleaved=True"""
        return f"dim={self.dim}, max_len={self.max_len}, interleaved={self.interleaved}"


def _angles(places: int, count: int, width: int, base: float) -> Any:
    """l / base^(2i / width), (places, count), in float64."""
    return np.arange(places)[:, None] * base ** (-2.0 * np.arange(count) / width)


def _require_room(module: Module, x: Tensor, width: int, offset: int, longest: int) -> None:
    """Raise unless x is (..., L, width), with its places among the `longest` there are."""
    shape = x._value.shape
    name = type(module).__name__
    if len(shape) < 2 or shape[-1] != width:
        raise ShapeError(f"{name}: an input of shape (..., L, {width}) expected, got {shape}")
    if offset < 0 or offset + shape[-2] > longest:
        raise OutOfRangeError(
            f"{name}: an input of shape {shape} has places {offset} to {offset + shape[-2] - 1} "
            f"(dimension -2), but there are {longest}, from 0 on: make max_len larger"
        )
