"""Muon: momentum whose singular values are all brought to about 1."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, ShapeError
from thalweg.ops.creation import zeros_like
from thalweg.optim.groups import Params
from thalweg.optim.optimizer import Numbers, Optimizer
from thalweg.settings import Rule, choice, flag, nonnegative, real, whole

__all__ = ["Muon", "Velocity", "orthogonalized"]


@dataclass(slots=True)
class Velocity:
    """A running mean of the gradients, of the parameter's shape."""

    momentum_buffer: Tensor


class Muon(Optimizer):
    """Momentum, orthogonalized, for matrices. With eta = `lr`, mu = `momentum`, of shape (A, B):

        B <- mu B + (1 - mu) g
        U = (1 - mu) g + mu B with `nesterov`, else B
        theta <- (1 - eta lambda) theta - eta s O(U)              lambda = weight_decay

    O is `orthogonalized`: with the singular value decomposition U = W S V^T it is about W V^T, so
    that all directions are learned alike. `adjust_lr_fn` is s: "original" (or None) is
    sqrt(max(1, A / B)); "match_rms_adamw" is 0.2 sqrt(max(A, B)), which gives steps of the size
    of AdamW's.

    For the matrices of hidden layers only; give biases, embeddings and the last layer to `AdamW`.
    Everything is computed in the parameter's dtype. PyTorch's orthogonalizes in bfloat16, and so
    agrees to about two digits.

    Sources: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; Liu et
    al., "Muon is scalable for LLM training", 2025; the equations of torch.optim.Muon.

    Raises `ConfigError` for numbers out of range, `ShapeError` for a parameter that is no matrix.

    >>> import thalweg as tw
    >>> w = tw.zeros(2, 2, requires_grad=True)
    >>> optimizer = Muon([w], lr=1.0)
    >>> w.grad = tw.tensor([[100.0, 0.0], [0.0, -50.0]])
    >>> optimizer.step()
    >>> [[round(x, 1) for x in row] for row in w.tolist()]
    [[-0.7, 0.0], [0.0, 1.1]]
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        **Optimizer.rules,
        "momentum": nonnegative,
        "nesterov": flag,
        "ns_coefficients": lambda name, value: _coefficients(name, value),
        "eps": nonnegative,
        "ns_steps": lambda name, value: whole(name, value, 1),
        "adjust_lr_fn": lambda name, value: _adjusting(name, value),
    }

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def init(self, p: Tensor, group: Mapping[str, Any]) -> Velocity:
        """A mean of 0."""
        if p.ndim != 2:
            raise ShapeError(
                f"Muon: a parameter of shape {tuple(p.shape)}; expected matrices. Give the others, "
                "such as biases, to an AdamW: [p for p in model.parameters() if p.ndim != 2]"
            )
        return Velocity(zeros_like(p))

    def once(self, group: Mapping[str, Any], lr: Tensor, step: Tensor | None) -> Numbers:
        """eta; mu, 1 - mu; the share 1 - eta lambda that decay leaves."""
        mu = group["momentum"]
        return lr, mu, 1 - mu, 1 - lr * group["weight_decay"]

    def update(
        self, p: Tensor, g: Tensor, state: Velocity, group: Mapping[str, Any], numbers: Numbers
    ) -> None:
        """The equations above."""
        lr, mu, weight, kept = numbers
        mean = state.momentum_buffer
        mean += weight * (g - mean)
        ahead = g + mu * (mean - g) if group["nesterov"] else mean
        coefficients = group["ns_coefficients"]
        move = orthogonalized(ahead, coefficients, group["ns_steps"], group["eps"])
        if group["weight_decay"]:
            p *= kept
        p -= lr * _share(group["adjust_lr_fn"], *p.shape) * move


def orthogonalized(
    x: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """A matrix with the singular vectors of `x` and singular values of about 1, by Newton-Schulz:

        X <- X / max(||X||, eps), then `steps` times X <- a X + (b X X^T + c (X X^T)^2) X

    with (a, b, c) = `coefficients`, which send the singular values not to 1 but, in few steps,
    between about 0.7 and 1.2. A matrix that is taller than wide is transposed meanwhile.

    >>> import thalweg as tw
    >>> x = orthogonalized(tw.tensor([[9.0, 0.0], [0.0, 3.0]]), (1.5, -0.5, 0.0), 20, 1e-7)
    >>> bool(((x - tw.eye(2)).abs() < 1e-5).all())
    True
    """
    a, b, c = coefficients
    is_tall = x.shape[0] > x.shape[1]
    if is_tall:
        x = x.T
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if is_tall else x


def _adjusting(name: str, value: Any) -> str | None:
    return None if value is None else choice("original", "match_rms_adamw")(name, value)


def _share(adjust: str | None, rows: int, columns: int) -> float:
    if adjust == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1.0, rows / columns))


def _coefficients(name: str, value: Any) -> tuple[float, float, float]:
    if not isinstance(value, Iterable) or len(given := tuple(value)) != 3:
        raise ConfigError(f"{name}={value!r}; expected three numbers, a, b and c")
    a, b, c = (real(name, x) for x in given)
    return a, b, c
