"""Every optimizer that needs no closure, each form of it a row: what all of them must do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import thalweg as tw
from thalweg import optim

__all__ = ["KINDS", "Kind", "descend", "parameters"]


class Kind(NamedTuple):
    """How one is made, and the elementwise operations a further parameter takes."""

    make: Callable[..., optim.Optimizer]
    operations: int
    shapes: Sequence[tuple[int, ...]] = ((3, 4), (4,), ())


MATRICES = ((3, 4), (4, 3), (2, 2))

# fmt: off
KINDS: dict[str, Kind] = {
    "sgd":          Kind(lambda p: optim.SGD(p, lr=0.1), 2),
    "decay":        Kind(lambda p: optim.SGD(p, lr=0.1, weight_decay=0.1), 4),
    "momentum":     Kind(lambda p: optim.SGD(p, lr=0.1, momentum=0.9), 4),
    "dampening":    Kind(lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5), 5),
    "nesterov":     Kind(lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True), 6),
    "averaged":     Kind(lambda p: optim.SGD(p, lr=0.1, momentum=0.9, form="averaged"), 5),
    "velocity":     Kind(lambda p: optim.SGD(p, lr=0.1, momentum=0.9, form="velocity"), 4),
    "maximize":     Kind(lambda p: optim.SGD(p, lr=0.1, maximize=True), 3),
    "element":      Kind(lambda p: optim.NormalizedSGD(p, lr=0.1), 5),
    "tensor":       Kind(lambda p: optim.NormalizedSGD(p, lr=0.1, by="tensor"), 7),
    "all":          Kind(lambda p: optim.NormalizedSGD(p, lr=0.1, by="all"), 5),
    "adagrad":      Kind(lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.1), 7),
    "adadelta":     Kind(lambda p: optim.Adadelta(p), 16),
    "rmsprop":      Kind(lambda p: optim.RMSprop(p), 9),
    "rms centered": Kind(lambda p: optim.RMSprop(p, centered=True, momentum=0.9), 16),
    "adam":         Kind(lambda p: optim.Adam(p), 12),
    "amsgrad":      Kind(lambda p: optim.Adam(p, amsgrad=True), 13),
    "adamw":        Kind(lambda p: optim.AdamW(p), 13),
    "adamax":       Kind(lambda p: optim.Adamax(p), 10),
    "nadam":        Kind(lambda p: optim.NAdam(p), 29),
    "nadamw":       Kind(lambda p: optim.NAdam(p, weight_decay=0.1,
                                               decoupled_weight_decay=True), 30),
    "radam":        Kind(lambda p: optim.RAdam(p, betas=(0.9, 0.9)), 13),
    "lion":         Kind(lambda p: optim.Lion(p, lr=0.01, weight_decay=0.1), 10),
    "lamb":         Kind(lambda p: optim.LAMB(p, lr=0.1), 29),
    "muon":         Kind(lambda p: optim.Muon(p, lr=0.01), 60, MATRICES),
    "adafactor":    Kind(lambda p: optim.Adafactor(p, lr=0.1), 40),
    "rprop":        Kind(lambda p: optim.Rprop(p), 16),
    "asgd":         Kind(lambda p: optim.ASGD(p, lr=0.1, lambd=0.1, t0=3.0), 14),
}
# fmt: on


def parameters(kind: Kind, dtype: Any = tw.float64) -> list[tw.Tensor]:
    """Fixed numbers, half of them negative."""
    made = []
    for position, shape in enumerate(kind.shapes):
        count = 1
        for size in shape:
            count *= size
        values = (tw.arange(count, dtype=dtype) * 1.7 + position).sin() + 0.3
        made.append(values.reshape(shape).requires_grad_())
    return made


def descend(optimizer: optim.Optimizer, params: Sequence[tw.Tensor]) -> tw.Tensor:
    """One step down a bowl that is steep in some directions and has its minimum beside 0."""
    optimizer.zero_grad()
    loss = tw.zeros(dtype=params[0].dtype)
    for position, p in enumerate(params):
        steep = (tw.arange(p.numel(), dtype=p.dtype) + 1).reshape(p.shape)
        loss = loss + (steep * (p - 0.1 * position) ** 2).mean()
    loss.backward()
    optimizer.step()
    return loss.detach()
