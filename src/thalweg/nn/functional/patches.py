"""The windows of images, laid out as columns, and put back."""

from __future__ import annotations

import math

from thalweg._tensor import Tensor
from thalweg.errors import ShapeError
from thalweg.nn.functional.arguments import checked, least
from thalweg.nn.functional.sliding import Sizes, enclosed, per_axis, require_images, spans
from thalweg.tape import not_a_tensor

__all__ = ["fold", "unfold"]


@checked()
def unfold(
    input: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
) -> Tensor:
    """Each window of an image as a column: (N, C, H, W) to (N, C k l, windows).

    Or (C, H, W) to (C k l, windows); windows of k by l elements in row-major order, and so are the
    elements in a column, channel by channel. A convolution is a matrix product with these columns.
    Raises `ShapeError` where no window fits.

    >>> import thalweg as tw
    >>> x = tw.arange(9.0).reshape(1, 1, 3, 3)
    >>> tw.nn.functional.unfold(x, 2)[0]
    tensor([[0., 1., 3., 4.],
            [1., 2., 4., 5.],
            [3., 4., 6., 7.],
            [4., 5., 7., 8.]])
    """
    require_images("unfold", input, 2)
    sizes = per_axis("unfold", "kernel_size", kernel_size, 2, 1)
    dilations = per_axis("unfold", "dilation", dilation, 2, 1)
    margins = per_axis("unfold", "padding", padding, 2, 0)
    strides = per_axis("unfold", "stride", stride, 2, 1)
    *lead, channels, height, width = input._value.shape
    room = tuple(n + 2 * p for n, p in zip((height, width), margins, strict=True))
    reach = spans(sizes, dilations)
    if any(n < k for n, k in zip(room, reach, strict=True)):
        raise ShapeError(
            f"unfold: a kernel that spans {reach} does not fit into an input of size "
            f"{(height, width)} with padding {margins}"
        )
    windows = enclosed(input, margins, margins).windows(sizes, strides, dilations)
    columns = windows.movedim((-2, -1), (-4, -3))
    count = math.prod(columns._value.shape[-2:])
    return columns.reshape(*lead, channels * math.prod(sizes), count)


@checked(output_size=least(1))
def fold(
    input: Tensor,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:
    """Columns put back as the windows of an image: (N, C k l, windows) to (N, C, H, W).

    Or (C k l, windows) to (C, H, W), where (H, W) is `output_size`. Where windows overlap, they add
    up: the transpose of `unfold`, not its inverse. Raises `ShapeError` where the columns are not
    those of such windows.

    >>> import thalweg as tw
    >>> tw.nn.functional.fold(tw.ones(1, 4, 4), (3, 3), 2)[0, 0]
    tensor([[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]])
    """
    if not isinstance(input, Tensor):
        raise not_a_tensor("fold", input)
    image = per_axis("fold", "output_size", output_size, 2, 1)
    sizes = per_axis("fold", "kernel_size", kernel_size, 2, 1)
    dilations = per_axis("fold", "dilation", dilation, 2, 1)
    margins = per_axis("fold", "padding", padding, 2, 0)
    strides = per_axis("fold", "stride", stride, 2, 1)
    room = tuple(n + 2 * p for n, p in zip(image, margins, strict=True))
    reach = spans(sizes, dilations)
    counts = tuple((n - k) // s + 1 for n, k, s in zip(room, reach, strides, strict=True))
    shape = input._value.shape
    wanted = math.prod(max(n, 0) for n in counts)
    if len(shape) not in (2, 3) or shape[-1] != wanted or shape[-2] % math.prod(sizes):
        raise ShapeError(
            f"fold: columns of shape {shape}; expected (N, C * {math.prod(sizes)}, {wanted}) or "
            f"(C * {math.prod(sizes)}, {wanted}), for an image of size {image}"
        )
    lead = (*shape[:-2], shape[-2] // math.prod(sizes))
    windows = input.reshape(*lead, *sizes, *counts).movedim((-2, -1), (-4, -3))
    whole = windows.overlap_add(room, strides, dilations)
    (top, left), (height, width) = margins, image
    return whole.narrow(-2, top, height).narrow(-1, left, width)
