"""The learning-rate range test: let the step size grow while training, and see where it breaks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from operator import mul
from os import PathLike
from pathlib import Path

from thalweg._tensor import Tensor
from thalweg.data.source import Chunk, Source
from thalweg.errors import ConfigError
from thalweg.inspect.lines import Lines
from thalweg.nn.module import Module
from thalweg.ops.random import Generator, default_generator
from thalweg.optim.closures import ClosureOptimizer
from thalweg.optim.optimizer import Optimizer
from thalweg.settings import positive, whole

__all__ = ["RangeTest", "range_test"]

_FEW = 10  # values that a suggestion needs


class RangeTest:
    """What a range test found.

    lrs, losses   the step sizes tried, and the loss of the batch each was tried on
    smooth        the losses, smoothed evenly to both sides; one that is more than twice the first
                  counts as that, so that the end does not drown the rest
    suggestion    where the smoothed loss falls fastest over the logarithm of the step size
    steepest_end  where it is lowest: a step size that is too large already
    """

    def __init__(self, lrs: list[float], losses: list[float], smoothing: float) -> None:
        self.lrs, self.losses = lrs, losses
        self.ceiling = losses[0] + abs(losses[0])
        held = [min(self.ceiling, loss) for loss in losses]  # also for a NaN
        self.smooth = _smoothed(held, smoothing)
        finite = [k for k, loss in enumerate(self.smooth) if math.isfinite(loss)]
        if len(finite) < _FEW:
            raise ConfigError(
                f"range test: {len(finite)} finite losses are too few to suggest a step size from; "
                "begin with a smaller one, or try more steps"
            )
        lowest = min(finite, key=self.smooth.__getitem__)
        self.steepest_end = lrs[lowest]
        self.suggestion = lrs[_steepest(lrs, self.smooth, max(lowest, _FEW // 2))]

    def picture(self) -> Lines:
        """The losses over the step size, with the suggestion marked."""
        return Lines(
            "learning-rate range test",
            self.lrs,
            {"smoothed loss": self.smooth, "loss of each batch": self.losses},
            x_label="step size",
            y_label="loss",
            ceiling=self.ceiling,
            x_log=True,
            marks={self.suggestion: f"suggested: {self.suggestion:.2g}"},
        )

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the picture, an .svg."""
        return self.picture().save(path)

    def _repr_svg_(self) -> str:
        return self.picture().svg()

    def __repr__(self) -> str:
        span = f"{self.lrs[0]:.2g} to {self.lrs[-1]:.2g}"
        return f"<RangeTest of {len(self.lrs)} step sizes, {span}: suggests {self.suggestion:.2g}>"


def range_test(
    model: Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    optimizer: Optimizer,
    train: Source,
    *,
    start: float = 1e-6,
    end: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    smoothing: float = 0.85,
    stop: float = 4.0,
    generator: Generator | None = None,
    compile: bool = True,
) -> RangeTest:
    """Train for `steps` batches while the step size grows from `start` to `end`, evenly in its log.

    It ends early when the running mean of the loss is `stop` times its lowest, or not finite. Each
    group's step size is to the first's as it is now. Afterwards the model, the optimizer and the
    random streams are what they were: nothing has been trained.

    Too small a step size changes nothing, too large a one diverges; between them the loss falls,
    and a good choice is where it falls fastest, a while before the lowest.

    Source: Smith, "Cyclical learning rates for training neural networks", WACV 2017, section 3.3.

    Raises `ConfigError` for settings out of range, a first step size of 0, an optimizer that
    searches for its own step sizes, and where too few losses were finite.

    >>> import thalweg as tw
    >>> _ = tw.manual_seed(0)
    >>> model = tw.nn.Sequential(tw.nn.Linear(64, 30), tw.nn.ReLU(), tw.nn.Linear(30, 10))
    >>> optimizer = tw.optim.SGD(model.parameters(), lr=0.1)
    >>> splits = tw.data.load("digits")
    >>> found = range_test(model, tw.nn.functional.cross_entropy, optimizer, splits.train)
    >>> 0.01 < found.suggestion < 2
    True
    """
    start, end = positive("range_test: start", start), positive("range_test: end", end)
    whole("range_test: steps", steps, _FEW)
    if start >= end or not 0 <= smoothing < 1 or stop <= 1:
        raise ConfigError(
            f"range_test: start={start:g}, end={end:g}, smoothing={smoothing}, stop={stop}; "
            "expected start below end, smoothing from 0 up to, without, 1, and stop above 1"
        )
    if isinstance(optimizer, ClosureOptimizer):
        raise ConfigError(
            f"range_test: {type(optimizer).__name__} looks for its step sizes itself; expected an "
            "optimizer that goes by lr"
        )
    first = float(optimizer.param_groups[0]["lr"])
    if first == 0:
        raise ConfigError("range_test: the first group's lr is 0; expected a step size to scale")
    restore = _snapshot(model, optimizer, generator or default_generator)
    try:
        model.train()
        step = _step(model, loss, optimizer, train, compile)
        ratio = (end / start) ** (1 / (steps - 1))
        batches = _batches(train, batch_size, generator or default_generator, steps)
        shares = [float(group["lr"]) / first for group in optimizer.param_groups]
        lrs: list[float] = []
        losses: list[float] = []
        for number, parts in enumerate(batches):
            lr = start * ratio**number
            for group, share in zip(optimizer.param_groups, shares, strict=True):
                group["lr"] = lr * share
            lrs.append(lr)
            losses.append(float(step(*parts)))
            means = _running(losses, smoothing)
            if not means[-1] <= stop * min(means):
                break
    finally:
        restore()
    return RangeTest(lrs, losses, smoothing)


def _step(
    model: Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    optimizer: Optimizer,
    train: Source,
    is_compiled: bool,
) -> Callable[..., Tensor]:
    def step(*parts: Tensor) -> Tensor:
        optimizer.zero_grad()
        x, y = train.batch(*parts)
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value.detach()

    if not is_compiled:
        return step
    from thalweg.compiler.function import compile as compiled

    native: Callable[..., Tensor] = compiled(step, fallback="eager")
    return native


def _batches(train: Source, size: int, generator: Generator, count: int) -> Iterator[Chunk]:
    """What `count` batches are made of, over as many epochs as that takes."""
    while True:
        with closing(train.epoch(size, False, generator)) as epoch:
            for step in range(len(epoch)):
                if count == 0:
                    return
                count -= 1
                yield tuple(part[0] for part in epoch.take(step, 1))


def _snapshot(model: Module, optimizer: Optimizer, generator: Generator) -> Callable[[], None]:
    """How everything is now, and a function that puts it back."""
    held = {name: x.detach() for name, x in model.state_dict().items()}
    state = optimizer.state_dict()
    gradients = [(p, p.grad) for p in model.parameters()]
    modes = [(module, module.training) for module in model.modules()]
    both = (generator, default_generator) if generator is not default_generator else (generator,)
    streams = [(each, each.get_state()) for each in both]

    def restore() -> None:
        model.load_state_dict(held)
        optimizer.load_state_dict(state)
        for p, gradient in gradients:
            p.grad = gradient
        for module, mode in modes:
            module.training = mode
        for each, where in streams:
            each.set_state(where)

    return restore


def _smoothed(losses: list[float], smoothing: float) -> list[float]:
    """Means with weights that fall to both sides by `smoothing` a step: they do not lag behind."""
    found = []
    for k in range(len(losses)):
        weights = [smoothing ** abs(k - j) for j in range(len(losses))]
        found.append(math.fsum(map(mul, weights, losses)) / math.fsum(weights))
    return found


def _running(losses: list[float], smoothing: float) -> list[float]:
    """Means of what came before, without the pull towards 0 at the start."""
    mean, found = 0.0, []
    for t, loss in enumerate(losses, start=1):
        mean = smoothing * mean + (1 - smoothing) * loss
        found.append(mean / (1 - smoothing**t))
    return found


def _steepest(lrs: list[float], smooth: list[float], end: int) -> int:
    """Where, up to number `end`, the curve falls fastest over log lr, by central differences."""

    def slope(k: int) -> float:
        return (smooth[k + 1] - smooth[k - 1]) / math.log(lrs[k + 1] / lrs[k - 1])

    places = [k for k in range(1, min(end + 1, len(lrs) - 1)) if math.isfinite(smooth[k + 1])]
    return min(places, key=slope)
