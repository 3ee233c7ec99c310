"""NAdam: Adam that looks ahead, as Nesterov's momentum does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.ops.creation import ones, zeros, zeros_like
from thalweg.optim.adam import Adaptive
from thalweg.optim.decay import decayed
from thalweg.optim.groups import Params
from thalweg.optim.optimizer import Numbers
from thalweg.settings import Rule, flag, nonnegative

__all__ = ["MomentsAhead", "NAdam"]


@dataclass(slots=True)
class MomentsAhead:
    """The step count, the product of the mu so far, and running means of g and of g^2."""

    step: Tensor
    mu_product: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor


class NAdam(Adaptive):
    """Adam with Nesterov's momentum. With eta = `lr` and (beta1, beta2) = `betas`, in step t:

        mu_t = beta1 (1 - 0.96^(t psi) / 2)                psi = momentum_decay
        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2                      v^ = v / (1 - beta2^t)
        m^ = mu_(t+1) m / (1 - prod_(i <= t+1) mu_i) + (1 - mu_t) g / (1 - prod_(i <= t) mu_i)
        theta <- theta - eta m^ / (sqrt(v^) + eps)

    `weight_decay` = lambda adds lambda theta to g or, with `decoupled_weight_decay`, shrinks theta
    to (1 - eta lambda) theta first. `maximize` ascends: g becomes -g, before that.

    Sources: Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016; deck 000,
    "Adam".

    Raises `ConfigError` for numbers out of range.

    >>> import thalweg as tw
    >>> w = tw.tensor([1.0, 1.0], requires_grad=True)
    >>> optimizer = NAdam([w], lr=0.1)
    >>> w.grad = tw.tensor([100.0, -0.01])
    >>> optimizer.step()
    >>> w
    tensor([0.8944, 1.1056], requires_grad=True)
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        **Adaptive.rules,
        "momentum_decay": nonnegative,
        "decoupled_weight_decay": flag,
    }

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        more = {"momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay}
        super().__init__(params, lr, betas, eps, weight_decay, maximize, **more)

    def init(self, p: Tensor, group: Mapping[str, Any]) -> MomentsAhead:
        """Means of 0 and an empty product, after 0 steps."""
        return MomentsAhead(
            zeros(dtype=dtypes.float64), ones(dtype=dtypes.float64), zeros_like(p), zeros_like(p)
        )

    def once(self, group: Mapping[str, Any], lr: Tensor, step: Tensor | None) -> Numbers:
        """eta r, eps r, r = sqrt(1 - beta2^t); beta1, 1 - beta1; mu_t, mu_(t+1); 1 - eta lambda."""
        assert step is not None  # `MomentsAhead` counts
        (beta1, beta2), psi = group["betas"], group["momentum_decay"]
        root = (1 - beta2**step).sqrt()
        mu = beta1 * (1 - 0.5 * 0.96 ** (step * psi))
        ahead = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * psi))
        kept = 1 - lr * group["weight_decay"]
        return lr * root, group["eps"] * root, beta1, 1 - beta1, mu, ahead, kept

    def update(
        self, p: Tensor, g: Tensor, state: MomentsAhead, group: Mapping[str, Any], numbers: Numbers
    ) -> None:
        """The equations above, the penalty or the decay first."""
        size, eps, beta1, weight, mu, ahead, kept = numbers
        g = decayed(p, g, group, kept)
        m, v = self._moments(state, g, group, beta1, weight)
        state.mu_product *= mu
        past = (size * ahead / (1 - state.mu_product * ahead)).to(p.dtype)
        now = (size * (1 - mu) / (1 - state.mu_product)).to(p.dtype)
        p -= (past * m + now * g) / (v.sqrt() + eps)
