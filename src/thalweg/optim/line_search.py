"""How far to go along a direction: line searches on phi(t) = f(x + t d), a function of one number.

They look at values to decide, so they run in Python; what they evaluate may be compiled. As parts
of an optimizer: `LineSearchGD`, `LBFGS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.optim.closures import ClosureOptimizer, Evaluate
from thalweg.optim.groups import Params
from thalweg.optim.optimizer import Optimizer
from thalweg.settings import Rule, choice, fraction, proper, whole

__all__ = ["LineSearchGD", "Point", "backtracking", "brent", "exact", "strong_wolfe"]

_GOLDEN = (3 - math.sqrt(5)) / 2


@dataclass(slots=True)
class Point:
    """A place on the line: the step t, phi(t), phi'(t), the gradient there, evaluations so far."""

    step: float
    value: float
    slope: float = math.nan
    gradient: Any = field(default=None, repr=False)
    evaluations: int = 0


def backtracking(
    phi: Callable[[float], float],
    start: Point,
    step: float = 1.0,
    *,
    shrink: float = 0.5,
    sufficient: float = 1e-4,
    max_eval: int = 25,
) -> Point:
    """The first of t = step, shrink step, shrink^2 step, ... that lowers phi enough (Armijo):

        phi(t) <= phi(0) + sufficient t phi'(0)

    `start` holds phi(0) and phi'(0), which must be below 0. If none of `max_eval` steps does, or
    each is NaN, the result is the step 0.

    Sources: Armijo 1966; Boyd, Vandenberghe, "Convex optimization", section 9.2; deck 000,
    "Backtracking/exact line search".

    Raises `ConfigError` if phi does not descend, or for numbers out of range.

    >>> backtracking(lambda t: (t - 1) ** 2, Point(0.0, 1.0, slope=-2.0), step=8.0)
    Point(step=1.0, value=0.0, slope=nan, evaluations=4)
    """
    _check_start("backtracking", start, step)
    if not 0 < shrink < 1 or not 0 < sufficient < 1:
        raise ConfigError(
            f"backtracking: shrink={shrink}, sufficient={sufficient}; expected numbers between 0 "
            "and 1"
        )
    for count in range(1, max_eval + 1):
        value = phi(step)
        if value <= start.value + sufficient * step * start.slope:
            return Point(step, value, evaluations=count)
        step *= shrink
    return Point(0.0, start.value, start.slope, evaluations=max_eval)


def exact(
    phi: Callable[[float], float],
    start: Point,
    step: float = 1.0,
    *,
    tolerance: float = 1e-6,
    max_eval: int = 50,
) -> Point:
    """A t > 0 at which phi has a minimum, to within `tolerance` t: Brent's method.

    First `step` is doubled until phi rises again (or halved until it falls), which brackets a
    minimum; then parabolas through the last three places, or golden sections where these do not
    help, shrink the bracket. Of a convex phi the minimum is the only one. A phi that never rises
    gives the last step tried.

    A value of phi is only known to its rounding, so t is to about the square root of it: 1e-8
    relative in float64, 3e-4 in float32.

    Sources: Brent, "Algorithms for minimization without derivatives", 1973; deck 000,
    "Backtracking/exact line search".

    Raises `ConfigError` if phi does not descend.

    >>> found = exact(lambda t: (t - 3) ** 2, Point(0.0, 9.0, slope=-6.0))
    >>> round(found.step, 6)
    3.0
    """
    _check_start("exact line search", start, step)
    search = _Counted(phi, max_eval)
    low, middle, high = search.bracket(start, step)
    if high is not None:
        middle = search.brent(low.step, middle, high.step, tolerance)
    middle.evaluations = search.count
    return middle


def brent(
    phi: Callable[[float], float],
    low: float,
    best: Point,
    high: float,
    *,
    tolerance: float = 1e-9,
    max_eval: int = 80,
) -> Point:
    """A minimum of phi between `low` and `high`, where `best` is no higher than either: Brent's
    method, without derivatives; see `exact`.

    >>> round(brent(lambda t: (t - 1) ** 2, -2.0, Point(0.0, 1.0), 5.0).step, 6)
    1.0
    """
    search = _Counted(phi, max_eval)
    found = search.brent(low, best, high, tolerance)
    found.evaluations = search.count
    return found


class _Counted:
    """phi, as often as it may be evaluated."""

    def __init__(self, phi: Callable[[float], float], max_eval: int) -> None:
        self.phi, self.left, self.count = phi, max_eval, 0

    def at(self, step: float) -> Point:
        self.left, self.count = self.left - 1, self.count + 1
        value = self.phi(step)
        return Point(step, value if value == value else math.inf)  # NaN is worse than anything

    def bracket(self, start: Point, step: float) -> tuple[Point, Point, Point | None]:
        """Three places, of which the middle is the lowest; no third if phi never rises."""
        low, middle = start, self.at(step)
        if middle.value >= start.value:
            high = middle
            while self.left > 0:
                middle = self.at(high.step / 2)
                if middle.value < start.value:
                    return start, middle, high
                high = middle
            return start, start, None
        while self.left > 0:
            high = self.at(2 * middle.step)
            if high.value >= middle.value:
                return low, middle, high
            low, middle = middle, high
        return low, middle, None

    def brent(self, low: float, best: Point, high: float, tolerance: float) -> Point:
        """The minimum between `low` and `high`."""
        second = third = best
        move = before = high - low
        while self.left > 0:
            centre, near = (low + high) / 2, tolerance * abs(best.step) + 1e-300
            if abs(best.step - centre) <= 2 * near - (high - low) / 2:
                break
            jump = _parabola(best, second, third)
            fits = low + near < best.step + jump < high - near and abs(jump) < abs(before) / 2
            before = move
            if not fits:
                before = high - best.step if best.step < centre else low - best.step
                jump = _GOLDEN * before
            move = jump if abs(jump) >= near else math.copysign(near, jump)
            new = self.at(best.step + move)
            if new.value <= best.value:
                low, high = (best.step, high) if move > 0 else (low, best.step)
                best, second, third = new, best, second
            else:
                low, high = (low, new.step) if move > 0 else (new.step, high)
                if new.value <= second.value or second is best:
                    second, third = new, second
                elif new.value <= third.value or third in (best, second):
                    third = new
        return best


def _parabola(best: Point, second: Point, third: Point) -> float:
    """From `best` to the lowest point of the parabola through the three; NaN if there is none."""
    to_second, to_third = best.step - second.step, best.step - third.step
    r = to_second * (best.value - third.value)
    q = to_third * (best.value - second.value)
    below = 2 * (q - r)
    if below == 0 or not math.isfinite(below):
        return math.nan
    return -(to_third * q - to_second * r) / below


def strong_wolfe(
    phi: Callable[[float], Point],
    start: Point,
    step: float = 1.0,
    *,
    c1: float = 1e-4,
    c2: float = 0.9,
    length: float = 1.0,
    tolerance_change: float = 1e-9,
    max_eval: int = 25,
) -> Point:
    """A step that lowers phi enough and leaves little of its slope, the strong Wolfe conditions:

        phi(t) <= phi(0) + c1 t phi'(0)        |phi'(t)| <= c2 |phi'(0)|

    `phi` gives a `Point` with value, slope and, if you like, the gradient. A bracket is found by
    growing steps, then shrunk by cubic interpolation until the conditions hold, `max_eval` places
    were tried, or it is, times the direction's `length`, shorter than `tolerance_change`; then the
    best of them is the result.

    Sources: Nocedal, Wright, "Numerical optimization", 2006, algorithms 3.5 and 3.6; step for step
    the search of torch.optim.LBFGS.

    >>> found = strong_wolfe(lambda t: Point(t, (t - 1) ** 2, 2 * (t - 1)), Point(0.0, 1.0, -2.0))
    >>> found.step, found.value
    (1.0, 0.0)
    """
    search = _Wolfe(phi, start, c1, c2, max_eval)
    return search.zoom(search.bracket(step), tolerance_change / max(length, 1e-300))


class _Wolfe:
    def __init__(
        self, phi: Callable[[float], Point], start: Point, c1: float, c2: float, max_eval: int
    ) -> None:
        self.phi, self.start, self.c1, self.c2, self.max_eval = phi, start, c1, c2, max_eval
        self.count, self.tries, self.done = 0, 0, False

    def at(self, step: float) -> Point:
        self.count += 1
        return self.phi(step)

    def is_high(self, now: Point) -> bool:
        return now.value > self.start.value + self.c1 * now.step * self.start.slope

    def is_flat(self, now: Point) -> bool:
        return abs(now.slope) <= -self.c2 * self.start.slope

    def bracket(self, step: float) -> list[Point]:
        """Two places with steps that fit between them, or one that fits."""
        before, now = self.start, self.at(step)
        while self.tries < self.max_eval:
            if self.is_high(now) or (self.tries > 1 and now.value >= before.value):
                return [before, now]
            if self.is_flat(now):
                self.done = True
                return [now]
            if now.slope >= 0:
                return [before, now]
            limits = now.step + 0.01 * (now.step - before.step), now.step * 10
            before, now = now, self.at(_cubic(before, now, limits))
            self.tries += 1
        return [self.start, now]

    def zoom(self, ends: list[Point], shortest: float) -> Point:
        """The place in the bracket `ends`, shrunk from both sides."""
        low, high = sorted((ends[0], ends[-1]), key=lambda end: end.value)
        is_slow = False
        while not self.done and self.tries < self.max_eval:
            if abs(high.step - low.step) < shortest:
                break
            step, is_slow = _inside(low, high, is_slow)
            now = self.at(step)
            self.tries += 1
            if self.is_high(now) or now.value >= low.value:
                high = now
                if high.value < low.value:
                    low, high = high, low
            else:
                if self.is_flat(now):
                    self.done = True
                elif now.slope * (high.step - low.step) >= 0:
                    high = low
                low = now
        low.evaluations = self.count
        return low


def _inside(low: Point, high: Point, is_slow: bool) -> tuple[float, bool]:
    """A step inside the bracket, away from its ends if the last one was near them too."""
    step, (left, right) = _cubic(low, high), sorted((low.step, high.step))
    margin = 0.1 * (right - left)
    if min(right - step, step - left) >= margin:
        return step, False
    if not is_slow and left < step < right:
        return step, True
    return (right - margin if abs(step - right) < abs(step - left) else left + margin), False


def _cubic(a: Point, b: Point, limits: tuple[float, float] | None = None) -> float:
    """Where the cubic through two places, with their slopes, is lowest, within `limits`."""
    low, high = limits or (min(a.step, b.step), max(a.step, b.step))
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    first, last = (a, b) if a.step <= b.step else (b, a)
    d2 = math.sqrt(square)
    bend = last.slope - first.slope + 2 * d2
    if not bend:  # a line, lowest at an end
        return high if last.slope < 0 else low
    share = (last.slope + d2 - d1) / bend
    return min(max(last.step - (last.step - first.step) * share, low), high)


def _check_start(name: str, start: Point, step: float) -> None:
    if not start.slope < 0:
        raise ConfigError(
            f"{name}: the slope at 0 is {start.slope}; expected a direction of descent, a slope "
            "below 0"
        )
    if not 0 < step < math.inf:
        raise ConfigError(f"{name}: step={step}; expected a number above 0")


class LineSearchGD(ClosureOptimizer):
    """Gradient descent that looks for the size of each step: theta <- theta - t g, where t is

    - "backtracking": the first of lr, `shrink` lr, shrink^2 lr, ... with f(theta - t g) <= f(theta)
      - `sufficient` t ||g||^2;
    - "exact": a minimum of f(theta - t g), found from lr on;
    - "strong_wolfe": as `strong_wolfe` has it, from lr on.

    `line_search_fn` chooses. `step(closure)` calls the closure once, and once for each t it tries,
    at most `max_eval` times: it is to be of one batch, or all data. Where no t helps, theta stays.
    All of it looks at values, so it runs in Python; the closure may be compiled.

    Sources: see `backtracking` and `exact`; deck 000, "How to choose the step size".

    Raises `ConfigError` for settings out of range, several groups, and a step without a closure.

    >>> import thalweg as tw
    >>> w = tw.tensor([4.0, 4.0], requires_grad=True)
    >>> optimizer = LineSearchGD([w], line_search_fn="exact")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (w * w).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure)
    tensor(32., grad_fn=<sum>)
    >>> bool(w.abs().max() < 0.01)  # a round bowl: one step
    True
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        "lr": Optimizer.rules["lr"],
        "maximize": Optimizer.rules["maximize"],
        "line_search_fn": choice("backtracking", "exact", "strong_wolfe"),
        "shrink": proper,
        "sufficient": fraction,
        "max_eval": lambda name, value: whole(name, value, 1),
    }

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        line_search_fn: str = "backtracking",
        *,
        shrink: float = 0.5,
        sufficient: float = 1e-4,
        max_eval: int = 25,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "line_search_fn": line_search_fn,
            "shrink": shrink,
            "sufficient": sufficient,
            "max_eval": max_eval,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def search(self, evaluate: Evaluate, group: Mapping[str, Any]) -> None:
        """One step: along -g, as far as the line search says."""
        value, gradient = evaluate()
        along, origin = -gradient, self.place()
        start = Point(0.0, value, float(gradient.dot(along)), gradient)
        if not start.slope < 0:  # a stationary point, or NaN
            return

        def phi(step: float) -> Point:
            self.go(origin, step, along)
            there, slope = evaluate()
            return Point(step, there, float(slope.dot(along)), slope)

        self.go(origin, self._search(phi, start, group).step, along)

    @staticmethod
    def _search(phi: Callable[[float], Point], start: Point, group: Mapping[str, Any]) -> Point:
        step, most = float(group["lr"]), group["max_eval"]
        match group["line_search_fn"]:
            case "backtracking":
                enough = {"shrink": group["shrink"], "sufficient": group["sufficient"]}
                return backtracking(lambda t: phi(t).value, start, step, max_eval=most, **enough)
            case "exact":
                return exact(lambda t: phi(t).value, start, step, max_eval=most)
            case _:
                return strong_wolfe(phi, start, step, max_eval=most)
