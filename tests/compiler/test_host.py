"""Linear algebra inside compiled programs: NumPy's bits, errors that pass, state kept on errors."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from tests.compiler.oracle import Native, traced
from tests.table.linear import regular
from tests.table.row import normal
from thalweg.compiler.interpret import interpret
from thalweg.compiler.reference import run
from thalweg.errors import LinAlgError


def test_a_program_gives_numpys_bits() -> None:
    a, b = tw.tensor(regular(2, 3, 3)), tw.tensor(normal(2, 3, 2))

    def function(a: tw.Tensor, b: tw.Tensor) -> tuple[tw.Tensor, ...]:
        q, r = tw.linalg.qr(b)
        return tw.linalg.solve(a, b), *tw.linalg.svd(a.mT), tw.linalg.eigvalsh(a), q, r

    for got, wanted in zip(tw.compile(function)(a, b), function(a, b), strict=True):
        assert np.array_equal(got.numpy(), wanted.numpy())


def test_of_nothing() -> None:
    compiled = tw.compile(lambda a: (tw.linalg.det(a), tw.linalg.inv(a), *tw.linalg.slogdet(a)))
    det, inverse, sign, logarithm = compiled(tw.zeros(2, 0, 0))
    assert det.tolist() == [1, 1]
    assert inverse.shape == (2, 0, 0)
    assert (sign.tolist(), logarithm.tolist()) == ([1, 1], [0, 0])


def test_a_training_step() -> None:
    def trained(compiled: bool) -> list[float]:
        a = tw.tensor(regular(3, 3), requires_grad=True)
        optimizer = tw.optim.SGD([a], lr=0.01)

        def step() -> tw.Tensor:
            loss = tw.linalg.inv(a).square().sum() - tw.linalg.slogdet(a).logabsdet
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        run = tw.compile(step) if compiled else step
        return [run().item() for _ in range(4)]

    np.testing.assert_allclose(trained(True), trained(False), rtol=1e-12)


def test_an_error_passes_and_state_is_kept() -> None:
    total = tw.zeros((), dtype=tw.float64)

    @tw.compile
    def add(a: tw.Tensor) -> tw.Tensor:
        x = tw.linalg.inv(a)
        total.copy_(total + x.sum())
        return x

    add(tw.eye(2, dtype=tw.float64))
    with pytest.raises(LinAlgError, match=r"singular.*\n.*solve from .*test_host\.py:\d+ in add"):
        add(tw.zeros(2, 2, dtype=tw.float64))
    assert total.item() == 2
    add(2 * tw.eye(2, dtype=tw.float64))
    assert total.item() == 3


def test_a_scan_stops_where_it_fails() -> None:
    matrices = np.stack([np.eye(2), 2 * np.eye(2), np.zeros((2, 2)), np.eye(2)])
    compiled = tw.compile(lambda a: tw.linalg.inv(a))
    with pytest.raises(LinAlgError, match="singular"):
        compiled.scan(tw.tensor(matrices))
    inverses = compiled.scan(tw.tensor(matrices[:2]))
    np.testing.assert_array_equal(inverses.numpy(), np.linalg.inv(matrices[:2]))


@pytest.mark.parametrize("threads", [1, 2])
def test_beside_kernels_of_several_threads(threads: int) -> None:
    def function(x: tw.Tensor, a: tw.Tensor) -> tw.Tensor:
        large = (x @ x).exp().sum() * 0
        return tw.linalg.inv(a + large) @ x[:3, :3]

    x, a = np.float64(normal(300, 300)) / 100, regular(3, 3)
    graph = traced(function, tw.tensor(x), tw.tensor(a)).graph
    (got,) = Native(graph)([x, a], threads)
    (wanted,) = interpret(graph, [x, a])
    np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_the_plan_says_so_and_the_reference_runs_it() -> None:
    graph = traced(lambda a: tw.linalg.cholesky(a), tw.eye(3)).graph
    native = Native(graph)
    assert "NumPy's cholesky of" in str(native.plan)
    a = np.float32(4 * np.eye(3))
    (got,) = run(native.plan, [a])
    np.testing.assert_array_equal(got, 2 * np.eye(3, dtype=np.float32))


def test_explained() -> None:
    compiled = tw.compile(lambda a: tw.linalg.inv(a))
    compiled(tw.eye(3))
    assert "solve" in str(compiled.explain())


def test_inside_a_loop() -> None:
    def rounds(c: tw.Tensor, xs: tw.Tensor) -> tuple[tw.Tensor, tw.Tensor]:
        def body(c: tw.Tensor, x: tw.Tensor) -> tuple[tw.Tensor, tw.Tensor]:
            y = tw.linalg.solve(x, c)
            return y, y.sum()

        return tw.scan(body, c, xs)  # type: ignore[no-any-return]

    c, matrices = tw.ones(3, dtype=tw.float64), regular(4, 3, 3)
    compiled = tw.compile(rounds)
    for got, wanted in zip(
        compiled(c, tw.tensor(matrices)), rounds(c, tw.tensor(matrices)), strict=True
    ):
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=1e-13)
    matrices[2] = 0
    with pytest.raises(LinAlgError, match="singular"):
        compiled(c, tw.tensor(matrices))
