"""Normalization layers: mean 0 and variance 1, then a learned scale and shift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from thalweg._tensor import Parameter, Tensor
from thalweg.dtypes import int64
from thalweg.errors import ShapeError
from thalweg.nn import functional as F
from thalweg.nn.functional.arguments import checked, least
from thalweg.nn.functional.checks import require_divisor
from thalweg.nn.functional.normalization import trailing_shape
from thalweg.nn.module import Module
from thalweg.ops.creation import empty, ones, zeros
from thalweg.tape import no_grad

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "LayerNorm",
    "LocalResponseNorm",
    "RMSNorm",
]


class _Affine(Module):
    """A scale `weight`, which begins as ones, and a shift `bias`, as zeros; or None."""

    weight: Parameter | None
    bias: Parameter | None

    def _scale_and_shift(
        self, shape: tuple[int, ...], weight: bool, bias: bool, dtype: Any
    ) -> None:
        self.weight = Parameter(empty(*shape, dtype=dtype)) if weight else None
        self.bias = Parameter(empty(*shape, dtype=dtype)) if bias else None

    @no_grad()
    def reset_parameters(self) -> None:
        """Weight to ones, bias to zeros."""
        if self.weight is not None:
            self.weight.fill_(1)
        if self.bias is not None:
            self.bias.zero_()


class _Running(_Affine):
    """What batch and instance normalization have in common: statistics that are kept."""

    layouts: ClassVar[tuple[str, ...]]  # of an input, by rank
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    @checked()
    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        bias: bool,
        dtype: Any,
    ) -> None:
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self._scale_and_shift((num_features,), affine, affine and bias, dtype)
        kept = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, dtype=dtype) if kept else None)
        self.register_buffer("running_var", ones(num_features, dtype=dtype) if kept else None)
        self.register_buffer("num_batches_tracked", zeros((), dtype=int64) if kept else None)
        self.reset_parameters()

    @no_grad()
    def reset_running_stats(self) -> None:
        """Forget what was seen: mean 0, variance 1, no batches."""
        if self.running_mean is not None:
            self.running_mean.zero_()
        if self.running_var is not None:
            self.running_var.fill_(1)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Weight to ones, bias to zeros, statistics as if nothing had been seen."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_input(self, x: Tensor) -> None:
        shape = tuple(x.shape)
        axes = [layout.strip("()").split(", ") for layout in self.layouts]
        places = {len(names): names.index("C") for names in axes}
        channel = places.get(len(shape))
        if channel is not None and shape[channel] == self.num_features:
            return
        expected = " or ".join(self.layouts).replace("C", str(self.num_features))
        text = f"an input of shape {expected} expected, got {shape}"
        if channel is None:
            raise ShapeError(text)
        fits = [axis for axis, n in enumerate(shape) if n == self.num_features and axis > channel]
        if fits:
            raise ShapeError(
                f"{text}. Dimension {fits[-1]} has that size: x.movedim({fits[-1]}, {channel})"
            )
        raise ShapeError(f"{text}. Set num_features to {shape[channel]}")

    def describe(self) -> str:
        """The layer with its channels, such as "BatchNorm2d 64"."""
        return f"{type(self).__name__} {self.num_features}"

    def extra_repr(self) -> str:
        """64, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True"""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Running):
    """Batch normalization of any rank."""

    @checked()
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, dtype)

    @checked()
    def forward(self, input: Tensor) -> Tensor:
        """Normalized by its own statistics in training, by the running ones in eval mode."""
        self._check_input(input)
        own = self.training or self.running_mean is None
        tracked = self.num_batches_tracked if self.training else None
        share: float | Tensor = 0.0 if self.momentum is None else self.momentum
        if self.momentum is None and tracked is not None:
            share = (tracked + 1).to(input.dtype).reciprocal()
        running, affine = (self.running_mean, self.running_var), (self.weight, self.bias)
        out = F.batch_norm(input, *running, *affine, own, share, self.eps)
        if tracked is not None:
            tracked += 1
        return out


class BatchNorm1d(_BatchNorm):
    """Normalize each feature over the batch: (N, C), or (N, C, L) over N and L.

    As `BatchNorm2d`, to be put behind a `Linear` or a `Conv1d`.

    >>> import thalweg as tw
    >>> tw.nn.BatchNorm1d(2)(tw.tensor([[1.0, 0.0], [3.0, 8.0]]))
    tensor([[-1.0000, -1.0000],
            [ 1.0000,  1.0000]], grad_fn=<batch_norm>)
    """

    layouts = ("(N, C)", "(N, C, L)")


class BatchNorm2d(_BatchNorm):
    """Normalize each channel over the batch and all places, then scale and shift it.

        y = (x - mean) / sqrt(var + eps) * weight + bias

    x, y: (N, num_features, H, W). `weight` and `bias`, (num_features,), begin as ones and zeros;
    None unless `affine`, `bias` also with bias=False. In training, mean and variance are those of
    the batch, and `running_mean` and `running_var` move towards them by the share `momentum`; with
    momentum=None they are the averages over all batches so far. In eval mode they are used. With
    track_running_stats=False there are none, and the batch's are used always.

    The running statistics and `num_batches_tracked` are tensors of the state dictionary; a
    compiled step carries them on. Raises `ShapeError` for an input that does not fit.

    >>> import thalweg as tw
    >>> layer = tw.nn.BatchNorm2d(3)
    >>> y = layer(tw.randn(8, 3, 5, 5) + 10)
    >>> y.shape, bool(y.mean().abs() < 1e-5), layer.num_batches_tracked
    (Size([8, 3, 5, 5]), True, tensor(1))

    Source: deck 002 (before the nonlinearity); Ioffe, Szegedy, "Batch normalization", 2015.
    """

    layouts = ("(N, C, H, W)",)


class _InstanceNorm(_Running):
    """Instance normalization of any rank."""

    @checked()
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, dtype)

    @checked()
    def forward(self, input: Tensor) -> Tensor:
        """Normalized by the statistics of each sample, or, if kept, by the running ones."""
        self._check_input(input)
        if input.ndim == self.layouts[0].count(",") + 1:
            return self.forward(input.unsqueeze(0)).squeeze(0)
        own = self.training or self.running_mean is None
        statistics, affine = (self.running_mean, self.running_var), (self.weight, self.bias)
        momentum = 0.0 if self.momentum is None else self.momentum
        return F.instance_norm(input, *statistics, *affine, own, momentum, self.eps)


class InstanceNorm1d(_InstanceNorm):
    """Normalize each channel of each sequence: (N, C, L) or (C, L). See `InstanceNorm2d`.

    >>> import thalweg as tw
    >>> tw.nn.InstanceNorm1d(1)(tw.tensor([[1.0, 3.0]]))
    tensor([[-1.0000,  1.0000]])
    """

    layouts = ("(C, L)", "(N, C, L)")


class InstanceNorm2d(_InstanceNorm):
    """Normalize each channel of each image over its places: (N, C, H, W) or (C, H, W).

    Scale and shift, (num_features,), are there if `affine`. With `track_running_stats`, mean and
    variance, averaged over the batch, are kept as by `BatchNorm2d`, and used in eval mode.

    >>> import thalweg as tw
    >>> y = tw.nn.InstanceNorm2d(3)(tw.randn(2, 3, 8, 8) * 5 + 1)
    >>> bool(y.mean((2, 3)).abs().max() < 1e-5)
    True

    Source: Ulyanov et al., "Instance normalization", 2016.
    """

    layouts = ("(C, H, W)", "(N, C, H, W)")


class LayerNorm(_Affine):
    """Normalize each sample over its last dimensions, then scale and shift each place.

        y = (x - mean) / sqrt(var + eps) * weight + bias

    x, y: (.., *normalized_shape). `weight` and `bias` have that shape and begin as ones and zeros;
    None without `elementwise_affine`, `bias` also with bias=False. Nothing depends on the batch:
    training and eval mode are the same. Raises `ShapeError` for another shape.

    >>> import thalweg as tw
    >>> tw.nn.LayerNorm(2)(tw.tensor([[1.0, 3.0], [0.0, 8.0]]))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]], grad_fn=<add>)

    Source: Ba, Kiros, Hinton, "Layer normalization", 2016.
    """

    @checked(normalized_shape=least(1))
    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = trailing_shape("LayerNorm", normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        bias = elementwise_affine and bias
        self._scale_and_shift(self.normalized_shape, elementwise_affine, bias, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """The input normalized."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def describe(self) -> str:
        """The layer with its sizes, such as "LayerNorm 512"."""
        return f"{type(self).__name__} {' x '.join(map(str, self.normalized_shape))}"

    def extra_repr(self) -> str:
        """(512,), eps=1e-05, elementwise_affine=True, bias=True"""
        affine = f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        return f"{self.normalized_shape}, eps={self.eps}, {affine}"


class RMSNorm(_Affine):
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions: no mean is taken off.

    x, y: (.., *normalized_shape). `weight`, of that shape, begins as ones; None without
    `elementwise_affine`. `eps` is that of the dtype unless given.

    >>> import thalweg as tw
    >>> tw.nn.RMSNorm(2)(tw.tensor([[1.0, 7.0]]))
    tensor([[0.2000, 1.4000]], grad_fn=<multiply>)

    Source: Zhang, Sennrich, "Root mean square layer normalization", 2019.
    """

    @checked(normalized_shape=least(1))
    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = trailing_shape("RMSNorm", normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = None
        if elementwise_affine:
            self.weight = Parameter(ones(*self.normalized_shape, dtype=dtype))

    @no_grad()
    def reset_parameters(self) -> None:
        """Weight to ones."""
        if self.weight is not None:
            self.weight.fill_(1)

    def forward(self, x: Tensor) -> Tensor:
        """x by its root mean square."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def describe(self) -> str:
        """The layer with its sizes, such as "RMSNorm 512"."""
        return f"{type(self).__name__} {' x '.join(map(str, self.normalized_shape))}"

    def extra_repr(self) -> str:
        """(512,), eps=None, elementwise_affine=True"""
        affine = f"elementwise_affine={self.elementwise_affine}"
        return f"{self.normalized_shape}, eps={self.eps}, {affine}"


class GroupNorm(_Affine):
    """Normalize groups of channels of each sample over all their places.

    x, y: (N, num_channels, ..). `weight` and `bias`, (num_channels,), begin as ones and zeros;
    None unless `affine`. Raises `ConfigError` where num_groups does not divide num_channels.

    >>> import thalweg as tw
    >>> tw.nn.GroupNorm(2, 6)(tw.randn(3, 6, 4, 4)).shape
    Size([3, 6, 4, 4])

    Source: Wu, He, "Group normalization", 2018.
    """

    @checked()
    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        require_divisor("GroupNorm", "num_groups", num_groups, num_channels=num_channels)
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        self._scale_and_shift((num_channels,), affine, affine and bias, dtype)
        self.reset_parameters()

    @checked()
    def forward(self, input: Tensor) -> Tensor:
        """The input normalized."""
        shape = tuple(input.shape)
        if len(shape) < 2 or shape[1] != self.num_channels:
            raise ShapeError(
                f"an input of shape (N, {self.num_channels}, ..) expected, got {shape}"
            )
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def describe(self) -> str:
        """The layer with its groups, such as "GroupNorm 32 of 256"."""
        return f"{type(self).__name__} {self.num_groups} of {self.num_channels}"

    def extra_repr(self) -> str:
        """32, 256, eps=1e-05, affine=True, bias=True"""
        affine = f"affine={self.affine}, bias={self.bias is not None}"
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, {affine}"


class LocalResponseNorm(Module):
    """x / (k + alpha mean(x^2))^beta over the `size` channels around each. (N, C, L, ..).

    See `nn.functional.local_response_norm`.

    >>> import thalweg as tw
    >>> tw.nn.LocalResponseNorm(2, alpha=1.0, beta=1.0)(tw.ones(1, 2, 1))
    tensor([[[0.6667],
             [0.5000]]])
    """

    @checked(size=least(1))
    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        """The input normalized."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """5, alpha=0.0001, beta=0.75, k=1.0"""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
