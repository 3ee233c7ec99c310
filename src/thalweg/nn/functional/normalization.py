"""Normalization: mean 0 and variance 1 over some dimensions, then a scale and a shift.

    y = (x - mean) / sqrt(var + eps) * weight + bias

What mean and variance are taken over is all that tells one kind from another. For x of shape
(N, C, ..): batch normalization takes them over all but C, instance normalization over all but N and
C, group normalization like that over several channels together, layer normalization over the last
dimensions. The variance divides by the number of elements n, not n - 1.

Both moments come from one pass over x, as sums of x - a and of its square, with a the mean of a
first slice of x. For one of k slices this loses at most a factor of 1 + k of the precision that
sums have, where sums of x and x^2 would lose all of it for a mean far from 0. Source: Chan, Golub,
LeVeque, "Algorithms for computing the sample variance", 1983.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from thalweg._tensor import Tensor
from thalweg.dtypes import finfo
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn.functional.arguments import checked, least
from thalweg.ops.lift import floating, promote
from thalweg.tape import composite, no_grad

__all__ = [
    "batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "local_response_norm",
    "rms_norm",
    "trailing_shape",
]

_Axes = tuple[int, ...]
_Shape = tuple[int, ...]


# --- moments, and what is normalized by them -----------------------------------------------------


def _moments(x: Tensor, axes: _Axes) -> tuple[Tensor, Tensor]:
    """Mean and variance over `axes`, which are kept with size 1."""
    if 0 in x._value.shape:
        return x.mean(axes, keepdim=True), x.var(axes, unbiased=False, keepdim=True)
    anchor = x.detach().narrow(axes[0], 0, 1).mean(axes, keepdim=True)
    shifted = x - anchor
    mean = shifted.mean(axes, keepdim=True)
    var = shifted.square().mean(axes, keepdim=True) - mean.square()
    return mean + anchor, var.where(var > 0, 0)


def _standardized_slope(g: Any, out: Any, x: Any, mean: Any, rstd: Any, *, axes: _Axes) -> Any:
    along = (g * out).mean(axes, keepdim=True)
    return (g - g.mean(axes, keepdim=True) - out * along) * rstd


# Mean and reciprocal deviation have no derivatives of their own here: the rule is the whole one
# with respect to x. Second derivatives come through them, since the rule reads them.
@composite("standardize", _standardized_slope, None, None)
def _standardized(x: Tensor, mean: Tensor, rstd: Tensor, *, axes: _Axes) -> Tensor:
    return (x - mean) * rstd


def _normalized_slope(
    g: Any, out: Any, x: Any, mean: Any, rstd: Any, weight: Any, bias: Any, *, axes: _Axes
) -> Any:
    """In terms of the gradients of bias and weight, which are computed anyway."""
    count = math.prod(x._value.shape[axis] for axis in axes)
    to_weight = _normalized_weight(g, out, x, mean, rstd, weight, bias, axes=axes)
    to_bias = _normalized_bias(g, out, x, mean, rstd, weight, bias, axes=axes)
    rest = (x - mean) * (rstd * to_weight / count) + to_bias / count
    return (g - rest) * (rstd * weight)


def _normalized_weight(
    g: Any, out: Any, x: Any, mean: Any, rstd: Any, weight: Any, bias: Any, *, axes: _Axes
) -> Any:
    return (g * (x - mean)).sum(axes, keepdim=True) * rstd


def _normalized_bias(
    g: Any, out: Any, x: Any, mean: Any, rstd: Any, weight: Any, bias: Any, *, axes: _Axes
) -> Any:
    return g.sum(axes, keepdim=True)


@composite("batch_norm", _normalized_slope, None, None, _normalized_weight, _normalized_bias)
def _normalized(
    x: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor, bias: Tensor, *, axes: _Axes
) -> Tensor:
    """Weight and bias have a number for each place of mean and rstd, no more."""
    return (x - mean) * (rstd * weight) + bias


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    scaled = x if weight is None else x * weight
    return scaled if bias is None else scaled + bias


# --- batch and instance normalization ------------------------------------------------------------


@checked()
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each channel over the batch and all places.

    Input (N, C) or (N, C, ..); everything else, where given, (C,). In `training`, mean and
    variance are those of the batch, and the running ones move towards them:

        running = (1 - momentum) running + momentum batch

    with n - 1 instead of n in the variance that is kept. Else the running ones are used. The
    gradient in training is that of the whole, through mean and variance:

        dx = weight / sqrt(var + eps) (g - mean(g) - x^ mean(g x^)),   x^ = (x - mean) / sqrt(..)

    Raises `ShapeError` where sizes do not fit and, in training, for one element a channel, whose
    variance is 0; `ConfigError` without `training` and running statistics.

    >>> import thalweg as tw
    >>> x = tw.tensor([[1.0, 0.0], [3.0, 8.0]])
    >>> tw.nn.functional.batch_norm(x, None, None, training=True, eps=0.0)
    tensor([[-1., -1.],
            [ 1.,  1.]])

    Source: deck 002; Ioffe, Szegedy, "Batch normalization", 2015.
    """
    name, shape = "batch_norm", input._value.shape
    if len(shape) < 2:
        raise ShapeError(f"{name}: an input of shape (N, C) or (N, C, ..) expected, got {shape}")
    _check_running(name, running_mean, running_var, training)
    vectors = {"running_mean": running_mean, "running_var": running_var}
    _check_vectors(name, shape[1], **vectors, weight=weight, bias=bias)
    axes = (0, *range(2, len(shape)))
    count = math.prod(shape[axis] for axis in axes)
    if not training:
        return _by_running(input, (running_mean, running_var), weight, bias, eps)
    if count < 2:
        raise ShapeError(
            f"{name}: input has shape {shape}, {count} element(s) a channel: in training two or "
            "more are needed, of which to take a variance. Use a larger batch (a DataLoader's "
            "drop_last leaves a last small one out), or model.eval()"
        )
    x, scale, shift = _ready(input, weight, bias)
    mean, var = _moments(x, axes)
    _move(running_mean, running_var, mean, var * (count / (count - 1)), momentum)
    rstd = (var + eps).rsqrt()
    if scale is None or shift is None:
        return _affine(_standardized(x, mean, rstd, axes=axes), scale, shift)
    return _normalized(x, mean, rstd, scale, shift, axes=axes)


@checked()
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each channel of each sample over its places.

    Input (N, C, L, ..); everything else, where given, (C,). With `use_input_stats`, mean and
    variance are those of the sample, and running ones, where given, move towards their mean over
    the batch, as for `batch_norm`. Else the running ones are used. Errors as for `batch_norm`.

    >>> import thalweg as tw
    >>> tw.nn.functional.instance_norm(tw.tensor([[[1.0, 3.0], [0.0, 8.0]]]), eps=0.0)
    tensor([[[-1.,  1.],
             [-1.,  1.]]])

    Source: Ulyanov et al., "Instance normalization", 2016.
    """
    name, shape = "instance_norm", input._value.shape
    if len(shape) < 3:
        raise ShapeError(f"{name}: an input of shape (N, C, L, ..) expected, got {shape}")
    _check_running(name, running_mean, running_var, use_input_stats)
    vectors = {"running_mean": running_mean, "running_var": running_var}
    _check_vectors(name, shape[1], **vectors, weight=weight, bias=bias)
    if not use_input_stats:
        return _by_running(input, (running_mean, running_var), weight, bias, eps)
    axes, count = tuple(range(2, len(shape))), math.prod(shape[2:])
    if count < 2:
        raise ShapeError(
            f"{name}: input has shape {shape}, {count} element(s) a channel of a sample: two or "
            "more are needed, of which to take a variance. Normalize larger images, or use "
            "group_norm, which takes channels together"
        )
    x, scale, shift = _ready(input, weight, bias)
    mean, var = _moments(x, axes)
    unbiased = var.mean(0, keepdim=True) * (count / (count - 1))
    _move(running_mean, running_var, mean.mean(0, keepdim=True), unbiased, momentum)
    return _affine(_standardized(x, mean, (var + eps).rsqrt(), axes=axes), scale, shift)


def _by_running(
    input: Tensor,
    running: tuple[Tensor | None, Tensor | None],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> Tensor:
    x, scale, shift, mean, var = _ready(input, weight, bias, *running)
    rstd = (var + eps).rsqrt()
    return _affine((x - mean) * (rstd if scale is None else rstd * scale), None, shift)


@no_grad()
def _move(
    running_mean: Tensor | None,
    running_var: Tensor | None,
    mean: Tensor,
    var: Tensor,
    momentum: float | Tensor,
) -> None:
    """Let the running statistics, where there are any, move towards those of a batch."""
    for running, new in ((running_mean, mean), (running_var, var)):
        if running is not None:
            running.copy_(running.lerp(new.reshape(running._value.shape), momentum))


# --- layer, root mean square and group normalization ---------------------------------------------


def trailing_shape(name: str, normalized_shape: int | Sequence[int]) -> _Shape:
    """The sizes of the dimensions to normalize over, as a tuple; else a `ConfigError`."""
    given = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not given:
        raise ConfigError(f"{name}: normalized_shape=(); expected one size or more")
    return given


def _trailing_axes(
    name: str, input: Tensor, normalized_shape: int | Sequence[int], **affine: Tensor | None
) -> _Axes:
    """The last dimensions, which are those of `normalized_shape`."""
    wanted, shape = trailing_shape(name, normalized_shape), input._value.shape
    if shape[-len(wanted) :] != wanted:
        last = str(wanted).strip("(,)")
        raise ShapeError(
            f"{name}: input has shape {shape}, expected (.., {last}): its last dimensions must be "
            f"normalized_shape {wanted}"
        )
    for what, given in affine.items():
        if given is not None and given._value.shape != wanted:
            raise ShapeError(
                f"{name}: {what} has shape {given._value.shape}, expected normalized_shape {wanted}"
            )
    return tuple(range(len(shape) - len(wanted), len(shape)))


@checked(normalized_shape=least(1))
def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each sample over its last dimensions, of sizes `normalized_shape`.

    Input (.., *normalized_shape), weight and bias, where given, `normalized_shape`. Raises
    `ShapeError` where they differ.

    >>> import thalweg as tw
    >>> tw.nn.functional.layer_norm(tw.tensor([[1.0, 3.0], [0.0, 8.0]]), 2, eps=0.0)
    tensor([[-1.,  1.],
            [-1.,  1.]])

    Source: Ba, Kiros, Hinton, "Layer normalization", 2016.
    """
    axes = _trailing_axes("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    x, scale, shift = _promoted(input, weight, bias)
    mean, var = _moments(x, axes)
    return _affine(_standardized(x, mean, (var + eps).rsqrt(), axes=axes), scale, shift)


def _by_size_slope(g: Any, out: Any, x: Any, inverse: Any, *, axes: _Axes) -> Any:
    return (g - out * (g * out).mean(axes, keepdim=True)) * inverse


@composite("rms_norm", _by_size_slope, None)
def _by_size(x: Tensor, inverse: Tensor, *, axes: _Axes) -> Tensor:
    return x * inverse


@checked(normalized_shape=least(1))
def rms_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions, of sizes `normalized_shape`.

    Input (.., *normalized_shape), weight, where given, `normalized_shape`; eps is the smallest
    step of the dtype above 1 unless given. Raises `ShapeError` where sizes do not fit.

    >>> import thalweg as tw
    >>> tw.nn.functional.rms_norm(tw.tensor([[3.0, 4.0, 0.0, 0.0]]), 4)
    tensor([[1.2000, 1.6000, 0.0000, 0.0000]])

    Source: Zhang, Sennrich, "Root mean square layer normalization", 2019.
    """
    axes = _trailing_axes("rms_norm", input, normalized_shape, weight=weight)
    x, scale = _promoted(input, weight)
    small = finfo(x.dtype).eps if eps is None else eps
    inverse = (x.square().mean(axes, keepdim=True) + small).rsqrt()
    return _affine(_by_size(x, inverse, axes=axes), scale, None)


@checked()
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each of `num_groups` groups of channels of each sample, over all its places.

    Input (N, C, ..), weight and bias, where given, (C,). With one group, layer normalization but
    for the weight's shape; with C groups, instance normalization. Raises `ShapeError` where
    num_groups does not divide C, or sizes do not fit.

    >>> import thalweg as tw
    >>> tw.nn.functional.group_norm(tw.tensor([[1.0, 3.0, 0.0, 8.0]]), 2, eps=0.0)
    tensor([[-1.,  1., -1.,  1.]])

    Source: Wu, He, "Group normalization", 2018.
    """
    name, shape = "group_norm", input._value.shape
    if len(shape) < 2:
        raise ShapeError(f"{name}: an input of shape (N, C) or (N, C, ..) expected, got {shape}")
    if shape[1] % num_groups:
        raise ShapeError(
            f"{name}: input has shape {shape}; num_groups must divide its {shape[1]} channels, "
            f"got {num_groups}"
        )
    _check_vectors(name, shape[1], weight=weight, bias=bias)
    x, scale, shift = _ready(input, weight, bias)
    groups = x.reshape(shape[0], num_groups, shape[1] // num_groups, *shape[2:])
    axes = tuple(range(2, len(shape) + 1))
    mean, var = _moments(groups, axes)
    standard = _standardized(groups, mean, (var + eps).rsqrt(), axes=axes)
    return _affine(standard.reshape(shape), scale, shift)


@checked(size=least(1))
def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha mean(x^2))^beta, the mean over the `size` channels around each.

    Input (N, C, L, ..), floating; channels that do not exist count as 0.

    >>> import thalweg as tw
    >>> tw.nn.functional.local_response_norm(tw.ones(1, 2, 2), 2, alpha=1.0, beta=1.0)
    tensor([[[0.6667, 0.6667],
             [0.5000, 0.5000]]])

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
    networks", 2012.
    """
    shape = input._value.shape
    if len(shape) < 3:
        raise ShapeError(
            f"local_response_norm: an input of shape (N, C, L, ..) expected, got {shape}"
        )
    x = floating(input)
    lead = (0,) * (len(shape) - 1)
    squares = x.square().movedim(1, -1).padded((*lead, size // 2), (*lead, (size - 1) // 2))
    around = squares.windows((size,), (1,), (1,)).mean(-1).movedim(-1, 1)
    return x / (around * alpha + k) ** beta


# --- what fits -----------------------------------------------------------------------------------


def _promoted(*operands: Tensor | None) -> tuple[Any, ...]:
    """The operands that are there in one floating dtype."""
    there = iter(promote(*(floating(x) for x in operands if x is not None)))
    return tuple(None if x is None else next(there) for x in operands)


def _ready(x: Tensor, *vectors: Tensor | None) -> tuple[Any, ...]:
    """x (N, C, ..) and vectors (C,), shaped to broadcast along its channels, in one dtype."""
    input, *others = _promoted(x, *vectors)
    shape = (1, -1) + (1,) * (len(x._value.shape) - 2)
    return input, *(None if v is None else v.reshape(shape) for v in others)


def _check_vectors(name: str, channels: int, **vectors: Tensor | None) -> None:
    for what, given in vectors.items():
        if given is not None and given._value.shape != (channels,):
            raise ShapeError(
                f"{name}: {what} has shape {given._value.shape}, expected a number for each of the "
                f"{channels} channels of the input, ({channels},)"
            )


def _check_running(
    name: str, running_mean: Tensor | None, running_var: Tensor | None, own: bool
) -> None:
    if not own and (running_mean is None or running_var is None):
        flag = "training" if name == "batch_norm" else "use_input_stats"
        raise ConfigError(
            f"{name}: running_mean and running_var are needed unless {flag}=True takes the "
            "input's own statistics"
        )
