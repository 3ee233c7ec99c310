"""Gradients divided by their own size: steps of one length, whatever the slope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from thalweg._tensor import Tensor
from thalweg.nn.utils import get_total_norm
from thalweg.optim.decay import penalized
from thalweg.optim.groups import Params
from thalweg.optim.norms import norm
from thalweg.optim.optimizer import Numbers, Optimizer, Stateless
from thalweg.settings import Rule, choice, nonnegative

__all__ = ["NormalizedSGD"]


class NormalizedSGD(Optimizer):
    """Gradient descent with normalized gradients. With alpha = `lr`, m = g and v = g^2:

        theta <- theta - alpha m / (sqrt(v) + eps) = theta - alpha g / (|g| + eps)

    What |g| is, `by` says: the size of each "element" (deck 003: the step is alpha times the sign
    of the gradient), the 2-norm of each "tensor", or the 2-norm of "all" gradients together (the
    step has the length alpha).

    It goes on well where slopes differ much from one direction to the next, and it does not
    converge: near a minimum the steps are as long as anywhere, so it jumps about, at a distance of
    alpha. What helps is a schedule that lowers alpha, or the means that make this `Adam`, which it
    is with betas = (0, 0).

    `weight_decay` = lambda adds lambda theta to g. `maximize` ascends: g becomes -g, before that.

    Sources: deck 003, "Normalized Gradients"; "all": Nesterov, "Minimization methods for nonsmooth
    convex and quasiconvex functions", 1984.

    Raises `ConfigError` for numbers out of range.

    >>> import thalweg as tw
    >>> w = tw.tensor([0.0, 0.0, 0.0], requires_grad=True)
    >>> optimizer = NormalizedSGD([w], lr=1.0)
    >>> w.grad = tw.tensor([3.0, -2.0, 5.0])
    >>> optimizer.step()
    >>> w
    tensor([-1.,  1., -1.], requires_grad=True)
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        **Optimizer.rules,
        "eps": nonnegative,
        "by": choice("element", "tensor", "all"),
    }

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        by: str = "element",
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "eps": eps,
            "weight_decay": weight_decay,
            "by": by,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def once(self, group: Mapping[str, Any], lr: Tensor, step: Tensor | None) -> Numbers:
        """alpha; by "all" gradients alpha / (their norm + eps)."""
        if group["by"] != "all":
            return (lr,)
        found = [
            penalized(p, -p.grad if other["maximize"] else p.grad, other)
            for other in self.param_groups
            for p in other["params"]
            if p.grad is not None
        ]
        return (lr / (get_total_norm(found).to(lr.dtype) + group["eps"]),)

    def update(
        self, p: Tensor, g: Tensor, state: Stateless, group: Mapping[str, Any], numbers: Numbers
    ) -> None:
        """The equation above."""
        (lr,), eps = numbers, group["eps"]
        g = penalized(p, g, group)
        if group["by"] == "element":
            p -= lr * g / (g.abs() + eps)
        elif group["by"] == "tensor":
            p -= lr / (norm(g) + eps) * g
        else:
            p -= lr * g
