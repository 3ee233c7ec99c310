"""LAMB: Adam's direction, with a step as long as the layer's weights allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thalweg._tensor import Tensor
from thalweg.ops.creation import ones_like
from thalweg.optim.adam import Adaptive, Moments
from thalweg.optim.decay import penalized
from thalweg.optim.groups import Params
from thalweg.optim.norms import norm
from thalweg.optim.optimizer import Numbers

__all__ = ["LAMB"]


class LAMB(Adaptive):
    """Layer-wise adaptive moments, for large batches. With eta = `lr`, lambda = `weight_decay` and
    Adam's m^ and v^ (see `Adam`), for each parameter tensor:

        u = m^ / (sqrt(v^) + eps) + lambda theta
        theta <- theta - eta (||theta|| / ||u||) u

    so that no layer moves by more than a share eta of its norm. The ratio is 1 where one of the
    norms is 0, as at a bias that starts at 0. `maximize` ascends: g becomes -g.

    Source: You et al., "Large batch optimization for deep learning: training BERT in 76 minutes",
    ICLR 2020, algorithm 2, with phi(x) = x. PyTorch has no LAMB.

    Raises `ConfigError` for numbers out of range.

    >>> import thalweg as tw
    >>> w = tw.tensor([3.0, 4.0], requires_grad=True)
    >>> optimizer = LAMB([w], lr=0.1, weight_decay=0.0)
    >>> w.grad = tw.tensor([1.0, 0.0])
    >>> optimizer.step()  # by a tenth of the norm 5
    >>> w
    tensor([2.5000, 4.0000], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 1e-2,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, maximize)

    def once(self, group: Mapping[str, Any], lr: Tensor, step: Tensor | None) -> Numbers:
        """eta; r / (1 - beta1^t) and eps r with r = sqrt(1 - beta2^t); beta1, 1 - beta1."""
        beta1 = group["betas"][0]
        return lr, *self._corrections(group, step), beta1, 1 - beta1

    def update(
        self, p: Tensor, g: Tensor, state: Moments, group: Mapping[str, Any], numbers: Numbers
    ) -> None:
        """The equations above."""
        lr, size, eps, beta1, weight = numbers
        m, v = self._moments(state, g, group, beta1, weight)
        u = penalized(p, size * m / (v.sqrt() + eps), group)
        weights, length = norm(p), norm(u)
        is_ratio = (weights > 0) & (length > 0)
        ratio = weights / length.where(is_ratio, 1)
        p -= lr * ratio.where(is_ratio, ones_like(ratio)) * u
