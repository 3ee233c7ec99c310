"""The one call: what it takes, what it gives, and what it says about wrong arguments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ConfigError, GradientError, ObjectiveError, ShapeError, ThalwegError
from thalweg.minimize import MinimizeResult, Product, Real, minimize


def bowl(x: tw.Tensor) -> tw.Tensor:
    return (x - 3).square().sum()


def test_the_module_is_the_function() -> None:
    assert callable(tw.minimize)
    assert isinstance(tw.minimize(bowl, 1.0, compile=False), MinimizeResult)
    assert tw.minimize.minimize is minimize
    assert "theta0" in (type(tw.minimize).__call__.__doc__ or "")


@pytest.mark.parametrize(
    ("theta0", "shape", "dtype"),
    [
        (1, (), tw.float64),
        (1.0, (), tw.float64),
        ([1, 2], (2,), tw.float64),
        (np.zeros((2, 3), np.float32), (2, 3), tw.float64),
        (tw.zeros(2), (2,), tw.float32),
        (tw.zeros(2, dtype=tw.float64), (2,), tw.float64),
        (tw.zeros(2, dtype=tw.int64), (2,), tw.float64),
    ],
)
def test_shapes_and_dtypes_of_theta(theta0: Any, shape: tuple[int, ...], dtype: tw.DType) -> None:
    seen: list[tw.Tensor] = []

    def g(x: tw.Tensor) -> tw.Tensor:
        seen.append(x)
        return bowl(x)

    result = tw.minimize(g, theta0, compile=False)
    assert all((x.shape, x.dtype) == (shape, dtype) for x in [*seen, result.theta])
    assert result.value == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("value", [4, 4.0, np.float32(4), np.array(4.0), tw.tensor(4.0)])
def test_what_g_may_give(value: Any) -> None:
    assert tw.minimize(lambda x: value, domain=[1], method="brute-force").value == 4


@pytest.mark.parametrize("method", ["l-bfgs", "newton", "adam", "projected-gradient"])
def test_float32_converges_to_what_it_can_tell(method: str) -> None:
    options = {"lr": 0.1} if method == "adam" else {}
    result = tw.minimize(bowl, tw.zeros(3), method, compile=False, **options)
    assert result.success, result.summary()
    np.testing.assert_allclose(result.theta.numpy(), 3, atol=1e-4)


def test_lbfgs_keeps_its_memory_near_the_minimum() -> None:
    """A bowl a thousand times as steep one way as the other, to all digits."""
    slopes = tw.arange(1, 201, dtype=tw.float64) * 5
    result = tw.minimize(lambda x: (x.square() * slopes).sum(), np.ones(200), compile=False)
    assert result.success
    assert result.iterations < 200
    assert result.value < 1e-16


def test_a_callback_sees_each_iteration_and_stops() -> None:
    seen: list[Any] = []

    def callback(step: Any) -> bool:
        seen.append(step)
        return step.iteration == 4

    result = tw.minimize(bowl, [0.0], "gradient-descent", lr=0.1, callback=callback, compile=False)
    assert [step.iteration for step in seen] == [0, 1, 2, 3, 4]
    assert [step.value for step in seen] == result.values.tolist()
    assert seen[0].theta.tolist() == [0.0]
    assert (result.success, result.reason) == (False, "the callback asked to stop")


def test_the_limit_of_iterations() -> None:
    result = tw.minimize(bowl, [0.0], "gradient-descent", max_iterations=3, compile=False)
    assert (result.iterations, len(result.values), result.success) == (3, 4, False)
    assert result.reason == "all 3 iterations were done"
    none = tw.minimize(bowl, [0.0], "gradient-descent", max_iterations=0, compile=False)
    assert none.theta.tolist() == [0.0]


def test_bounds_in_each_form() -> None:
    for bounds in ((1, 2), [(1, 2)], [(1, 2), (1, 2)], [(1, None), (None, 2)]):
        result = tw.minimize(bowl, [1.5, 1.5], "projected-gradient", bounds=bounds, compile=False)
        free = bounds == [(1, None), (None, 2)]
        np.testing.assert_allclose(result.theta.numpy(), [3 if free else 2, 2], atol=1e-7)
    assert tw.minimize(bowl, bounds=(0, 1), method="random", seed=0).theta.shape == ()
    assert tw.minimize(bowl, bounds=[(0, 1)] * 3, method="random", seed=0).theta.shape == (3,)


def test_a_domain_is_left_as_it_was() -> None:
    domain = Real((2,))
    before = tw.minimize(bowl, method="random", domain=domain, seed=0, max_iterations=3).values
    tw.minimize(bowl, [9.0, 9.0], "random", domain=domain, seed=0, max_iterations=3)
    after = tw.minimize(bowl, method="random", domain=domain, seed=0, max_iterations=3).values
    assert before.tolist() == after.tolist()


def test_domains_in_each_form() -> None:
    def g(theta: Any) -> float:
        assert isinstance(theta, dict)
        return abs(theta["n"] - 3) + (theta["kind"] != "b") + theta["x"].item() ** 2

    domain = {"n": range(10), "kind": ["a", "b"], "x": Real((), -1.0, 1.0)}
    result = tw.minimize(g, domain=domain, method="coordinate-descent", seed=0)
    assert (result.theta["n"], result.theta["kind"]) == (3, "b")
    assert result.theta["x"].item() == pytest.approx(0, abs=1e-6)
    pair = tw.minimize(lambda t: t[0] - t[1], domain=(range(3), [0, 5]), method="brute-force")
    assert (pair.theta, pair.value, pair.evaluations) == ((0, 5), -5, 6)
    started = tw.minimize(g, {"n": 1, "kind": "a", "x": 0.5}, "genetic", domain=domain, seed=0,
                          max_iterations=5)  # fmt: skip
    assert isinstance(started.domain, Product)


def test_mixed_and_infinite_values() -> None:
    result = tw.minimize(
        lambda n: math.inf if n % 2 else n, domain=range(1, 6), method="brute-force"
    )
    assert result.theta == 2


def test_nan_names_the_point() -> None:
    with pytest.raises(ObjectiveError, match=r"NaN at theta = \[-1, 2\], at evaluation 1"):
        tw.minimize(lambda x: x.log().sum(), [-1.0, 2.0], compile=False)
    with pytest.raises(ObjectiveError, match=r"NaN at theta = 3"):
        tw.minimize(lambda n: math.nan if n == 3 else n, domain=range(9), method="brute-force")
    with pytest.raises(ObjectiveError, match=r"NaN at theta = \(n: 2, x: \[0.5\]\)"):
        tw.minimize(lambda t: math.nan, {"n": 2, "x": [0.5]}, "genetic",
                    domain={"n": range(5), "x": Real((1,), 0.0, 1.0)})  # fmt: skip


def test_a_gradient_that_is_not_finite_names_the_point() -> None:
    with pytest.raises(ObjectiveError, match=r"gradient is not finite at theta = \[1\]"):
        tw.minimize(lambda x: x.asin().sum(), [1.0], compile=False)


def test_a_line_search_steps_over_nan() -> None:
    result = tw.minimize(lambda x: x - x.log(), 0.01, "newton", compile=False)
    assert result.theta.item() == pytest.approx(1)


def call(**given: Any) -> Any:
    given = {"g": bowl, "theta0": [1.0, 2.0], "compile": False} | given
    return tw.minimize(given.pop("g"), given.pop("theta0"), **given)


BAD: list[tuple[dict[str, Any], type[ThalwegError], str]] = [
    ({"method": "newtn"}, ConfigError, "no method 'newtn': did you mean 'newton'.*Known: .*adam"),
    ({"method": 3}, ConfigError, "no method 3"),
    ({"method": "newton", "tolerence": 1}, ConfigError, "no option 'tolerence': did you mean 'tol"),
    ({"method": "random", "lr": 1, "bounds": (0, 3)}, ConfigError, "no option 'lr': it has none"),
    ({"method": "adam", "lrr": 1}, ConfigError, "Adam has no 'lrr'; did you mean 'lr'"),
    ({"bounds": (2, 1), "method": "random"}, ConfigError, "low <= high.*got 2.0 and 1.0 at elem"),
    ({"bounds": (math.nan, 1), "method": "random"}, ConfigError, "low <= high"),
    ({"bounds": [(0, 3)] * 3, "method": "random"}, ConfigError, "2 elements expected, got 3"),
    ({"bounds": 3, "method": "random"}, ConfigError, "a pair .low, high.*got 3"),
    ({"bounds": (5, 6), "method": "random"}, ConfigError, r"theta0 = \[1, 2\] is not in the dom"),
    ({"bounds": (0, 3)}, ConfigError, "'l-bfgs' takes a real domain without bounds.*cma-es"),
    ({"bounds": (0, 3), "domain": [1]}, ConfigError, "bounds or a domain, not both"),
    ({"theta0": None}, ConfigError, "theta0, bounds or a domain: none"),
    ({"theta0": "abc"}, ThalwegError, "theta0 is expected to hold numbers, got 'abc'"),
    ({"theta0": [math.inf]}, ConfigError, "theta0 is not finite"),
    ({"theta0": 4, "domain": [1, 2], "method": "random"}, ConfigError, "theta0 is 4, expected one"),
    ({"domain": 3.5, "theta0": None}, ConfigError, "a Domain, a list of values.*got 3.5"),
    ({"domain": tw.minimize.Permutations(3), "theta0": None}, ConfigError, "Permutations.*ant-c"),
    ({"g": 3}, ConfigError, "a function of theta, got 3"),
    ({"max_iterations": -1}, ConfigError, "whole number from 0 on expected, got -1"),
    ({"max_iterations": 2.5}, ConfigError, "whole number from 0 on expected, got 2.5"),
    ({"g": lambda x: x * 2}, ShapeError, r"shape \(2,\), expected one number: take its sum"),
    ({"g": lambda x: x * 2, "method": "random", "bounds": (0, 3)}, ShapeError, "one number"),
    ({"g": lambda x: "a", "method": "random", "bounds": (0, 3)}, ObjectiveError, "'a', expected"),
    ({"g": lambda x: 2.0}, GradientError, "g of theta is float without a derivative"),
    ({"g": lambda x: x.detach().sum()}, GradientError, "without a derivative"),
    ({"method": "gauss-newton"}, ConfigError, "minimizes a SumOfSquares.*got 'bowl'"),
    ({"method": "admm"}, ConfigError, "minimizes a Lasso: .*tw.minimize.Lasso"),
    ({"method": "brute-force"}, ConfigError, "finitely many points, got Real"),
    ({"method": "grid"}, ConfigError, "a grid needs bounds"),
    ({"method": "grid", "bounds": (0, 3), "count": 0}, ConfigError, "from 1 on, got 0"),
    ({"method": "grid", "bounds": (0, 3), "count": 2000}, ConfigError, "4e.06 points, more than"),
    ({"method": "genetic", "population": 1}, ConfigError, "population >= 2.*got 1"),
    ({"method": "cma-es", "sigma": -1}, ConfigError, "finite step size sigma above 0.*got -1"),
    ({"method": "cma-es", "population": 2}, ConfigError, "population of 4 or more expected, got 2"),
    ({"method": "particle-swarm", "particles": 1}, ConfigError, "two particles or more.*got 1"),
    ({"method": "projected-gradient", "steps": 0}, ConfigError, "steps >= 1"),
    ({"method": "projected-gradient", "steps": 2}, ConfigError, "need an lr"),
    ({"seed": "x"}, ConfigError, "seed='x'; expected a whole number, 0 or more"),
    ({"callback": 3}, ConfigError, "callback=3; expected a function"),
    ({"method": "scipy:bgfs"}, ConfigError, "did you mean 'scipy:bfgs'"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "error", "words"), BAD)
def test_wrong_arguments(given: dict[str, Any], error: type[ThalwegError], words: str) -> None:
    with pytest.raises(error, match=words):
        call(**given)


def test_scipy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ConfigError, match=r"needs SciPy: pip install thalweg\[scipy\]"):
        call(method="scipy:bfgs")


def test_a_function_without_a_minimum() -> None:
    result = tw.minimize(lambda x: -math.inf, domain=range(3), method="brute-force")
    assert not result.success
    assert "no minimum" in result.reason
