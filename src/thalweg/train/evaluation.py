"""EVALUATE, as deck 000 gives it: a model in eval mode, measured on a set or applied to inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from thalweg._tensor import Tensor
from thalweg.data.source import Source
from thalweg.nn.module import Module
from thalweg.ops.joining import cat
from thalweg.tape import no_grad
from thalweg.train.metrics import Measures

__all__ = ["Evaluation", "Loss", "Pairs", "evaluate", "predict", "predicted"]

Loss = Callable[[Tensor, Tensor], Tensor]
Pairs = tuple[npt.NDArray[Any], npt.NDArray[Any]]

_BATCH = 250
_WORTH_COMPILING = 2000  # examples


@contextmanager
def _evaluating(model: Module) -> Iterator[None]:
    """Eval mode and no recording in this block; the mode is put back."""
    was_training = model.training
    model.eval()
    try:
        with no_grad():
            yield
    finally:
        model.train(was_training)


class Evaluation:
    """Mean loss and measures of a model on a split, as often as asked; large ones natively."""

    def __init__(self, model: Module, loss: Loss, measures: Measures, compile: bool) -> None:
        self.model, self.loss, self.measures = model, loss, measures
        self.compiled: Any = None
        if compile:
            from thalweg.compiler.function import compile as compiled

            self.compiled = compiled(self._batch, fallback="eager")

    def _batch(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.model(x)
        return self.loss(outputs, y), self.measures.sums(outputs, y)

    def __call__(self, source: Source) -> dict[str, float]:
        """Mean loss and measures, in eval mode; the model's mode is put back."""
        count, total = 0, 0.0
        sums: list[Tensor] = []
        size = min(_BATCH, len(source))
        is_native = self.compiled is not None and len(source) >= _WORTH_COMPILING
        with _evaluating(self.model):
            for x, y in source.chunks(size):
                batches, examples = x.shape[:2]
                count += batches * examples
                if is_native and examples == size:
                    losses, rows = self.compiled.scan(x, y)
                    total += losses.sum().item() * size
                    sums.append(rows.sum(0))
                    continue
                for parts in zip(x, y, strict=True):
                    loss, row = self._batch(*parts)
                    total += loss.item() * examples
                    sums.append(row)
        added = [sum(column) for column in zip(*(s.tolist() for s in sums), strict=True)]
        return {"loss": total / count, **self.measures.summary(added, count)}


def evaluate(model: Module, loss: Loss, split: Source, measures: Measures) -> dict[str, float]:
    """Mean loss and measures of `model`, in eval mode, on `split`; its mode is put back.

    >>> import thalweg as tw
    >>> split = tw.data.Split(tw.eye(2), tw.tensor([0, 1]))
    >>> evaluate(tw.nn.Identity(), tw.nn.functional.cross_entropy, split, tw.train.Accuracy())
    {'loss': 0.31326165795326233, 'accuracy': 1.0}
    """
    return Evaluation(model, loss, measures, compile=False)(split)


def predicted(model: Module, source: Source) -> Pairs:
    """The labels of a source's examples, and what the model takes them for: (N,) each, int64."""
    pairs = [
        (y.flatten().numpy(), predict(model, x.flatten(0, 1)).argmax(1).numpy())
        for x, y in source.chunks(min(_BATCH, len(source)))
    ]
    labels, said = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return labels, said


def predict(model: Module, x: Tensor) -> Tensor:
    """The model's outputs, in eval mode, for many inputs, computed in pieces; its mode is put back.

    >>> import thalweg as tw
    >>> predict(tw.nn.Linear(3, 2), tw.zeros(2500, 3)).shape
    Size([2500, 2])
    """
    with _evaluating(model):
        return cat([model(x[at : at + _BATCH]) for at in range(0, max(len(x), 1), _BATCH)])
