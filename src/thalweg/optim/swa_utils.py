"""Averages of parameters beside those that are trained: exponential (EMA), or equal weights (SWA).

    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.999))
    for x, y in loader:
        ...
        optimizer.step()
        averaged.update_parameters(model)
    evaluate(averaged, ...)

The averages and their count are tensors, and nothing branches on them, so that an update may be
part of a compiled step. `train.Trainer(..., ema=0.999)` does all of this.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.nn.module import Module
from thalweg.nn.normalization import BatchNorm1d, BatchNorm2d
from thalweg.ops.creation import tensor
from thalweg.optim.groups import ParamGroup
from thalweg.optim.lr_scheduler.base import LRScheduler, of_group
from thalweg.optim.optimizer import Optimizer
from thalweg.settings import choice, fraction, nonnegative, whole
from thalweg.tape import no_grad

__all__ = [
    "AveragedModel",
    "SWALR",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

# Gives the new average of (average, value now, how many were averaged before).
Average: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
# Changes all averages in place.
Averages: TypeAlias = Callable[[list[Tensor], list[Tensor], Tensor], None]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The exponential moving average, for `avg_fn`: a <- decay a + (1 - decay) p.

    >>> import thalweg as tw
    >>> get_ema_avg_fn(0.75)(tw.tensor([4.0]), tw.tensor([0.0]), tw.tensor(3))
    tensor([3.])
    """
    fraction("decay", decay)

    def average(averaged: Tensor, current: Tensor, num_averaged: Tensor) -> Tensor:
        return decay * averaged + (1 - decay) * current

    return average


def get_swa_avg_fn() -> Average:
    """The mean with equal weights, for `avg_fn`: a <- a + (p - a) / (n + 1).

    >>> import thalweg as tw
    >>> get_swa_avg_fn()(tw.tensor([4.0]), tw.tensor([0.0]), tw.tensor(3))
    tensor([3.])
    """

    def average(averaged: Tensor, current: Tensor, num_averaged: Tensor) -> Tensor:
        return averaged + (current - averaged) / (num_averaged + 1).to(averaged.dtype)

    return average


def get_ema_multi_avg_fn(decay: float = 0.999) -> Averages:
    """`get_ema_avg_fn` for all parameters at once, in place: for `multi_avg_fn`."""
    return _in_place(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Averages:
    """`get_swa_avg_fn` for all parameters at once, in place: for `multi_avg_fn`."""
    return _in_place(get_swa_avg_fn())


def _in_place(average: Average) -> Averages:
    def averages(averaged: list[Tensor], current: list[Tensor], num_averaged: Tensor) -> None:
        for a, p in zip(averaged, current, strict=True):
            a._assign(average(a, p, num_averaged).to(a.dtype))

    return averages


class AveragedModel(Module):
    """A copy of a model that holds averages of its parameters, and computes with them.

    `update_parameters(model)` takes note of the parameters as they are now; the first time they are
    copied. `avg_fn` gives one new average from (average, parameter, count before), `multi_avg_fn`
    changes a list of them in place; by default all have equal weights. Buffers are copied from the
    model or, with `use_buffers`, averaged like parameters. `n_averaged` counts the updates.

    With equal weights this is stochastic weight averaging: Izmailov et al., "Averaging weights
    leads to wider optima and better generalization", UAI 2018. Exponential averages of parameters:
    Polyak, Juditsky, "Acceleration of stochastic approximation by averaging", 1992.

    Raises `ConfigError` for both functions, or a device other than "cpu".

    >>> import thalweg as tw
    >>> model = tw.nn.Linear(1, 1, bias=False)
    >>> averaged = AveragedModel(model)
    >>> for value in 1.0, 2.0, 6.0:
    ...     _ = tw.nn.init.constant_(model.weight, value)
    ...     averaged.update_parameters(model)
    >>> averaged(tw.ones(1)).item(), averaged.n_averaged
    (3.0, tensor(3))
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: str | None = None,
        avg_fn: Average | None = None,
        multi_avg_fn: Averages | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ConfigError("AveragedModel: avg_fn and multi_avg_fn; expected one of them")
        if device not in (None, "cpu"):
            raise ConfigError(f'AveragedModel: device={device!r}; there is one device, "cpu"')
        self.module = copy.deepcopy(model)
        self.register_buffer("n_averaged", tensor(0))
        self.averages = multi_avg_fn or _in_place(avg_fn or get_swa_avg_fn())
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model gives with the averaged parameters."""
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take note of the parameters of `model`: one pass over them and the averages."""
        ours: list[Tensor] = [*self.module.parameters()]
        theirs: list[Tensor] = [*model.parameters()]
        buffers = list(zip(self.module.buffers(), model.buffers(), strict=True))
        if self.use_buffers:
            ours += [own for own, _ in buffers]
            theirs += [other for _, other in buffers]
        else:
            for own, other in buffers:
                own._assign(other.detach())
        values = [p.detach() for p in theirs]
        news = [a.detach() for a in ours]
        self.averages(news, values, self.n_averaged)
        is_first = self.n_averaged == 0
        for a, new, value in zip(ours, news, values, strict=True):
            a._assign(value.where(is_first, new))
        self.n_averaged += 1


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: str | None = None) -> None:
    """Compute the running statistics of the batch normalizations in `model` anew, as averages over
    all batches of `loader`: those of the trained model are not those of averaged parameters.

    A batch is a tensor, or a tuple or list that begins with one, which `model` is called with. The
    model's mode and the normalizations' momentum are put back.

    >>> import thalweg as tw
    >>> model = tw.nn.BatchNorm1d(1)
    >>> update_bn([tw.tensor([[1.0], [3.0]]), tw.tensor([[5.0], [7.0]])], model)
    >>> model.running_mean
    tensor([4.])
    """
    if device not in (None, "cpu"):
        raise ConfigError(f'update_bn: device={device!r}; there is one device, "cpu"')
    norms = [m for m in model.modules() if isinstance(m, BatchNorm1d | BatchNorm2d)]
    if not norms:
        return
    momenta, was_training = [norm.momentum for norm in norms], model.training
    try:
        model.train()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        for batch in loader:
            model(batch[0] if isinstance(batch, list | tuple) else batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.train(was_training)


class SWALR(LRScheduler):
    """From the step size there is to `swa_lr`, in `anneal_epochs` steps, and then constant:

        (1 - a) lr + a swa_lr    a = (1 - cos(pi s)) / 2 or, "linear", s    s = min(1, t / epochs)

    lr is what the schedules attached before this one make of the initial step size. `swa_lr` is
    one number, or one for each group.

    Source: Izmailov et al., see `AveragedModel`.

    Raises `ConfigError` for settings out of range.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=1.0)
    >>> SWALR(optimizer, 0.2, anneal_epochs=2, anneal_strategy="linear").values(4).tolist()
    [1.0, 0.6, 0.2, 0.2]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        self.swa_lr = self._by_group("swa_lr", swa_lr, nonnegative)
        self.anneal_epochs = whole("SWALR: anneal_epochs", anneal_epochs)
        strategies = choice("cos", "linear")
        self.anneal_strategy = strategies("SWALR: anneal_strategy", anneal_strategy)
        super().__init__(optimizer, last_epoch)

    def joined(self, group: ParamGroup, index: int) -> None:
        """There must be a `swa_lr` for the group."""
        if isinstance(self.swa_lr, list):
            groups = max(index + 1, len(self.optimizer.param_groups))
            self._one_each("swa_lr", len(self.swa_lr), groups)

    def rate(self, t: Tensor, lr: Tensor, index: int) -> Tensor:
        """The equation above."""
        share = (t / self.anneal_epochs).minimum(1) if self.anneal_epochs else t * 0 + 1
        if self.anneal_strategy == "cos":
            share = (1 - (share * math.pi).cos()) / 2
        return (1 - share) * lr + share * of_group(self.swa_lr, index)
