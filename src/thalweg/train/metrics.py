"""What is measured beside the loss: accuracy, or the error in the target's own units.

A measure is a sum over examples, so that batches of any size add up to the same number; the
sums are tensor operations, the last division is Python's.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

from thalweg._tensor import Tensor
from thalweg.data.encoding import Encoding
from thalweg.errors import ShapeError
from thalweg.nn.functional import cross_entropy
from thalweg.ops.creation import ones_like
from thalweg.ops.joining import stack

__all__ = ["Accuracy", "Measures", "NextToken", "Regression", "measures_for", "next_token_loss"]


class Measures(ABC):
    """Measures of one task: `sums` over a batch, `summary` of the sums over all of them.

    >>> import thalweg as tw
    >>> class Positive(tw.train.Measures):
    ...     key, larger_is_better = "positive", True
    ...     def sums(self, outputs, targets):
    ...         return (outputs > 0).float().sum().reshape(1)
    ...     def summary(self, sums, count):
    ...         return {"positive": sums[0] / count}
    >>> measures = Positive()
    >>> measures.summary(measures.sums(tw.tensor([1.0, -1.0]), None).tolist(), 2)
    {'positive': 0.5}
    """

    key: str  # the measure by which the best parameters are chosen
    larger_is_better: bool

    @abstractmethod
    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Sums over a batch: shape (number of sums,)."""

    @abstractmethod
    def summary(self, sums: list[float], count: int) -> dict[str, float]:
        """The measures of `count` examples whose sums are `sums`."""

    def score(self, summary: dict[str, float]) -> float:
        """The chosen measure as a number that is larger when better; NaN counts as worst."""
        value = summary[self.key]
        if math.isnan(value):
            return -math.inf
        return value if self.larger_is_better else -value


class Accuracy(Measures):
    """The share of examples whose largest output is the label (deck 000, EVALUATE).

    Outputs (N, classes), labels (N,); or one logit an example, (N,) or (N, 1), positive for
    class 1.

    >>> import thalweg as tw
    >>> measure = Accuracy()
    >>> sums = measure.sums(tw.tensor([[0.1, 0.9], [0.8, 0.2]]), tw.tensor([1, 1]))
    >>> measure.summary(sums.tolist(), 2)
    {'accuracy': 0.5}
    """

    key, larger_is_better = "accuracy", True

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        one_logit = outputs.ndim == 1 or (outputs.ndim == 2 and outputs.shape[1] == 1)
        predicted = outputs.reshape(-1) > 0 if one_logit else outputs.argmax(1)
        if predicted.shape != targets.reshape(-1).shape:
            raise ShapeError(
                f"accuracy: outputs of shape {tuple(outputs.shape)} for targets of shape "
                f"{tuple(targets.shape)}; expected (N, classes) and (N,)"
            )
        return (predicted == targets.reshape(-1)).sum().reshape(1)

    def summary(self, sums: list[float], count: int) -> dict[str, float]:
        return {"accuracy": sums[0] / count}


class Regression(Measures):
    """Root mean square error, mean absolute error and R^2, in the target's own units.

    rmse = sqrt(mean (y - t)^2), mae = mean |y - t|, r2 = 1 - sum (y - t)^2 / sum (t - mean t)^2.
    With several targets of different units, the errors are in standard deviations of each, and
    R^2 is of all of them together.
    """

    key, larger_is_better = "rmse", False

    def __init__(self, units: float = 1.0) -> None:
        self.units = units

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if outputs.shape != targets.shape:
            raise ShapeError(
                f"regression: outputs of shape {tuple(outputs.shape)} for targets of shape "
                f"{tuple(targets.shape)}; they must be equal"
            )
        error, t = (outputs - targets).double(), targets.double()
        return stack([(error * error).sum(), error.abs().sum(), t.sum(), (t * t).sum()])

    def summary(self, sums: list[float], count: int) -> dict[str, float]:
        squares, absolutes, total, total_squares = sums
        spread = total_squares - total * total / count
        return {
            "rmse": math.sqrt(squares / count) * self.units if squares >= 0 else math.nan,
            "mae": absolutes / count * self.units,
            "r2": 1 - squares / spread if spread > 0 else math.nan,
        }


class NextToken(Measures):
    """The share of places at which the likeliest token is the one that comes; the best is by loss.

    Outputs (N, T, tokens), targets (N, T).

    >>> import thalweg as tw
    >>> measure = NextToken()
    >>> sums = measure.sums(tw.tensor([[[0.1, 0.9], [0.8, 0.2]]]), tw.tensor([[1, 1]]))
    >>> measure.summary(sums.tolist(), 1)
    {'accuracy': 0.5}
    """

    key, larger_is_better = "loss", False

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        _check_tokens("next token", outputs, targets)
        right = (outputs.argmax(-1) == targets).sum()
        return stack([right, ones_like(right) * targets.numel()])

    def summary(self, sums: list[float], count: int) -> dict[str, float]:
        right, places = sums
        return {"accuracy": right / places}


def next_token_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each token, given those before it, in nats; the mean over all places.

    Outputs are logits (N, T, tokens), targets (N, T): what `data.Windows` gives. A model that knows
    nothing has log(tokens).

    >>> import thalweg as tw
    >>> round(next_token_loss(tw.zeros(2, 3, 5), tw.zeros(2, 3, dtype=tw.int64)).item(), 4)
    1.6094
    """
    _check_tokens("next_token_loss", outputs, targets)
    return cross_entropy(outputs.flatten(0, 1), targets.flatten())


def _check_tokens(name: str, outputs: Tensor, targets: Tensor) -> None:
    if outputs.shape[:-1] != targets.shape:
        raise ShapeError(
            f"{name}: outputs of shape {tuple(outputs.shape)} for targets of shape "
            f"{tuple(targets.shape)}; expected (N, T, tokens) and (N, T)"
        )


def measures_for(encoding: Encoding) -> Measures:
    """The measures of a data set's task."""
    if encoding.task == "text":
        return NextToken()
    if encoding.task == "classification":
        return Accuracy()
    units: Any = encoding.targets.std
    return Regression(units[0] if len(units) == 1 else 1.0)
