"""The kernel table: its structure and sums; how long something takes is nobody's test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler.explain import Explanation, Row, explain
from thalweg.compiler.graph import Origin
from thalweg.compiler.roof import Roof
from thalweg.errors import ConfigError, TraceError

ROOF = Roof(1, flops=1e9, bandwidth=1e9, near=2e9, capacity=100)


def make_step() -> tuple[Any, Any, Any]:
    tw.manual_seed(0)
    model = tw.nn.Linear(20, 5)
    optimizer = tw.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = tw.randn(64, 20), tw.randint(0, 5, (64,))

    @tw.compile
    def step(index: Any) -> Any:
        loss = tw.nn.functional.cross_entropy(model(x[index]), y[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step, model, tw.arange(64).reshape(8, 8)


def test_every_kernel_has_a_row() -> None:
    step, _, rows = make_step()
    step.scan(rows)
    told = step.explain(threads=1)
    kernels = step.last.bound.plan.kernels
    assert [row.number for row in told.rows] == list(range(len(kernels)))
    assert [row.operations for row in told.rows] == [kernel.label for kernel in kernels]
    assert all(row.seconds >= 0 and row.roof.threads == 1 for row in told.rows)
    product = next(row for row in told.rows if row.space == "8x5 sum 20")
    assert product.flops >= 2 * 8 * 5 * 20
    assert product.operations.startswith("contraction+add")


def test_products_with_padding_are_not_counted() -> None:
    x, w = tw.randn(2, 3, 6, 5), tw.randn(4, 3, 3, 3)
    conv2d = tw.nn.functional.conv2d
    step = tw.compile(lambda x: conv2d(x, w, padding=(1, 2), stride=(2, 1)).square().sum())
    step(x)
    product = next(row for row in step.explain(threads=1).rows if "contraction" in row.operations)
    within = [
        sum(0 <= stride * i + j - low < size for i in range(count) for j in range(3))
        for size, count, stride, low in ((6, 3, 2, 1), (5, 7, 1, 2))
    ]
    assert product.flops == pytest.approx(2 * 2 * 4 * 3 * within[0] * within[1])


def test_nor_are_they_where_the_weight_s_gradient_needs_none() -> None:
    x, y = tw.randn(2, 3, 6, 5), tw.randn(2, 4, 6, 5)
    w = tw.randn(4, 3, 3, 3, requires_grad=True)

    @tw.compile
    def step(x: tw.Tensor) -> None:
        (tw.nn.functional.conv2d(x, w, padding=1) * y).sum().backward()

    step(x)
    (product,) = [r for r in step.explain(threads=1).rows if "contraction" in r.operations]
    within = [3 * n - 2 for n in (6, 5)]
    assert product.flops == pytest.approx(2 * 2 * 4 * 3 * within[0] * within[1])


def test_rows_name_the_users_lines() -> None:
    step, _, rows = make_step()
    step(rows[0])
    told = step.explain()
    lines = {(o.file, o.line) for row in told.rows for o in row.origins}
    assert {file for file, _ in lines} == {__file__}
    text = str(told)
    assert "loss = tw.nn.functional.cross_entropy(model(x[index]), y[index])" in text
    assert "loss.backward()" in text


@pytest.mark.parametrize("threads", [0, -1, 1.5])
def test_a_number_of_threads_is_checked(threads: Any) -> None:
    step = tw.compile(lambda x: x + 1)
    step(tw.ones(2))
    with pytest.raises(ConfigError, match=f"explain: threads: got {threads}, expected a whole"):
        step.explain(threads)


@pytest.mark.parametrize("columns", [60, 80, 90, 200])
def test_the_table_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = tuple(Origin("/somewhere/model.py", 100 + n, "step") for n in range(5))
    row = Row(10, "contraction+add+" * 5, lines, "128x64x28x28 sum 64x3x3", 1e9, 1e7, 1e-3, 1, ROOF)
    rows = (row, Row(11, "sum", (Origin("other.py", 3, "f"),), "1", 0, 0, 1e-6, 1, ROOF))
    text = str(Explanation(rows, 2e-3, ROOF)).splitlines()
    assert max(map(len, text)) <= min(100, max(80, columns))
    assert text[1].split()[1].startswith("contractio")
    assert "a100" in text[1]


def test_the_table_adds_up_and_fits() -> None:
    step, _, rows = make_step()
    step.scan(rows)
    told = step.explain()
    assert told.inside == sum(row.seconds for row in told.rows)
    assert told.outside == max(0.0, told.seconds - told.inside)
    lines = str(told).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[1 + len(told.rows)].split()[0] == "all"


@pytest.mark.parametrize("how", ["call", "scan"])
def test_measuring_changes_nothing(how: str) -> None:
    step, model, rows = make_step()
    step(rows[0]) if how == "call" else step.scan(rows)
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    gradient = model.weight.grad.numpy().copy()
    step.explain()
    assert all(np.array_equal(v.numpy(), before[k]) for k, v in model.state_dict().items())
    assert np.array_equal(model.weight.grad.numpy(), gradient)


def test_it_measures_what_was_run() -> None:
    step, _, rows = make_step()
    with pytest.raises(TraceError, match="call it once"):
        step.explain()
    step(rows[0])
    bound = step.last.bound
    bound.sample = None
    with pytest.raises(TraceError, match="has not run"):
        explain(bound)


def test_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    origins = (Origin("/far/a.py", 3, "f"), Origin("/far/b.py", 14, "g"))
    rows = (
        Row(0, "exp+" * 30, origins, "64x10", 2e6, 1e3, 4e-3, 50, ROOF),
        Row(1, "sum", origins[:1], "64 of 10", 0.0, 4e6, 12e-3, 5000, ROOF),
    )
    told = Explanation(rows, 20e-3, ROOF)
    assert [row.bound for row in rows] == ["fma", "memory"]
    assert told.shortest == pytest.approx(6e-3)
    assert told.outside == pytest.approx(4e-3)
    text = str(told)
    assert [line.split()[-5:-1] for line in text.splitlines()[1:3]] == [
        ["25%", "50%", "fma", "1"],
        ["75%", "33%", "mem", "1"],
    ]
    assert "a3,b14" in text
    assert "one run in a scan 20000 us, 4000 us of it outside kernels" in text
    assert max(map(len, text.splitlines())) <= 100
