"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from thalweg._tensor import Tensor
from thalweg.errors import ShapeError
from thalweg.ops.joining import cat

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all `parameters`, one after the other, as a vector; gradients pass.

    >>> import thalweg as tw
    >>> tw.nn.utils.parameters_to_vector([tw.tensor([[1.0], [2.0]]), tw.tensor(3.0)])
    tensor([1., 2., 3.])
    """
    return cat([p.flatten() for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Give `parameters` the elements of a vector, in the order of `parameters_to_vector`.

    Raises `ShapeError`, with nothing changed, unless the vector has as many elements as they have.
    """
    listed = list(parameters)
    count = sum(p.numel() for p in listed)
    if vec.shape != (count,):
        raise ShapeError(
            f"vector_to_parameters: a vector of shape ({count},) expected for these "
            f"{len(listed)} parameters, got {tuple(vec.shape)}"
        )
    pieces = vec.detach().split([p.numel() for p in listed])
    for parameter, piece in zip(listed, pieces, strict=True):
        parameter.data = piece.reshape(parameter.shape).to(parameter.dtype)
