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

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thalweg._tensor import Tensor
from thalweg.data.loader import Loader
from thalweg.data.splits import Split, Splits
from thalweg.errors import CheckpointError, ConfigError
from thalweg.nn.module import Module
from thalweg.nn.utils import clip_grad_norm_
from thalweg.ops.joining import cat
from thalweg.ops.random import Generator, default_generator
from thalweg.optim.lr_scheduler import ReduceLROnPlateau
from thalweg.optim.optimizer import Optimizer
from thalweg.tape import no_grad
from thalweg.train.metrics import Measures, measures_for
from thalweg.train.progress import Progress, Row, Watcher
from thalweg.train.runs import RunFolder

__all__ = ["Result", "Trainer", "evaluate", "predict"]

Loss = Callable[[Tensor, Tensor], Tensor]

_CHUNK_SECONDS = 0.1  # how often the watcher hears from a running epoch
_CHECKPOINT_SECONDS = 1.0  # the least time between two checkpoints at the ends of epochs
_EVALUATION_BATCH = 1000


class Result:
    """What `fit` gives: the epochs, the best of them, and its measures on the test set.

    history   one row (a dict) an epoch
    best      the epoch whose parameters the model holds now (0: none was evaluated)
    test      the measures on the test set with those parameters, None where there was no test
    status    "finished", "stopped early", "interrupted" or "diverged"
    """

    def __init__(self, progress: Progress, test: dict[str, float] | None, status: str) -> None:
        self.history = progress.history
        self.best = progress.best_epoch
        self.test = test
        self.status = status
        self.seconds = progress.seconds

    def __repr__(self) -> str:
        test = "".join(f", test {name} {value:.4g}" for name, value in (self.test or {}).items())
        epochs = len(self.history)
        return f"<Result {self.status} after {epochs} epochs: best {self.best}{test}>"


class Trainer:
    """Trains a model, shows how it goes, keeps the best parameters.

    model      a `Module`
    loss       loss(outputs, targets), the mean over the batch
    optimizer  over the model's parameters
    schedule   a scheduler or several, stepped once an epoch; a plateau schedule is given the
               development measure
    batch_size, drop_last, generator   how an epoch is cut into batches; see `data.Loader`
    accumulate how many batches' gradients are averaged into one update
    clip_norm  the largest norm the gradient may have; None for no limit
    patience   end when the development measure has not improved for so many epochs; None: never
    measures   what is measured beside the loss; by default what the data set's task asks for

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
        patience: int | None = None,
        measures: Measures | None = None,
    ) -> None:
        if accumulate < 1:
            raise ConfigError(f"accumulate={accumulate}; expected 1 or more batches an update")
        if patience is not None and patience < 1:
            raise ConfigError(f"patience={patience}; expected 1 or more epochs, or None")
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.schedules = _listed(schedule)
        self.batch_size, self.drop_last = batch_size, drop_last
        self.generator = generator or default_generator
        self.accumulate, self.clip_norm, self.patience = accumulate, clip_norm, patience
        self.measures = measures

    # --- one step --------------------------------------------------------------------------------

    def _step(self, x: Tensor, y: Tensor, is_update: bool, measures: Measures) -> Any:
        """Gradient of one batch and, where one is due, the update: the loss and measure sums."""
        outputs = self.model(x)
        loss = self.loss(outputs, y)
        scaled = loss if self.accumulate == 1 else loss / self.accumulate
        scaled.backward()
        if is_update:
            if self.clip_norm is not None:
                clip_grad_norm_(self.model.parameters(), self.clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad()
        with no_grad():
            return loss.detach(), measures.sums(outputs.detach(), y)

    # --- the loop --------------------------------------------------------------------------------

    def fit(
        self,
        splits: Splits,
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
        if epochs < 1 or evaluations < 1:
            raise ConfigError(f"epochs={epochs}, evaluations={evaluations}; expected 1 or more")
        loop = _Loop(self, splits, epochs, _folder(run, resume), watcher or Watcher(), evaluations)
        if resume:
            loop.restore()
        with _interruptible() as interrupted:
            status = loop.run(interrupted)
        return loop.finish(status)

    def evaluate(self, split: Split, measures: Measures) -> dict[str, float]:
        """Mean loss and measures of the model, in eval mode, on `split`."""
        return evaluate(self.model, self.loss, split, measures)


def evaluate(model: Module, loss: Loss, split: Split, measures: Measures) -> dict[str, float]:
    """Mean loss and measures of `model`, in eval mode, on `split`; its mode is put back."""
    was_training = model.training
    model.eval()
    total, sums = 0.0, None
    try:
        with no_grad():
            for x, y in Loader(split, min(_EVALUATION_BATCH, len(split)), shuffle=False):
                outputs = model(x)
                total += loss(outputs, y).item() * len(x)
                batch = measures.sums(outputs, y)
                sums = batch if sums is None else sums + batch
    finally:
        model.train(was_training)
    assert sums is not None  # a split is never empty
    return {"loss": total / len(split), **measures.summary(sums.tolist(), len(split))}


@no_grad()
def predict(model: Module, x: Tensor) -> Tensor:
    """The model's outputs, in eval mode, for many inputs, computed in pieces; its mode is put back.

    >>> import thalweg as tw
    >>> predict(tw.nn.Linear(3, 2), tw.zeros(2500, 3)).shape
    Size([2500, 2])
    """
    was_training = model.training
    model.eval()
    try:
        starts = range(0, max(len(x), 1), _EVALUATION_BATCH)
        return cat([model(x[at : at + _EVALUATION_BATCH]) for at in starts])
    finally:
        model.train(was_training)


def _listed(schedule: Any) -> list[Any]:
    if schedule is None:
        return []
    return list(schedule) if isinstance(schedule, list | tuple) else [schedule]


def _folder(run: RunFolder | str | Path | None, resume: bool) -> RunFolder | None:
    if run is None:
        if resume:
            raise ConfigError("resume=True needs run=FOLDER: the run to go on with")
        return None
    return run if isinstance(run, RunFolder) else RunFolder.create(run, {}, resume=resume)


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets instead of raising; a second Ctrl-C raises."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed  # signals are the main thread's
        return
    before = signal.getsignal(signal.SIGINT)

    def on_interrupt(number: int, frame: Any) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


class _Loop:
    """One call of `fit`: the epochs, and what has to be carried from one to the next."""

    def __init__(
        self,
        trainer: Trainer,
        splits: Splits,
        epochs: int,
        folder: RunFolder | None,
        watcher: Watcher,
        evaluations: int,
    ) -> None:
        self.trainer, self.splits, self.epochs = trainer, splits, epochs
        self.folder, self.watcher, self.evaluations = folder, watcher, evaluations
        self.measures = trainer.measures or measures_for(splits.encoding)
        self.loader = Loader(
            splits.train, trainer.batch_size, True, trainer.drop_last, trainer.generator
        )
        self.progress = Progress()
        self.best_state: dict[str, Tensor] = {}
        self.saved_at = -1.0
        self.began = time.perf_counter()

    # --- epochs ---

    def run(self, interrupted: threading.Event) -> str:
        """All epochs that are left, and a last checkpoint; gives how it ended."""
        self.watcher.on_start(self.trainer, self.splits, self.epochs, self.progress)
        self.began = time.perf_counter() - self.progress.seconds
        status = self._epochs(interrupted)
        if status != "diverged":  # its parameters are of no use: the checkpoint before them stays
            self._save()
        return status

    def _epochs(self, interrupted: threading.Event) -> str:
        while self.progress.epoch < self.epochs:
            if self._is_exhausted():
                return "stopped early"
            if interrupted.is_set():  # before the next epoch's order is drawn
                return "interrupted"
            if not self._epoch(interrupted):
                return "diverged" if self.progress.diverged else "interrupted"
            if time.perf_counter() - self.saved_at > _CHECKPOINT_SECONDS:
                self._save()
        return "finished"

    def _is_exhausted(self) -> bool:
        patience = self.trainer.patience
        return patience is not None and self.progress.epoch - self.progress.best_epoch >= patience

    def _epoch(self, interrupted: threading.Event) -> bool:
        """The rest of the current epoch; False if it did not come to its end."""
        progress = self.progress
        began = time.perf_counter() - progress.epoch_seconds
        batches = self._batches()
        marks = self._evaluation_marks(len(batches))
        self.trainer.model.train()
        while progress.step < len(batches):
            self._chunk(batches, next(m for m in marks if m > progress.step), interrupted)
            progress.epoch_seconds = time.perf_counter() - began
            progress.seconds = time.perf_counter() - self.began
            self.watcher.on_chunk(progress, len(batches))
            if progress.diverged or (interrupted.is_set() and progress.step < len(batches)):
                return False
            if progress.step in marks[:-1]:
                self._evaluate()
        self._end_epoch(began)
        return True

    def _batches(self) -> list[Tensor]:
        """The current epoch's batches of row numbers. Where a checkpoint stood within the epoch,
        its order is drawn again, and the stream of random numbers goes on where it was."""
        generator, progress = self.trainer.generator, self.progress
        if progress.step == 0:
            progress.begin_epoch(generator.get_state())
            return self.loader.indices()
        now = generator.get_state()
        generator.set_state(progress.order_state)
        batches = self.loader.indices()
        generator.set_state(now)
        return batches

    def _evaluation_marks(self, steps: int) -> list[int]:
        """After which steps of an epoch the development set is evaluated."""
        return sorted({-(-steps * k // self.evaluations) for k in range(1, self.evaluations + 1)})

    def _chunk(self, batches: list[Tensor], end: int, interrupted: threading.Event) -> None:
        """Steps for about a tenth of a second, at most up to `end`."""
        trainer, progress, train = self.trainer, self.progress, self.splits.train
        until = time.perf_counter() + _CHUNK_SECONDS
        pending: list[tuple[int, Any]] = []
        while progress.step < end:
            index = batches[progress.step]
            progress.step += 1
            is_update = progress.step % trainer.accumulate == 0 or progress.step == len(batches)
            x, y = train.x[index], train.y[index]
            pending.append((len(index), trainer._step(x, y, is_update, self.measures)))
            if time.perf_counter() > until or interrupted.is_set():
                break
        for count, (loss, sums) in pending:
            progress.add(count, loss.item(), sums.tolist())

    def _end_epoch(self, began: float) -> None:
        progress, trainer = self.progress, self.trainer
        lr = float(trainer.optimizer.param_groups[0]["lr"])
        is_best, dev = self._evaluate()
        progress.epoch_seconds = time.perf_counter() - began
        train = self.measures.summary(progress.sums, progress.count)
        row: Row = {"epoch": progress.epoch + 1, "loss": progress.mean_loss()}
        row |= {f"train_{name}": value for name, value in train.items()}
        row |= {f"dev_{name}": value for name, value in dev.items()}
        row |= {"lr": lr, "seconds": progress.epoch_seconds, "best": is_best}
        progress.end_epoch(row)
        progress.seconds = time.perf_counter() - self.began
        for schedule in trainer.schedules:
            if isinstance(schedule, ReduceLROnPlateau):
                schedule.step(dev[self.measures.key])
            else:
                schedule.step()
        self.watcher.on_epoch(row)

    def _evaluate(self) -> tuple[bool, dict[str, float]]:
        """Measure the development set; keep the parameters if they are the best so far."""
        dev = self.trainer.evaluate(self.splits.dev, self.measures)
        score = self.measures.score(dev)
        is_best = self.progress.best_epoch == 0 or score > self.progress.best_score
        if is_best:
            self.progress.best_score, self.progress.best_epoch = score, self.progress.epoch + 1
            state = self.trainer.model.state_dict()
            self.best_state = {name: value.detach() for name, value in state.items()}
        return is_best, dev

    # --- checkpoints ---

    def _save(self) -> None:
        """Write everything needed to go on; `last.safetensors` is the commit."""
        folder, progress, trainer = self.folder, self.progress, self.trainer
        if folder is None:
            return
        folder.write_metrics(progress.history)
        if self.best_state:
            info = {"epoch": progress.best_epoch, "score": progress.best_score}
            folder.save_best(self.best_state, info)
        training = {
            "progress": progress.state_dict(),
            "best": self.best_state,
            "optimizer": trainer.optimizer.state_dict(),
            "schedules": [schedule.state_dict() for schedule in trainer.schedules],
            "gradients": self._gradients(),
            "generator": trainer.generator.get_state(),
            "default_generator": default_generator.get_state(),
        }
        folder.save_last(trainer.model.state_dict(), training)
        self.saved_at = time.perf_counter()

    def _gradients(self) -> dict[str, Tensor]:
        """Gradients waiting for an update: there are some when accumulation was interrupted."""
        named = self.trainer.model.named_parameters()
        return {name: p.grad.detach() for name, p in named if p.grad is not None}

    def restore(self) -> None:
        """Go back to the folder's last checkpoint, if there is one."""
        if self.folder is None or not self.folder.has_checkpoint:
            return
        trainer = self.trainer
        model_state, training = self.folder.load_last()
        trainer.model.load_state_dict(model_state)
        trainer.optimizer.load_state_dict(training["optimizer"])
        if len(trainer.schedules) != len(training["schedules"]):
            raise CheckpointError(
                f"{self.folder.path}: the checkpoint was made with {len(training['schedules'])} "
                f"schedule(s), this training has {len(trainer.schedules)}; they must be alike"
            )
        for schedule, state in zip(trainer.schedules, training["schedules"], strict=True):
            schedule.load_state_dict(state)
        for name, p in trainer.model.named_parameters():
            p.grad = training["gradients"].get(name)
        default_generator.set_state(training["default_generator"])
        trainer.generator.set_state(training["generator"])
        self.progress = Progress.from_state_dict(training["progress"])
        self.best_state = training["best"]

    def finish(self, status: str) -> Result:
        """Put the best parameters back, measure them on the test set, write the report."""
        if self.best_state:
            self.trainer.model.load_state_dict(self.best_state)
        test = None
        if status != "interrupted" and self.best_state:
            test = self.trainer.evaluate(self.splits.test, self.measures)
        result = Result(self.progress, test, status)
        if self.folder is not None:
            parameters = sum(p.numel() for p in self.trainer.model.parameters())
            self.folder.write_result(
                test, status, parameters=parameters, seconds=self.progress.seconds
            )
        self.watcher.on_end(result)
        return result
