"""Stochastic gradient descent, with momentum in the forms the decks give it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.ops.creation import full_like, zeros, zeros_like
from thalweg.optim.decay import penalized
from thalweg.optim.groups import Params
from thalweg.optim.optimizer import Numbers, Optimizer
from thalweg.settings import Rule, absent, choice, flag, nonnegative, real

__all__ = ["Momentum", "SGD"]


@dataclass(slots=True)
class Momentum:
    """The velocity, of the parameter's shape, if there is momentum; the step count, if dampened."""

    momentum_buffer: Tensor | None
    step: Tensor | None


class SGD(Optimizer):
    """Gradient descent: theta <- theta - eps g, with eps = `lr` and g the gradient of the loss.

    With momentum mu > 0 the gradients add up to a velocity, gamma, which starts at 0. Its `form`:

        "polyak"    gamma <- mu gamma + (1 - d) g      theta <- theta - eps gamma
        "averaged"  gamma <- mu gamma + (1 - mu) g     theta <- theta - eps gamma
        "velocity"  gamma <- mu gamma + eps g          theta <- theta - gamma

    - "polyak" is the default and PyTorch's. d = `dampening` lessens every gradient but the first.
    - "averaged" makes gamma a running mean of the gradients: the same path as "polyak" at the step
      size (1 - mu) eps.
    - "velocity" holds steps rather than gradients: the same path as "polyak" as long as eps stays
      the same; when a schedule lowers eps, the steps already in gamma keep their size.

    With `nesterov` the step looks ahead: in place of the new gamma, theta moves along
    mu gamma + (what the gradient has just added to it).

    `weight_decay` = lambda adds the gradient of the penalty R = lambda/2 ||theta||^2 to g, so that
    without momentum theta <- theta - eps (grad L + grad R) = (1 - eps lambda) theta - eps grad L:
    penalty and decay are one thing here. Under Adam they are not: see `AdamW`.
    `maximize` ascends: g becomes -g, before the penalty is added.

    Sources: deck 000, "Momentum" ("polyak", as in Polyak 1964; dampening; Nesterov as in Sutskever
    et al. 2013) and "Weight decay", where a slip prints grad L - grad R; deck 003, "Adding
    Momentum" ("averaged"); deck 001, "SGD with momentum", and deck 004, "Momentum" ("velocity":
    v = -gamma in 001, which prints theta + v(i) where the new v(i+1) is meant, and divides the sum
    over a mini-batch by T where the size of the mini-batch is meant).

    Raises `ConfigError` for numbers out of range, `nesterov` without momentum or with dampening,
    and `dampening` in a form other than "polyak".

    >>> import thalweg as tw
    >>> w = tw.tensor(1.0, requires_grad=True)
    >>> optimizer = SGD([w], lr=0.1, momentum=0.5)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (2 * w).backward()
    ...     optimizer.step()
    >>> w, optimizer.state[w].momentum_buffer
    (tensor(0.5000, requires_grad=True), tensor(3.))
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        **Optimizer.rules,
        "momentum": nonnegative,
        "dampening": real,
        "nesterov": flag,
        "form": choice("polyak", "averaged", "velocity"),
    }

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        form: str = "polyak",
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "form": form,
        }
        super().__init__(params, defaults)

    def check(self, group: Mapping[str, Any]) -> None:
        """Nesterov needs momentum and no dampening; only "polyak" has dampening."""
        if group["nesterov"] and (absent(group["momentum"]) or group["dampening"] != 0):
            raise ConfigError(
                f"SGD: nesterov=True with momentum={group['momentum']}, "
                f"dampening={group['dampening']}; expected momentum above 0 and no dampening"
            )
        if group["form"] != "polyak" and group["dampening"] != 0:
            raise ConfigError(
                f"SGD: dampening={group['dampening']} with form={group['form']!r}; "
                'only "polyak" has it'
            )

    def init(self, p: Tensor, group: Mapping[str, Any]) -> Momentum:
        """A velocity of 0, and a count where the first gradient differs from the others."""
        moving = not absent(group["momentum"])
        dampened = moving and group["dampening"] != 0
        return Momentum(
            momentum_buffer=zeros_like(p) if moving else None,
            step=zeros(dtype=dtypes.float64) if dampened else None,
        )

    def once(self, group: Mapping[str, Any], lr: Tensor, step: Tensor | None) -> Numbers:
        """The step size, the momentum, and the weight of the gradient in the velocity."""
        mu = group["momentum"]
        if group["form"] == "averaged":
            return lr, mu, 1 - mu
        if group["form"] == "velocity":
            return lr, mu, lr
        if step is None:
            return lr, mu
        return lr, mu, full_like(step, 1 - group["dampening"]).where(step > 1, 1)

    def update(
        self, p: Tensor, g: Tensor, state: Momentum, group: Mapping[str, Any], numbers: Numbers
    ) -> None:
        """The equations above."""
        lr, mu, *weight = numbers
        velocity = state.momentum_buffer
        g = penalized(p, g, group)
        if velocity is None:
            p -= lr * g
            return
        push = g * weight[0] if weight else g
        velocity *= mu
        velocity += push
        move = push + mu * velocity if group["nesterov"] else velocity
        p -= move if group["form"] == "velocity" else lr * move
