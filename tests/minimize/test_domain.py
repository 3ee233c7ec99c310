"""Domains: points in, points out, and back to theta."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from thalweg.errors import ConfigError, ShapeError
from thalweg.minimize import Ball, Choice, Domain, Integers, Permutations, Product, Real, Simplex
from thalweg.minimize.real import project_ball, project_simplex

DOMAINS: list[Domain] = [
    Choice(["a", "b", "c"]),
    Integers(-2, 4),
    Permutations(5),
    Real((2, 2), -1.0, 3.0),
    Real((3,), [0.0, -math.inf, 1.0], [1.0, 0.0, math.inf]),
    Simplex(4),
    Ball((3,), 2.0, centre=1.0),
    Product([Choice([0, 1]), Real((2,), 0.0, 1.0), Integers(1, 3)]),
    Product([Permutations(3), Real()], ["order", "x"]),
]


def inside(domain: Domain, point: Any) -> bool:
    """Whether the point is what its theta says, which `point` checks to be in the domain."""
    back = domain.point(domain.theta(point))
    return repr(back) == repr(point) or bool(np.allclose(back, point))


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_samples_children_and_mutants_are_in_the_domain(domain: Domain) -> None:
    generator = np.random.default_rng(0)
    population = [domain.sample(generator) for _ in range(8)]
    children = [domain.crossed(generator, a, b) for a, b in itertools.pairwise(population)]
    mutants = [domain.mutated(generator, point, population) for point in population]
    lone = domain.mutated(generator, population[0], population[:1])
    for point in [*population, *children, *mutants, lone]:
        assert inside(domain, point), point


@pytest.mark.parametrize(
    ("domain", "count"),
    [(Choice("abc"), 3), (Integers(-2, 4), 7), (Permutations(4), 24), (Real((2,), 0, 1), 9),
     (Simplex(3), 6), (Product([Choice([0, 1]), Real((), 0.0, 1.0)]), 6)],
)  # fmt: skip
def test_grids(domain: Domain, count: int) -> None:
    points = [repr(point) for point in domain.points(3)]
    assert len(points) == len(set(points)) == count
    assert all(inside(domain, point) for point in domain.points(3))


def test_a_ball_leaves_the_corners_out() -> None:
    assert len(list(Ball((2,)).points(3))) == 5


def test_permutations_keep_every_city() -> None:
    generator, domain = np.random.default_rng(0), Permutations(7)
    a, b = domain.sample(generator), domain.sample(generator)
    seen = {domain.crossed(generator, a, b) for _ in range(50)}
    assert len(seen) > 10
    assert all(sorted(order) == list(range(7)) for order in seen)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_simplex_projection_is_the_nearest_point(n: int) -> None:
    generator = np.random.default_rng(n)
    for _ in range(20):
        x = generator.normal(0, 2, n)
        p = project_simplex(x)
        assert p.sum() == pytest.approx(1)
        assert p.min() >= 0
        others = generator.dirichlet(np.ones(n), 200)
        assert (np.square(x - p).sum() <= np.square(x - others).sum(1) + 1e-12).all()


def test_the_ball_projection() -> None:
    np.testing.assert_allclose(project_ball(np.array([3.0, 4.0]), 2.0), [1.2, 1.6])
    np.testing.assert_array_equal(project_ball(np.array([0.3, 0.4])), [0.3, 0.4])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Choice([]), "one value or more"),
        (lambda: Integers(3, 2), "low <= high"),
        (lambda: Integers(0.5, 2), "whole numbers"),  # type: ignore[arg-type]
        (lambda: Permutations(0), "from 1 on expected, got 0"),
        (lambda: Simplex(0), "Simplex: a whole number from 1 on expected, got 0"),
        (lambda: Product([]), "one part or more"),
        (lambda: Ball(2, radius=0.0), "radius above 0 expected, got 0"),
        (lambda: Real(2, 1.0, 0.0), "low <= high"),
        (lambda: Integers(1, 3).point(4), "theta0 is 4, expected a whole number from 1 to 3"),
        (lambda: Permutations(3).point((0, 0, 1)), r"theta0 is \(0, 0, 1\), expected an order"),
        (lambda: Product([Choice([1])]).point(3), "1 parts, a tuple"),
        (lambda: Product([Choice([1])], ["a"]).point({"b": 1}), "a dict with keys"),
        (lambda: Simplex(2).point([0.5, 0.6]), r"nearest point of it is \[0.45, 0.55\]"),
    ],
)
def test_wrong_domains(make: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()


def test_shapes_of_bounds() -> None:
    with pytest.raises(ShapeError, match=r"low is expected to broadcast to theta's shape \(2,\)"):
        Real((2,), [0.0, 1.0, 2.0])
    with pytest.raises(ShapeError, match=r"theta0 has shape \(3,\), the domain \(2,\)"):
        Real((2,)).point([1.0, 2.0, 3.0])
