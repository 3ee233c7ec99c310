"""From batches of row numbers to updates: one by one, or many at once in one native program."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from thalweg._tensor import Tensor
from thalweg.data.splits import Split
from thalweg.nn.utils import clip_grad_norm_
from thalweg.optim.closures import ClosureOptimizer
from thalweg.optim.penalties import shrink_l1
from thalweg.tape import no_grad
from thalweg.train.metrics import Measures

if TYPE_CHECKING:
    from thalweg.train.trainer import Trainer

__all__ = ["Epoch", "Steps"]

# What a step leaves to count: examples, mean loss, sums of the measures.
Counted = tuple[int, float, list[float]]


class Epoch:
    """An epoch's batches of row numbers: the full ones (S, batch_size), and a last, smaller one."""

    def __init__(self, full: Tensor, rest: Tensor) -> None:
        self.full, self.rest = full, rest
        self.whole = full.shape[0]

    def __len__(self) -> int:
        return self.whole + bool(len(self.rest))

    def batch(self, step: int) -> Tensor:
        """The row numbers of one batch."""
        return self.full[step] if step < self.whole else self.rest


class Steps:
    """The steps of a training: forward, backward and update of each batch.

    Compiled, full batches run natively, many to a call; what does not fit that (the last, smaller
    batch, gradients accumulated over several) runs one by one.
    """

    def __init__(
        self,
        trainer: Trainer,
        train: Split,
        measures: Measures,
        image_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.trainer, self.train, self.measures = trainer, train, measures
        self.image_shape = image_shape
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

    def run(
        self, epoch: Epoch, start: int, end: int, seconds: float, is_over: Callable[[], bool]
    ) -> Iterator[Counted]:
        """Steps from `start`, before `end`, for about `seconds` or until `is_over()`."""
        if self.compiled is not None and start < epoch.whole:
            yield from self._natively(epoch, start, min(end, epoch.whole), seconds)
            return
        until = time.perf_counter() + seconds
        done: list[tuple[int, Any]] = []
        for step in range(start, end):
            done.append((len(epoch.batch(step)), self.one(epoch, step)))
            if time.perf_counter() > until or is_over():
                break
        for count, (loss, sums) in done:
            yield count, loss.item(), sums.tolist()

    def one(self, epoch: Epoch, step: int) -> Any:
        """One step, not compiled: the loss and the sums of the measures."""
        due = (step + 1) % self.trainer.accumulate == 0 or step + 1 == len(epoch)
        return self._step(epoch.batch(step), due)

    def _natively(self, epoch: Epoch, start: int, end: int, seconds: float) -> Iterator[Counted]:
        # The first call shows how fast it is.
        count = min(end - start, max(1, int(seconds / self.pace))) if self.pace else 1
        began = time.perf_counter()
        losses, sums = self.compiled.scan(epoch.full[start : start + count])
        if self.pace or start:  # a first call compiles, and says nothing about the pace
            self.pace = (time.perf_counter() - began) / count
        else:
            self.pace = seconds / 10 if seconds > 0 else 0.01
        examples = epoch.full.shape[1]
        for loss, batch in zip(losses.tolist(), sums.tolist(), strict=True):
            yield examples, loss, batch

    def _update(self, index: Tensor) -> Any:
        return self._step(index, True)

    def _step(self, index: Tensor, is_update: bool) -> Any:
        """Gradient of one batch and, where one is due, the update: the loss and measure sums."""
        trainer = self.trainer
        if isinstance(trainer.optimizer, ClosureOptimizer):
            return self._search(index)
        loss, outputs, y = self._forward(index)
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

    def _forward(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, y = self.train.x[index], self.train.y[index]
        targets = y
        if self.trainer.augment is not None:
            pictures = x.reshape(len(x), *(self.image_shape or x.shape[1:]))
            changed, targets = self.trainer.augment(pictures, y)
            x = changed.reshape(x.shape)
        outputs = self.trainer.model(x)
        return self.trainer.loss(outputs, targets), outputs, y

    def _afterwards(self) -> None:
        """What follows an update: the L1 penalty's decay, the average of the parameters."""
        if self.trainer.l1:
            shrink_l1(self.trainer.optimizer, self.trainer.l1)
        if self.trainer.averaged is not None:
            self.trainer.averaged.update_parameters(self.trainer.model)

    def _try(self, index: Tensor) -> Any:
        """Loss, measure sums and gradients of one batch, where the parameters are now."""
        self.trainer.optimizer.zero_grad()
        loss, outputs, y = self._forward(index)
        loss.backward()
        with no_grad():
            return loss.detach(), self.measures.sums(outputs.detach(), y)

    def _search(self, index: Tensor) -> Any:
        """One batch for an optimizer that evaluates it as often as it needs."""
        tries: list[Any] = []

        def closure() -> Tensor:
            tries.append(self.tried(index))
            return tries[-1][0]  # type: ignore[no-any-return]

        self.trainer.optimizer.step(closure)
        self.trainer.optimizer.zero_grad()
        self._afterwards()
        return tries[0]
