"""Stepping through a backward pass, each cotangent as it is computed."""

from __future__ import annotations

import thalweg as tw


def test_steps_run_from_the_output_to_the_leaves() -> None:
    a = tw.tensor(2.0, requires_grad=True)
    b = tw.tensor(3.0, requires_grad=True)
    steps = list(tw.backward_steps((a * b + a).exp()))
    assert [s.name for s in steps] == ["exp", "add", "multiply", "leaf", "leaf"]
    cotangents = {id(s.leaf): s.cotangent.item() for s in steps if s.leaf is not None}
    top = tw.tensor(8.0).exp().item()
    assert cotangents == {id(a): 4 * top, id(b): 2 * top}


def test_looking_changes_nothing() -> None:
    x = tw.tensor(2.0, requires_grad=True)
    loss = x**3
    first = [s.cotangent.item() for s in tw.backward_steps(loss)]
    again = [s.cotangent.item() for s in tw.backward_steps(loss)]
    assert first == again == [1, 12]
    assert x.grad is None
    loss.backward()
    assert x.grad.item() == 12


def test_stopping_half_way_leaves_recording_on() -> None:
    x = tw.tensor(2.0, requires_grad=True)
    steps = tw.backward_steps((x * x).exp())
    assert next(steps).name == "exp"
    assert tw.is_grad_enabled()
    steps.close()
    assert tw.is_grad_enabled()


def test_a_vector_starts_from_its_cotangent() -> None:
    x = tw.tensor([1.0, 2.0], requires_grad=True)
    *_, last = tw.backward_steps(x * x, tw.tensor([1.0, 10.0]))
    assert last.cotangent.tolist() == [2, 40]
    assert last.value.tolist() == [1, 2]
