"""Convolution: contractions of windows, in all three directions.

With x padded, the windows of x and the weight w contract to

    y[n, o, h, w]  = sum over c, i, j of  x[n, c, s h + d i, s w + d j] w[o, c, i, j]

The gradient for w contracts the cotangent with the same windows. The gradient for x is a
convolution itself: of the cotangent, spread by the stride and padded, with the weight flipped and
its channels exchanged. So each direction's derivatives are the other two, to any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn.functional.arguments import checked
from thalweg.nn.functional.sliding import (
    Shape,
    Sizes,
    enclosed,
    per_axis,
    require_images,
    spans,
    spell_windows,
)
from thalweg.ops.lift import promote
from thalweg.tape import composite

__all__ = ["Grid", "conv1d", "conv2d", "input_gradient", "padding_amounts"]


@dataclass(frozen=True, slots=True)
class Grid:
    """Where windows stand, an entry an axis.

    The input is spread (`inner` zeros between two elements), padded by `low` and `high` (cropped,
    if negative); a window stands at every `strides`-th place and takes every `dilations`-th
    element.
    """

    strides: Shape
    low: Shape
    high: Shape
    inner: Shape
    dilations: Shape

    def __repr__(self) -> str:
        spread = tuple(n + 1 for n in self.inner)
        more = {"dilation": self.dilations, "input spread": spread}
        return spell_windows(self.strides, self.low, self.high, **more)

    def windows(self, x: Tensor, sizes: Shape) -> Tensor:
        """The windows of `x`: a view of the padded input."""
        room = enclosed(x, self.low, self.high, self.inner)
        return room.windows(sizes, self.strides, self.dilations)

    def reversed(self, shape: Shape, counts: Shape, sizes: Shape) -> Grid:
        """The grid of the transposed map, from `counts` windows of `sizes` back to `shape`."""
        low, high = [], []
        axes = zip(shape, counts, spans(sizes, self.dilations), strict=True)
        for axis, (size, count, span) in enumerate(axes):
            low.append(span - 1 - self.low[axis])
            reach = (size - 1) * (self.inner[axis] + 1) + self.low[axis]
            high.append(reach - (count - 1) * self.strides[axis])
        inner = tuple(s - 1 for s in self.strides)
        strides = tuple(n + 1 for n in self.inner)
        return Grid(strides, tuple(low), tuple(high), inner, self.dilations)


@cache
def _specs(rank: int, grouped: bool) -> tuple[str, str, str]:
    """The contractions for the output, for the gradient of the weight, and for windows."""
    g, places, taps = "g" if grouped else "", "hw"[-rank:], "ij"[-rank:]
    windows, weight, output = f"n{g}c{places}{taps}", f"{g}oc{taps}", f"n{g}o{places}"
    return (
        f"{windows},{weight}->{output}",
        f"{output},{windows}->{weight}",
        f"{output},{weight}->{windows}",
    )


def _specs_of(x: Tensor, grid: Grid) -> tuple[str, str, str]:
    rank = len(grid.strides)
    return _specs(rank, len(x._value.shape) == rank + 3)


def _places(x: Tensor, grid: Grid) -> Shape:
    """The sizes of the axes that windows slide over, or of the windows."""
    shape: Shape = x._value.shape
    return shape[len(shape) - len(grid.strides) :]


def input_gradient(g: Tensor, w: Tensor, shape: Shape, grid: Grid) -> Tensor:
    """The transposed map: cotangents g and weights w to the gradient of an input of `shape`."""
    sizes, counts = _places(w, grid), _places(g, grid)
    if _is_tiling(sizes, grid):
        room = tuple(n + a + b for n, a, b in zip(shape, grid.low, grid.high, strict=True))
        windows = g.contract(w, _specs_of(g, grid)[2])
        whole = windows.overlap_add(room, grid.strides, grid.dilations)
        return enclosed(whole, tuple(-n for n in grid.low), tuple(-n for n in grid.high))
    first = len(w._value.shape) - len(sizes)
    flipped = w.flip(tuple(first + axis for axis, size in enumerate(sizes) if size > 1))
    exchanged = flipped.transpose(first - 2, first - 1)
    return _convolve(g, exchanged, grid=grid.reversed(shape, counts, sizes))


def _is_tiling(sizes: Shape, grid: Grid) -> bool:
    """Whether no two windows overlap: then spreading the cotangent would mostly multiply zeros."""
    apart = zip(grid.strides, spans(sizes, grid.dilations), strict=True)
    return (
        any(s > 1 for s in grid.strides) and not any(grid.inner) and all(s >= k for s, k in apart)
    )


def _convolve_input(g: Tensor, out: Tensor, x: Tensor, w: Tensor, *, grid: Grid) -> Tensor:
    return input_gradient(g, w, _places(x, grid), grid)


def _convolve_weight(g: Tensor, out: Tensor, x: Tensor, w: Tensor, *, grid: Grid) -> Tensor:
    return _weight_gradient(x, g, grid=grid, sizes=_places(w, grid))


@composite("convolution", _convolve_input, _convolve_weight)
def _convolve(x: Tensor, w: Tensor, *, grid: Grid) -> Tensor:
    """x (n, c, ..) and w (o, c, ..), or, in groups, x (n, g, c, ..) and w (g, o, c, ..)."""
    return grid.windows(x, _places(w, grid)).contract(w, _specs_of(x, grid)[0])


def _weight_gradient_input(
    v: Tensor, out: Tensor, x: Tensor, g: Tensor, *, grid: Grid, sizes: Shape
) -> Tensor:
    return input_gradient(g, v, _places(x, grid), grid)


def _weight_gradient_cotangent(
    v: Tensor, out: Tensor, x: Tensor, g: Tensor, *, grid: Grid, sizes: Shape
) -> Tensor:
    return _convolve(x, v, grid=grid)


@composite("convolution_weight", _weight_gradient_input, _weight_gradient_cotangent)
def _weight_gradient(x: Tensor, g: Tensor, *, grid: Grid, sizes: Shape) -> Tensor:
    """The gradient of a weight whose windows have `sizes`, for inputs x and cotangents g."""
    return g.contract(grid.windows(x, sizes), _specs_of(x, grid)[1])


@checked()
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Slide `weight` along the last dimension.

        y[n, o, l] = b[o] + sum over c, i of x[n, c, s l + d i] weight[o, c, i]

    Input (N, C, L) or (C, L), weight (O, C / groups, K), bias (O,) or None; result (N, O, L') or
    (O, L') with L' = floor((L + 2 padding - dilation (K - 1) - 1) / stride) + 1. Options and
    errors as for `conv2d`.

    >>> import thalweg as tw
    >>> x, difference = tw.tensor([[[1.0, 2.0, 4.0, 7.0]]]), tw.tensor([[[-1.0, 1.0]]])
    >>> tw.nn.functional.conv1d(x, difference)
    tensor([[[1., 2., 3.]]])
    """
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


@checked()
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Slide `weight` over images.

        y[n, o, h, w] = b[o] + sum over c, i, j of x[n, c, s h + d i, s w + d j] weight[o, c, i, j]

    with x padded by zeros, s the stride, d the dilation: a cross-correlation, as in PyTorch.
    Input (N, C, H, W) or (C, H, W), weight (O, C / groups, K, L), bias (O,) or None; result
    (N, O, H', W') or (O, H', W') with H' = floor((H + 2 padding - d (K - 1) - 1) / s) + 1.
    Stride, padding and dilation are a number for both axes or one each; padding may be "valid"
    (none) or, with stride 1, "same" (the result has the size of the input; an odd total has one
    more at the end). In `groups`, each group of outputs sees its own share of the channels.

    Raises `ShapeError` where channels, groups, bias or sizes do not fit, `ConfigError` for an
    option that does not exist.

    >>> import thalweg as tw
    >>> x, w = tw.ones(1, 1, 3, 3), tw.ones(1, 1, 2, 2)
    >>> tw.nn.functional.conv2d(x, w, stride=2, padding=1)
    tensor([[[[1., 2.],
              [2., 4.]]]])

    Source: LeCun et al., "Gradient-based learning applied to document recognition", 1998.
    """
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def _conv(
    name: str,
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
) -> Tensor:
    require_images(name, input, rank)
    _check_weight(name, rank, input, weight, bias, groups)
    if input._value.dtype != weight._value.dtype:
        input, weight = promote(input, weight)
    is_batch = len(input._value.shape) == rank + 2
    x = input if is_batch else input.unsqueeze(0)
    sizes = weight._value.shape[2:]
    strides = per_axis(name, "stride", stride, rank, 1)
    dilations = per_axis(name, "dilation", dilation, rank, 1)
    low, high = padding_amounts(name, padding, sizes, strides, dilations)
    _check_room(name, x._value.shape[2:], sizes, dilations, low, high)
    grid = Grid(strides, low, high, (0,) * rank, dilations)
    out = _in_groups(x, weight, groups, grid) if groups > 1 else _convolve(x, weight, grid=grid)
    if bias is not None:
        out = out + bias.reshape(-1, *(1,) * rank)
    return out if is_batch else out.squeeze(0)


def _in_groups(x: Tensor, weight: Tensor, groups: int, grid: Grid) -> Tensor:
    out = _convolve(x.unflatten(1, (groups, -1)), weight.unflatten(0, (groups, -1)), grid=grid)
    return out.flatten(1, 2)


def padding_amounts(
    name: str, padding: Sizes | str, sizes: Shape, strides: Shape, dilations: Shape
) -> tuple[Shape, Shape]:
    """How much is padded before and after each axis, from numbers, "valid" or "same".

    >>> padding_amounts("conv1d", "same", (4,), (1,), (1,))
    ((1,), (2,))
    """
    if padding == "valid":
        return (0,) * len(sizes), (0,) * len(sizes)
    if padding == "same":
        if any(s != 1 for s in strides):
            raise ConfigError(
                f'{name}: padding="same" is for stride 1, got stride {strides}; give the padding '
                "as a number, such as (kernel size - 1) // 2"
            )
        totals = tuple(span - 1 for span in spans(sizes, dilations))
        return tuple(n // 2 for n in totals), tuple(n - n // 2 for n in totals)
    amounts = per_axis(name, "padding", padding, len(sizes), 0)
    return amounts, amounts


# --- what does not fit ---------------------------------------------------------------------------


def _check_weight(
    name: str, rank: int, input: Tensor, weight: Tensor, bias: Tensor | None, groups: int
) -> None:
    shape, taps = weight._value.shape, ("K", "K, L")[rank - 1]
    if len(shape) != rank + 2:
        raise ShapeError(f"{name}: weight has shape {shape}, expected (O, C / groups, {taps})")
    if shape[0] % groups:
        raise ShapeError(
            f"{name}: groups must divide the {shape[0]} output channels of weight {shape}, "
            f"got groups={groups!r}"
        )
    if input._value.shape[-rank - 1] != shape[1] * groups:
        raise _channel_error(name, rank, input._value.shape, shape, groups)
    if bias is not None and bias._value.shape != shape[:1]:
        raise ShapeError(
            f"{name}: bias has shape {bias._value.shape}, expected one number for each of the "
            f"{shape[0]} output channels, ({shape[0]},)"
        )


def _channel_error(name: str, rank: int, shape: Shape, weight: Shape, groups: int) -> ShapeError:
    channels = weight[1] * groups
    in_groups = f" in {groups} groups of {weight[1]}" if groups > 1 else ""
    text = (
        f"{name}: input has shape {shape}, so {shape[-rank - 1]} channels; weight {weight} "
        f"takes {channels}{in_groups}"
    )
    if shape[-1] == channels:
        return ShapeError(
            f"{text}. Channels are expected before the places: x.movedim(-1, {-rank - 1})"
        )
    if channels == 1 and len(shape) == rank + 1:
        return ShapeError(f"{text}. For a batch without channels use x.unsqueeze(1)")
    if shape[-rank - 1] % weight[1] == 0 and weight[0] % (shape[-rank - 1] // weight[1]) == 0:
        return ShapeError(f"{text}. groups={shape[-rank - 1] // weight[1]} would fit")
    return ShapeError(f"{text}. Build the weight for {shape[-rank - 1]} input channels")


def _check_room(
    name: str, shape: Shape, sizes: Shape, dilations: Shape, low: Shape, high: Shape
) -> None:
    room = tuple(n + a + b for n, a, b in zip(shape, low, high, strict=True))
    reach = spans(sizes, dilations)
    if min(sizes) < 1 or any(n < k for n, k in zip(room, reach, strict=True)):
        dilated = f", which spans {reach} with dilation {dilations}," if reach != sizes else ""
        padded = f", {room} with its padding" if room != shape else ""
        raise ShapeError(
            f"{name}: a kernel of {sizes}{dilated} does not fit into an input of size "
            f"{shape}{padded}. Pad more, use a smaller kernel, or pool less before it"
        )
