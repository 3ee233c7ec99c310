"""Training: the loop, its measures, checkpoints and run folders.

Names are loaded when they are first used: `thalweg --help` needs the options alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thalweg.train.config import Config
    from thalweg.train.display import Display, PlainDisplay, display_for
    from thalweg.train.evaluation import evaluate, predict
    from thalweg.train.metrics import Accuracy, Measures, NextToken, Regression, next_token_loss
    from thalweg.train.progress import Progress, Watcher
    from thalweg.train.ranging import RangeTest, range_test
    from thalweg.train.result import Result
    from thalweg.train.runs import RunFolder
    from thalweg.train.trainer import Trainer

__all__ = [
    "Accuracy",
    "Config",
    "Display",
    "Measures",
    "NextToken",
    "PlainDisplay",
    "Progress",
    "RangeTest",
    "Regression",
    "Result",
    "RunFolder",
    "Trainer",
    "Watcher",
    "display_for",
    "evaluate",
    "next_token_loss",
    "predict",
    "range_test",
]

_HOMES = {
    "config": ("Config",),
    "display": ("Display", "PlainDisplay", "display_for"),
    "metrics": ("Accuracy", "Measures", "NextToken", "Regression", "next_token_loss"),
    "progress": ("Progress", "Watcher"),
    "ranging": ("RangeTest", "range_test"),
    "runs": ("RunFolder",),
    "result": ("Result",),
    "evaluation": ("evaluate", "predict"),
    "trainer": ("Trainer",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'thalweg.train' has no attribute {name!r}")
    return getattr(importlib.import_module(f"thalweg.train.{_HOME[name]}"), name)
