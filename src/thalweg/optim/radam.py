"""RAdam: Adam that trusts its scaling only once enough gradients have been seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from thalweg._tensor import Tensor
from thalweg.optim.adam import Adaptive, Moments
from thalweg.optim.decay import decayed
from thalweg.optim.groups import Params
from thalweg.optim.optimizer import Numbers
from thalweg.settings import Rule, flag

__all__ = ["RAdam"]


class RAdam(Adaptive):
    """Rectified Adam. With eta = `lr`, (beta1, beta2) = `betas`, and m, v, m^ in step t as in Adam:

        rho_inf = 2 / (1 - beta2) - 1            rho_t = rho_inf - 2 t beta2^t / (1 - beta2^t)

    While rho_t <= 5 the variance of v is too large to divide by: theta <- theta - eta m^. Then

        theta <- theta - eta r_t m^ sqrt(1 - beta2^t) / (sqrt(v) + eps)
        r_t = sqrt((rho_t - 4)(rho_t - 2) rho_inf / ((rho_inf - 4)(rho_inf - 2) rho_t))

    which is a warm-up: r_t grows towards 1. Which of the two holds is a choice of weights (1, 0) or
    (0, 1), not a branch, so that a compiled step does both.

    `weight_decay` = lambda adds lambda theta to g or, with `decoupled_weight_decay`, shrinks theta
    to (1 - eta lambda) theta first. `maximize` ascends: g becomes -g, before that.

    Sources: Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020; deck
    000, "Adam".

    Raises `ConfigError` for numbers out of range.

    >>> import thalweg as tw
    >>> w = tw.tensor([1.0, 1.0], requires_grad=True)
    >>> optimizer = RAdam([w], lr=0.1)
    >>> w.grad = tw.tensor([2.0, -0.5])
    >>> optimizer.step()  # the first steps are those of momentum, not of Adam
    >>> w
    tensor([0.8000, 1.0500], requires_grad=True)
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        **Adaptive.rules,
        "decoupled_weight_decay": flag,
    }

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        more = {"decoupled_weight_decay": decoupled_weight_decay}
        super().__init__(params, lr, betas, eps, weight_decay, maximize, **more)

    def once(self, group: Mapping[str, Any], lr: Tensor, step: Tensor | None) -> Numbers:
        """The factors of m and of m / (sqrt(v) + eps); beta1, 1 - beta1; 1 - eta lambda."""
        assert step is not None  # `Moments` counts
        beta1, beta2 = group["betas"]
        limit = 2 / (1 - beta2) - 1
        correction = 1 - beta2**step
        rho = limit - 2 * step * beta2**step / correction
        is_rectified = rho > 5
        trusted = rho.where(is_rectified, limit)  # no root of a negative number
        scale = limit / ((limit - 4) * (limit - 2)) if limit > 4 else 0.0  # else rho is below 5
        rectified = ((trusted - 4) * (trusted - 2) * scale / trusted).maximum(0).sqrt()
        size = lr / (1 - beta1**step)
        plain = size.where(~is_rectified, 0)
        scaled = (size * rectified * correction.sqrt()).where(is_rectified, 0)
        return plain, scaled, beta1, 1 - beta1, 1 - lr * group["weight_decay"]

    def update(
        self, p: Tensor, g: Tensor, state: Moments, group: Mapping[str, Any], numbers: Numbers
    ) -> None:
        """The equations above, the penalty or the decay first."""
        plain, scaled, beta1, weight, kept = numbers
        m, v = self._moments(state, decayed(p, g, group, kept), group, beta1, weight)
        p -= m * (plain + scaled / (v.sqrt() + group["eps"]))
