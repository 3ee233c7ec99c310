"""Whole programs are found again on the disk, and only where they are the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import llvmlite
import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler import binding
from thalweg.compiler.machine import host
from thalweg.compiler.native import jit, kept, program
from thalweg.compiler.native.kept import key_of_program
from thalweg.errors import OutOfRangeError

Function = Callable[..., tw.Tensor]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "thalweg" / "code"


def x(*shape: int) -> tw.Tensor:
    return tw.arange(float(np.prod(shape)) or 1.0).reshape(shape)


def key(fn: Function, *given: tw.Tensor) -> str | None:
    graph = tw.trace(fn, *given)
    return key_of_program(graph, {}, host())


def no_plan(*_: Any) -> None:
    raise AssertionError("a plan was made")


def test_a_program_that_is_kept_is_not_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    def fn(a: tw.Tensor) -> tw.Tensor:
        return tw.relu(a @ a.T).sum(0)

    first = tw.compile(fn)(x(5, 7))
    monkeypatch.setattr(program, "build_plan", no_plan)
    again = tw.compile(fn)
    assert again(x(5, 7)).tolist() == first.tolist()
    monkeypatch.undo()
    assert len(again.last.bound.plan.kernels) == again.last.bound.program.facts.kernels
    assert "contraction" in str(again.explain())


def test_state_and_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    def walk() -> list[float]:
        w = tw.ones(3, requires_grad=True)
        optimizer = tw.optim.SGD([w], lr=0.25)

        @tw.compile
        def step(a: tw.Tensor) -> tw.Tensor:
            loss = (w * a).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return [*step.scan(x(4, 3)).tolist(), *w.tolist()]

    first = walk()
    monkeypatch.setattr(program, "build_plan", no_plan)
    assert walk() == first


def test_a_failure_names_the_line() -> None:
    def pick(a: tw.Tensor, i: tw.Tensor) -> tw.Tensor:
        return a[i] * 2

    for _ in range(2):
        chosen = tw.compile(pick)
        assert chosen(x(4), tw.tensor(3)).item() == 6
        with pytest.raises(OutOfRangeError, match=r"test_kept\.py:\d+ in pick"):
            chosen(x(4), tw.tensor(4))


def test_what_is_missing_is_made_anew(own_cache: Path) -> None:
    def fn(a: tw.Tensor) -> tw.Tensor:
        return tw.exp(a) + 1

    expected = tw.compile(fn)(x(6)).tolist()
    for path in sorted(own_cache.iterdir()):
        path.unlink()
        assert tw.compile(fn)(x(6)).tolist() == expected


def running(a: tw.Tensor, factor: float) -> tw.Tensor:
    return tw.scan(lambda c, row: (c + factor * row, c.sum()), a[0], a)[1]


DIFFERENT: dict[str, tuple[Function, Function]] = {
    "a number": (lambda a: a * 2.0, lambda a: a * 2.5),
    "its sign": (lambda a: a * 0.0, lambda a: a * -0.0),
    "the order": (lambda a: a - 1.0, lambda a: 1.0 - a),
    "an operation": (lambda a: tw.exp(a), lambda a: tw.sin(a)),
    "an attribute": (lambda a: a.sum(0), lambda a: a.sum(1)),
    "an index": (lambda a: a[1:], lambda a: a[:-1]),
    "what is given back": (lambda a: a.exp().sin(), lambda a: a.exp()),
    "a dtype": (lambda a: a.to(tw.float64), lambda a: a.to(tw.int64)),
    "what a scan does": (lambda a: running(a, 1.0), lambda a: running(a, 2.0)),
    "a power": (lambda a: a**3, lambda a: a**3.5),
}


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_decides_a_program_is_told_apart(one: Function, other: Function) -> None:
    assert key(one, x(3, 3)) == key(one, x(3, 3)) is not None
    assert key(one, x(3, 3)) != key(other, x(3, 3))


def test_shapes_states_and_machines_are_told_apart() -> None:
    graph = tw.trace(lambda a, b: a + b, x(3), x(3))
    other = tw.trace(lambda a, b: a + b, x(4), x(4))
    keys = [
        key_of_program(graph, {}, host()),
        key_of_program(other, {}, host()),
        key_of_program(graph, {0: 0}, host()),
        key_of_program(graph, {1: 0}, host()),
        key_of_program(graph, {}, replace(host(), cores=host().cores + 1)),
    ]
    assert len(set(keys)) == len(keys)


def test_names_and_lines_do_not_matter() -> None:
    def one(left: tw.Tensor) -> tw.Tensor:
        return left * 3

    def other(right: tw.Tensor) -> tw.Tensor:
        return right * 3

    assert key(one, x(3)) == key(other, x(3))


def test_other_sources_are_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(lambda a: a + 1, x(3))
    monkeypatch.setattr(kept, "_sources", lambda: ("changed",))
    assert key(lambda a: a + 1, x(3)) != before


def test_code_of_other_versions_and_processors_is_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []
    emit = jit.emit

    def counted(ir: str, *args: Any, **kwargs: Any) -> bytes:
        made.append(ir)
        return emit(ir, *args, **kwargs)

    def run() -> int:
        made.clear()
        jit.versions.cache_clear()
        assert tw.compile(lambda a: a + 1)(x(3)).tolist() == [1, 2, 3]
        return len(made)

    monkeypatch.setattr(jit, "emit", counted)
    anew = run()
    assert anew > 0
    assert run() == 0
    less = replace(host(), features=f"{host().features},-sse4a")
    changes: list[tuple[Any, str, Any]] = [
        (llvmlite, "__version__", "0.1"),
        (jit, "version", lambda _: "9.9"),
        (binding, "host", lambda: less),
    ]
    for owner, name, other in changes:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, other)
            assert run() == anew, name
    assert run() == 0


def test_without_a_cache_there_is_no_key(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    monkeypatch.setenv("THALWEG_CODE_CACHE", "0")
    assert key(lambda a: a + 1, x(3)) is None
    assert tw.compile(lambda a: a + 1)(x(3)).tolist() == [1, 2, 3]
    assert not own_cache.exists()


def test_what_cannot_be_told_exactly_has_no_key() -> None:
    graph = tw.trace(lambda a: a.sum(0), x(3, 3))
    (equation,) = graph.equations
    graph.equations[0] = replace(equation, attributes={**equation.attributes, "odd": object()})
    assert key_of_program(graph, {}, host()) is None
