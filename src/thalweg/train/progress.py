"""Where a training stands, and who is told."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thalweg._tensor import Tensor

if TYPE_CHECKING:
    from thalweg.data.source import Sources
    from thalweg.train.result import Result
    from thalweg.train.trainer import Trainer

__all__ = ["Progress", "Row", "Watcher"]

Row = dict[str, Any]


@dataclass(slots=True)
class Progress:
    """Everything that decides how training goes on, beside parameters and optimizer.

    epoch        epochs that are complete
    step         batches done in the current one
    count, total_loss, sums   examples, loss and measures summed over those batches
    order_state  the generator before it drew the current epoch's order (tensor, int64)
    best_epoch, best_score    the epoch of the best parameters (0: none yet) and its score
    history      a row an epoch
    """

    epoch: int = 0
    step: int = 0
    count: int = 0
    total_loss: float = 0.0
    sums: list[float] = field(default_factory=list)
    order_state: Any = None
    best_epoch: int = 0
    best_score: float = -math.inf
    history: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    epoch_seconds: float = 0.0

    def begin_epoch(self, order_state: Tensor) -> None:
        """Start counting anew; `order_state` is where the epoch's order is drawn from."""
        self.step = self.count = 0
        self.total_loss, self.sums, self.epoch_seconds = 0.0, [], 0.0
        self.order_state = order_state

    def add(self, count: int, loss: float, sums: list[float]) -> None:
        """Count a batch of `count` examples with its mean loss and its sums."""
        self.count += count
        self.total_loss += count * loss
        self.sums = [a + b for a, b in zip(self.sums or [0] * len(sums), sums, strict=True)]

    def end_epoch(self, row: Row) -> None:
        """The epoch is complete."""
        self.history.append(row)
        self.epoch += 1
        self.step, self.epoch_seconds = 0, 0.0

    def mean_loss(self) -> float:
        """The mean loss of the examples counted so far in this epoch."""
        return self.total_loss / self.count if self.count else math.nan

    @property
    def diverged(self) -> bool:
        """Whether the loss is no longer a finite number."""
        return not math.isfinite(self.total_loss)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> Progress:
        """What `state_dict` gave."""
        return cls(**state)


class Watcher:
    """Is told how a training goes. This one does nothing; `train.display` shows it live.

    >>> import thalweg as tw
    >>> class Epochs(tw.train.Watcher):
    ...     def on_epoch(self, row):
    ...         print(row["epoch"], [name for name in row if "mae" in name])
    >>> splits = tw.data.Splits.from_arrays(tw.rand(40, 2), tw.rand(40, 1))
    >>> model = tw.nn.Linear(2, 1)
    >>> optimizer = tw.optim.SGD(model.parameters(), lr=0.1)
    >>> trainer = tw.train.Trainer(model, tw.nn.MSELoss(), optimizer, compile=False)
    >>> result = trainer.fit(splits, epochs=1, watcher=Epochs())
    1 ['train_mae', 'dev_mae']
    """

    def on_start(self, trainer: Trainer, splits: Sources, epochs: int, progress: Progress) -> None:
        """Training begins, or goes on where `progress` stands."""

    def on_chunk(self, progress: Progress, steps: int) -> None:
        """About every 0.1 s: where the current epoch, of `steps` batches, stands."""

    def on_epoch(self, row: Row) -> None:
        """An epoch is complete; its row of the history."""

    def on_end(self, result: Result) -> None:
        """Training ended."""
