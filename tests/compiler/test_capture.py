"""A compiled function reads what is there at the time of the call, however it is spelled."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import thalweg as tw
from thalweg.errors import TraceError

READS: dict[str, Callable[[tw.Tensor], tw.Tensor]] = {
    "itself": lambda w: w,
    "detach": lambda w: w.detach(),
    "data": lambda w: w.data,
    "a reshape": lambda w: w.reshape(3),
    "an element": lambda w: w[1],
    "a copy": lambda w: w.clone(),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_captured_tensor_is_read_at_each_call(read: Callable[[tw.Tensor], tw.Tensor]) -> None:
    w = tw.ones(3)
    step = tw.compile(lambda x: read(w) * x)
    assert step(tw.ones(3)).tolist() == [1, 1, 1]
    w.mul_(5)
    assert step(tw.ones(3)).tolist() == [5, 5, 5]
    assert w.tolist() == [5, 5, 5]


def test_a_value_that_is_copied_is_captured() -> None:
    p, q = tw.zeros(2), tw.ones(2)

    def step() -> tw.Tensor:
        p.copy_(q)
        return p + 1

    compiled = tw.compile(step)
    assert compiled().tolist() == [2, 2]
    q.fill_(7)
    assert compiled().tolist() == [8, 8]
    assert (p.tolist(), q.tolist()) == ([7, 7], [7, 7])


def test_data_is_written_through() -> None:
    p, q = tw.zeros(2, requires_grad=True), tw.ones(2)

    def step() -> None:
        p.data.add_(q)
        p.data = p.detach() * 2

    compiled = tw.compile(step)
    compiled()
    assert p.tolist() == [2, 2]
    compiled()
    assert p.tolist() == [6, 6]
    assert p.requires_grad


def test_what_was_cut_out_of_state_keeps_its_value() -> None:
    p = tw.zeros(3)
    step = tw.compile(lambda: p.add_(1))
    step()
    part, array = p.detach()[1:], p.detach().numpy()[:2]
    step()
    assert (part.tolist(), array.tolist()) == ([1, 1], [1, 1])
    assert p.tolist() == [2, 2, 2]


LOOKS: dict[str, Callable[[tw.Tensor], object]] = {
    "item": lambda w: w[0].item(),
    "item of itself": lambda w: w.item() if w.numel() == 1 else w[0].item(),
    "tolist": lambda w: w.tolist(),
    "numpy": lambda w: w.numpy(),
    "bool": lambda w: bool(w),
    "float": lambda w: float(w),
    "equal": lambda w: tw.equal(w, w),
    "str": lambda w: str(w),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_captured_tensor_is_not_looked_at(look: Callable[[tw.Tensor], object]) -> None:
    """Its value now would be in the program for ever."""
    w = tw.ones(1)
    with pytest.raises(TraceError):
        tw.compile(lambda: look(w))()
    assert w.tolist() == [1]


def test_a_gradient_is_captured_as_its_owners() -> None:
    p = tw.ones(2, requires_grad=True)
    double = tw.compile(lambda: p.grad * 2 if p.grad is not None else p.detach())
    assert double().tolist() == [1, 1]
    for k in (1.0, 3.0, 5.0):
        p.grad = tw.full((2,), k)
        assert double().tolist() == [2 * k, 2 * k]
    p.grad = None
    assert double().tolist() == [1, 1]
    assert sum(map(len, double.programs.values())) == 2


def test_a_gradient_set_or_cleared_by_hand() -> None:
    p = tw.ones(2, requires_grad=True)

    def step() -> None:
        p.grad = None
        (p * p).sum().backward()

    compiled = tw.compile(step)
    for _ in range(4):
        compiled()
        assert p.grad is not None
        assert p.grad.tolist() == [2, 2]
    assert sum(map(len, compiled.programs.values())) == 2, "without a gradient before, and with"

    def give(x: tw.Tensor) -> None:
        p.grad = x * 3

    compiled = tw.compile(give)
    compiled(tw.ones(2))
    compiled(tw.full((2,), 2.0))
    assert p.grad.tolist() == [6, 6]
