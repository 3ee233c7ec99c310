"""Optimizers and schedules, with PyTorch's names.

    optimizer = tw.optim.Adam(model.parameters(), lr=1e-3)
    schedule = tw.optim.lr_scheduler.StepLR(optimizer, step_size=10)
    for x, y in loader:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

An optimizer is one short file of equations: `sgd`, `adam`, `lion`, ... What all share (groups,
states, the step) is `Optimizer`, whose module says how to add one.
"""

from thalweg.optim import lr_scheduler, penalties, swa_utils
from thalweg.optim.adadelta import Adadelta
from thalweg.optim.adafactor import Adafactor
from thalweg.optim.adagrad import Adagrad
from thalweg.optim.adam import Adam, AdamW
from thalweg.optim.adamax import Adamax
from thalweg.optim.asgd import ASGD
from thalweg.optim.groups import ParamGroup
from thalweg.optim.lamb import LAMB
from thalweg.optim.lbfgs import LBFGS
from thalweg.optim.line_search import LineSearchGD
from thalweg.optim.lion import Lion
from thalweg.optim.muon import Muon
from thalweg.optim.nadam import NAdam
from thalweg.optim.normalized import NormalizedSGD
from thalweg.optim.optimizer import Optimizer
from thalweg.optim.radam import RAdam
from thalweg.optim.rmsprop import RMSprop
from thalweg.optim.rprop import Rprop
from thalweg.optim.several import Several
from thalweg.optim.sgd import SGD

__all__ = [
    "ASGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "LAMB",
    "LBFGS",
    "LineSearchGD",
    "Lion",
    "Muon",
    "NAdam",
    "NormalizedSGD",
    "Optimizer",
    "ParamGroup",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
    "Several",
    "lr_scheduler",
    "penalties",
    "swa_utils",
]
