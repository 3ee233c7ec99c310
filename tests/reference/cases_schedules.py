"""Schedules with their options, each a function of `optim.lr_scheduler` and an optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

__all__ = ["SCHEDULES", "Build"]

Build = Callable[[Any, Any], Any]


def _wave(t: int) -> float:
    return 1.5 + math.sin(t)


# fmt: off
SCHEDULES: dict[str, Build] = {
    "StepLR":             lambda s, o: s.StepLR(o, step_size=7, gamma=0.5),
    "StepLR 1":           lambda s, o: s.StepLR(o, 1),
    "MultiStepLR":        lambda s, o: s.MultiStepLR(o, milestones=[5, 20, 21, 50], gamma=0.3),
    "MultiStepLR twice":  lambda s, o: s.MultiStepLR(o, [10, 10, 3]),
    "MultiStepLR none":   lambda s, o: s.MultiStepLR(o, []),
    "ExponentialLR":      lambda s, o: s.ExponentialLR(o, gamma=0.9),
    "LambdaLR":           lambda s, o: s.LambdaLR(o, _wave),
    "LambdaLR by group":  lambda s, o: s.LambdaLR(o, [_wave, lambda t: 0.95**t]),
    "LinearLR":           lambda s, o: s.LinearLR(o),
    "LinearLR down":      lambda s, o: s.LinearLR(o, start_factor=1.0, end_factor=0.1,
    total_iters=30),
    "LinearLR up":        lambda s, o: s.LinearLR(o, 0.01, total_iters=25),
    "ConstantLR":         lambda s, o: s.ConstantLR(o, factor=0.25, total_iters=9),
    "ConstantLR default": lambda s, o: s.ConstantLR(o),
    "PolynomialLR":       lambda s, o: s.PolynomialLR(o, total_iters=40, power=2.0),
    "PolynomialLR 1":     lambda s, o: s.PolynomialLR(o, total_iters=15),
    "CosineAnnealingLR":  lambda s, o: s.CosineAnnealingLR(o, T_max=60),
    "Cosine with floor":  lambda s, o: s.CosineAnnealingLR(o, T_max=50, eta_min=0.01),
    "Cosine rises again": lambda s, o: s.CosineAnnealingLR(o, T_max=13, eta_min=0.001),
    "MultiplicativeLR":   lambda s, o: s.MultiplicativeLR(o, lambda t: 0.9 + 0.1 / t),
    "Multiplicative by group": lambda s, o: s.MultiplicativeLR(o, [lambda t: 0.95,
                                                                   lambda t: 1 / (1 + t / 50)]),
    "restarts":           lambda s, o: s.CosineAnnealingWarmRestarts(o, 7),
    "restarts, growing":  lambda s, o: s.CosineAnnealingWarmRestarts(o, T_0=5, T_mult=2,
                                                                     eta_min=0.001),
    "restarts, threefold": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2, 3),
    "triangles":          lambda s, o: s.CyclicLR(o, 0.01, 0.2, step_size_up=7),
    "triangles, uneven":  lambda s, o: s.CyclicLR(o, [0.01, 0.001], [0.2, 0.1], step_size_up=5,
                                                  step_size_down=8, mode="triangular2",
                                                  base_momentum=0.5, max_momentum=0.95),
    "triangles, fading":  lambda s, o: s.CyclicLR(o, 0.01, 0.2, 6, mode="exp_range", gamma=0.97,
                                                  base_momentum=[0.7, 0.6]),
    "triangles, own":     lambda s, o: s.CyclicLR(o, 0.01, 0.2, 6, scale_fn=lambda c: 1 / c),
    "triangles, own by t": lambda s, o: s.CyclicLR(o, 0.01, 0.2, 6, scale_fn=lambda t: 0.9**t,
                                                   scale_mode="iterations", cycle_momentum=False),
    "one cycle":          lambda s, o: s.OneCycleLR(o, 0.5, total_steps=61),
    "one cycle, lines":   lambda s, o: s.OneCycleLR(o, [0.5, 0.1], epochs=7, steps_per_epoch=10,
                                                    anneal_strategy="linear", pct_start=0.4),
    "one cycle, three":   lambda s, o: s.OneCycleLR(o, 0.5, 61, three_phase=True, div_factor=10.0,
                                                    final_div_factor=100.0, max_momentum=0.99),
    "one cycle, fixed":   lambda s, o: s.OneCycleLR(o, 0.5, 70, cycle_momentum=False),
    "warm-up, triangles": lambda s, o: s.SequentialLR(o, [s.LinearLR(o, 0.1, total_iters=6),
                                                          s.CyclicLR(o, 0.1, 0.3, 5)], [6]),
    "warm-up, cosine":    lambda s, o: s.SequentialLR(o, [s.LinearLR(o, 0.1, total_iters=10),
    s.CosineAnnealingLR(o, T_max=50)],
                                                      milestones=[10]),
    "warm-up, steps":     lambda s, o: s.SequentialLR(o, [s.ConstantLR(o, 0.1, total_iters=6),
    s.StepLR(o, 5, gamma=0.5)], [6]),
    "three in sequence":  lambda s, o: s.SequentialLR(o, [s.LinearLR(o, total_iters=5),
    s.ExponentialLR(o, 0.9),
                                                          s.MultiStepLR(o, [4, 9], gamma=0.2)],
                                                              milestones=[5, 30]),
    "lambda, polynomial": lambda s, o: s.SequentialLR(o, [s.LambdaLR(o, _wave), s.PolynomialLR(o,
    20)], [15]),
    "chained":            lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, total_iters=4),
    s.ExponentialLR(o, 0.9)]),
    "chained three":      lambda s, o: s.ChainedScheduler([s.LinearLR(o, total_iters=20),
    s.StepLR(o, 7, 0.5), s.MultiStepLR(o, [30], 0.2)]),
    "chained cosine":     lambda s, o: s.ChainedScheduler([s.CosineAnnealingLR(o, 60),
    s.LinearLR(o, 0.2, total_iters=10)]),
}
# fmt: on
