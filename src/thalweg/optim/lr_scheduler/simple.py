"""Schedules for the first steps (warm-up), and those that a Python function gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from thalweg._tensor import Tensor
from thalweg.ops.creation import ones_like
from thalweg.optim.groups import ParamGroup
from thalweg.optim.lr_scheduler.base import FactorLR, LRScheduler, called, of_group
from thalweg.optim.optimizer import Optimizer
from thalweg.settings import fraction, function, listed, whole

__all__ = ["ConstantLR", "LambdaLR", "LinearLR", "MultiplicativeLR"]

Factor: TypeAlias = Callable[[int], Any]


class ConstantLR(FactorLR):
    """eps0 * factor while t < total_iters, then eps0.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=1.0)
    >>> ConstantLR(optimizer, factor=0.5, total_iters=2).values(4).tolist()
    [0.5, 0.5, 1.0, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.share = fraction("ConstantLR: factor", factor)
        self.total_iters = whole("ConstantLR: total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def factor(self, t: Tensor) -> Tensor:
        """`factor` at first, then 1."""
        return ones_like(t).where(t >= self.total_iters, self.share)


class LinearLR(FactorLR):
    """Warm-up: from eps0 * start_factor to eps0 * end_factor in total_iters equal steps.

    eps0 (start + (end - start) min(t, total_iters) / total_iters). Unlike PyTorch's it may start
    from 0.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=1.0)
    >>> LinearLR(optimizer, start_factor=0.5, total_iters=2).values(4).tolist()
    [0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = fraction("LinearLR: start_factor", start_factor)
        self.end_factor = fraction("LinearLR: end_factor", end_factor)
        self.total_iters = whole("LinearLR: total_iters", total_iters, 1)
        super().__init__(optimizer, last_epoch)

    def factor(self, t: Tensor) -> Tensor:
        """From start_factor to end_factor."""
        share = t.minimum(self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * share


class LambdaLR(LRScheduler):
    """eps0 * lr_lambda(t), with one function for all groups or a list of one for each.

    As in PyTorch, the function is given t as a Python int, so it may be any Python. Therefore
    `step` cannot be part of a function that you compile, where t has no value yet (a `TraceError`
    says so): call it outside, or write the factor with operations on tensors; see `FactorLR`. A
    `Trainer` compiles its steps all the same: it asks for the step sizes before them.

    Raises `ConfigError` if there is not one function for each group.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=1.0)
    >>> LambdaLR(optimizer, lambda t: 0.5 if t % 2 else 1.0).values(4).tolist()
    [1.0, 0.5, 1.0, 0.5]
    """

    is_function = False  # the functions may be defined for some t only

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Factor | Sequence[Factor], last_epoch: int = -1
    ) -> None:
        name = f"{type(self).__name__}: lr_lambda"
        self.lr_lambda: Factor | list[Factor] = (
            lr_lambda
            if callable(lr_lambda)
            else [function(name, one) for one in listed(name, lr_lambda)]
        )
        super().__init__(optimizer, last_epoch)

    def joined(self, group: ParamGroup, index: int) -> None:
        """There must be a function for the group."""
        if not callable(self.lr_lambda):
            groups = max(index + 1, len(self.optimizer.param_groups))
            self._one_each("lr_lambda", len(self.lr_lambda), groups)

    def rate(self, t: Tensor, lr: Tensor, index: int) -> Tensor:
        """lr * lr_lambda(t)."""
        return lr * called(of_group(self.lr_lambda, index), t)


class MultiplicativeLR(LambdaLR):
    """eps0 * lr_lambda(1) * ... * lr_lambda(t), with one function for all groups or one for each.

    As of `LambdaLR`, the functions are given Python ints, and `step` is no part of a compiled
    function. Each is called once for every step, in order.

    Raises `ConfigError` if there is not one function for each group.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=1.0)
    >>> MultiplicativeLR(optimizer, lambda t: 1 / t).values(5).tolist()
    [1.0, 1.0, 0.5, 0.16666666666666666, 0.041666666666666664]
    """

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Factor | Sequence[Factor], last_epoch: int = -1
    ) -> None:
        self._products: dict[int, list[float]] = {}
        super().__init__(optimizer, lr_lambda, last_epoch)

    def rate(self, t: Tensor, lr: Tensor, index: int) -> Tensor:
        """lr times the product of the factors up to t."""
        return lr * called(lambda step: self._product(step, index), t)

    def _product(self, step: int, index: int) -> float:
        known, function = self._products.setdefault(index, [1.0]), of_group(self.lr_lambda, index)
        while len(known) <= step:
            known.append(known[-1] * float(function(len(known))))
        return known[step]
