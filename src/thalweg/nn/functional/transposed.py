"""Transposed convolution: the gradient of a convolution for its input, as a layer of its own.

A convolution takes images y to images x; its transpose takes x back to the places that they came
from, and adds up what comes to stand in the same place:

    y[n, o, s h + d i - p, ..] += x[n, c, h, ..] weight[c, o, i, ..]

It has no arithmetic of its own: see `nn.functional.convolution.input_gradient`.
"""

from __future__ import annotations

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn.functional.arguments import checked
from thalweg.nn.functional.convolution import Grid, input_gradient
from thalweg.nn.functional.sliding import Shape, Sizes, per_axis, require_images, spans
from thalweg.ops.lift import promote

__all__ = ["conv_transpose1d", "conv_transpose2d"]


@checked()
def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The transpose of `conv1d`: y[n, o, s l + d i - p] = b[o] + sum of x[n, c, l] weight[c, o, i].

    Input (N, C, L) or (C, L), weight (C, O / groups, K), bias (O,) or None; result (N, O, L') or
    (O, L') with L' = (L - 1) s - 2 p + d (K - 1) + output_padding + 1. As `conv_transpose2d`.

    >>> import thalweg as tw
    >>> x, w = tw.tensor([[[1.0, 2.0]]]), tw.tensor([[[1.0, 1.0, 1.0]]])
    >>> tw.nn.functional.conv_transpose1d(x, w, stride=2)
    tensor([[[1., 1., 3., 2., 2.]]])
    """
    options = (stride, padding, output_padding, groups, dilation)
    return _transposed("conv_transpose1d", 1, input, weight, bias, *options)


@checked()
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The transpose of `conv2d`, which makes images larger where that makes them smaller.

    Every element of the input is put, times the weight, where that convolution would have read
    it from; what meets at one place adds up. Input (N, C, H, W) or (C, H, W), weight
    (C, O / groups, K, L), bias (O,) or None; result (N, O, H', W') or (O, H', W') with

        H' = (H - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1

    `padding` takes away at both ends, `output_padding` adds at the end: less than the stride or
    the dilation, it chooses among the sizes that such a convolution makes the same. Numbers are
    for both axes or one each.

    Raises `ShapeError` where channels, groups, bias or sizes do not fit, `ConfigError` for an
    option that does not exist.

    >>> import thalweg as tw
    >>> x, w = tw.ones(1, 1, 2, 2), tw.ones(1, 1, 2, 2)
    >>> tw.nn.functional.conv_transpose2d(x, w)
    tensor([[[[1., 2., 1.],
              [2., 4., 2.],
              [1., 2., 1.]]]])

    Source: Zeiler et al., "Deconvolutional networks", 2010; Dumoulin, Visin, "A guide to
    convolution arithmetic for deep learning", 2016.
    """
    options = (stride, padding, output_padding, groups, dilation)
    return _transposed("conv_transpose2d", 2, input, weight, bias, *options)


def _transposed(
    name: str,
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    groups: int,
    dilation: Sizes,
) -> Tensor:
    require_images(name, input, rank)
    _check_weight(name, rank, input._value.shape, weight._value.shape, bias, groups)
    input, weight = promote(input, weight)
    is_batch = len(input._value.shape) == rank + 2
    x = input if is_batch else input.unsqueeze(0)
    strides = per_axis(name, "stride", stride, rank, 1)
    dilations = per_axis(name, "dilation", dilation, rank, 1)
    low = per_axis(name, "padding", padding, rank, 0)
    more = per_axis(name, "output_padding", output_padding, rank, 0)
    if any(n >= max(s, d) for n, s, d in zip(more, strides, dilations, strict=True)):
        raise ConfigError(
            f"{name}: output_padding {more} must be smaller than the stride, {strides}, or the "
            f"dilation, {dilations}"
        )
    high = tuple(p - n for p, n in zip(low, more, strict=True))
    grid = Grid(strides, low, high, (0,) * rank, dilations)
    shape = _room(name, x._value.shape[2:], weight._value.shape[2:], grid)
    if groups > 1:
        x, weight = x.unflatten(1, (groups, -1)), weight.unflatten(0, (groups, -1))
    out = input_gradient(x, weight, shape, grid)
    if groups > 1:
        out = out.flatten(1, 2)
    if bias is not None:
        out = out + bias.reshape(-1, *(1,) * rank)
    return out if is_batch else out.squeeze(0)


def _room(name: str, counts: Shape, sizes: Shape, grid: Grid) -> Shape:
    """The size of the result: of the image whose windows are `counts`."""
    axes = zip(counts, spans(sizes, grid.dilations), grid.strides, grid.low, grid.high, strict=True)
    shape = tuple((n - 1) * s + k - a - b for n, k, s, a, b in axes)
    if min(shape) < 1 or min(counts) < 1:
        raise ShapeError(
            f"{name}: an input of size {counts} and a kernel of {sizes} with padding {grid.low} "
            f"leave a result of size {shape}. Pad less"
        )
    return shape


def _check_weight(
    name: str, rank: int, shape: Shape, weight: Shape, bias: Tensor | None, groups: int
) -> None:
    taps = ("K", "K, L")[rank - 1]
    if len(weight) != rank + 2:
        raise ShapeError(f"{name}: weight has shape {weight}, expected (C, O / groups, {taps})")
    if weight[0] % groups:
        raise ShapeError(
            f"{name}: groups must divide the {weight[0]} input channels of weight {weight}, got "
            f"groups={groups!r}"
        )
    if shape[-rank - 1] != weight[0]:
        swapped = weight[1] == shape[-rank - 1]
        advice = "The weight is (in, out, ..), unlike a convolution's" if swapped else ""
        raise ShapeError(
            f"{name}: input has shape {shape}, so {shape[-rank - 1]} channels; weight {weight} "
            f"takes {weight[0]}. {advice or 'Build the weight for as many'}"
        )
    outputs = weight[1] * groups
    if bias is not None and bias._value.shape != (outputs,):
        raise ShapeError(
            f"{name}: bias has shape {bias._value.shape}, expected one number for each of the "
            f"{outputs} output channels, ({outputs},)"
        )
