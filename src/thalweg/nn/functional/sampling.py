"""Images read at places between their pixels: affine maps, and sampling on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thalweg._tensor import Tensor
from thalweg.errors import ShapeError
from thalweg.nn.functional.arguments import checked, one_of
from thalweg.nn.functional.resizing import cubic_weights
from thalweg.ops.creation import arange
from thalweg.ops.joining import stack

__all__ = ["affine_grid", "grid_sample"]

_MODES = ("bicubic", "bilinear", "nearest")
_PADDINGS = ("zeros", "border", "reflection")


@checked()
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """Where an affine map (N, 2, 3) takes the pixels of images of `size` (N, C, H, W).

    grid[n, i, j] = theta[n] (x_j, y_i, 1), (N, H, W, 2), with x and y from -1 to 1: between the
    outer edges of the outermost pixels, or with `align_corners` between their centres.

    Raises `ShapeError`.

    >>> import thalweg as tw
    >>> same = tw.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> tw.nn.functional.affine_grid(same, (1, 1, 1, 2))
    tensor([[[[-0.5000,  0.0000],
              [ 0.5000,  0.0000]]]])

    Source: Jaderberg et al., "Spatial transformer networks", NeurIPS 2015.
    """
    if len(size) != 4 or tuple(theta.shape) != (size[0], 2, 3):
        raise ShapeError(
            f"affine_grid: theta of shape {tuple(theta.shape)} for images of size {tuple(size)}; "
            "expected (N, 2, 3) for (N, C, H, W)"
        )
    _, _, height, width = size
    x = _places(width, align_corners, theta).expand(height, width)
    y = _places(height, align_corners, theta)[:, None].expand(height, width)
    points = stack([x, y, x.new_ones(height, width)], -1).reshape(height * width, 3)
    return (points @ theta.mT).reshape(size[0], height, width, 2)


def _places(count: int, align_corners: bool, like: Tensor) -> Tensor:
    """The pixels' centres on the axis from -1 to 1."""
    steps = arange(count, dtype=like.dtype)
    if align_corners:
        return steps * (2 / max(count - 1, 1)) - 1 if count > 1 else steps
    return (steps * 2 + (1 - count)) / count


@checked(mode=one_of(*_MODES), padding_mode=one_of(*_PADDINGS))
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> Tensor:
    """`input` (N, C, H, W) read at the places `grid` (N, H', W', 2): (N, C, H', W').

    A place is (x, y), each from -1 to 1 as in `affine_grid`. "bilinear" weighs the four pixels
    around it, "bicubic" sixteen, "nearest" takes one. Outside of the image there are zeros, or, by
    `padding_mode`, its "border" or its "reflection". Differentiable in both arguments; "nearest" in
    `input` alone.

    Raises `ShapeError`, and `ConfigError` for an unknown mode.

    >>> import thalweg as tw
    >>> image = tw.tensor([[[[1.0, 3.0]]]])
    >>> tw.nn.functional.grid_sample(image, tw.tensor([[[[0.0, 0.0], [-0.5, 0.0], [2.0, 0.0]]]]))
    tensor([[[[2., 1., 0.]]]])

    Source: Jaderberg et al., "Spatial transformer networks", NeurIPS 2015.
    """
    if input.ndim != 4 or grid.ndim != 4 or grid.shape[3] != 2 or len(input) != len(grid):
        raise ShapeError(
            f"grid_sample: input of shape {tuple(input.shape)}, grid of {tuple(grid.shape)}; "
            "expected (N, C, H, W) and (N, H', W', 2)"
        )
    height, width = input.shape[2:]
    x = _pixel(grid[..., 0], width, align_corners)
    y = _pixel(grid[..., 1], height, align_corners)
    if mode == "bicubic":
        columns = _neighbours(x, width, padding_mode, align_corners)
        rows = _neighbours(y, height, padding_mode, align_corners)
        lines = [_weighed([(_at(input, r, c), w) for c, w in columns]) for r, _ in rows]
        return _weighed([(line, w) for line, (_, w) in zip(lines, rows, strict=True)])
    x = _padded(x, width, padding_mode, align_corners)
    y = _padded(y, height, padding_mode, align_corners)
    if mode == "nearest":
        return _at(input, y.round(), x.round())
    left, top = x.detach().floor(), y.detach().floor()
    right, bottom = x - left, y - top
    corners = (
        (top, left, (1 - bottom) * (1 - right)),
        (top, left + 1, (1 - bottom) * right),
        (top + 1, left, bottom * (1 - right)),
        (top + 1, left + 1, bottom * right),
    )
    return _weighed([(_at(input, row, column), w) for row, column, w in corners])


def _weighed(parts: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The sum of images (N, C, H', W'), each times a weight a place, (N, H', W')."""
    first, *others = (image * weight[:, None] for image, weight in parts)
    return sum(others, first)


def _neighbours(
    number: Tensor, size: int, padding: str, align_corners: bool
) -> list[tuple[Tensor, Tensor]]:
    """The four pixels around along an axis, and what each counts in a cubic through them."""
    before = number.detach().floor()
    return [
        (_padded(before + (i - 1), size, padding, align_corners), weight)
        for i, weight in enumerate(cubic_weights(number - before))
    ]


def _pixel(place: Tensor, size: int, align_corners: bool) -> Tensor:
    """A place from -1 to 1 as a number of pixels from the first one's centre."""
    return (place + 1) * ((size - 1) / 2) if align_corners else ((place + 1) * size - 1) / 2


def _padded(number: Tensor, size: int, padding: str, align_corners: bool) -> Tensor:
    """Numbers of pixels outside of the image as those whose values stand there."""
    if padding == "zeros":
        return number
    if padding == "reflection":
        number = _reflected(number, size, align_corners)
    return number.clamp(0, size - 1)


def _reflected(number: Tensor, size: int, align_corners: bool) -> Tensor:
    """Folded back at the outermost pixels' centres, or at their outer edges."""
    edge, span = (0.0, size - 1) if align_corners else (-0.5, size)
    if span == 0:
        return number * 0
    distance = (number - edge).abs()
    turns = (distance.detach() / span).floor()
    rest = distance - turns * span
    return rest.where(turns % 2 == 0, span - rest) + edge


def _at(input: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Pixels by whole numbers (N, H', W') of rows and columns; 0 outside of the image."""
    n, channels, height, width = input.shape
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    place = row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
    index: Any = place.flatten(1).unsqueeze(1).expand(n, channels, -1)
    found = input.flatten(2).gather(2, index).reshape(n, channels, *row.shape[1:])
    return found.where(inside[:, None], 0)
