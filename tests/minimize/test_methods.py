"""Each method on its problems: what it reaches, and what always holds on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.minimize.descent import optimizers
from thalweg.minimize.methods import METHODS, names
from thalweg.minimize.problems import PROBLEMS, Problem

BOX = [(-5.0, 5.0)] * 2

# method, problem, what it is given, how far above the minimum it may stop
SOLVED: list[tuple[str, str, dict[str, Any], float]] = [
    ("brute-force", "architecture", {}, 0),
    ("grid", "himmelblau", {"bounds": BOX, "count": 21}, 1e-12),
    ("grid", "architecture", {}, 0),
    ("random", "sphere", {"bounds": BOX, "max_iterations": 600}, 0.3),
    ("random", "mixed", {"max_iterations": 600}, 0.5),
    ("genetic", "himmelblau", {"bounds": BOX}, 1e-9),
    ("genetic", "tour", {}, 1e-9),
    ("genetic", "mixed", {"max_iterations": 60}, 1e-3),
    ("genetic", "architecture", {"max_iterations": 40}, 0),
    ("cma-es", "rosenbrock", {}, 1e-10),
    ("cma-es", "rosenbrock", {"bounds": [(-2.0, 0.5)] * 2, "theta0": None}, 0.26),
    ("cma-es", "rastrigin", {"bounds": BOX, "population": 40, "max_iterations": 60}, 1e-6),
    ("particle-swarm", "styblinski-tang", {"bounds": BOX, "max_iterations": 120}, 1e-4),
    ("ant-colony", "tour", {}, 1e-9),
    ("least-squares", "affine-fit", {}, 1e-12),
    ("gauss-newton", "rosenbrock", {}, 1e-20),
    ("gauss-newton", "beale", {}, 1e-20),
    ("levenberg-marquardt", "rosenbrock", {}, 1e-18),
    ("levenberg-marquardt", "himmelblau", {}, 1e-18),
    ("newton", "rosenbrock", {}, 1e-16),
    ("newton", "styblinski-tang", {}, 1e-8),
    ("newton", "affine-fit", {}, 1e-12),
    ("coordinate-descent", "beale", {}, 1e-12),
    ("coordinate-descent", "mixed", {}, 1e-12),
    ("coordinate-descent", "architecture", {}, 0),
    ("coordinate-descent", "lasso", {}, 1e-8),
    ("projected-gradient", "himmelblau", {}, 1e-12),
    ("alternating-least-squares", "ratings", {}, 1e-7),
    ("expectation-maximization", "clusters", {}, 1e-7),
    ("admm", "lasso", {}, 1e-8),
    ("l-bfgs", "rosenbrock", {}, 1e-12),
    ("l-bfgs", "beale", {}, 1e-12),
    ("gradient-descent", "himmelblau", {"lr": 0.005}, 1e-12),
    ("adam", "himmelblau", {"lr": 0.05}, 1e-12),
    ("linesearchgd", "sphere", {"line_search_fn": "exact"}, 1e-12),
]
STARTED = [row for row in SOLVED if PROBLEMS[row[1]].start is not None]


def solve(method: str, name: str, given: dict[str, Any], **more: Any) -> tw.minimize.MinimizeResult:
    problem = PROBLEMS[name]
    given = {"theta0": problem.start, "domain": problem.domain, "seed": 0} | given | more
    if given.get("bounds") is not None:
        given.pop("domain")
    return tw.minimize(problem.squares, method=method, compile=False, **given)


@pytest.mark.parametrize(("method", "name", "given", "near"), SOLVED)
def test_it_solves(method: str, name: str, given: dict[str, Any], near: float) -> None:
    problem: Problem = PROBLEMS[name]
    result = solve(method, name, given)
    assert problem.value - 1e-7 <= result.value <= problem.value + near, result.summary()
    assert result.value == result.values.min()
    recomputed = float(problem.squares(result.theta))
    assert recomputed == pytest.approx(result.value, rel=1e-12, abs=1e-300)
    assert result.iterations == len(result.values) - (
        method not in ("brute-force", "grid", "random")
    )
    assert len(result.points) == len(result.values) == len(result.trajectory)
    assert result.method in result.summary()


def test_all_methods_are_tried() -> None:
    assert {method for method, *_ in SOLVED} >= set(METHODS)


@pytest.mark.parametrize(("method", "name", "given", "near"), SOLVED)
def test_a_seed_gives_the_same_again(
    method: str, name: str, given: dict[str, Any], near: float
) -> None:
    given = {**given, "max_iterations": min(given.get("max_iterations", 8), 8)}
    first, second = (solve(method, name, given) for _ in range(2))
    assert first.values.tolist() == second.values.tolist()
    assert repr(first.theta) == repr(second.theta)


@pytest.mark.parametrize("method", ["random", "genetic", "cma-es", "particle-swarm"])
def test_another_seed_gives_others(method: str) -> None:
    runs = [
        solve(method, "ackley", {"bounds": BOX, "theta0": None, "max_iterations": 3}, seed=seed)
        for seed in (0, 1)
    ]
    assert runs[0].values.tolist() != runs[1].values.tolist()


def test_without_a_seed_thalwegs_generator_gives_it() -> None:
    found = []
    for _ in range(2):
        tw.manual_seed(7)
        found.append(tw.minimize(PROBLEMS["ackley"].g, method="random", bounds=BOX, seed=None,
                                 max_iterations=4))  # fmt: skip
    assert found[0].seed == found[1].seed
    assert found[0].values.tolist() == found[1].values.tolist()


FALLING = ["coordinate-descent", "l-bfgs", "newton", "levenberg-marquardt", "gauss-newton",
           "projected-gradient"]  # fmt: skip


@pytest.mark.parametrize("method", FALLING)
@pytest.mark.parametrize("name", ["rosenbrock", "beale"])
def test_values_never_rise(method: str, name: str) -> None:
    result = solve(method, name, {"max_iterations": 40})
    assert (np.diff(result.values) <= 1e-14 * np.abs(result.values[:-1])).all()


@pytest.mark.parametrize("method", ["genetic", "particle-swarm"])
def test_the_best_is_kept(method: str) -> None:
    result = solve(method, "ackley", {"bounds": BOX, "max_iterations": 30})
    assert (np.diff(result.values) <= 0).all()


@pytest.mark.parametrize("method", ["random", "genetic", "cma-es", "particle-swarm",
                                    "projected-gradient"])  # fmt: skip
@pytest.mark.parametrize("domain", [tw.minimize.Real((2,), 1.0, 2.0), tw.minimize.Simplex(2),
                                    tw.minimize.Ball((2,), 0.5, centre=2.0)])  # fmt: skip
def test_points_stay_in_the_domain(method: str, domain: tw.minimize.Real) -> None:
    seen: list[Any] = []

    def g(x: tw.Tensor) -> tw.Tensor:
        seen.append(x.detach().numpy().copy())
        return (x - tw.tensor([5.0, 1.0], dtype=x.dtype)).square().sum()

    result = tw.minimize(g, method=method, domain=domain, seed=0, max_iterations=12, compile=False)
    for x in [*seen, result.theta.numpy()]:
        np.testing.assert_allclose(domain.project(x), x, atol=1e-12)


def test_single_coordinates_cannot_move_in_a_simplex() -> None:
    with pytest.raises(tw.errors.ConfigError, match="takes a real domain, free or with bounds"):
        tw.minimize(
            PROBLEMS["sphere"].g, method="coordinate-descent", domain=tw.minimize.Simplex(2)
        )


PROJECTED: list[tuple[Any, list[float]]] = [
    (tw.minimize.Real((2,), -1.0, 1.0), [1.0, 0.25]),
    (tw.minimize.Simplex(2), [1.0, 0.0]),
    (tw.minimize.Ball((2,)), [3 / math.hypot(3, 0.25), 0.25 / math.hypot(3, 0.25)]),
]


@pytest.mark.parametrize(("domain", "wanted"), PROJECTED)
@pytest.mark.parametrize("given", [{}, {"lr": 0.1}, {"lr": 0.05, "steps": 3}], ids=str)
def test_constrained_minima(domain: Any, wanted: list[float], given: dict[str, Any]) -> None:
    """The nearest point of the domain to (3, 1/4): by backtracking, and with alternation."""
    target = tw.tensor([3.0, 0.25], dtype=tw.float64)
    result = tw.minimize(lambda x: (x - target).square().sum(), method="projected-gradient",
                         domain=domain, compile=False, max_iterations=300, seed=0,
                         **given)  # fmt: skip
    np.testing.assert_allclose(result.theta.numpy(), wanted, atol=1e-6)
    assert result.success, result.summary()


@pytest.mark.parametrize("name", [n for n in optimizers() if n not in ("muon", "linesearchgd")])
def test_every_optimizer_goes_down(name: str) -> None:
    result = tw.minimize(PROBLEMS["sphere"].g, [2.0, -3.0], name, max_iterations=60, compile=False)
    assert result.value < 13
    assert np.isfinite(result.values).all()


def test_muon_takes_matrices() -> None:
    result = tw.minimize(lambda x: x.square().sum(), np.ones((2, 3)), "muon", lr=0.1, compile=False)
    assert result.theta.shape == (2, 3)
    assert result.value < 1


def test_an_optimizers_own_steps() -> None:
    """The path is that of a training loop with the same optimizer."""
    theta = tw.tensor([-1.2, 1.0], dtype=tw.float64, requires_grad=True)
    optimizer = tw.optim.Adam([theta], lr=0.1)
    wanted = [theta.detach().numpy()]
    for _ in range(5):
        optimizer.zero_grad()
        PROBLEMS["rosenbrock"].g(theta).backward()
        optimizer.step()
        wanted.append(theta.detach().numpy())
    result = solve("adam", "rosenbrock", {"lr": 0.1, "max_iterations": 5})
    np.testing.assert_array_equal([p.numpy() for p in result.points], wanted)


def test_divergence_is_a_result() -> None:
    result = tw.minimize(lambda x: (x**4).sum(), [3.0], "gradient-descent", lr=10.0, compile=False)
    assert not result.success
    assert "smaller lr" in result.reason
    assert math.isfinite(result.value)


def test_newton_finds_saddles_where_it_is_asked() -> None:
    def saddle(x: tw.Tensor) -> tw.Tensor:
        return x[0].square() - x[1].square() + x[1] ** 4

    zero = tw.minimize(saddle, [0.5, 0.1], "newton", zero=True, compile=False)
    down = tw.minimize(saddle, [0.5, 0.1], "newton", compile=False)
    assert (zero.details["kind"], down.details["kind"]) == ("saddle", "minimum")
    np.testing.assert_allclose(zero.points[-1].numpy(), [0, 0], atol=1e-8)
    assert down.value == pytest.approx(-0.25)


def test_affine_residuals_are_asked_for() -> None:
    with pytest.raises(tw.errors.ConfigError, match="not affine.*gauss-newton"):
        solve("least-squares", "rosenbrock", {})


def test_closed_form_takes_fewer_examples_than_parameters() -> None:
    """Of many minima that of smallest norm, by the pseudo-inverse."""
    A, y = np.array([[1.0, 2.0, 2.0]]), np.array([9.0])
    a, b = tw.tensor(A), tw.tensor(y)
    g = tw.minimize.SumOfSquares(lambda theta: a @ theta - b)
    result = tw.minimize(g, [0.0, 0.0, 0.0], "least-squares", compile=False)
    np.testing.assert_allclose(result.theta.numpy(), [1.0, 2.0, 2.0], atol=1e-12)
    assert result.details["rank"] == 1


def test_cma_es_follows_a_bent_and_scaled_valley() -> None:
    def ellipsoid(x: tw.Tensor) -> tw.Tensor:
        turned = tw.stack([x[0] + x[1], x[0] - x[1], x[2]])
        return (turned.square() * tw.tensor([1.0, 1e4, 100.0], dtype=x.dtype)).sum()

    result = tw.minimize(ellipsoid, [1.0, 2.0, 3.0], "cma-es", seed=1)
    assert result.success
    assert result.value < 1e-12


def test_cma_es_in_one_dimension_and_restarts() -> None:
    result = tw.minimize(lambda x: (x - 2) ** 2, 0.0, "cma-es", seed=0, restarts=1)
    assert result.theta.item() == pytest.approx(2, abs=1e-6)
    assert result.theta.shape == ()


def test_ant_colony_without_distances() -> None:
    tour = PROBLEMS["tour"].g
    found = tw.minimize(lambda order: tour(order), domain=tour.domain, method="ant-colony", seed=0,
                        max_iterations=40)  # fmt: skip
    assert found.value < 9  # of tours drawn at random few are this short


@pytest.mark.parametrize("method", [n for n in names() if n.startswith("scipy:")])
def test_scipy(method: str) -> None:
    pytest.importorskip("scipy")
    bounded = method.endswith(("evolution", "annealing"))
    result = tw.minimize(PROBLEMS["sphere"].g, [2.0, -3.0], method, seed=0, compile=False,
                         bounds=[(-4, 4)] * 2 if bounded else None,
                         max_iterations=60)  # fmt: skip
    assert result.value < 1e-6
    assert "SciPy" in result.reason


def test_scipy_stops_when_asked() -> None:
    pytest.importorskip("scipy")
    result = solve("scipy:bfgs", "rosenbrock", {}, callback=lambda step: step.iteration == 3)
    assert result.iterations in (3, 4)
    assert not result.success


@pytest.mark.parametrize("method", ["l-bfgs", "newton", "gradient-descent"])
def test_a_slope_without_end_is_no_minimum(method: str) -> None:
    result = tw.minimize(lambda x: x.sum(), [1.0, 2.0], method, max_iterations=50)
    assert not result.success
    assert result.value < 3


def test_rprop_rests_where_the_slope_turns() -> None:
    result = tw.minimize(lambda x: (x - 1) ** 2, 0.3, "rprop", max_iterations=200)
    assert result.value < 1e-6


def compiled_and_eager(g: Callable[..., Any], theta0: Any, method: str) -> tuple[Any, Any]:
    return tuple(
        tw.minimize(g, theta0, method, compile=flag, max_iterations=12) for flag in (True, False)
    )  # type: ignore[return-value]


@pytest.mark.parametrize("method", ["newton", "l-bfgs", "adam"])
def test_compiled_is_eager(method: str) -> None:
    first, second = compiled_and_eager(PROBLEMS["himmelblau"].g, [0.5, -0.5], method)
    assert (first.derivatives, second.derivatives) == ("compiled", "eager: asked for")
    np.testing.assert_allclose(first.values, second.values, rtol=1e-6, atol=1e-12)
    with_residuals = PROBLEMS["himmelblau"].squares
    first, second = compiled_and_eager(with_residuals, [0.5, -0.5], "gauss-newton")
    np.testing.assert_allclose(first.values, second.values, rtol=1e-6, atol=1e-12)


def test_what_cannot_be_traced_runs_eagerly_and_says_so() -> None:
    def g(x: tw.Tensor) -> tw.Tensor:
        return x.square().sum() if float(x[0]) > 0 else (x - 1).square().sum()

    result = tw.minimize(g, [3.0], "gradient-descent", lr=0.1, max_iterations=5)
    assert result.derivatives.startswith("eager: ")
    with pytest.raises(tw.errors.TraceError):
        tw.minimize(g, [3.0], "gradient-descent", lr=0.1, compile=True)


def test_a_function_that_counts_its_calls_is_not_compiled() -> None:
    calls = [0]

    def g(x: tw.Tensor) -> tw.Tensor:
        calls[0] += 1
        return x.square().sum() + calls[0]

    result = tw.minimize(g, [3.0], "gradient-descent", lr=0.1, max_iterations=3)
    assert result.derivatives == "eager: the compiled value and gradient differ"
