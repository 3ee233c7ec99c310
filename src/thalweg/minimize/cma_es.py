"""CMA-ES: a normal distribution whose mean, step size and covariance follow the best samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from thalweg.errors import ConfigError
from thalweg.minimize.real import Array
from thalweg.minimize.running import Steps, Stop, Task

__all__ = ["cma_es"]


def cma_es(
    task: Task,
    sigma: float | None = None,
    population: int | None = None,
    tolerance: float = 1e-11,
    value_tolerance: float = 1e-12,
    restarts: int = 0,
) -> Steps:
    """Draw x_k = m + sigma N(0, C); move m towards the better half; let C and sigma follow.

    `sigma`: the first step size, a third of the bounds' distance, or 0.5. `population`: samples in
    an iteration, 4 + 3 ln n. It converges where steps are below `tolerance` sigma, or values do not
    differ by `value_tolerance`; after that, `restarts` times, it starts at a random point with
    twice the population. Each iteration stands at the best of its samples.

    A sample outside of the domain is evaluated at the nearest point of it, and its value raised by
    the squared distance (in steps), so that the mean comes back.

    Source: Hansen, "The CMA evolution strategy: a tutorial" (2016), arXiv:1604.00772, with negative
    weights; restarts: Auger and Hansen, 2005.
    """
    real, n = task.real, task.real.count
    if n < 1:
        raise ConfigError("cma-es: theta has no elements")
    if sigma is None:
        widths = real.high - real.low
        sigma = float(np.min(widths[widths > 0], initial=np.inf)) / 3 if real.is_bounded else 0.5
    if not 0 < sigma < math.inf:
        raise ConfigError(f"cma-es: a finite step size sigma above 0 expected, got {sigma!r}")
    count = population or 4 + int(3 * math.log(n))
    if count < 4:
        raise ConfigError(f"cma-es: a population of 4 or more expected, got {count}")
    mean = np.asarray(task.begin(), np.float64)
    yield mean, task.objective.value(mean)
    for round_ in range(restarts + 1):
        search = _Distribution(_weights(n, count), mean, sigma)
        stop = yield from _generations(task, search, tolerance * sigma, value_tolerance)
        if round_ < restarts:
            mean, count = real.sample(task.generator), 2 * count
    return stop


def _generations(
    task: Task, search: _Distribution, tolerance: float, value_tolerance: float
) -> Steps:
    recent: list[float] = []
    span = 10 + math.ceil(30 * search.n / search.w.count)
    while True:
        steps = task.generator.standard_normal((search.w.count, search.n))
        samples = search.samples(steps)
        nearest = np.stack([task.real.project(x) for x in samples])
        values = np.array([task.objective.value(x) for x in nearest])
        away = np.square((samples - nearest) / search.sigma).sum(1)
        finite = values[np.isfinite(values)]
        unit = (float(np.ptp(finite)) if finite.size else 0.0) or 1.0
        order = np.argsort(values + unit * away, kind="stable")
        best = int(np.argmin(values))
        yield nearest[best], float(values[best])
        search.update(samples[order])
        recent = [*recent[-span:], float(values[best])]
        stop = _finished(search, recent, span, finite, tolerance, value_tolerance)
        if stop is not None:
            return stop


def _finished(
    search: _Distribution,
    recent: list[float],
    span: int,
    values: Array,
    tolerance: float,
    value_tolerance: float,
) -> Stop | None:
    spread = search.sigma * math.sqrt(float(np.max(np.diag(search.C))))
    if not math.isfinite(spread) or spread > 1e15:
        return Stop(
            False, "the distribution grows without end: g has no minimum, or sigma is small"
        )
    if spread < tolerance and search.sigma * float(np.max(np.abs(search.pc))) < tolerance:
        return Stop(True, f"steps are below {tolerance:.3g}")
    if len(recent) > span and values.size and (
        max(np.ptp(recent), np.ptp(values)) < value_tolerance
    ):  # fmt: skip
        return Stop(True, f"values differ by less than {value_tolerance:.3g}")
    if search.lengths.max() > 1e7 * search.lengths.min():
        return Stop(False, "the covariance is too ill-conditioned to go on: scale theta's elements")
    return None


@dataclass(frozen=True, slots=True)
class _Weights:
    """Constants of the strategy, by the tutorial's names."""

    count: int
    w: Array
    mu_eff: float
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float
    chi: float


def _weights(n: int, count: int) -> _Weights:
    raw = math.log((count + 1) / 2) - np.log(np.arange(1, count + 1))
    positive, negative = raw[raw > 0], raw[raw <= 0]
    mu_eff = float(positive.sum() ** 2 / np.square(positive).sum())
    c_c = (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n)
    c_1 = 2 / ((n + 1.3) ** 2 + mu_eff)
    c_mu = min(1 - c_1, 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((n + 2) ** 2 + mu_eff))
    mu_negative = float(negative.sum() ** 2 / np.square(negative).sum()) if negative.any() else 0.0
    most = min(
        1 + c_1 / c_mu if c_mu else 0.0,
        1 + 2 * mu_negative / (mu_eff + 2),
        (1 - c_1 - c_mu) / (n * c_mu) if c_mu else 0.0,
    )
    scaled = np.where(raw > 0, raw / positive.sum(), 0.0)
    if negative.any():
        scaled = np.where(raw > 0, scaled, raw * most / -negative.sum())
    c_sigma = (mu_eff + 2) / (n + mu_eff + 5)
    d_sigma = 1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (n + 1)) - 1) + c_sigma
    chi = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))
    return _Weights(count, scaled, mu_eff, c_sigma, d_sigma, c_c, c_1, c_mu, chi)


class _Distribution:
    """m, sigma and C, with the evolution paths that they learn from."""

    def __init__(self, w: _Weights, mean: Array, sigma: float) -> None:
        self.w, self.n, self.mean, self.sigma = w, mean.size, mean, sigma
        self.C = np.eye(self.n)
        self.pc, self.ps = np.zeros(self.n), np.zeros(self.n)
        self.age = 0
        self._decompose()

    def _decompose(self) -> None:
        squares, self.axes = np.linalg.eigh(self.C)
        self.lengths = np.sqrt(np.maximum(squares, 1e-300))

    def samples(self, steps: Array) -> Array:
        """Points from standard normal numbers (count, n)."""
        found: Array = self.mean + self.sigma * (steps * self.lengths) @ self.axes.T
        return found

    def update(self, ordered: Array) -> None:
        """Learn from samples, the best first: equations (38) to (47) of the tutorial."""
        w, n = self.w, self.n
        self.age += 1
        y = (ordered - self.mean) / self.sigma
        step = np.maximum(w.w, 0) @ y
        self.mean = self.mean + self.sigma * step
        whitened = self.axes @ ((self.axes.T @ step) / self.lengths)
        self.ps = (1 - w.c_sigma) * self.ps + math.sqrt(
            w.c_sigma * (2 - w.c_sigma) * w.mu_eff
        ) * whitened
        length = float(np.linalg.norm(self.ps))
        usual = math.sqrt(1 - (1 - w.c_sigma) ** (2 * self.age)) * (1.4 + 2 / (n + 1)) * w.chi
        slow = length < usual
        self.pc = (1 - w.c_c) * self.pc
        if slow:
            self.pc = self.pc + math.sqrt(w.c_c * (2 - w.c_c) * w.mu_eff) * step
        lengths = np.square((y @ self.axes) / self.lengths).sum(1)
        weights = np.where(w.w >= 0, w.w, w.w * n / np.maximum(lengths, 1e-300))
        lost = 0.0 if slow else w.c_1 * w.c_c * (2 - w.c_c)
        kept = 1 + lost - w.c_1 - w.c_mu * w.w.sum()
        self.C = kept * self.C + w.c_1 * np.outer(self.pc, self.pc) + w.c_mu * (y.T * weights) @ y
        self.C = (self.C + self.C.T) / 2
        self.sigma *= math.exp(min(1.0, w.c_sigma / w.d_sigma * (length / w.chi - 1)))
        self._decompose()
