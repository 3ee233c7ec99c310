"""What is asked of the world while a function is traced is warned of: it is asked once."""

from __future__ import annotations

import datetime
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from time import perf_counter
from typing import Any

import numpy as np
import pytest

import thalweg as tw


def ones() -> Iterator[tw.Tensor]:
    while True:
        yield tw.ones(2)


class Held:
    """What asks through an object's attributes."""

    def __init__(self) -> None:
        self.numbers = np.random.default_rng(1)
        self.items = iter([1.0, 2.0, 3.0])


CLOCK, DRAWN, READ, TAKEN = "asked for the time", "Draw with tw.rand", "opened a file", "next item"
RNG, OLD, OWN, HELD = np.random.default_rng(0), np.random.RandomState(0), random.Random(3), Held()
ITEMS, MADE, NUMBERED = iter([1.0, 2.0, 3.0]), ones(), enumerate(ones())
next(MADE)


def in_a_helper(x: tw.Tensor) -> tw.Tensor:
    return x * time.monotonic()


def imported(x: tw.Tensor) -> tw.Tensor:
    import time as clock

    return x * clock.time()


def read(x: tw.Tensor) -> tw.Tensor:
    with open(__file__) as file:
        return x * len(file.readline())


ASKING: list[tuple[Callable[[Any], Any], str, bool]] = [
    (lambda x: x * time.time(), CLOCK, True),
    (lambda x: x * perf_counter(), CLOCK, True),
    (lambda x: x * datetime.datetime.now().second, CLOCK, True),
    (lambda x: in_a_helper(x), CLOCK, True),
    (imported, CLOCK, True),
    (lambda x: x * random.uniform(1, 2), DRAWN, True),
    (lambda x: x * OWN.random(), DRAWN, True),
    (lambda x: x * RNG.normal(), DRAWN, False),
    (lambda x: x * OLD.rand(), DRAWN, False),
    (lambda x: x * HELD.numbers.random(), DRAWN, False),
    (lambda x: x * np.random.default_rng().normal(), DRAWN, True),
    (read, READ, True),
    (lambda x: x * next(ITEMS), TAKEN, False),
    (lambda x: x * next(HELD.items), TAKEN, False),
    (lambda x: x * next(MADE), TAKEN, True),
    (lambda x: x * next(NUMBERED)[1], TAKEN, True),
]


@pytest.mark.parametrize(("function", "words", "has_line"), ASKING)
def test_what_is_asked_is_warned_of(
    function: Callable[[Any], Any], words: str, has_line: bool
) -> None:
    step = tw.compile(function)
    where = r"\n  at .*test_asked\.py:\d+ in " if has_line else "$"
    with pytest.warns(UserWarning, match=f"(?s){words}.*{where}") as found:
        first = step(tw.ones(2))
    assert len(found) == 1
    assert found[0].filename == __file__
    assert sys.getprofile() is None
    assert tw.equal(step(tw.ones(2)), first), "as the warning says; and it says it once"


def not_asking(x: tw.Tensor) -> tw.Tensor:
    if x.ndim > 3:
        time.sleep(RNG.normal() + next(ITEMS))
    for number, item in zip(count(), [1.0, 2.0], strict=False):
        x = x * number + item + sum(next(it) for it in [iter([1.0])])
    return tw.nn.functional.dropout(x, 0.5) + tw.rand(2)


def test_what_is_not_asked_is_not_warned_of() -> None:
    step = tw.compile(not_asking)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(tw.ones(2))


def test_a_profiler_goes_on() -> None:
    def profiler(*_: Any) -> None:
        pass

    step = tw.compile(lambda x: x * time.time())
    sys.setprofile(profiler)
    try:
        step(tw.ones(2))
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)


def test_an_error_ends_the_listening() -> None:
    def broken(x: tw.Tensor) -> tw.Tensor:
        raise KeyError(time.time())

    with pytest.raises(KeyError):
        tw.compile(broken)(tw.ones(2))
    assert sys.getprofile() is None


def test_a_large_array_is_warned_of_once() -> None:
    large = np.zeros((1000, 300))
    step = tw.compile(lambda x: x * tw.tensor(large[0, 0]))
    with pytest.warns(UserWarning, match=r"shape \(1000, 300\), 2\.4 MB.*tw\.tensor\(array\)"):
        step(tw.ones(2))
    large[7, 7] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(tw.ones(2)), step(tw.ones(2))
    assert sum(map(len, step.programs.values())) == 2, "NaN is what it was"
