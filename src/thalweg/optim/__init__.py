"""Optimizers and schedules, with PyTorch's names.

    optimizer = tw.optim.Adam(model.parameters(), lr=1e-3)
    schedule = tw.optim.lr_scheduler.StepLR(optimizer, step_size=10)
    for x, y in loader:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

An optimizer is one short file of equations: `sgd`, `adam`. What all share (groups, states, the
step) is `Optimizer`, whose module says how to add one.
"""

from thalweg.optim import lr_scheduler
from thalweg.optim.adam import Adam, AdamW
from thalweg.optim.groups import ParamGroup
from thalweg.optim.optimizer import Optimizer
from thalweg.optim.sgd import SGD

__all__ = ["Adam", "AdamW", "Optimizer", "ParamGroup", "SGD", "lr_scheduler"]
