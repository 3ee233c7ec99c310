"""TRAIN, as deck 000 gives it: shuffle, update, evaluate on the development set, keep the best.

    best = -inf
    for epoch in 1 .. E:
        shuffle the training set
        for each batch x, y:                    theta = theta - eps grad loss(f(x; theta), y)
        if measure(f, development set) > best:  keep theta
    return the kept theta, measured on the test set

Everything that decides how training goes on is in `Progress`; with the parameters, the state of
optimizer, schedule and generator it is what a checkpoint holds, so that a resumed run ends with the
same bits as one that was never interrupted.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.data.source import Source, Sources
from thalweg.data.transforms import Transform
from thalweg.errors import ConfigError
from thalweg.nn.module import Module
from thalweg.ops.random import Generator, default_generator
from thalweg.optim.closures import ClosureOptimizer
from thalweg.optim.lr_scheduler import LRScheduler, Scheduler
from thalweg.optim.optimizer import Optimizer
from thalweg.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from thalweg.settings import fraction, nonnegative, whole
from thalweg.train.evaluation import Evaluation, Loss
from thalweg.train.loop import Loop, interruptible, open_folder
from thalweg.train.metrics import Measures
from thalweg.train.progress import Watcher
from thalweg.train.result import Result
from thalweg.train.runs import RunFolder

if TYPE_CHECKING:
    from thalweg.inspect.lines import Lines

__all__ = ["Trainer"]


class Trainer:
    """Trains a model, shows how it goes, keeps the best parameters.

    model      a `Module`
    loss       loss(outputs, targets), the mean over the batch
    optimizer  over the model's parameters
    schedule   a scheduler or several. Each says what it counts, see `Scheduler.per`: OneCycleLR and
               CyclicLR move on with every update, CosineAnnealingWarmRestarts by fractions of an
               epoch with every update, all others once an epoch; `.per("step")` and
               `.per("fraction")` make any of them move with every update. Compiled, they are asked
               for the steps of about 0.1 s at once, before these. A plateau schedule is given the
               development measure. `plan` draws what they will do
    batch_size, drop_last, generator   how an epoch is cut into batches; see `data.Loader`
    accumulate how many batches' gradients are averaged into one update
    clip_norm  the largest norm the gradient may have; None for no limit
    ema        the decay of an exponential moving average of the parameters, which is then what is
               evaluated, kept when it is best, and left in the model; None for none
    l1         strength of an L1 penalty, applied after each step; see `optim.penalties.shrink_l1`
    patience   end when the development measure has not improved for so many epochs; None: never
    augment    random changes of each training batch; see `data.transforms`
    measures   what is measured beside the loss; by default what the data set's task asks for
    compile    run the training steps as one native program, and a last, smaller batch as another;
               what cannot be traced says so, and runs step by step

    >>> import thalweg as tw
    >>> _ = tw.manual_seed(0)
    >>> model = tw.nn.Sequential(tw.nn.Linear(64, 30), tw.nn.Sigmoid(), tw.nn.Linear(30, 10))
    >>> optimizer = tw.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    >>> trainer = tw.train.Trainer(model, tw.nn.functional.cross_entropy, optimizer)
    >>> result = trainer.fit(tw.data.load("digits"), epochs=5)
    >>> result.test["accuracy"] > 0.9
    True
    """

    def __init__(
        self,
        model: Module,
        loss: Loss,
        optimizer: Optimizer,
        *,
        schedule: Any = None,
        batch_size: int = 32,
        drop_last: bool = False,
        generator: Generator | None = None,
        accumulate: int = 1,
        clip_norm: float | None = None,
        ema: float | None = None,
        l1: float = 0.0,
        patience: int | None = None,
        augment: Transform | None = None,
        measures: Measures | None = None,
        compile: bool = True,
    ) -> None:
        whole("Trainer: batch_size", batch_size, 1)
        whole("Trainer: accumulate", accumulate, 1)
        if patience is not None:
            whole("Trainer: patience", patience, 1)
        if not callable(loss):
            raise ConfigError(f"loss is a {type(loss).__name__}; expected loss(outputs, targets)")
        _check_trained(model, optimizer)
        if isinstance(optimizer, ClosureOptimizer) and (accumulate > 1 or clip_norm is not None):
            raise ConfigError(
                f"{type(optimizer).__name__} evaluates each batch several times: expected "
                "accumulate=1 and no clip_norm; choose larger batches instead"
            )
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.schedules = _listed(schedule, optimizer)
        self.batch_size, self.drop_last = batch_size, drop_last
        self.generator = generator or default_generator
        self.accumulate, self.clip_norm, self.patience = accumulate, clip_norm, patience
        self.l1 = nonnegative("l1", l1)
        self.averaged: AveragedModel | None = None
        if ema is not None:
            averages = get_ema_multi_avg_fn(fraction("ema", ema))
            self.averaged = AveragedModel(model, multi_avg_fn=averages)
        self.augment = augment
        self.measures = measures
        self.compile = compile
        self._evaluation: Evaluation | None = None

    def fit(
        self,
        splits: Sources,
        epochs: int = 20,
        *,
        run: RunFolder | str | Path | None = None,
        resume: bool = False,
        watcher: Watcher | None = None,
        evaluations: int = 1,
    ) -> Result:
        """Train for `epochs` epochs; afterwards the model holds the best parameters.

        run          a folder for the checkpoints, metrics and report; None keeps nothing on disk
        resume       go on from the folder's last checkpoint, if it has one
        watcher      told what happens, to show it; see `train.Watcher`
        evaluations  how often an epoch the development set is evaluated

        Ctrl-C ends after the batch it comes in: a checkpoint is written, the best parameters are
        put back, and the result's status is "interrupted"; a second Ctrl-C stops at once.
        """
        if not isinstance(splits, Sources):
            raise ConfigError(
                f"fit: a {type(splits).__name__} for the data; expected Splits or Sources: "
                "data.load(name), data.Splits.from_arrays(x, y), data.load_text(path).windows(64)"
            )
        whole("fit: epochs", epochs, 1)
        whole("fit: evaluations", evaluations, 1)
        folder = open_folder(run, resume, splits.encoding)
        try:
            loop = Loop(self, splits, epochs, folder, watcher or Watcher(), evaluations)
            if resume:
                loop.restore()
            with interruptible() as interrupted:
                status = loop.run(interrupted)
            return loop.finish(status)
        finally:
            if folder is not None and folder is not run:  # free again, after an error too
                folder.close()

    def updates(self, data: Source) -> int:
        """How many updates an epoch of `data` has: what one-cycle's `steps_per_epoch` is."""
        full, rest = divmod(len(data), self.batch_size)
        return -(-(full + bool(rest and not self.drop_last)) // self.accumulate)

    def plan(self, splits: Sources, epochs: int) -> Lines:
        """The step size of every update of a training, as a picture, before it: nothing changes.

        Raises `ConfigError` for a schedule that is no function of t, such as ReduceLROnPlateau.

        >>> import thalweg as tw
        >>> splits = tw.data.load("digits")
        >>> model = tw.nn.Linear(64, 10)
        >>> optimizer = tw.optim.SGD(model.parameters(), lr=0.1)
        >>> schedules = [
        ...     tw.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=60).per("step"),
        ...     tw.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5),
        ... ]
        >>> loss = tw.nn.functional.cross_entropy
        >>> tw.train.Trainer(model, loss, optimizer, schedule=schedules).plan(splits, 6)
        step size of SGD: LinearLR, StepLR
        lr ▂▃▃▄▄▅▆▆▇████▆▅▅▅▅▅▅▅▅▅▅▅▅▄▃▃▃▃▃▃▃▃▃▃▃▃▃ 0.01 to 0.025
        """
        from thalweg.inspect.schedules import schedule

        each = self.updates(splits.train)
        return schedule(self.optimizer, epochs * each, steps_per_epoch=each)

    @property
    def evaluated(self) -> Module:
        """What is evaluated and kept: the model or, with `ema`, its copy with the averages."""
        return self.model if self.averaged is None else self.averaged.module

    def evaluate(self, split: Source, measures: Measures) -> dict[str, float]:
        """Mean loss and measures of `evaluated`, in eval mode, on `split`."""
        known = self._evaluation
        if known is None or known.measures is not measures or known.loss is not self.loss:
            known = Evaluation(self.evaluated, self.loss, measures, self.compile)
            self._evaluation = known
        return known(split)


def _check_trained(model: Any, optimizer: Any) -> None:
    """Raise `ConfigError` where the optimizer would change nothing of the model."""
    if not isinstance(model, Module):
        raise ConfigError(f"Trainer: model is a {type(model).__name__}; expected a Module")
    if not isinstance(optimizer, Optimizer):
        raise ConfigError(
            f"Trainer: optimizer is a {type(optimizer).__name__}; expected one of thalweg.optim"
        )
    own = {id(p) for p in model.parameters()}
    if not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
        raise ConfigError(
            "the optimizer has none of the model's parameters: it would train another model. Make "
            "it with this one's: model.parameters()"
        )


def _listed(schedule: Any, optimizer: Optimizer) -> list[Scheduler]:
    """The schedules, each of them this optimizer's, and none of it left out."""
    given = schedule if isinstance(schedule, list | tuple) else [schedule]
    found = [each for each in given if each is not None]
    for each in found:
        if not isinstance(each, Scheduler) or each.optimizer is not optimizer:
            raise ConfigError(
                f"schedule: a {type(each).__name__}; expected schedules of optim.lr_scheduler, "
                "made with the trainer's optimizer"
            )
        if isinstance(each, LRScheduler) and each.master is not None:
            raise ConfigError(
                f"schedule: this {type(each).__name__} is part of a {type(each.master).__name__}: "
                "pass that"
            )
        each.unit  # noqa: B018 -- refused here where its parts do not agree
    for each in optimizer.schedules:
        if all(each is not other for other in found):
            warnings.warn(
                f"a {type(each).__name__} is attached to the optimizer, but not given to the "
                "Trainer, which will not step it: pass schedule=..., or optimizer.detach(it)",
                stacklevel=3,
            )
    return found
