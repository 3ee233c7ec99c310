"""Schedules of the step size: functions of the step t, and the reduction on a plateau.

    optimizer = tw.optim.SGD(model.parameters(), lr=0.1)
    schedule = tw.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    curve = schedule.values(epochs)  # to draw before training
    for epoch in range(epochs):
        ...
        schedule.step()

Names and signatures are PyTorch's where it has the schedule; `InverseTimeLR`,
`ExponentialDecayLR` and `DiminishingLR` are deck 000's others. Several schedules of one optimizer
multiply. To write one, subclass `FactorLR`.
"""

from thalweg.optim.lr_scheduler.base import FactorLR, LRScheduler, Scheduler
from thalweg.optim.lr_scheduler.composition import ChainedScheduler, SequentialLR
from thalweg.optim.lr_scheduler.cycles import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from thalweg.optim.lr_scheduler.decay import (
    CosineAnnealingLR,
    DiminishingLR,
    ExponentialDecayLR,
    ExponentialLR,
    InverseTimeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from thalweg.optim.lr_scheduler.plateau import ReduceLROnPlateau
from thalweg.optim.lr_scheduler.simple import ConstantLR, LambdaLR, LinearLR, MultiplicativeLR

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "DiminishingLR",
    "ExponentialDecayLR",
    "ExponentialLR",
    "FactorLR",
    "InverseTimeLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "Scheduler",
    "SequentialLR",
    "StepLR",
]
