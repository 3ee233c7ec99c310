"""Penalties on the size of parameters: added to the loss, or applied after a step.

Three ways to keep weights small, with lambda the strength and eps the step size:

    as part of the loss   loss + lambda * l2_penalty(params)     its gradient goes through the
                          loss + lambda * l1_penalty(params)     optimizer like any other
    `weight_decay`        of an optimizer: the same gradient, without the penalty's value; of
                          `AdamW` and others decoupled: theta <- (1 - eps lambda) theta
    after the step        `shrink_l1`: theta <- sign(theta) max(|theta| - eps lambda, 0)

Under plain gradient descent the first two are one thing. Under an optimizer that divides gradients
by their size they are not, deck 000's "Regularization issue": see `Adam` and `AdamW`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import add

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.optim.optimizer import Optimizer
from thalweg.settings import nonnegative
from thalweg.tape import no_grad

__all__ = ["l1_penalty", "l2_penalty", "shrink_l1", "soft_threshold_"]


def l1_penalty(params: Iterable[Tensor]) -> Tensor:
    """||theta||_1, the sum of the sizes of all elements, to add to a loss.

    Its gradient is the sign, and 0 at 0: a subgradient. Steps along it go to and fro around 0 but
    do not stay there; `shrink_l1` makes elements exactly 0.

    >>> import thalweg as tw
    >>> w = tw.tensor([3.0, -2.0, 0.0], requires_grad=True)
    >>> l1_penalty([w]).backward()
    >>> w.grad
    tensor([ 1., -1.,  0.])
    """
    return _summed("l1_penalty", [p.abs().sum() for p in params])


def l2_penalty(params: Iterable[Tensor]) -> Tensor:
    """1/2 ||theta||^2, half the sum of all squares, to add to a loss: its gradient is theta.

    Source: deck 000, "Regularization L2 or Gaussian prior or weight decay", R = lambda/2
    ||theta||^2, whose slip of a sign (grad L - grad R) is not repeated.

    >>> import thalweg as tw
    >>> w = tw.tensor([3.0, -2.0, 0.0], requires_grad=True)
    >>> l2_penalty([w]).backward()
    >>> w.grad
    tensor([ 3., -2.,  0.])
    """
    return _summed("l2_penalty", [(p * p).sum() / 2 for p in params])


def _summed(name: str, parts: list[Tensor]) -> Tensor:
    if not parts:
        raise ConfigError(f"{name}: no parameters; model.parameters() gives them once a call")
    return reduce(add, parts)


@no_grad()
def soft_threshold_(params: Iterable[Tensor], amount: float | Tensor) -> None:
    """theta <- sign(theta) max(|theta| - amount, 0), in place: the proximal step of an L1 penalty.

    It minimizes 1/2 ||x - theta||^2 + amount ||x||_1 over x. Elements nearer to 0 than `amount`
    become exactly 0.

    Source: Daubechies, Defrise, De Mol, "An iterative thresholding algorithm for linear inverse
    problems with a sparsity constraint", 2004.

    >>> import thalweg as tw
    >>> w = tw.tensor([3.0, -0.25, 0.5, -2.0])
    >>> soft_threshold_([w], 0.5)
    >>> w
    tensor([ 2.5000,  0.0000,  0.0000, -1.5000])
    """
    for p in params:
        size = amount.to(p.dtype) if isinstance(amount, Tensor) else amount
        p -= p.clamp(-size, size)


def shrink_l1(optimizer: Optimizer, strength: float) -> None:
    """After `optimizer.step()`: `soft_threshold_` by strength times each group's step size.

    The L1 penalty as decay in the update, for any optimizer: like `AdamW`'s decay it does not go
    through running means. With `SGD` it is proximal gradient descent (ISTA). It may be part of a
    compiled step.

    >>> import thalweg as tw
    >>> w = tw.tensor([1.0, 0.01], requires_grad=True)
    >>> optimizer = tw.optim.Adam([w], lr=0.1)
    >>> w.grad = tw.zeros(2)
    >>> optimizer.step()
    >>> shrink_l1(optimizer, 0.5)
    >>> w
    tensor([0.9500, 0.0000], requires_grad=True)
    """
    nonnegative("shrink_l1: strength", strength)
    for group in optimizer.param_groups:
        soft_threshold_(group["params"], group["lr"] * strength)
