"""The number of threads follows what is measured."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from thalweg.compiler.native.tempo import TRY, Tempo


def simulate(threads: int, cost: Callable[[int, float], float], until: float) -> dict[int, float]:
    """The time spent with each number of threads, by a scan in chunks of a millisecond or more."""
    tempo, now, spent = Tempo(), 0.0, dict.fromkeys(range(1, threads + 1), 0.0)
    while now < until:
        number = tempo.pick(threads, now)
        each = cost(number, now)
        iterations = max(1, int(1e-3 / each))
        now += each * iterations
        spent[number] += each * iterations
        tempo.note(number, each * iterations, iterations, now)
    return spent


@pytest.mark.parametrize("best", [1, 2, 4, 8])
def test_the_fastest_has_nearly_all_the_time(best: int) -> None:
    spent = simulate(8, lambda n, _: 1e-5 * (1 + abs(n - best)), until=1.0)
    assert spent[best] > 0.85 * sum(spent.values())
    assert all(spent[n] > 0 for n in (8, best, max(1, best // 2)))


def test_few_threads_are_not_tried_where_many_are_worth_it() -> None:
    spent = simulate(64, lambda n, _: 1e-2 / n, until=1.0)
    assert {number for number, seconds in spent.items() if seconds} == {64, 32}
    assert spent[64] > 0.9 * sum(spent.values())


def test_it_follows_a_machine_that_becomes_busy_and_free_again() -> None:
    """Two threads take 10 us, or a millisecond while others want the cores; one always 20."""

    def cost(number: int, now: float) -> float:
        if number == 1:
            return 2e-5
        return 1e-3 if 1.0 < now < 2.0 else 1e-5

    tempo, now, late = Tempo(), 0.0, {1: 0.0, 2: 0.0}
    while now < 3.0:
        number = tempo.pick(2, now)
        each = cost(number, now)
        count = 20 if number == tempo.best(2) else max(1, int(TRY / each))
        now += each * count
        late[number] += each * count if 1.2 < now < 2.0 else 0.0
        tempo.note(number, each * count, count, now)
    assert late[1] > 10 * late[2]
    assert tempo.best(2) == 2


def test_a_cold_first_run_is_soon_forgotten() -> None:
    """Two threads take 2 ms, the first time 18; one takes 3."""
    spent = {1: 0.0, 2: 0.0}
    tempo, now, first = Tempo(), 0.0, True
    while now < 0.4:
        number = tempo.pick(2, now)
        each = 0.003 if number == 1 else 0.018 if first else 0.002
        first = False
        now += each
        spent[number] += each
        tempo.note(number, each, 1, now)
    assert spent[2] > 2 * spent[1]


def test_long_iterations_always_have_all_threads() -> None:
    spent = simulate(4, lambda n, _: 0.1 / n + 0.01 * n, until=10.0)
    assert spent[4] == sum(spent.values())


def test_one_thread_is_one_thread() -> None:
    tempo = Tempo()
    assert tempo.pick(1, 0.0) == 1
    tempo.note(1, 1e-5, 1, 0.0)
    assert tempo.pick(1, 1.0) == tempo.best(1) == 1


def test_another_setting_is_measured_anew() -> None:
    tempo = Tempo()
    for number in (2, 1):
        assert tempo.pick(2, 0.0) == number
        tempo.note(number, 1e-4, 1, 0.0)
    assert tempo.pick(6, 0.0) == 6
