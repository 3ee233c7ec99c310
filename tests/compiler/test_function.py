"""`tw.compile` of a function: what it takes, what it gives, what it refuses."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np
import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.errors import ConfigError, OutOfRangeError, ShapeError, TraceError
from thalweg.tape import wrap

HERE = Path(__file__).name


def traces(step: Any) -> int:
    """How often a compiled function was traced."""
    return sum(map(len, step.programs.values()))


def line_of(marker: str) -> int:
    """The number of the line of this file that ends with a comment of `marker`."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.endswith(f"# {marker}"))


class Pair(NamedTuple):
    first: tw.Tensor
    second: dict[str, Any]


# --- arguments and results ------------------------------------------------------------------------


def test_a_signature_is_traced_once() -> None:
    calls = []

    def double(x: tw.Tensor) -> tw.Tensor:
        calls.append(tuple(x.shape))
        return x * 2

    step = tw.compile(double)
    for n in (3, 3, 5, 3, 5):
        assert step(tw.ones(n)).tolist() == [2.0] * n
    assert calls == [(3,), (5,)]
    step(tw.ones(3, dtype="float64"))
    step(tw.ones(3).int())
    assert traces(step) == 4
    assert step.__name__ == "double"


def test_arguments_that_are_no_tensors() -> None:
    def scale(x: tw.Tensor, by: float, *, add: int = 0, name: str | None = None) -> Any:
        return x * by + add, name

    step = tw.compile(scale)
    x = tw.ones(2)
    assert step(x, 2.0)[0].tolist() == [2, 2]
    assert step(x, by=3.0, add=1)[0].tolist() == [4, 4]
    assert step(x, 2.0, name="a")[1] == "a"
    assert step(x, 2.0)[1] is None
    assert step(x, 2)[0].tolist() == [2, 2]
    assert traces(step) == 4, "2 and 2.0 are not the same argument"
    with pytest.raises(TraceError, match="hashable"):
        step(x, np.ones(2))


def test_nested_arguments_and_results() -> None:
    def swap(batch: dict[str, Any], extra: list[tw.Tensor]) -> Any:
        pair = Pair(batch["y"], {"x": (batch["x"], [extra[0] + 1])})
        return pair, [], None, "text", ()

    step = tw.compile(swap)
    given: Any = ({"x": tw.ones(2), "y": tw.zeros(3)}, [tw.full((1,), 4.0)])
    for _ in range(2):
        pair, *rest = step(*given)
        assert rest == [[], None, "text", ()]
        assert type(pair) is Pair
        assert pair.first.tolist() == [0, 0, 0]
        assert pair.second["x"][0].tolist() == [1, 1]
        assert pair.second["x"][1][0].tolist() == [5]
    with pytest.raises(KeyError):
        step({"x": tw.ones(2)}, [tw.ones(1)])


def test_results_that_are_arguments_or_captured_or_the_same() -> None:
    w = tw.arange(3.0)

    def step(x: tw.Tensor) -> Any:
        y = x + w
        return x, w, y, y, x

    compiled = tw.compile(step)
    for k in (1.0, 2.0):
        x = tw.full((3,), k)
        results = compiled(x)
        wanted = step(x)
        assert [r.tolist() for r in results] == [r.tolist() for r in wanted]
        results[0].add_(100)
        results[1].add_(100)
        results[2].add_(100)
        assert (x.tolist(), w.tolist()) == ([k] * 3, [0, 1, 2])
        assert results[3].tolist() == wanted[3].tolist()


def test_results_are_new_at_each_call() -> None:
    step = tw.compile(lambda x: (x + 1, tw.ones(2)))
    first = step(tw.zeros(2))
    second = step(tw.ones(2))
    assert [r.tolist() for r in (*first, *second)] == [[1, 1], [1, 1], [2, 2], [1, 1]]


def test_no_tensors_and_no_results() -> None:
    counter = tw.zeros(())

    def tick() -> None:
        counter.add_(1)

    step = tw.compile(tick)
    assert [step(), step(), step()] == [None] * 3
    assert counter.item() == 3
    assert tw.compile(lambda: 5)() == 5
    assert tw.compile(lambda: tw.arange(4))().tolist() == [0, 1, 2, 3]
    assert tw.compile(lambda x: None)(tw.ones(2)) is None


def test_empty_tensors_and_numbers() -> None:
    step = tw.compile(lambda x, y: (x.sum(), x + y, y.exp(), x.reshape(0)))
    total, none, one, flat = step(tw.ones(0, 3), tw.tensor(0.0))
    assert (total.item(), one.item()) == (0, 1)
    assert (tuple(none.shape), tuple(flat.shape)) == ((0, 3), (0,))


@pytest.mark.parametrize("make", [
    lambda x: x.t(), lambda x: x[::2], lambda x: x.flip(0), lambda x: x[:, 1:2].expand(4, 4),
], ids=["transposed", "strided", "reversed", "repeated"])  # fmt: skip
def test_arrays_that_do_not_lie_in_order(make: Callable[[tw.Tensor], tw.Tensor]) -> None:
    x, w = make(tw.arange(16.0).reshape(4, 4)), make(tw.arange(16.0).reshape(4, 4) + 1)
    wanted = (w * 2 + x).tolist()
    step = tw.compile(lambda x: w.mul_(2) + x)
    assert step(x).tolist() == wanted
    assert w.tolist() == (make(tw.arange(16.0).reshape(4, 4) + 1) * 2).tolist()


def test_arguments_stay() -> None:
    x = tw.ones(3)
    y = x.detach()

    compiled = tw.compile(lambda z: (z + 1) * 2)
    assert compiled(x).tolist() == [4, 4, 4]
    assert x.tolist() == [1, 1, 1]
    assert y.tolist() == [1, 1, 1]


# --- state ----------------------------------------------------------------------------------------


def test_values_that_were_taken_before_a_call_stay() -> None:
    p = tw.zeros(3)
    view, part, data = p.detach(), p[1:], p.reshape(3, 1)
    step = tw.compile(lambda: p.add_(1))
    kept = [step() for _ in range(3)]
    assert p.tolist() == [3, 3, 3]
    assert view.tolist() == [0, 0, 0]
    assert part.tolist() == [0, 0]
    assert data.tolist() == [[0], [0], [0]]
    assert [k.tolist() for k in kept] == [[1] * 3, [2] * 3, [3] * 3]


def test_values_from_numpy_are_not_written_to() -> None:
    array = np.zeros(3, np.float32)
    p, shared = wrap(array), wrap(array)
    tw.compile(lambda: p.add_(1))()
    assert p.tolist() == [1, 1, 1]
    assert array.tolist() == [0, 0, 0]
    assert shared.tolist() == [0, 0, 0]


def test_two_states_that_exchange_their_values() -> None:
    a, b = tw.zeros(2), tw.ones(2)

    def swap() -> None:
        old = a.detach()
        a.copy_(b)
        b.copy_(old)

    step = tw.compile(swap)
    step()
    assert (a.tolist(), b.tolist()) == ([1, 1], [0, 0])
    step()
    assert (a.tolist(), b.tolist()) == ([0, 0], [1, 1])
    a.add_(5)
    assert (a.tolist(), b.tolist()) == ([5, 5], [1, 1])


def test_a_state_that_becomes_an_argument() -> None:
    p = tw.zeros(2)
    step = tw.compile(lambda x: p.copy_(x))
    x = tw.ones(2)
    step(x)
    p.add_(1)
    assert x.tolist() == [1, 1]
    step(x)
    assert p.tolist() == [1, 1]


def test_a_state_of_another_shape_retraces() -> None:
    p = tw.zeros(2)
    step = tw.compile(lambda: (p * 2).sum())
    step()
    p.data = tw.ones(5)
    assert step().item() == 10
    assert traces(step) == 2


def test_a_captured_argument() -> None:
    """The same tensor as an argument and as state: what came in is what it was."""
    p = tw.ones(2)

    def step(x: tw.Tensor) -> tw.Tensor:
        p.mul_(3)
        return x + p

    compiled = tw.compile(step)
    assert compiled(p).tolist() == [4, 4]
    assert compiled(p).tolist() == [12, 12]


# --- what goes wrong ------------------------------------------------------------------------------


def test_an_error_names_the_line() -> None:
    def step(x: tw.Tensor) -> Any:
        y = x * 2
        if y.sum() > 0:  # the branch
            return y
        return -y

    with pytest.raises(TraceError, match=r"tw\.where") as caught:
        tw.compile(step)(tw.ones(2))
    assert f"{HERE}:{line_of('the branch')}" in str(caught.value)


def test_what_escapes_says_so() -> None:
    queue: SimpleQueue[tw.Tensor] = SimpleQueue()  # which is not looked into

    def step(x: tw.Tensor) -> tw.Tensor:
        queue.put(x * 2)
        return x

    compiled = tw.compile(step)
    compiled(tw.ones(2))
    compiled(tw.ones(2))
    kept = [queue.get()]
    assert queue.empty()
    for use in (lambda: kept[0] + 1, lambda: kept[0].tolist(), lambda: compiled(kept[0])):
        with pytest.raises(TraceError, match="trace"):
            use()
    with pytest.raises(TraceError, match="escaped"):
        tw.compile(lambda x: x + kept[0])(tw.ones(2))


def test_a_function_that_raises_leaves_everything_as_it_was() -> None:
    model = tw.nn.Linear(3, 2)
    optimizer = tw.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    before = [p.detach().clone() for p in model.parameters()]
    seed = tw.default_generator.get_state()

    def step(x: tw.Tensor, broken: bool) -> tw.Tensor:
        loss = (model(x) + tw.rand(2)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if broken:
            raise KeyError("mine")
        return loss

    compiled = tw.compile(step)
    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            compiled(tw.ones(4, 3), True)
    for p, old in zip(model.parameters(), before, strict=True):
        assert tw.equal(p, old)
        assert p.grad is None
        assert p.requires_grad
        assert p.is_leaf
    assert tw.equal(tw.default_generator.get_state(), seed)
    compiled(tw.ones(4, 3), False)
    assert (tw.ones(2) + 1).tolist() == [2, 2]


def test_eager_instead_is_asked_for() -> None:
    def step(x: tw.Tensor) -> tw.Tensor:
        return x * 2 if x.sum() > 0 else -x

    compiled = tw.compile(step, fallback="eager")
    with pytest.warns(UserWarning, match=r"step runs eagerly.*tw\.where"):
        assert compiled(tw.ones(2)).tolist() == [2, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiled(-tw.ones(2)).tolist() == [1, 1]
        assert compiled.scan(tw.ones(3, 2)).tolist() == [[2, 2]] * 3
    with pytest.raises(ConfigError, match="'lazy'"):
        tw.compile(step, fallback="lazy")  # type: ignore[arg-type]


CHANGES: list[tuple[Callable[[int], tuple[Any, ...]], str]] = [
    (lambda n: (tw.ones(n),), r"0 of its arguments was f32\[16\] and is f32\[17\]\. Keep to a few"),
    (lambda n: (tw.ones(2), n), r"1 of its arguments was 16 and is 17\. Pass what changes"),
    (lambda n: (tw.ones(2), float("nan") if n == 17 else n), "was 16 and is nan"),
    (lambda n: (tw.ones(2), *range(n)), "its arguments are others, or nested otherwise"),
]


@pytest.mark.parametrize(("given", "words"), CHANGES)
def test_many_programs_are_warned_of(given: Callable[[int], tuple[Any, ...]], words: str) -> None:
    step = tw.compile(lambda x, *numbers: x + sum(numbers))
    for n in range(1, 17):
        step(*given(n))
    with pytest.warns(UserWarning, match=f"traced 16 times; the last time because .*{words}"):
        step(*given(17))
    step(*given(18))


def test_an_index_out_of_range_names_the_line() -> None:
    table = tw.arange(5.0)
    total = tw.zeros(())

    def step(i: tw.Tensor) -> tw.Tensor:
        found = F.embedding(i, table.reshape(5, 1))  # the look-up
        total.add_(found.sum())
        return found

    compiled = tw.compile(step)
    assert compiled(tw.tensor([1, 4])).tolist() == [[1], [4]]
    with pytest.raises(OutOfRangeError, match=rf"{HERE}:{line_of('the look-up')}"):
        compiled(tw.tensor([1, 5]))
    assert total.item() == 5
    with pytest.raises(OutOfRangeError, match="iteration 2"):
        compiled.scan(tw.tensor([[0, 1], [2, 2], [3, 9], [1, 1]]))
    assert total.item() == 10, "of the two whole iterations"
    assert compiled(tw.tensor([2, 2])).tolist() == [[2], [2]]
    assert total.item() == 14


def test_a_label_out_of_range() -> None:
    step = tw.compile(lambda x, y: F.cross_entropy(x, y))
    x = tw.zeros(3, 4)
    assert step(x, tw.tensor([0, 3, 1])).item() == pytest.approx(np.log(4))
    for labels in ([0, 4, 1], [0, -1, 1]):
        with pytest.raises(OutOfRangeError, match=HERE):
            step(x, tw.tensor(labels))


def test_shapes_that_do_not_fit_are_refused_as_ever() -> None:
    step = tw.compile(lambda x, y: x @ y)
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(2, 3\)"):
        step(tw.ones(2, 3), tw.ones(2, 3))
    assert step(tw.ones(2, 3), tw.ones(3, 1)).tolist() == [[3], [3]]


# --- threads, calls in calls ----------------------------------------------------------------------


def test_compiled_functions_call_each_other() -> None:
    inner = tw.compile(lambda x: x * 2)
    outer = tw.compile(lambda x: inner(x) + 1)
    assert outer(tw.ones(2)).tolist() == [3, 3]
    assert not inner.programs, "it became a part of the outer program"
    assert inner(tw.ones(2)).tolist() == [2, 2]


def test_another_python_thread() -> None:
    w = tw.randn(64, 64)
    steps = [tw.compile(lambda x, k=k: (x @ w * k).tanh().sum(0)) for k in range(3)]
    x = tw.randn(50, 64)
    wanted = [step(x).tolist() for step in steps]
    failures: list[object] = []

    def work(number: int) -> None:
        for _ in range(30):
            found = steps[number](x).tolist()
            if found != wanted[number]:
                failures.append(number)

    threads = [threading.Thread(target=work, args=(n % 3,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures


def test_threads_trace_at_the_same_time() -> None:
    results: dict[int, list[float]] = {}

    def work(n: int) -> None:
        results[n] = tw.compile(lambda x: (x * n).cumsum(0))(tw.ones(n)).tolist()

    threads = [threading.Thread(target=work, args=(n,)) for n in (3, 4, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == {n: [float(n * i) for i in range(1, n + 1)] for n in (3, 4, 5)}
