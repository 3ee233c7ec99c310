"""What `thalweg explain` does: a run's training step, compiled and measured again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from thalweg.data import Encoding
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

    Raises `ConfigError` for a run whose steps are no native program: with gradients accumulated
    over several batches, or batches larger than the training set.
    """
    folder = RunFolder.open(path)
    options = replace(stored_options(folder), compile=True)
    if options.accumulate > 1:
        raise ConfigError(f"{path}: accumulate = {options.accumulate}: its steps run one by one")
    splits = load_splits(options)
    encoding = Encoding.from_dict(folder.config["encoding"])
    trainer = make_trainer(options, encoding)
    epoch = splits.train.epoch(trainer.batch_size, generator=trainer.generator)
    if not epoch.whole:
        raise ConfigError(
            f"{path}: batch_size = {trainer.batch_size}: more than the {len(splits.train)} "
            "examples of the training set"
        )
    step = Steps(trainer, splits.train, measures_for(encoding)).compiled
    trainer.model.train()
    step.scan(*epoch.take(0, _ITERATIONS))
    print(step.explain(threads))
