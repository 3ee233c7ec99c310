"""Training: the loop, its measures, checkpoints and run folders."""

from thalweg.train.config import Config
from thalweg.train.display import Display, PlainDisplay, display_for
from thalweg.train.metrics import Accuracy, Measures, Regression
from thalweg.train.progress import Progress, Watcher
from thalweg.train.runs import RunFolder
from thalweg.train.trainer import Result, Trainer, evaluate

__all__ = [
    "Accuracy",
    "Config",
    "Display",
    "Measures",
    "PlainDisplay",
    "Progress",
    "Regression",
    "Result",
    "RunFolder",
    "Trainer",
    "Watcher",
    "display_for",
    "evaluate",
]
