"""The learning-rate range test: let the step size grow while training, and see where it breaks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from os import PathLike
from pathlib import Path

from thalweg._tensor import Tensor
from thalweg.data.source import Chunk, Source
from thalweg.dtypes import float64
from thalweg.errors import ConfigError
from thalweg.inspect.lines import Lines
from thalweg.nn.module import Module
from thalweg.ops.creation import tensor
from thalweg.ops.joining import stack
from thalweg.ops.random import Generator, default_generator
from thalweg.optim.closures import ClosureOptimizer
from thalweg.optim.optimizer import Optimizer
from thalweg.optim.states import tensors_of
from thalweg.settings import positive, whole
from thalweg.tape import no_grad

__all__ = ["RangeTest", "range_test"]

_FEW = 10  # values that a suggestion needs
_APART = 10**0.5  # one step size that is tried, by the next smaller one
_FIRST = 3  # the largest is at first two of these above the lowest place of the sweep
_MOST_TRIALS = 24
_AT_ONCE = 20  # batches, until it is looked whether to go on
_LONGER = 4  # by how much, while none has learnt anything
_WIDE = 11  # step sizes that are tried then
_LEARNT = 0.02  # by how much of the loss a network does better than with another example's target


class RangeTest:
    """What a range test found.

    lrs, losses   the step sizes tried, and the loss of the batch each was tried on
    smooth        the running mean of the losses: one-sided, and without the pull towards 0 at the
                  start, so that each is made of what was tried up to there
    lowest        where that is lowest: a step size that is too large already
    trials        step sizes that were kept for a while, and the mean loss at the end of it
    batches       how long a while
    learnt        whether any of them has led to outputs that depend on the inputs; True where there
                  were no trials
    suggestion    the best of the trials; without any a tenth of `lowest`
    """

    def __init__(
        self,
        lrs: list[float],
        losses: list[float],
        smoothing: float,
        trials: Mapping[float, float] | None = None,
        batches: int = 0,
        learnt: bool = True,
    ) -> None:
        self.lrs, self.losses = lrs, losses
        self.batches, self.learnt = batches, learnt
        self.smooth = _running(losses, smoothing)
        self.lowest = lrs[_lowest(self.smooth)]
        self.trials = dict(sorted((trials or {}).items()))
        self.suggestion = min(self.trials, key=self.trials.__getitem__, default=self.lowest / 10)

    def picture(self) -> Lines:
        """The losses over the step size, with the suggestion marked; what is above is cut off."""
        curves: dict[str, Sequence[float] | Mapping[float, float]] = {
            "running mean": self.smooth,
            "loss of each batch": self.losses,
        }
        if self.trials:
            curves["kept for a while"] = self.trials
        return Lines(
            "learning-rate range test",
            self.lrs,
            curves,
            x_label="step size",
            y_label="loss",
            ceiling=self.losses[0] + abs(self.losses[0]),
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
        found = f"suggests {self.suggestion:.2g}"
        if not self.learnt:
            found += f", though with none did it learn anything in {self.batches} batches"
        return f"<RangeTest of {len(self.lrs)} step sizes, {span}: {found}>"


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
    trials: int = 8,
    longest: int = 6400,
    generator: Generator | None = None,
    compile: bool = True,
) -> RangeTest:
    """Train for `steps` batches while the step size grows from `start` to `end`, evenly in its log.

    It ends early when the running mean of the loss is `stop` times its lowest, or not finite. Each
    group's step size is to the first's as it is now. Afterwards the model, the optimizer and the
    random streams are what they were: nothing has been trained.

    Too small a step size changes nothing, too large a one diverges; between them the loss falls.
    Where it is lowest the step size is too large already, by how much depends on the optimizer, the
    size of the batches and how fast the step size grew: rules of thumb (the steepest place, a tenth
    of the lowest) are off by a factor of 10 and more. So `trials` step sizes, half a decade apart,
    from ten times the lowest down, are kept for `steps` batches each, all from the same start and
    on the same batches. Suggested is the one with the lowest mean loss in the second half of them;
    where that is the first or the last, the next one is tried as well. `trials=0` suggests a tenth
    of the lowest.

    Some networks, such as deep ones of sigmoids, begin on a plateau: for hundreds of batches they
    learn no more than what the targets are on average, whatever the step size, and the losses say
    nothing. There the outputs are as good, to 2 % of the loss, with the targets of other examples
    of the batch. While that is so of all trials, they are made anew, from `end` down and four times
    as long, up to `longest` batches each; `learnt` says whether any has left the plateau. Batches
    of one example cannot be told apart so, and are taken to have learnt.

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
    whole("range_test: trials", trials)
    whole("range_test: longest", longest, 1)
    if start >= end or not 0 <= smoothing < 1 or stop <= 1:
        raise ConfigError(
            f"range_test: start={start:g}, end={end:g}, smoothing={smoothing}, stop={stop}; "
            "expected start below end, smoothing from 0 up to, without, 1, and stop above 1"
        )
    if not isinstance(train, Source):
        raise ConfigError(
            f"range_test: a {type(train).__name__} to train on; expected one set, splits.train"
        )
    if isinstance(optimizer, ClosureOptimizer):
        raise ConfigError(
            f"range_test: {type(optimizer).__name__} looks for its step sizes itself; expected an "
            "optimizer that goes by lr"
        )
    if float(optimizer.param_groups[0]["lr"]) == 0:
        raise ConfigError("range_test: the first group's lr is 0; expected a step size to scale")
    probe = _Probe(model, loss, optimizer, train, batch_size, generator or default_generator)

    def goes_on(losses: list[float]) -> bool:
        means = _running(losses, smoothing)
        return means[-1] <= stop * min(means)

    ratio = (end / start) ** (1 / (steps - 1))
    lrs = [start * ratio**number for number in range(steps)]
    trial = _Trials(probe, steps)
    try:
        probe.prepare(compile)
        losses = probe.losses(lrs, goes_on)[0]
        found = RangeTest(lrs[: len(losses)], losses, smoothing)
        tried = _tried(found.lowest, trials, (start, end), trial) if trials else {}
        while tried and not trial.learnt and trial.batches * _LONGER <= longest:
            trial = _Trials(probe, trial.batches * _LONGER)
            tried = {lr: trial(lr) for lr in _from(end, start)}
    finally:
        probe.restore()
    learnt = trial.learnt or not tried
    return RangeTest(found.lrs, losses, smoothing, tried, trial.batches, learnt)


class _Trials:
    """Step sizes that are kept for so many batches, each from the same start and on the same ones.

    Called with one, it gives the mean loss of the second half, infinite where it diverged.
    """

    def __init__(self, probe: _Probe, batches: int) -> None:
        self.probe, self.batches = probe, batches
        self.learnt = probe.batch_size == 1  # nothing to tell it by

    def __call__(self, lr: float) -> float:
        """Keep `lr`, and note whether that taught anything."""
        losses, others = self.probe.losses([lr] * self.batches, _is_finite)
        if not math.isfinite(losses[-1]):
            return math.inf
        half = len(losses) // 2
        loss, other = (math.fsum(each[half:]) / (len(each) - half) for each in (losses, others))
        self.learnt |= other - loss > _LEARNT * abs(loss)
        return loss


class _Probe:
    """Trains for a few batches, as often as asked, each time from the same start."""

    def __init__(
        self,
        model: Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        optimizer: Optimizer,
        train: Source,
        batch_size: int,
        generator: Generator,
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.train, self.batch_size, self.generator = train, batch_size, generator
        self.restore = _snapshot(model, optimizer, generator)
        first = float(optimizer.param_groups[0]["lr"])
        self.shares = [float(group["lr"]) / first for group in optimizer.param_groups]
        states = [x for state in optimizer.state.values() for x in tensors_of(state).values()]
        # Each tensor and what it holds: given back to the same tensors, or the step, which has
        # captured them, would have to be compiled again.
        held = [*model.parameters(), *model.buffers(), *states]
        self.values = [(x, x.detach()) for x in held]
        self.streams = [(each, each.get_state()) for each in {generator, default_generator}]
        self.scan: Callable[..., tuple[Tensor, Tensor]] = self._eagerly

    def prepare(self, is_compiled: bool) -> None:
        """Compile the step, where it is to be compiled."""
        self.model.train()
        if is_compiled:
            from thalweg.compiler.function import compile as compiled

            self.scan = compiled(self._step, fallback="eager").scan

    def _eagerly(self, lrs: Tensor, chunk: Chunk) -> tuple[Tensor, Tensor]:
        found = [self._step(lr, parts) for lr, *parts in zip(lrs, *chunk, strict=True)]
        losses, others = zip(*found, strict=True)
        return stack(losses), stack(others)

    def _step(self, lr: Tensor, parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """One update; its loss, and what that would be with the targets of other examples."""
        for group, share in zip(self.optimizer.param_groups, self.shares, strict=True):
            group["lr"] = lr * share
        self.optimizer.zero_grad()
        x, y = self.train.batch(*parts)
        outputs = self.model(x)
        value = self.loss(outputs, y)
        value.backward()
        self.optimizer.step()
        with no_grad():
            return value.detach(), self.loss(outputs.detach(), y.roll(1, 0))

    def losses(
        self, lrs: list[float], goes_on: Callable[[list[float]], bool]
    ) -> tuple[list[float], list[float]]:
        """The loss of each batch, trained on with these step sizes, while `goes_on(losses)`; and
        the losses with the targets of other examples."""
        self._rewind()
        losses: list[float] = []
        others: list[float] = []
        for chunk in _chunks(self.train, self.batch_size, self.generator, len(lrs)):
            at = len(losses)
            sizes = tensor(lrs[at : at + len(chunk[0])], dtype=float64)
            for loss, other in zip(*(x.tolist() for x in self.scan(sizes, chunk)), strict=True):
                losses.append(loss)
                others.append(other)
                if not goes_on(losses):
                    return losses, others
        return losses, others

    def _rewind(self) -> None:
        with no_grad():
            for x, value in self.values:
                x._assign(value)
        for stream, where in self.streams:
            stream.set_state(where)


def _chunks(train: Source, size: int, generator: Generator, count: int) -> Iterator[Chunk]:
    """`count` batches, a few at a time, over as many epochs as that takes: all of one size."""
    while True:
        with closing(train.epoch(size, size <= len(train), generator)) as epoch:
            step = 0
            while step < len(epoch):
                if count == 0:
                    return
                chunk = epoch.take(step, min(count, _AT_ONCE))
                step, count = step + len(chunk[0]), count - len(chunk[0])
                yield chunk


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


def _tried(
    lowest: float, count: int, span: tuple[float, float], kept: Callable[[float], float]
) -> dict[float, float]:
    """`count` step sizes and what `kept` makes of them; more where the best of them is the last.

    None is beyond `span`.
    """

    def is_within(lr: float) -> bool:
        return 0.999 * span[0] <= lr <= 1.001 * span[1]

    found: dict[float, float] = {}
    places = [lowest * _APART**place for place in range(_FIRST - count, _FIRST)]
    coming = [lr for lr in places if is_within(lr)] or [lowest]
    while coming and len(found) < _MOST_TRIALS:
        found |= {lr: kept(lr) for lr in coming}
        best = min(found, key=found.__getitem__)
        beside = [best * _APART] * (best == max(found)) + [best / _APART] * (best == min(found))
        coming = [lr for lr in beside if is_within(lr) and math.isfinite(found[best])]
    return found


def _is_finite(losses: list[float]) -> bool:
    return math.isfinite(losses[-1])


def _from(end: float, start: float) -> list[float]:
    """Step sizes from `end` down, none below `start`."""
    return [lr for place in range(_WIDE) if (lr := end / _APART**place) >= 0.999 * start]


def _lowest(means: list[float]) -> int:
    """The number of the lowest. Raises `ConfigError` where there are too few to tell."""
    finite = [k for k, loss in enumerate(means) if math.isfinite(loss)]
    if len(finite) < _FEW:
        raise ConfigError(
            f"range test: {len(finite)} finite losses are too few to suggest a step size from; "
            "begin with a smaller one, or try more steps"
        )
    return min(finite, key=means.__getitem__)


def _running(losses: list[float], smoothing: float) -> list[float]:
    """Means of what came before, without the pull towards 0 at the start."""
    mean, found = 0.0, []
    for t, loss in enumerate(losses, start=1):
        mean = smoothing * mean + (1 - smoothing) * loss
        found.append(mean / (1 - smoothing**t))
    return found
