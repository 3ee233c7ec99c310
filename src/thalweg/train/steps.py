"""From chunks of batches to updates: one by one, or many at once in one native program."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from thalweg._tensor import Tensor
from thalweg.data.source import Chunk, Epoch, Source
from thalweg.errors import DataError
from thalweg.nn.utils import clip_grad_norm_
from thalweg.optim.closures import ClosureOptimizer
from thalweg.optim.lr_scheduler.ahead import Ahead
from thalweg.optim.penalties import shrink_l1
from thalweg.tape import no_grad
from thalweg.train.metrics import Measures

if TYPE_CHECKING:
    from thalweg.train.trainer import Trainer

__all__ = ["Steps"]

# What a step leaves to count: examples, mean loss, sums of the measures.
Counted = tuple[int, float, list[float]]


class Steps:
    """The steps of a training: forward, backward and update of each batch.

    Compiled, batches of one size run natively, many to a call, with the step sizes that schedules
    will have set by then; the last, smaller batch of an epoch is a call of its own, of a program
    that is made when there is one. Where gradients are accumulated over several batches, each is
    a call: of a program that adds to the gradients, or of one that makes the update as well.
    """

    def __init__(
        self,
        trainer: Trainer,
        train: Source,
        measures: Measures,
        image_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.trainer, self.train, self.measures = trainer, train, measures
        self.image_shape = image_shape
        self.updates = trainer.updates(train)  # in an epoch
        self.compiled: Any = None
        self.tried: Any = self._try  # what an optimizer that looks for its step evaluates
        is_searching = isinstance(trainer.optimizer, ClosureOptimizer)
        if trainer.compile:
            from thalweg.compiler.function import compile

            if is_searching:
                self.tried = compile(self._try, fallback="eager")
            else:
                self.compiled = compile(self._step, fallback="eager")
        self.ahead = Ahead.of(trainer.optimizer, trainer.schedules, self.updates)
        self.is_made = False  # the program of full batches
        self.pace = 0.0  # seconds a native step takes, 0 until it is known
        self.taken: list[tuple[int, Chunk]] = []  # by the last `run`: from which step, which chunk

    def run(
        self, epoch: Epoch, start: int, end: int, seconds: float, is_over: Callable[[], bool]
    ) -> Iterator[Counted]:
        """Steps from `start`, before `end`, for about `seconds` or until `is_over()`.

        Raises the source's `DataError` when what came before it is done and counted.
        """
        self.taken = []
        if self.compiled is not None and self.trainer.accumulate == 1:
            yield from self._natively(epoch, start, end, seconds)
            return
        until = time.perf_counter() + seconds
        done: list[tuple[int, Any]] = []
        failed: DataError | None = None
        for step in range(start, end):
            try:
                self.taken.append((step, epoch.take(step, 1)))
            except DataError as error:  # the steps before it have been made: they count
                failed = error
                break
            done.append((epoch.examples(step), self._one(epoch, *self.taken[-1])))
            if time.perf_counter() > until or is_over():
                break
        for count, (loss, sums) in done:
            yield count, loss.item(), sums.tolist()
        if failed is not None:
            raise failed

    def repeat(self, epoch: Epoch) -> None:
        """The steps of the last `run` again, not compiled: to look at each value."""
        for start, chunk in self.taken:
            for step, parts in enumerate(zip(*chunk, strict=True), start):
                self._step(parts, is_update=self._is_due(epoch, step))

    def _is_due(self, epoch: Epoch, step: int) -> bool:
        """Whether this step of an epoch makes an update."""
        return (step + 1) % self.trainer.accumulate == 0 or step + 1 == len(epoch)

    def _one(self, epoch: Epoch, step: int, chunk: Chunk) -> Any:
        """One step, compiled where that is asked for: its loss and sums of the measures."""
        (parts,), is_update = zip(*chunk, strict=True), self._is_due(epoch, step)
        if self.compiled is None:
            return self._step(parts, is_update=is_update)
        coming = self.ahead.coming(1) if is_update and self.ahead is not None else ()
        return self.compiled(parts, tuple(each[0] for each in coming), is_update=is_update)

    def _natively(self, epoch: Epoch, start: int, end: int, seconds: float) -> Iterator[Counted]:
        # The first call shows how fast it is.
        most = max(1, int(seconds / self.pace)) if self.pace else 1
        chunk = epoch.take(start, min(end - start, most))
        self.taken.append((start, chunk))
        began = time.perf_counter()
        losses, sums = self.scan(chunk)
        if start < epoch.whole:
            self._note_pace(time.perf_counter() - began, len(chunk[0]), seconds)
        for step, (loss, batch) in enumerate(
            zip(losses.tolist(), sums.tolist(), strict=True), start
        ):
            yield epoch.examples(step), loss, batch

    def _note_pace(self, took: float, count: int, seconds: float) -> None:
        """How long a step takes; a first call compiles, and says nothing about it."""
        if self.is_made:
            self.pace = took / count
        else:
            self.pace = seconds / 10 if seconds > 0 else 0.01
        self.is_made = True

    def scan(self, chunk: Chunk) -> tuple[Tensor, Tensor]:
        """The steps of a chunk as one native call: each one's loss and sums of the measures."""
        coming = self.ahead.coming(len(chunk[0])) if self.ahead is not None else ()
        found: tuple[Tensor, Tensor] = self.compiled.scan(chunk, coming)
        return found

    def _step(self, parts: Chunk, coming: Sequence[Tensor] = (), is_update: bool = True) -> Any:
        """Gradient of one batch and, where one is due, the update: the loss and measure sums.

        `coming` is what the step sizes are afterwards, where that has been computed before.
        """
        trainer = self.trainer
        if isinstance(trainer.optimizer, ClosureOptimizer):
            return self._search(parts)
        loss, outputs, y = self._forward(parts)
        scaled = loss if trainer.accumulate == 1 else loss / trainer.accumulate
        scaled.backward()
        if is_update:
            if trainer.clip_norm is not None:
                clip_grad_norm_(trainer.model.parameters(), trainer.clip_norm)
            trainer.optimizer.step()
            trainer.optimizer.zero_grad()
            self._afterwards(coming)
        with no_grad():
            return loss.detach(), self.measures.sums(outputs.detach(), y)

    def _forward(self, parts: Chunk) -> tuple[Tensor, Tensor, Tensor]:
        x, y = self.train.batch(*parts)
        targets = y
        if self.trainer.augment is not None:
            pictures = x.reshape(len(x), *(self.image_shape or x.shape[1:]))
            changed, targets = self.trainer.augment(pictures, y)
            if changed.shape == pictures.shape:
                x = changed.reshape(x.shape)
            else:  # smaller ones, of crops: what the model cannot take it says itself
                flat = x.ndim == 2
                x = changed.flatten(1) if flat else changed.squeeze(1) if x.ndim == 3 else changed
        outputs = self.trainer.model(x)
        return self.trainer.loss(outputs, targets), outputs, y

    def _afterwards(self, coming: Sequence[Tensor] = ()) -> None:
        """What follows an update: the L1 penalty's decay, the average of the parameters, the
        schedules that count updates."""
        if self.trainer.l1:
            shrink_l1(self.trainer.optimizer, self.trainer.l1)
        if self.trainer.averaged is not None:
            self.trainer.averaged.update_parameters(self.trainer.model)
        if coming and self.ahead is not None:
            self.ahead.take(coming)
            return
        for schedule in self.trainer.schedules:
            schedule.updated(self.updates)

    def _try(self, *parts: Tensor) -> Any:
        """Loss, measure sums and gradients of one batch, where the parameters are now."""
        self.trainer.optimizer.zero_grad()
        loss, outputs, y = self._forward(parts)
        loss.backward()
        with no_grad():
            return loss.detach(), self.measures.sums(outputs.detach(), y)

    def _search(self, parts: Chunk) -> Any:
        """One batch for an optimizer that evaluates it as often as it needs."""
        tries: list[Any] = []

        def closure() -> Tensor:
            tries.append(self.tried(*parts))
            return tries[-1][0]  # type: ignore[no-any-return]

        self.trainer.optimizer.step(closure)
        self.trainer.optimizer.zero_grad()
        self._afterwards()
        return tries[0]
