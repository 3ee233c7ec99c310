"""Normalization layers: what they keep, compiled and not; precision; what their errors say."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg import nn
from thalweg.errors import ConfigError, ShapeError


def test_running_statistics_are_those_of_the_equations() -> None:
    layer, x = nn.BatchNorm2d(3, momentum=0.25), tw.randn(4, 3, 5, 2) * 2 + 7
    layer(x)
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    assert tw.allclose(layer.running_mean, 0.25 * mean)
    assert tw.allclose(layer.running_var, 0.75 + 0.25 * var)
    assert layer.num_batches_tracked.item() == 1
    state = layer.state_dict()
    layer.eval()(x + 1)
    assert all(tw.equal(state[name], value) for name, value in layer.state_dict().items())


def test_without_a_momentum_they_are_averages() -> None:
    layer, batches = nn.BatchNorm1d(2, momentum=None), [tw.randn(8, 2) + i for i in range(4)]
    for x in batches:
        layer(x)
    assert tw.allclose(layer.running_mean, tw.stack([x.mean(0) for x in batches]).mean(0))
    assert tw.allclose(layer.running_var, tw.stack([x.var(0) for x in batches]).mean(0))
    layer.reset_running_stats()
    assert (layer.running_var.tolist(), layer.num_batches_tracked.item()) == ([1.0, 1.0], 0)


def network() -> nn.Sequential:
    tw.manual_seed(3)
    first = (nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    second = (nn.Flatten(), nn.Linear(100, 8), nn.BatchNorm1d(8, momentum=None), nn.Tanh())
    return nn.Sequential(*first, *second, nn.Linear(8, 3))


@pytest.mark.parametrize("scanned", [False, True])
def test_a_compiled_step_carries_the_statistics_on(scanned: bool) -> None:
    x, y = tw.randn(3, 6, 2, 5, 5), tw.randint(0, 3, (3, 6))
    states = []
    for compiled in (False, True):
        model = network()
        optimizer = tw.optim.SGD(model.parameters(), lr=0.1)

        def step(
            x: tw.Tensor,
            y: tw.Tensor,
            model: nn.Module = model,
            optimizer: tw.optim.SGD = optimizer,
        ) -> tw.Tensor:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        run = tw.compile(step) if compiled else step
        if compiled and scanned:
            run.scan(x, y)
        else:
            for images, labels in zip(x, y, strict=True):
                run(images, labels)
        trained = model.state_dict()
        states.append(trained | {"eval": tw.compile(model.eval())(x[0])})
        assert trained["1.num_batches_tracked"].item() == 3
        if compiled:
            assert len({id(e.bound) for entries in run.programs.values() for e in entries}) == 1
    for name, value in states[0].items():
        np.testing.assert_allclose(
            states[1][name].detach().numpy(), value.detach().numpy(), 1e-5, 1e-6, err_msg=name
        )


def test_train_and_eval_are_two_programs_of_one_function() -> None:
    layer, x = nn.BatchNorm1d(3), tw.randn(7, 3)
    run = tw.compile(layer)
    own, kept = run(x), layer.running_mean.clone()
    layer.eval()
    assert tw.allclose(run(x), F.batch_norm(x, layer.running_mean, layer.running_var))
    assert tw.equal(layer.running_mean, kept)
    assert tw.allclose(own.mean(0), tw.zeros(3), atol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("layer", [nn.BatchNorm1d(3), nn.LayerNorm(3), nn.GroupNorm(1, 3)], ids=str)
def test_a_mean_far_from_0_costs_no_precision(layer: nn.Module, compiled: bool) -> None:
    """Sums of x and x^2 alone would leave no digit of the variance."""
    x = tw.tensor(np.random.default_rng(0).normal(size=(64, 3)) + 1000.0, dtype=tw.float32)
    exact = layer.double()(x.double())
    found = (tw.compile(layer.float()) if compiled else layer.float())(x)
    assert tw.allclose(found.double(), exact, atol=2e-4)


def test_one_value_only_becomes_the_shift() -> None:
    for value in (0.0, 3.3, 1e6):
        x = tw.full((16, 4), value, requires_grad=True)
        y = nn.BatchNorm1d(4)(x)
        (y * tw.randn(16, 4)).sum().backward()
        assert y.abs().max().item() == 0
        assert bool(x.grad.isfinite().all())


def test_passes_over_memory() -> None:
    """Forward two reads and a write; backward two reads of g and x each, and a write."""
    layer, x, g = (
        nn.BatchNorm2d(16),
        tw.randn(64, 16, 8, 8).requires_grad_(),
        tw.randn(64, 16, 8, 8),
    )

    @tw.compile
    def run(g: tw.Tensor) -> list[tw.Tensor]:
        y = layer(x)
        return [y, *tw.autograd.grad(y, [x, *layer.parameters()], g)]

    run(g)
    passes = [arrays(k, x.numel()) for k in run.last.bound.plan.kernels if points(k) >= x.numel()]
    reads, writes = (sum(side) for side in zip(*passes, strict=True))
    assert (reads <= 6, writes) == (True, 2), passes


def points(kernel: Any) -> int:
    return math.prod(getattr(kernel, "space", ()))


def arrays(kernel: Any, size: int) -> tuple[int, int]:
    """How many arrays of that size a kernel reads, and writes."""
    loads = [scalar.attributes["access"] for scalar in kernel.body if scalar.op == "load"]
    ends = ([*loads], [store.access for store in kernel.stores])
    found = [{access.buffer.name for access in end if access.buffer.size == size} for end in ends]
    return len(found[0]), len(found[1])


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "batch": (lambda: nn.BatchNorm2d(4), (5, 4, 3, 3), r"\(N, 4, H, W\).*\(5, 3, 3, 4\)"),
    "lines": (lambda: nn.BatchNorm1d(4), (5, 4, 3), r"\(N, 4\) or \(N, 4, L\).*\(5, 3, 4\)"),
    "instance": (lambda: nn.InstanceNorm2d(4), (4, 3, 3), r"\(4, H, W\) or .*\(3, 3, 4\)"),
}


@pytest.mark.parametrize("name", CASES)
def test_channels_elsewhere(name: str) -> None:
    build, shape, words = CASES[name]
    layer = nn.Sequential(build())
    layer(tw.ones(*shape))
    with pytest.raises(ShapeError, match=rf"^Sequential\.0 \(.* 4\): .*{words}.*movedim"):
        layer(tw.ones(*shape).movedim(1 if name == "lines" else -3, -1))


def test_what_does_not_fit() -> None:
    with pytest.raises(
        ShapeError, match=r"^BatchNorm2d 4: .*\(5, 3, 2, 2\)\. Set num_features to 3"
    ):
        nn.BatchNorm2d(4)(tw.ones(5, 3, 2, 2))
    with pytest.raises(ShapeError, match=r"\(N, 4, H, W\) expected, got \(5, 4\)"):
        nn.BatchNorm2d(4)(tw.ones(5, 4))
    layer = nn.BatchNorm1d(4)
    with pytest.raises(ShapeError, match="1 element.*drop_last"):
        layer(tw.ones(1, 4))
    assert layer.num_batches_tracked.item() == 0
    with pytest.raises(ConfigError, match="num_groups=3 must divide num_channels=4"):
        nn.GroupNorm(3, 4)
    with pytest.raises(ShapeError, match=r"\(N, 4, \.\.\) expected, got \(2, 3\)"):
        nn.GroupNorm(2, 4)(tw.ones(2, 3))
    with pytest.raises(ConfigError, match="normalized_shape"):
        nn.LayerNorm(0)
    with pytest.raises(ConfigError, match="num_features"):
        nn.BatchNorm1d(-1)


def test_they_say_what_they_are() -> None:
    layers = (nn.BatchNorm2d(8), nn.LayerNorm((3, 4)), nn.GroupNorm(2, 8), nn.RMSNorm(5))
    assert [layer.describe() for layer in layers] == [
        *("BatchNorm2d 8", "LayerNorm 3 x 4", "GroupNorm 2 of 8", "RMSNorm 5"),
    ]
