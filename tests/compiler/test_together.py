"""What one thread does with tensors while another one traces: it waits, and nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import thalweg as tw
from thalweg.errors import TraceError

ZERO = tw.zeros(())


class Counted:
    """A count, a compiled function that adds to it, and what another thread may do with it."""

    def __init__(self) -> None:
        self.count = tw.ones(())

        def add(x: tw.Tensor) -> tw.Tensor:
            self.count.add_(1.0)
            return x + self.count

        self.add = tw.compile(add)
        self.add(ZERO)  # 2

    def call(self) -> Any:
        return float(self.add(ZERO))

    def scan(self) -> Any:
        return float(self.add.scan(tw.zeros(3))[-1])

    def read(self) -> Any:
        return (self.count + 1).item()

    def write(self) -> Any:
        self.count.mul_(3)
        return self.count.item()

    def replace(self) -> Any:
        self.count.copy_(tw.tensor(7.0))
        return self.count.item()

    def look(self) -> Any:
        return self.count.item()

    def be_argument(self) -> Any:
        return float(self.add(self.count))

    def trace(self) -> Any:
        return float(tw.compile(lambda x: x + self.count)(ZERO))

    def differentiate(self) -> Any:
        w = tw.ones((), requires_grad=True)
        (w * self.count).backward()
        assert w.grad is not None
        return w.grad.item()


@pytest.mark.parametrize(
    ("what", "result", "after"),
    [
        (Counted.call, 3, 3), (Counted.scan, 5, 5), (Counted.read, 3, 2), (Counted.write, 6, 6),
        (Counted.replace, 7, 7), (Counted.look, 2, 2), (Counted.be_argument, 5, 3),
        (Counted.trace, 2, 2), (Counted.differentiate, 2, 2),
    ],
)  # fmt: skip
def test_a_thread_waits_for_another_s_trace(
    what: Callable[[Counted], float], result: float, after: float
) -> None:
    counted = Counted()
    found: list[Any] = []

    def work() -> None:
        try:
            found.append(what(counted))
        except Exception as error:
            found.append(error)

    worker = threading.Thread(target=work)

    def traced(x: tw.Tensor) -> tw.Tensor:
        y = counted.count + x  # from here on the count is a variable of this trace
        worker.start()
        worker.join(0.05)  # it cannot end before this does
        return y

    assert tw.compile(traced)(ZERO).item() in (2, after)
    worker.join()
    assert found == [result]
    assert counted.count.item() == after


def test_what_escaped_is_refused_by_every_operation() -> None:
    kept = []
    tw.trace(lambda x: kept.append(x * 2), tw.ones(3))
    (y,) = kept
    step = tw.compile(lambda x: x)
    for use in (
        lambda: y.reshape(3, 1), lambda: y.expand(2, 3), lambda: tw.stack([y, y]), lambda: y[0],
        lambda: y.numpy(), lambda: y.tolist(), lambda: y.add_(1), lambda: step(y),
    ):  # fmt: skip
        with pytest.raises(TraceError, match="a trace that has ended was used. Return it"):
            use()
