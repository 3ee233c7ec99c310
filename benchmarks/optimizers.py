"""Each optimizer's update over ten million parameters, compiled, beside a copy of memory.

    python -m benchmarks.optimizers [NAME ..] [--threads N] [--parameters N] [--plan]

An update reads the parameter, its gradient and the state, and writes the parameter and the state:
what must move is known, and a copy in memory, measured in the same run, says how fast that can go.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import thalweg as tw
from thalweg import optim
from thalweg.compiler.describe import describe_plan
from thalweg.compiler.roof import Roof, roof

__all__ = ["UPDATES", "Update", "main", "measure"]


class Update(NamedTuple):
    """How an optimizer is made, and the numbers an element's update reads and writes at least.

    `passes` are the sweeps over memory it takes: norms must be known before they are used.
    """

    make: Callable[[Any], Any]
    moved: int
    passes: int = 1


# fmt: off
UPDATES: dict[str, Update] = {
    # read p, g, state; write p, state
    "sgd":          Update(lambda p: optim.SGD(p, lr=0.1), 3),
    "momentum":     Update(lambda p: optim.SGD(p, lr=0.1, momentum=0.9), 5),
    "nesterov":     Update(lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True,
                                               weight_decay=1e-4), 5),
    "averaged":     Update(lambda p: optim.SGD(p, lr=0.1, momentum=0.9, form="averaged"), 5),
    "velocity":     Update(lambda p: optim.SGD(p, lr=0.1, momentum=0.9, form="velocity"), 5),
    "normalized":   Update(lambda p: optim.NormalizedSGD(p), 3),
    "by tensor":    Update(lambda p: optim.NormalizedSGD(p, by="tensor"), 1 + 3, 2),
    "adagrad":      Update(lambda p: optim.Adagrad(p), 5),
    "adadelta":     Update(lambda p: optim.Adadelta(p), 7),
    "rmsprop":      Update(lambda p: optim.RMSprop(p), 5),
    "rms centered": Update(lambda p: optim.RMSprop(p, centered=True, momentum=0.9), 9),
    "adam":         Update(lambda p: optim.Adam(p), 7),
    "amsgrad":      Update(lambda p: optim.Adam(p, amsgrad=True), 9),
    "adamw":        Update(lambda p: optim.AdamW(p), 7),
    "adamax":       Update(lambda p: optim.Adamax(p), 7),
    "nadam":        Update(lambda p: optim.NAdam(p), 7),
    "radam":        Update(lambda p: optim.RAdam(p), 7),
    "lion":         Update(lambda p: optim.Lion(p, weight_decay=0.1), 5),
    "rprop":        Update(lambda p: optim.Rprop(p), 7),
    "asgd":         Update(lambda p: optim.ASGD(p), 5),
    # m and v with both norms, then the step: p, m, v again
    "lamb":         Update(lambda p: optim.LAMB(p), 6 + 4, 2),
    # the norm of p, the means of g^2; the norm of u: g; then the step
    "adafactor":    Update(lambda p: optim.Adafactor(p), 2 + 1 + 3, 3),
    # no optimizer: average and parameter read, average written
    "ema":          Update(lambda p: _Average(p), 3),
}
# fmt: on


class _Average:
    """`swa_utils.AveragedModel` with the face of an optimizer."""

    def __init__(self, params: list[tw.Tensor]) -> None:
        self.model = tw.nn.ParameterList(params)
        averages = optim.swa_utils.get_ema_multi_avg_fn(0.999)
        self.averaged = optim.swa_utils.AveragedModel(self.model, multi_avg_fn=averages)

    def step(self) -> None:
        self.averaged.update_parameters(self.model)


class Measured(NamedTuple):
    """Seconds of an update, the kernels that run over all parameters, the plan as text."""

    seconds: float
    kernels: int
    plan: str


def measure(update: Update, parameters: int, rounds: int) -> Measured:
    """The fastest of `rounds` updates of a square matrix of about so many parameters."""
    side = round(parameters**0.5)
    p = tw.nn.Parameter(tw.full((side, side), 0.5))
    p.grad = tw.full((side, side), 0.25)
    optimizer = update.make([p])
    step = tw.compile(lambda: optimizer.step())
    step()
    best = float("inf")
    for _ in range(rounds):
        start = perf_counter()
        step()
        best = min(best, perf_counter() - start)
    assert step.last is not None
    plan = step.last.bound.plan
    large = [k for k in plan.kernels if 2 * _points(k) > side * side]  # without what is left over
    return Measured(best, len(large), describe_plan(plan))


def _points(kernel: Any) -> int:
    return max(math.prod(getattr(part, "space", ())) for part in getattr(kernel, "loops", [kernel]))


def line(name: str, update: Update, found: Measured, parameters: int, top: Roof) -> str:
    """A row of the table."""
    moved = 4 * update.moved * round(parameters**0.5) ** 2
    rate = moved / found.seconds
    share = 100 * rate / top.bandwidth
    return (
        f"{name:13} {4 * update.moved:4} {update.passes:7} {found.kernels:8} "
        f"{1e3 * found.seconds:8.2f} {rate / 1e9:7.1f} {share:6.0f} %"
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.optimizers")
    add = parser.add_argument
    add("names", nargs="*", default=list(UPDATES), metavar="NAME", help=", ".join(UPDATES))
    add("--threads", type=int, default=tw.get_num_threads())
    add("--parameters", type=int, default=10_000_000)
    add("--rounds", type=int, default=60)
    add("--plan", action="store_true", help="print the kernels")
    options = parser.parse_args()
    tw.set_num_threads(options.threads)
    found, tops = {}, [roof(options.threads)]
    for name in options.names:
        found[name] = measure(UPDATES[name], options.parameters, options.rounds)
        tops.append(roof.__wrapped__(options.threads))
    top = max(tops, key=lambda each: each.bandwidth)  # what the memory can do when left alone
    print(f"{options.parameters:,} parameters, {top}")
    print("update        B/el  passes  kernels       ms    GB/s  of copy")
    for name, measured in found.items():
        print(line(name, UPDATES[name], measured, options.parameters, top))
        if options.plan:
            print(measured.plan)
    return 0


if __name__ == "__main__":
    sys.exit(main())
