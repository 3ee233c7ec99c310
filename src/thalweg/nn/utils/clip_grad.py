"""Gradient clipping, between `loss.backward()` and `optimizer.step()`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import reduce
from operator import add

from thalweg._tensor import Tensor
from thalweg.errors import GradientError
from thalweg.nn.functional.arguments import checked
from thalweg.ops.creation import zeros
from thalweg.tape import no_grad

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]

Parameters = Tensor | Iterable[Tensor]


def _gradients(parameters: Parameters) -> list[Tensor]:
    listed = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad for p in listed if p.grad is not None]


@checked()
@no_grad()
def get_total_norm(
    tensors: Parameters, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """The norm of all elements of all `tensors` together, of rank 0: (sum |x|^p)^(1/p).

    `norm_type` is p; inf gives max |x|. A `GradientError` if it is not finite is raised only
    where `error_if_nonfinite` asks for that look at the value.

    >>> import thalweg as tw
    >>> tw.nn.utils.get_total_norm([tw.tensor([3.0]), tw.tensor([[4.0]])])
    tensor(5.)
    """
    listed = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    total = _total_norm([x.flatten() for x in listed if x.numel()], norm_type)
    if error_if_nonfinite and not total.isfinite():
        raise GradientError(
            f"the total norm of {len(listed)} gradients is {total.item()}: nothing was clipped. "
            "Look for a step size that is too large, a log or a division at 0, or leave out "
            "error_if_nonfinite"
        )
    return total


def _total_norm(vectors: list[Tensor], p: float) -> Tensor:
    if not vectors:
        return zeros(())
    if p == math.inf:
        return reduce(Tensor.maximum, [x.abs().amax() for x in vectors])
    if p == 2:
        return reduce(add, [x.dot(x) for x in vectors]).sqrt()
    return reduce(add, [(x.abs() ** p).sum() for x in vectors]) ** (1 / p)


@checked()
@no_grad()
def clip_grads_with_norm_(parameters: Parameters, max_norm: float, total_norm: Tensor) -> None:
    """Multiply every gradient by min(1, max_norm / (total_norm + 1e-6)).

    >>> import thalweg as tw
    >>> w = tw.zeros(2, requires_grad=True)
    >>> w.grad = tw.tensor([3.0, 4.0])
    >>> clip_grads_with_norm_([w], 1.0, get_total_norm([w.grad]))
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    scale = (max_norm / (total_norm + 1e-6)).clamp(max=1.0)
    for gradient in _gradients(parameters):
        gradient.mul_(scale)


@checked()
def clip_grad_norm_(
    parameters: Parameters,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Shorten the gradient, all parameters' as one vector g, to a norm of at most `max_norm`.

    g becomes g min(1, max_norm / (||g|| + 1e-6)); gives ||g|| as it was, a tensor of rank 0.
    Parameters without a gradient are passed over. Source: Pascanu, Mikolov, Bengio 2013.

    >>> import thalweg as tw
    >>> w = tw.zeros(2, requires_grad=True)
    >>> (w * tw.tensor([3.0, 4.0])).sum().backward()
    >>> tw.nn.utils.clip_grad_norm_([w], max_norm=1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    total = get_total_norm(_gradients(listed), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(listed, max_norm, total)
    return total


@checked()
@no_grad()
def clip_grad_value_(parameters: Parameters, clip_value: float) -> None:
    """Limit every element of every gradient to [-clip_value, clip_value].

    >>> import thalweg as tw
    >>> w = tw.zeros(2, requires_grad=True)
    >>> (w * tw.tensor([3.0, -0.5])).sum().backward()
    >>> tw.nn.utils.clip_grad_value_(w, 1.0)
    >>> w.grad
    tensor([ 1.0000, -0.5000])
    """
    for gradient in _gradients(parameters):
        gradient.clamp_(-clip_value, clip_value)
