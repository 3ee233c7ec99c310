"""The loop of `Trainer.fit`: epochs, checkpoints, and what is carried from one to the next."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg._tensor import Tensor
from thalweg.data.encoding import Encoding
from thalweg.data.source import Epoch, Sources, check_batch
from thalweg.errors import AnomalyError, CheckpointError, ConfigError, DataError, OutOfRangeError
from thalweg.inspect.anomaly import detect_anomaly
from thalweg.ops.random import default_generator
from thalweg.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from thalweg.train.metrics import measures_for
from thalweg.train.progress import Progress, Row, Watcher
from thalweg.train.result import Result
from thalweg.train.runs import RunFolder
from thalweg.train.steps import Steps

if TYPE_CHECKING:
    from thalweg.train.trainer import Trainer

__all__ = ["Loop", "interruptible", "open_folder"]

_CHUNK_SECONDS = 0.1  # how often the watcher hears from a running epoch
_CHECKPOINT_SECONDS = 1.0  # the least time between two checkpoints at the ends of epochs
_WITHIN_SECONDS = 60.0  # and within an epoch
_SAVING_SHARE = 0.02  # of the time, at most, is spent on the latter


def open_folder(
    run: RunFolder | str | Path | None, resume: bool, encoding: Encoding
) -> RunFolder | None:
    """The folder of a run, given as such or by its path; None where nothing is kept.

    A folder that is made here keeps the `encoding`, with which the parameters can be used.
    """
    if run is None:
        if resume:
            raise ConfigError("resume=True needs run=FOLDER: the run to go on with")
        return None
    if isinstance(run, RunFolder):
        return run
    return RunFolder.create(run, {"encoding": encoding.to_dict()}, resume=resume)


@contextmanager
def interruptible() -> Iterator[threading.Event]:
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


class Loop:
    """One call of `fit`: the epochs, and what has to be carried from one to the next."""

    def __init__(
        self,
        trainer: Trainer,
        splits: Sources,
        epochs: int,
        folder: RunFolder | None,
        watcher: Watcher,
        evaluations: int,
    ) -> None:
        self.trainer, self.splits, self.epochs = trainer, splits, epochs
        self.folder, self.watcher, self.evaluations = folder, watcher, evaluations
        self.measures = trainer.measures or measures_for(splits.encoding)
        check_batch(len(splits.train), trainer.batch_size, trainer.drop_last)
        self.steps = Steps(trainer, splits.train, self.measures, splits.image_shape)
        self.progress = Progress()
        self.best_state: dict[str, Tensor] = {}
        self.diverged = False
        self.diagnosis: str | None = None
        self.saved_at, self.saving = -1.0, 0.0  # when the last checkpoint was there; its seconds
        self.began = time.perf_counter()

    # --- epochs ---

    def run(self, interrupted: threading.Event) -> str:
        """All epochs that are left, and a last checkpoint; gives how it ended."""
        self.watcher.on_start(self.trainer, self.splits, self.epochs, self.progress)
        self.began = time.perf_counter() - self.progress.seconds
        try:
            status = self._epochs(interrupted)
        except DataError as error:
            if self.folder is None:
                raise
            self._save()
            raise DataError(
                f"{error}. A checkpoint stands before it: with the data repaired, go on with "
                "resume=True (--resume)"
            ) from error
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
                return "diverged" if self.diverged else "interrupted"
            if time.perf_counter() - self.saved_at > _CHECKPOINT_SECONDS:
                self._save()
        return "finished"

    def _is_exhausted(self) -> bool:
        patience = self.trainer.patience
        return patience is not None and self.progress.epoch - self.progress.best_epoch >= patience

    def _epoch(self, interrupted: threading.Event) -> bool:
        """The rest of the current epoch; False if it did not come to its end."""
        began = time.perf_counter() - self.progress.epoch_seconds
        with closing(self._order()) as epoch:
            if not self._chunks(epoch, began, interrupted):
                return False
        self._end_epoch(began)
        return True

    def _chunks(self, epoch: Epoch, began: float, interrupted: threading.Event) -> bool:
        """The steps that are left in `epoch`; False if they did not come to their end."""
        progress = self.progress
        marks = self._evaluation_marks(len(epoch))
        self.trainer.model.train()
        while progress.step < len(epoch):
            self._chunk(epoch, next(m for m in marks if m > progress.step), interrupted)
            progress.epoch_seconds = time.perf_counter() - began
            progress.seconds = time.perf_counter() - self.began
            self.watcher.on_chunk(progress, len(epoch))
            if self.diverged:
                return False
            if progress.step in marks[:-1]:
                self._evaluate()
            if progress.step < len(epoch):
                if interrupted.is_set():
                    return False
                self._save_within()
        return True

    def _order(self) -> Epoch:
        """The current epoch's batches. Where a checkpoint stood within the epoch, its order is
        drawn again, and the stream of random numbers goes on where it was."""
        trainer, progress = self.trainer, self.progress
        generator = trainer.generator
        now = generator.get_state()
        if progress.step == 0:
            progress.begin_epoch(now)
        else:
            generator.set_state(progress.order_state)
        epoch = self.splits.train.epoch(trainer.batch_size, trainer.drop_last, generator)
        if progress.step:
            generator.set_state(now)
        return epoch

    def _evaluation_marks(self, steps: int) -> list[int]:
        """After which steps of an epoch the development set is evaluated."""
        return sorted({-(-steps * k // self.evaluations) for k in range(1, self.evaluations + 1)})

    def _chunk(self, epoch: Epoch, end: int, interrupted: threading.Event) -> None:
        """Steps for about a tenth of a second, at most up to `end`."""
        progress, start = self.progress, self.progress.step
        before = self._state()
        try:
            for counted in self.steps.run(epoch, start, end, _CHUNK_SECONDS, interrupted.is_set):
                progress.add(*counted)
                progress.step += 1
        except OutOfRangeError:  # such as a label without an output: step by step says which
            self._put_back(before)
            self.steps.repeat(epoch)
            raise
        # A gradient may be NaN while the loss is still a number, and some losses always are one.
        if progress.diverged or not self._is_finite():
            self.diverged = True
            self.diagnosis = self._diagnose(epoch, before)

    def _is_finite(self) -> bool:
        """Whether every parameter is."""
        parameters = self.trainer.model.parameters()
        return all(bool(p.detach().isfinite().all()) for p in parameters)

    def _diagnose(self, epoch: Epoch, before: dict[str, Any]) -> str | None:
        """Repeat the steps that diverged, each value looked at: which operation made a NaN?"""
        self._put_back(before)
        try:
            with detect_anomaly():
                self.steps.repeat(epoch)
        except AnomalyError as error:
            return str(error)
        return None

    def _state(self) -> dict[str, Any]:
        """What a step changes: parameters, schedules, optimizer, gradients and random streams."""
        trainer = self.trainer
        return {
            "schedules": [schedule.state_dict() for schedule in trainer.schedules],
            "optimizer": trainer.optimizer.state_dict(),
            "gradients": self._gradients(),
            "generator": trainer.generator.get_state(),
            "default_generator": default_generator.get_state(),
            "model": trainer.model.state_dict(),
            "averaged": None if trainer.averaged is None else trainer.averaged.state_dict(),
        }

    def _put_back(self, state: dict[str, Any]) -> None:
        """Go back to what `_state` gave."""
        trainer = self.trainer
        trainer.model.load_state_dict(state["model"])
        if trainer.averaged is not None:
            trainer.averaged.load_state_dict(state["averaged"])
        for schedule, saved in zip(trainer.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(saved)
        # After the schedules: a step size that was set by hand stays until they set the next.
        trainer.optimizer.load_state_dict(state["optimizer"])
        for name, p in trainer.model.named_parameters():
            p.grad = state["gradients"].get(name)
        default_generator.set_state(state["default_generator"])
        trainer.generator.set_state(state["generator"])

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
            elif isinstance(schedule, LRScheduler) and schedule.unit == "epoch":
                schedule.step()
        self.watcher.on_epoch(row)

    def _evaluate(self) -> tuple[bool, dict[str, float]]:
        """Measure the development set; keep the parameters if they are the best so far."""
        dev = self.trainer.evaluate(self.splits.dev, self.measures)
        score = self.measures.score(dev)
        is_best = self.progress.best_epoch == 0 or score > self.progress.best_score
        if is_best:
            self.progress.best_score, self.progress.best_epoch = score, self.progress.epoch + 1
            state = self.trainer.evaluated.state_dict()
            self.best_state = {name: value.detach() for name, value in state.items()}
        return is_best, dev

    # --- checkpoints ---

    def _save(self) -> None:
        """Write everything needed to go on; `last.safetensors` is the commit."""
        folder, progress, trainer = self.folder, self.progress, self.trainer
        if folder is None:
            return
        began = time.perf_counter()
        folder.write_metrics(progress.history)
        if self.best_state:
            info = {"epoch": progress.best_epoch, "score": progress.best_score}
            folder.save_best(self.best_state, info)
        state = self._state()
        model_state = state.pop("model")
        training = {
            "progress": progress.state_dict(),
            "best": self.best_state,
            "units": [schedule.unit for schedule in trainer.schedules],
            "data": self._data_settings(),
            **state,
        }
        folder.save_last(model_state, training)
        self.saved_at = time.perf_counter()
        self.saving = self.saved_at - began

    def _save_within(self) -> None:
        """A checkpoint within a long epoch, now and then: what is lost by a kill is a minute."""
        since = time.perf_counter() - max(self.saved_at, self.began)
        if since > max(_WITHIN_SECONDS, self.saving / _SAVING_SHARE):
            self._save()

    def _data_settings(self) -> dict[str, Any]:
        """What the order of the batches depends on, beside the generator."""
        trainer = self.trainer
        cut = {"batch_size": trainer.batch_size, "drop_last": trainer.drop_last}
        return {**self.splits.train.settings(), **cut, "accumulate": trainer.accumulate}

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
        self._check_data(training.get("data", {}))
        if (training.get("averaged") is None) != (trainer.averaged is None):
            had = "without" if training.get("averaged") is None else "with"
            raise CheckpointError(
                f"{self.folder.path}: the checkpoint was made {had} an average of the parameters "
                "(ema); they must be alike"
            )
        if len(trainer.schedules) != len(training["schedules"]):
            raise CheckpointError(
                f"{self.folder.path}: the checkpoint was made with {len(training['schedules'])} "
                f"schedule(s), this training has {len(trainer.schedules)}; they must be alike"
            )
        units = [schedule.unit for schedule in trainer.schedules]
        if training.get("units", units) != units:
            raise CheckpointError(
                f"{self.folder.path}: the checkpoint's schedules count t by {training['units']}, "
                f"this training's by {units}; they must be alike"
            )
        self._put_back({**training, "model": model_state})
        self.progress = Progress.from_state_dict(training["progress"])
        self.best_state = training["best"]

    def _check_data(self, before: dict[str, Any]) -> None:
        """Raise `CheckpointError` where the batches would be others than before."""
        now = self._data_settings()
        other = [name for name in before if before[name] != now.get(name)]
        if other:
            listed = ", ".join(f"{n} = {now.get(n)!r} (was {before[n]!r})" for n in other)
            raise CheckpointError(
                f"{self.folder and self.folder.path}: the checkpoint was made with other batches: "
                f"{listed}. Give what it was begun with, or begin anew from its parameters: "
                "RunFolder.open(..).load_best()"
            )

    def finish(self, status: str) -> Result:
        """Put the best parameters back, measure them on the test set, write the report."""
        if self.best_state:
            for holder in {id(m): m for m in (self.trainer.model, self.trainer.evaluated)}.values():
                holder.load_state_dict(self.best_state)
        test = None
        if status != "interrupted" and self.best_state:
            test = self.trainer.evaluate(self.splits.test, self.measures)
        result = Result(self.progress, test, status, self.diagnosis)
        if self.folder is not None:
            parameters = sum(p.numel() for p in self.trainer.model.parameters())
            self.folder.write_result(
                test, status, parameters=parameters, seconds=self.progress.seconds
            )
        self.watcher.on_end(result)
        return result
