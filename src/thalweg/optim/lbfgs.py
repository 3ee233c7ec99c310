"""L-BFGS: steps along the Newton direction of a curvature that past steps have shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.dtypes import finfo
from thalweg.errors import ConfigError
from thalweg.ops.creation import as_tensor, tensor
from thalweg.ops.joining import stack
from thalweg.optim.closures import ClosureOptimizer, Evaluate
from thalweg.optim.groups import Params
from thalweg.optim.line_search import Point, strong_wolfe
from thalweg.optim.optimizer import Optimizer
from thalweg.settings import Rule, choice, nonnegative, whole

__all__ = ["LBFGS", "Memory"]


@dataclass(slots=True)
class Memory:
    """What one step leaves to the next: counts, the last direction, step and gradient, and the
    latest pairs of a move and the gradient's change over it, with 1 / (their product)."""

    func_evals: int = 0
    n_iter: int = 0
    d: Tensor | None = None
    t: float = 0.0
    old_dirs: list[Tensor] = field(default_factory=list)
    old_stps: list[Tensor] = field(default_factory=list)
    ro: list[float] = field(default_factory=list)
    H_diag: float = 1.0
    prev_flat_grad: Tensor | None = None
    prev_loss: float = 0.0


class LBFGS(ClosureOptimizer):
    """Limited-memory BFGS. theta <- theta + t d with d = -H g, where H stands for the inverse of
    the Hessian. It is never formed: the two-loop recursion gives H g from the last `history_size`
    pairs s = theta' - theta, y = g' - g:

        q <- -g;  from the latest pair back:   a_i = s_i q / (y_i s_i),  q <- q - a_i y_i
        d <- (s y / y y) q;  and forth:        d <- d + s_i (a_i - y_i d / (y_i s_i))

    A pair is remembered if y s > eps ||y|| ||s||, eps that of the dtype: the curvature is positive,
    and more than rounding. The rule has no units: near a minimum, and where losses are small, it is
    the same. (PyTorch's y s > 1e-10 remembers nothing there and goes down the gradient.)

    A `step(closure)` makes up to `max_iter` iterations with up to `max_eval` calls of the closure
    (default: 5/4 max_iter), and ends early where no gradient exceeds `tolerance_grad` or nothing
    changes by more than `tolerance_change`. t is `lr`, except in the very first iteration, or is
    searched from there with `line_search_fn="strong_wolfe"`, which is advisable.

    For deterministic losses: all data, or one large batch. There is one group of parameters.
    It branches on values, so its own logic runs in Python; the closure, where the work is, may be
    compiled with `tw.compile`.

    Sources: Nocedal, "Updating quasi-Newton matrices with limited storage", 1980; step for step
    torch.optim.LBFGS.

    Raises `ConfigError` for settings out of range, several groups, and a step without a closure.

    >>> import thalweg as tw
    >>> w = tw.tensor([-1.2, 1.0], dtype=tw.float64, requires_grad=True)
    >>> optimizer = LBFGS([w], line_search_fn="strong_wolfe", max_iter=50)
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> [round(optimizer.step(closure).item(), 6) for _ in range(2)]  # Rosenbrock's valley
    [24.2, 0.0]
    >>> [round(x, 4) for x in w.tolist()]
    [1.0, 1.0]
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        "lr": Optimizer.rules["lr"],
        "maximize": Optimizer.rules["maximize"],
        "max_iter": lambda name, value: whole(name, value, 1),
        "max_eval": lambda name, value: whole(name, value, 1),
        "tolerance_grad": nonnegative,
        "tolerance_change": nonnegative,
        "history_size": lambda name, value: whole(name, value, 1),
        "line_search_fn": lambda name, value: _search_fn(name, value),
    }

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        self.memory = Memory()
        super().__init__(params, defaults)

    # --- a step ---------------------------------------------------------------------------------

    def search(self, evaluate: Evaluate, group: Mapping[str, Any]) -> None:
        """Iterations until one of the limits is reached."""
        memory = self.memory
        now = _at(0.0, evaluate())
        memory.func_evals += 1
        calls = 1
        if _largest(now.gradient) <= group["tolerance_grad"]:
            return
        for iteration in range(1, group["max_iter"] + 1):
            memory.n_iter += 1
            d = self._direction(now.gradient, group["history_size"])
            memory.prev_flat_grad, memory.prev_loss, memory.d = now.gradient, now.value, d
            now.slope = float(now.gradient.dot(d))
            memory.t = self._first_step(now.gradient, group)
            if now.slope > -group["tolerance_change"]:
                return
            is_last = iteration == group["max_iter"]
            now = self._advance(evaluate, now, d, group, calls, is_last)
            calls += now.evaluations
            memory.func_evals += now.evaluations
            if is_last or calls >= group["max_eval"] or self._is_at_rest(now, d, group):
                return

    def _first_step(self, gradient: Tensor, group: Mapping[str, Any]) -> float:
        """lr; in the very first iteration, whose direction has no scale, less where g is large."""
        lr = float(group["lr"])
        return lr * min(1.0, 1.0 / float(gradient.abs().sum())) if self.memory.n_iter == 1 else lr

    def _direction(self, gradient: Tensor, history_size: int) -> Tensor:
        """-H g, by the two-loop recursion, after the last move's pair has been remembered."""
        memory = self.memory
        if memory.n_iter == 1 or memory.prev_flat_grad is None or memory.d is None:
            memory.old_dirs, memory.old_stps, memory.ro, memory.H_diag = [], [], [], 1.0
            return -gradient
        y, s = gradient - memory.prev_flat_grad, memory.d * memory.t
        product, square = float(y.dot(s)), float(y.dot(y))
        if product > _least_curvature(square, s):
            for vectors, new in ((memory.old_dirs, y), (memory.old_stps, s)):
                vectors.append(new)
                del vectors[:-history_size]
            memory.ro.append(1.0 / product)
            del memory.ro[:-history_size]
            memory.H_diag = product / square
        q, shares = -gradient, []
        pairs = list(zip(memory.old_dirs, memory.old_stps, memory.ro, strict=True))
        for change, move, ro in reversed(pairs):
            shares.append(float(move.dot(q)) * ro)
            q = q - shares[-1] * change
        d = q * memory.H_diag
        for change, move, ro in pairs:
            d = d + (shares.pop() - float(change.dot(d)) * ro) * move
        return d

    def _advance(
        self,
        evaluate: Evaluate,
        now: Point,
        d: Tensor,
        group: Mapping[str, Any],
        calls: int,
        is_last: bool,
    ) -> Point:
        """Move by t d; where that leads, or `now` if it is the last iteration, not searched."""
        origin, memory = self.place(), self.memory
        if group["line_search_fn"] is None:
            self.go(origin, memory.t, d)
            if is_last:
                return now
            return _at(memory.t, evaluate())

        def phi(step: float) -> Point:
            self.go(origin, step, d)
            there = _at(step, evaluate())
            there.slope = float(there.gradient.dot(d))
            return there

        start, left = Point(0.0, now.value, now.slope, now.gradient), group["max_eval"] - calls
        found = strong_wolfe(phi, start, memory.t, length=_largest(d), max_eval=left)
        memory.t = found.step
        self.go(origin, found.step, d)
        return found

    def _is_at_rest(self, now: Point, d: Tensor, group: Mapping[str, Any]) -> bool:
        memory = self.memory
        change: float = group["tolerance_change"]
        return (
            bool(_largest(now.gradient) <= group["tolerance_grad"])
            or _largest(d) * abs(memory.t) <= change
            or abs(now.value - memory.prev_loss) < change
        )

    # --- state ----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """As of every optimizer; the memory stands under parameter 0, a list of pairs stacked."""
        saved = super().state_dict()
        if self.memory.n_iter or self.memory.func_evals:
            held = {f.name: getattr(self.memory, f.name) for f in fields(Memory)}
            saved["state"] = {0: {name: _saved(x) for name, x in held.items() if not _is_empty(x)}}
        return saved

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave; lists of tensors, as PyTorch has them, do too.

        Raises `ConfigError` if groups or names do not fit; then nothing has changed.
        """
        given = dict(state_dict.get("state", {}))
        entry = given.pop(0, given.pop("0", {}))
        memory = _read_memory(entry, sum(p.numel() for p in self.param_groups[0]["params"]))
        super().load_state_dict({**state_dict, "state": given})
        self.memory = memory


def _at(step: float, evaluated: tuple[float, Tensor]) -> Point:
    value, gradient = evaluated
    return Point(step, value, gradient=gradient, evaluations=1)


def _largest(x: Tensor) -> float:
    return float(x.abs().max()) if x.numel() else 0.0


def _least_curvature(square: float, s: Tensor) -> float:
    """What y s must exceed: more than rounding makes of orthogonal ones, in any units."""
    kind = finfo(s.dtype)
    if square < kind.tiny:
        return math.inf  # it has lost digits, or is 0
    rounding = float(kind.eps) * math.sqrt(square) * math.sqrt(float(s.dot(s)))
    return max(rounding, float(kind.tiny))


def _search_fn(name: str, value: Any) -> str | None:
    return None if value is None else choice("strong_wolfe")(name, value)


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, list) and not value)


def _saved(value: Any) -> Tensor:
    if isinstance(value, list):
        return stack(value) if isinstance(value[0], Tensor) else tensor(value, dtype=dtypes.float64)
    if isinstance(value, int):
        return tensor(value)
    return value.detach() if isinstance(value, Tensor) else tensor(value, dtype=dtypes.float64)


_READ: dict[str, Callable[[Any], Any]] = {
    "func_evals": int,
    "n_iter": int,
    "d": as_tensor,
    "t": float,
    "old_dirs": lambda rows: [as_tensor(row) for row in rows],
    "old_stps": lambda rows: [as_tensor(row) for row in rows],
    "ro": lambda row: [float(x) for x in row],
    "H_diag": float,
    "prev_flat_grad": as_tensor,
    "prev_loss": float,
}


def _read_memory(entry: Mapping[str, Any], size: int) -> Memory:
    unknown = [name for name in entry if name not in _READ and name != "al"]  # al: PyTorch's room
    if unknown:
        raise ConfigError(f"a state of LBFGS has no {unknown[0]!r}; known: {', '.join(_READ)}")
    memory = Memory(**{name: _READ[name](x) for name, x in entry.items() if name in _READ})
    vectors = [memory.d, memory.prev_flat_grad, *memory.old_dirs, *memory.old_stps]
    for x in vectors:
        if x is not None and tuple(x.shape) != (size,):
            raise ConfigError(
                f"a state of LBFGS with vectors of shape {tuple(x.shape)} for {size} parameters; "
                "is this the state of another model?"
            )
    return memory
