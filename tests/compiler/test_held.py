"""Weights that a program holds in an order of its own: nobody but the memory can tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg import nn, optim
from thalweg.compiler.passes.fusion import held
from thalweg.interop.safetensors import load_file, save_file

TURNED = (2, 3, 1, 0)  # the taps, the input's channels, the output's
OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "AdamW": lambda p: optim.AdamW(p, lr=1e-3, weight_decay=0.1),
    "clipped": lambda p: optim.SGD(p, lr=0.1),
}
DATA, LABELS = tw.randn(12, 96, 5, 5), tw.randint(0, 5, (12,))
ROWS = tw.tensor([[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]])


def training(
    kind: str = "SGD", more: Callable[[nn.Module], Any] = lambda model: 0
) -> tuple[nn.Module, Callable[[tw.Tensor], Any]]:
    """A network with one large weight, and a step that trains it; the same at each call."""
    tw.manual_seed(0)
    first, second = nn.Conv2d(96, 80, 3, padding=1), nn.Conv2d(80, 5, 5)
    model = nn.Sequential(first, nn.Tanh(), second, nn.Flatten())
    optimizer = OPTIMIZERS[kind](model.parameters())

    def step(index: tw.Tensor) -> Any:
        loss = F.cross_entropy(model(DATA[index]), LABELS[index]) + more(model)
        optimizer.zero_grad()
        loss.backward()
        if kind == "clipped":
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        return loss

    return model, step


def near(x: tw.Tensor, y: tw.Tensor) -> None:
    """Equal but for rounding, which training steps carry on."""
    np.testing.assert_allclose(x.detach().numpy(), y.detach().numpy(), rtol=1e-3, atol=2e-5)


def weight(model: nn.Module) -> tw.Tensor:
    return next(iter(model.parameters()))


def order(x: tw.Tensor) -> tuple[int, ...]:
    """The axes in memory, outermost first."""
    strides = x._value.strides
    return tuple(sorted(range(x.ndim), key=lambda axis: -strides[axis]))


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_training_is_what_it_was(kind: str) -> None:
    (model, step), (other, single), (third, stacked) = (training(kind) for _ in range(3))
    compiled, scanned = tw.compile(single), tw.compile(stacked)
    losses = scanned.scan(ROWS)
    for row, loss in zip(ROWS, losses, strict=True):
        near(step(row), loss)
        assert compiled(row) == loss
    assert order(weight(other)) == order(weight(third)) == TURNED
    for x, y, z in zip(model.parameters(), other.parameters(), third.parameters(), strict=True):
        near(x, y)
        assert (y == z).all()
        assert (y.grad == z.grad).all()  # type: ignore[union-attr]  # a step has run
        assert y.shape == x.shape


def test_any_number_of_threads_gives_the_same_bits() -> None:
    before, found = tw.get_num_threads(), []
    for threads in (1, 2, 3, 8):
        tw.set_num_threads(threads)
        model, step = training("AdamW")
        tw.compile(step).scan(ROWS)
        found.append([x.detach().numpy().tobytes() for x in model.parameters()])
    tw.set_num_threads(before)
    assert all(bits == found[0] for bits in found)


ODD: dict[str, dict[str, Any]] = {
    "pointwise": {"kernel_size": 1},
    "strided, without a bias": {"kernel_size": 3, "stride": 2, "bias": False},
    "dilated, much padding": {"kernel_size": (3, 2), "dilation": 2, "padding": 3},
    "depthwise": {"kernel_size": 3, "groups": 5, "padding": 1},
    "double": {"kernel_size": (1, 3), "dtype": tw.float64},
}


@pytest.mark.parametrize("name", ODD)
def test_odd_weights_of_any_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "_LARGE", 1)
    monkeypatch.setenv("THALWEG_CODE_CACHE", "0")  # which does not know what is large
    dtype = ODD[name].get("dtype", tw.float32)
    data = tw.randn(12, 5, 7, 6, dtype=dtype)

    def trained(run: Any) -> tuple[tw.Tensor, list[tw.Tensor], int]:
        tw.manual_seed(1)
        model = nn.Sequential(nn.Conv2d(5, 15, **ODD[name]), nn.Tanh())
        optimizer = optim.Adam(model.parameters(), lr=0.01)

        def step(index: tw.Tensor) -> Any:
            loss = model(data[index]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        trains = run(step)
        losses = trains.scan(ROWS) if run is scanned else tw.stack([trains(x) for x in ROWS])
        turned = trains.last.bound.program.input_orders if run is not eager else {}
        return losses, list(model.parameters()), len(turned)

    def eager(step: Any) -> Any:
        return step

    def scanned(step: Any) -> Any:
        return tw.compile(step)

    (wanted, _, _), (called, here, turned), (losses, there, _) = map(
        trained, (eager, tw.compile, scanned)
    )
    near(wanted, called)
    assert (called == losses).all()
    assert all((x == y).all() for x, y in zip(here, there, strict=True))
    assert turned == (0 if ODD[name].get("groups") else 3), "the weight and Adam's two states"


def test_a_first_layer_is_turned_and_what_two_products_read_is_not() -> None:
    tw.manual_seed(0)
    data, found = tw.randn(20, 600), []
    for compiled in (False, True):
        tw.manual_seed(1)
        model = nn.Sequential(nn.Linear(600, 260), nn.ReLU(), nn.Linear(260, 270))
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.5)

        def step(index: tw.Tensor, model: nn.Module = model, optimizer: Any = optimizer) -> Any:
            loss = model(data[index]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        run = tw.compile(step) if compiled else step
        losses = [run(row) for row in ROWS]
        first, _, second, _ = model.parameters()
        assert (order(first), order(second)) == (((0, 1), (1, 0))[compiled], (0, 1))
        with tw.no_grad():
            losses.append((tw.compile(model) if compiled else model)(data).mean())
        found.append(tw.stack([x.detach() for x in [*losses, *map(tw.sum, model.parameters())]]))
    near(*found)


READ_OTHERWISE: dict[str, Callable[[nn.Module], Any]] = {
    "reshaped": lambda model: weight(model).reshape(-1)[:7].sum(),
    "sorted": lambda model: weight(model).flatten().sort().values[0],
    "decomposed": lambda model: tw.linalg.svdvals(weight(model)[0, :2, 0]).sum(),
    "summed": lambda model: weight(model).square().sum() * 1e-3,
    "transposed": lambda model: (weight(model).transpose(0, 1) * 2).mean(),
}


@pytest.mark.parametrize("name", READ_OTHERWISE)
def test_weights_that_are_read_otherwise_too(name: str) -> None:
    (model, step), (other, stacked) = (training("SGD", READ_OTHERWISE[name]) for _ in range(2))
    losses = tw.compile(stacked).scan(ROWS)
    near(tw.stack([step(row) for row in ROWS]), losses)
    near(weight(model), weight(other))


def test_a_result_lies_in_row_major_order() -> None:
    model, step = training()
    compiled = tw.compile(lambda index: (step(index), weight(model) * 1))
    _, given = compiled(ROWS[0])
    assert (given == weight(model)).all()
    assert order(given) == (0, 1, 2, 3)


def test_a_scan_and_calls_that_can_be_differentiated_give_the_same_bits() -> None:
    found = []
    for scans in (False, True):
        model, step = training()
        compiled = tw.compile(lambda index, m=model, s=step: (s(index), weight(m).sum(2)))
        found.append(compiled.scan(ROWS)[1] if scans else [compiled(row)[1] for row in ROWS])
    assert all((x == y).all() for x, y in zip(*found, strict=True))


def test_what_was_taken_before_stays_as_it_was() -> None:
    model, step = training()
    compiled = tw.compile(step)
    compiled(ROWS[0])
    taken = [weight(model).detach(), weight(model).detach().numpy()[3], weight(model)[:, 1]]
    copies = [np.array(x if isinstance(x, np.ndarray) else x.detach().numpy()) for x in taken]
    compiled(ROWS[1])
    for x, copy in zip(taken, copies, strict=True):
        assert (np.asarray(x if isinstance(x, np.ndarray) else x.detach().numpy()) == copy).all()


def test_saved_loaded_and_evaluated(tmp_path: Path) -> None:
    (model, step), (other, again) = training("momentum"), training("momentum")
    compiled, resumed = tw.compile(step), tw.compile(again)
    compiled.scan(ROWS)
    resumed.scan(ROWS[:1])
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert (weight(other) == weight(model)).all()
    with tw.no_grad():
        seen = tw.compile(model)(DATA)
        assert order(weight(model)) == (0, 1, 2, 3), "what only reads it turns it back"
        assert (tw.compile(other)(DATA) == seen).all()
        near(model(DATA), seen)
    near(tw.compile(model)(DATA), seen)
    near(compiled(ROWS[0]), F.cross_entropy(seen[:3], LABELS[:3]))
    assert order(weight(model)) == TURNED


def test_explain_runs_on_copies() -> None:
    model, step = training("AdamW")
    compiled = tw.compile(step)
    compiled(ROWS[0])
    before = weight(model).detach().numpy().copy()
    assert any("contraction" in row.operations for row in compiled.explain().rows)
    assert (weight(model).detach().numpy() == before).all()
