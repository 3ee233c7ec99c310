"""Recording on and off: nested, decorated, in threads, and after errors."""

from __future__ import annotations

import threading

import pytest

import thalweg as tw
from thalweg.errors import GradientError
from thalweg.tape import composite

X = tw.tensor(2.0, requires_grad=True)


def recorded() -> bool:
    on = (X * X).requires_grad
    assert tw.is_grad_enabled() is on
    return on


def test_no_grad_records_nothing() -> None:
    with tw.no_grad():
        assert not recorded()
    assert recorded()


def test_nested() -> None:
    with tw.no_grad():
        with tw.enable_grad():
            assert recorded()
            with tw.no_grad():
                assert not recorded()
            assert recorded()
        assert not recorded()
    assert recorded()


def test_one_context_entered_twice() -> None:
    off = tw.no_grad()
    with off, off:
        assert not recorded()
    assert recorded()


def test_as_decorators() -> None:
    assert not tw.no_grad()(recorded)()
    assert recorded()
    with tw.no_grad():
        assert tw.enable_grad()(recorded)()
        assert not recorded()


def test_inference_mode_is_no_grad() -> None:
    with tw.inference_mode():
        assert not recorded()
        with tw.inference_mode(False):
            assert recorded()
    assert not tw.inference_mode()(recorded)()
    assert recorded()


def test_set_grad_enabled_as_a_function_and_as_a_context() -> None:
    tw.set_grad_enabled(False)
    assert not recorded()
    tw.set_grad_enabled(True)
    with tw.set_grad_enabled(False):
        assert not recorded()
        with tw.set_grad_enabled(True):
            assert recorded()
        assert not recorded()
    assert recorded()


def test_an_error_inside_restores_the_mode() -> None:
    with pytest.raises(ZeroDivisionError), tw.no_grad():
        raise ZeroDivisionError
    assert recorded()


def test_a_result_of_no_grad_is_a_leaf() -> None:
    with tw.no_grad():
        y = X * 3
    assert (y.is_leaf, y.requires_grad) == (True, False)


def test_backward_under_no_grad() -> None:
    x = tw.tensor(3.0, requires_grad=True)
    loss = x * x
    with tw.no_grad():
        loss.backward()
        assert not tw.is_grad_enabled()
    assert x.grad.item() == 6


def test_an_error_inside_backward_restores_the_mode() -> None:
    def rule(g: tw.Tensor, out: tw.Tensor, x: tw.Tensor) -> tw.Tensor:
        assert not tw.is_grad_enabled()
        raise ArithmeticError("a rule that fails")

    @composite("fails", rule)
    def fails(x: tw.Tensor) -> tw.Tensor:
        return x * 1

    for create_graph in (False, True):
        with pytest.raises((ArithmeticError, AssertionError)):
            fails(X).backward(create_graph=create_graph)
        assert recorded()


def test_an_error_inside_a_composite_restores_the_mode() -> None:
    @composite("fails", lambda g, out, x: g)
    def fails(x: tw.Tensor) -> tw.Tensor:
        raise ArithmeticError("a function that fails")

    with pytest.raises(ArithmeticError):
        fails(X)
    assert recorded()


def test_an_error_inside_a_hook_restores_the_mode() -> None:
    y = X * 3

    def fail(g: tw.Tensor) -> None:
        raise ArithmeticError("a hook that fails")

    y.register_hook(fail)
    with pytest.raises(ArithmeticError):
        y.backward()
    assert recorded()


def test_the_mode_belongs_to_the_thread() -> None:
    inside, outside = threading.Event(), threading.Event()
    found = []

    def other() -> None:
        found.append(recorded())
        with tw.no_grad():
            inside.set()
            assert outside.wait(10)
            found.append(recorded())

    thread = threading.Thread(target=other)
    with tw.no_grad():
        thread.start()
        assert inside.wait(10)
    found.append(recorded())
    outside.set()
    thread.join()
    assert found == [True, True, False]


def test_threads_differentiate_side_by_side() -> None:
    results: dict[int, float] = {}

    def work(n: int) -> None:
        x = tw.tensor(float(n), requires_grad=True)
        for _ in range(50):
            x.grad = None
            y = x
            for _ in range(10):
                y = y * 1.0 + x
            y.backward()
        results[n] = x.grad.item()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(4), 11.0)


def test_a_leaf_changed_in_place_while_recording() -> None:
    x = tw.tensor(2.0, requires_grad=True)
    with pytest.raises(GradientError, match=r"leaf.*changed in place.*tw.no_grad\(\)"):
        x -= 0.1
