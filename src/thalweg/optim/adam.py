"""Adam and AdamW: steps scaled by running means of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.ops.creation import zeros, zeros_like
from thalweg.optim.decay import decayed
from thalweg.optim.groups import Params
from thalweg.optim.optimizer import Numbers, Optimizer
from thalweg.settings import Rule, flag, fractions, nonnegative

__all__ = ["Adam", "AdamW", "Adaptive", "Moments", "followed"]


@dataclass(slots=True)
class Moments:
    """The step count, and running means of the parameter's shape; the largest one for AMSGrad."""

    step: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor
    max_exp_avg_sq: Tensor | None


def followed(mean: Tensor, g: Tensor, beta1: Tensor | float, weight: Tensor | float) -> Tensor:
    """The running mean m <- beta1 m + (1 - beta1) g; `weight` is 1 - beta1."""
    mean *= beta1
    mean += weight * g
    return mean


class Adaptive(Optimizer):
    """What Adam's family shares: running means of the gradient and, mostly, of its square."""

    rules: ClassVar[Mapping[str, Rule]] = {
        **Optimizer.rules,
        "betas": fractions,
        "eps": nonnegative,
    }

    def __init__(
        self,
        params: Params,
        lr: float | Tensor,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        maximize: bool,
        **more: Any,
    ) -> None:
        usual = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**usual, **more, "maximize": maximize})

    def init(self, p: Tensor, group: Mapping[str, Any]) -> Any:
        """Means of 0, after 0 steps."""
        largest = zeros_like(p) if group.get("amsgrad") else None
        return Moments(zeros(dtype=dtypes.float64), zeros_like(p), zeros_like(p), largest)

    @staticmethod
    def _corrections(group: Mapping[str, Any], step: Tensor | None) -> tuple[Tensor, Tensor]:
        """r / (1 - beta1^t) and eps r, with r = sqrt(1 - beta2^t): of m and of eps, for m^, v^."""
        assert step is not None  # the states count
        beta1, beta2 = group["betas"]
        root = (1 - beta2**step).sqrt()
        return root / (1 - beta1**step), group["eps"] * root

    @staticmethod
    def _moments(
        state: Any, g: Tensor, group: Mapping[str, Any], beta1: Tensor | float, weight: Any
    ) -> tuple[Tensor, Tensor]:
        """m <- beta1 m + (1 - beta1) g and v <- beta2 v + (1 - beta2) g^2."""
        m, v, beta2 = followed(state.exp_avg, g, beta1, weight), state.exp_avg_sq, group["betas"][1]
        v *= beta2
        v += (1 - beta2) * g * g
        return m, v


class Adam(Adaptive):
    """Adaptive moment estimation. With eta = `lr` and (beta1, beta2) = `betas`, in step t:

        m <- beta1 m + (1 - beta1) g            m^ = m / (1 - beta1^t)
        v <- beta2 v + (1 - beta2) g^2          v^ = v / (1 - beta2^t)
        theta <- theta - eta m^ / (sqrt(v^) + eps)

    m and v start at 0; the division by 1 - beta^t takes the pull towards 0 out of them. With
    `amsgrad` the largest v so far stands in place of v: the step sizes never grow again.

    The corrections are applied to eta and eps, once a step, rather than to every element: with
    r = sqrt(1 - beta2^t), theta moves by (eta r / (1 - beta1^t)) m / (sqrt(v) + eps r).

    `weight_decay` = lambda adds the gradient lambda theta of the penalty lambda/2 ||theta||^2 to g.
    It then goes through m and v and is divided by sqrt(v^): a weight whose gradients are large
    decays less. That is not weight decay, which shrinks all weights at one rate: see `AdamW`, which
    is this with `decoupled_weight_decay`.
    `maximize` ascends: g becomes -g, before the penalty is added.

    Sources: Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015; decks 000
    ("Regularization issue"), 003 and 004 ("Adaptive moment estimation"). AMSGrad: Reddi, Kale,
    Kumar, "On the convergence of Adam and beyond", ICLR 2018.

    Raises `ConfigError` for numbers out of range.

    >>> import thalweg as tw
    >>> w = tw.tensor([1.0, 1.0], requires_grad=True)
    >>> optimizer = Adam([w], lr=0.1)
    >>> (w * tw.tensor([100.0, -0.01])).sum().backward()
    >>> optimizer.step()  # the first step is eta times the sign of the gradient
    >>> w
    tensor([0.9000, 1.1000], requires_grad=True)
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        **Adaptive.rules,
        "amsgrad": flag,
        "decoupled_weight_decay": flag,
    }

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        more = {"amsgrad": amsgrad, "decoupled_weight_decay": decoupled_weight_decay}
        super().__init__(params, lr, betas, eps, weight_decay, maximize, **more)

    def once(self, group: Mapping[str, Any], lr: Tensor, step: Tensor | None) -> Numbers:
        """eta r / (1 - beta1^t), eps r, r = sqrt(1 - beta2^t); beta1, 1 - beta1; 1 - eta lambda."""
        (size, eps), beta1 = self._corrections(group, step), group["betas"][0]
        return lr * size, eps, beta1, 1 - beta1, 1 - lr * group["weight_decay"]

    def update(
        self, p: Tensor, g: Tensor, state: Moments, group: Mapping[str, Any], numbers: Numbers
    ) -> None:
        """The equations above, the penalty or the decay first."""
        size, eps, beta1, weight, kept = numbers
        m, v = self._moments(state, decayed(p, g, group, kept), group, beta1, weight)
        if state.max_exp_avg_sq is not None:
            v = state.max_exp_avg_sq._assign(state.max_exp_avg_sq.maximum(v))
        p -= size * m / (v.sqrt() + eps)


class AdamW(Adam):
    """Adam with weight decay that is decoupled from the gradient:

        theta <- (1 - eta lambda) theta - eta m^ / (sqrt(v^) + eps)

    with lambda = `weight_decay` and Adam's m^ and v^ of the gradient of the loss alone. Every
    weight shrinks by the same share, whatever its gradients were; under `Adam` a penalty
    lambda/2 ||theta||^2 is divided by sqrt(v^) like any other part of the gradient. Under `SGD` the
    two are the same thing, with lambda.

    Sources: Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019; deck 000,
    "Regularization issue": weight decay is not equivalent to the l2 norm with adaptive step sizes.

    Raises `ConfigError` for numbers out of range.

    >>> import thalweg as tw
    >>> loss_slope = tw.tensor([100.0, 0.01])
    >>> for kind in Adam, AdamW:
    ...     w = tw.tensor([1.0, 1.0], requires_grad=True)
    ...     optimizer = kind([w], lr=0.1, weight_decay=1.0)
    ...     (w * loss_slope).sum().backward()
    ...     optimizer.step()
    ...     print(w)
    tensor([0.9000, 0.9000], requires_grad=True)
    tensor([0.8000, 0.8000], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            decoupled_weight_decay=True,
        )
