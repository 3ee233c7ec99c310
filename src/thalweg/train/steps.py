"""From chunks of batches to updates: one by one, or many at once in one native program."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from thalweg._tensor import Tensor
from thalweg.data.source import Chunk, Epoch, Source
from thalweg.errors import DataError
from thalweg.nn.utils import clip_grad_norm_
from thalweg.optim.closures import ClosureOptimizer
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

    Compiled, full batches run natively, many to a call; what does not fit that (the last, smaller
    batch, gradients accumulated over several) runs one by one.
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
        if trainer.compile and trainer.accumulate == 1:
            from thalweg.compiler.function import compile

            if is_searching:
                self.tried = compile(self._try, fallback="eager")
            else:
                self.compiled = compile(self._update, fallback="eager")
        self.pace = 0.0  # seconds a native step takes, 0 until it is known
        self.taken: list[tuple[int, Chunk]] = []  # by the last `run`: from which step, which chunk

    def run(
        self, epoch: Epoch, start: int, end: int, seconds: float, is_over: Callable[[], bool]
    ) -> Iterator[Counted]:
        """Steps from `start`, before `end`, for about `seconds` or until `is_over()`.

        Raises the source's `DataError` when what came before it is done and counted.
        """
        self.taken = []
        if self.compiled is not None and start < epoch.whole:
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
            ((loss, sums),) = self._one_by_one(epoch, *self.taken[-1])
            done.append((epoch.examples(step), (loss, sums)))
            if time.perf_counter() > until or is_over():
                break
        for count, (loss, sums) in done:
            yield count, loss.item(), sums.tolist()
        if failed is not None:
            raise failed

    def repeat(self, epoch: Epoch) -> None:
        """The steps of the last `run` again, not compiled: to look at each value."""
        for start, chunk in self.taken:
            for _ in self._one_by_one(epoch, start, chunk):
                pass

    def _one_by_one(self, epoch: Epoch, start: int, chunk: Chunk) -> Iterator[Any]:
        """The steps of a chunk, not compiled: of each the loss and the sums of the measures."""
        every = self.trainer.accumulate
        for step, parts in enumerate(zip(*chunk, strict=True), start):
            yield self._step(parts, (step + 1) % every == 0 or step + 1 == len(epoch))

    def _natively(self, epoch: Epoch, start: int, end: int, seconds: float) -> Iterator[Counted]:
        # The first call shows how fast it is.
        most = max(1, int(seconds / self.pace)) if self.pace else 1
        chunk = epoch.take(start, min(end - start, most))
        self.taken.append((start, chunk))
        count = len(chunk[0])
        began = time.perf_counter()
        losses, sums = self.compiled.scan(*chunk)
        if self.pace or start:  # a first call compiles, and says nothing about the pace
            self.pace = (time.perf_counter() - began) / count
        else:
            self.pace = seconds / 10 if seconds > 0 else 0.01
        for loss, batch in zip(losses.tolist(), sums.tolist(), strict=True):
            yield epoch.size, loss, batch

    def _update(self, *parts: Tensor) -> Any:
        return self._step(parts, True)

    def _step(self, parts: Chunk, is_update: bool) -> Any:
        """Gradient of one batch and, where one is due, the update: the loss and measure sums."""
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
            self._afterwards()
        with no_grad():
            return loss.detach(), self.measures.sums(outputs.detach(), y)

    def _forward(self, parts: Chunk) -> tuple[Tensor, Tensor, Tensor]:
        x, y = self.train.batch(*parts)
        targets = y
        if self.trainer.augment is not None:
            pictures = x.reshape(len(x), *(self.image_shape or x.shape[1:]))
            changed, targets = self.trainer.augment(pictures, y)
            x = changed.reshape(x.shape)
        outputs = self.trainer.model(x)
        return self.trainer.loss(outputs, targets), outputs, y

    def _afterwards(self) -> None:
        """What follows an update: the L1 penalty's decay, the average of the parameters, the
        schedules that count updates."""
        if self.trainer.l1:
            shrink_l1(self.trainer.optimizer, self.trainer.l1)
        if self.trainer.averaged is not None:
            self.trainer.averaged.update_parameters(self.trainer.model)
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
