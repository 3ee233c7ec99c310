"""What `thalweg explain` does: a run's training step, compiled and measured again."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from thalweg.errors import ConfigError
from thalweg.train.answers import stored_options
from thalweg.train.metrics import measures_for
from thalweg.train.recipe import load_splits, make_trainer
from thalweg.train.runs import RunFolder
from thalweg.train.steps import Steps

__all__ = ["run_explanation"]

_ITERATIONS = 1000  # to measure with, of an epoch's


def run_explanation(path: Path, threads: int | None = None) -> None:
    """Print the kernel table of a run's training step, made anew from its options.

    Where gradients are accumulated over several batches it is the step that makes the update.
    Raises `ConfigError` for an optimizer whose steps are no native program, as L-BFGS.
    """
    folder = RunFolder.open(path)
    options = replace(stored_options(folder), compile=True)
    splits = load_splits(options)
    encoding = folder.encoding
    trainer = make_trainer(options, encoding)
    epoch = splits.train.epoch(trainer.batch_size, generator=trainer.generator)
    steps = Steps(trainer, splits.train, measures_for(encoding))
    if steps.compiled is None:
        raise ConfigError(f"{path}: {options.optimizer} looks for each of its steps, in Python")
    trainer.model.train()
    if trainer.accumulate == 1:
        steps.scan(epoch.take(0, _ITERATIONS))
    else:
        list(steps.run(epoch, 0, min(trainer.accumulate, len(epoch)), math.inf, lambda: False))
    print(steps.compiled.explain(threads))
