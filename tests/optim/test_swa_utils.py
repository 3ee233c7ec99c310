"""Averages of parameters: closed forms, in a compiled step, through a state dictionary."""

from __future__ import annotations

from typing import Any

import pytest

import thalweg as tw
from thalweg.errors import ConfigError
from thalweg.optim import swa_utils as swa


def weight(model: tw.nn.Module) -> float:
    (p,) = model.parameters()
    return float(p)


def point() -> tw.nn.Module:
    return tw.nn.Linear(1, 1, bias=False)


def following(averaged: swa.AveragedModel, model: tw.nn.Module, *values: float) -> list[float]:
    found = []
    for value in values:
        tw.nn.init.constant_(next(iter(model.parameters())), value)
        averaged.update_parameters(model)
        found.append(weight(averaged))
    return found


def test_equal_weights_are_the_mean() -> None:
    model = point()
    averaged = swa.AveragedModel(model)
    assert following(averaged, model, 1.0, 2.0, 6.0) == [1.0, 1.5, 3.0]
    assert averaged.n_averaged.item() == 3


def test_exponential_weights() -> None:
    model = point()
    averaged = swa.AveragedModel(model, multi_avg_fn=swa.get_ema_multi_avg_fn(0.5))
    assert following(averaged, model, 4.0, 0.0, 1.0) == [4.0, 2.0, 1.5]


def test_the_first_update_copies_also_what_is_not_finite() -> None:
    model = point()
    averaged = swa.AveragedModel(model)
    with tw.no_grad():
        next(iter(averaged.module.parameters())).fill_(float("nan"))
    assert following(averaged, model, 2.0) == [2.0]


def test_the_model_is_not_touched() -> None:
    model = point()
    averaged = swa.AveragedModel(model)
    following(averaged, model, 3.0, 5.0)
    assert (weight(model), weight(averaged)) == (5.0, 4.0)
    x = tw.ones(1)
    assert (model(x).item(), averaged(x).item()) == (5.0, 4.0)


# fmt: off
FUNCTIONS: dict[str, dict[str, Any]] = {
    "equal":     {},
    "ema":       {"multi_avg_fn": swa.get_ema_multi_avg_fn(0.7)},
    "one by one": {"avg_fn": swa.get_ema_avg_fn(0.7), "use_buffers": True},
}
# fmt: on


def _training(options: dict[str, Any]) -> tuple[Any, Any, Any]:
    tw.manual_seed(0)
    nn = tw.nn
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
    averaged = swa.AveragedModel(model, **options)
    optimizer = tw.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def step(x: tw.Tensor) -> tw.Tensor:
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        averaged.update_parameters(model)
        return loss.detach()

    return model, averaged, step


@pytest.mark.parametrize("name", FUNCTIONS)
def test_in_a_compiled_step(name: str) -> None:
    """One program, also for the first update, which copies."""
    _, eager, plain = _training(FUNCTIONS[name])
    _, native, step = _training(FUNCTIONS[name])
    step = tw.compile(step)
    x = tw.randn(6, 3)
    for _ in range(5):
        plain(x)
        step(x)
    for (key, a), b in zip(eager.state_dict().items(), native.state_dict().values(), strict=True):
        assert tw.allclose(a, b, rtol=1e-4, atol=1e-5), key
    assert len({id(e.bound) for entries in step.programs.values() for e in entries}) == 1


def test_averages_go_on_from_a_state_dictionary() -> None:
    model = point()
    first = swa.AveragedModel(model)
    following(first, model, 1.0, 2.0)
    second = swa.AveragedModel(point())
    second.load_state_dict(first.state_dict())
    assert following(second, model, 6.0) == [3.0]


def test_statistics_are_put_back_after_an_error() -> None:
    model = tw.nn.BatchNorm1d(2)
    model.eval()
    with pytest.raises(ValueError, match="features"):
        swa.update_bn([tw.ones(4, 2), tw.ones(4, 3)], model)
    assert (model.momentum, model.training) == (0.1, False)


def test_update_bn_without_normalization_asks_for_no_batch() -> None:
    swa.update_bn(iter([None]), point())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: swa.get_ema_avg_fn(1.5), "decay=1.5"),
        (lambda: swa.get_ema_multi_avg_fn(-0.1), "decay=-0.1"),
        (lambda: swa.AveragedModel(point(), "cuda"), 'there is one device, "cpu"'),
        (
            lambda: swa.AveragedModel(
                point(), avg_fn=swa.get_swa_avg_fn(), multi_avg_fn=swa.get_swa_multi_avg_fn()
            ),
            "expected one of them",
        ),
        (lambda: swa.SWALR(tw.optim.SGD(point().parameters()), -1.0), "swa_lr=-1.0"),
        (
            lambda: swa.SWALR(tw.optim.SGD(point().parameters()), 0.1, anneal_strategy="cosine"),
            "did you mean 'cos'",
        ),
        (lambda: swa.SWALR(tw.optim.SGD(point().parameters()), [0.1, 0.2]), "2 values of swa_lr"),
    ],
)
def test_refused(call: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call()
