"""Fifty steps of every optimizer with every option: parameters equal PyTorch's after each step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import thalweg
from tests.reference.both import BOTH, DTYPES, TOLERANCES, dtype_name, plain
from tests.reference.cases_optimizers import FAMILIES
from tests.reference.cases_schedules import SCHEDULES
from tests.reference.training import (
    INPUTS,
    assert_same_trajectory,
    classifier,
    default_dtype,
    model_of,
    train,
)

# fmt: off
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD":                    ("SGD", {"lr": 0.3}),
    "SGD default":            ("SGD", {}),
    "SGD momentum":           ("SGD", {"lr": 0.1, "momentum": 0.9}),
    "SGD dampening":          ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    "SGD full dampening":     ("SGD", {"lr": 0.1, "momentum": 0.5, "dampening": 1.0}),
    "SGD nesterov":           ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "SGD decay":              ("SGD", {"lr": 0.3, "weight_decay": 0.05}),
    "SGD momentum, decay":    ("SGD", {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.05}),
    "SGD dampening, decay":   ("SGD", {"lr": 0.1, "momentum": 0.8, "dampening": 0.5,
                               "weight_decay": 0.05}),
    "SGD nesterov, decay":    ("SGD", {"lr": 0.1, "momentum": 0.8, "nesterov": True,
                               "weight_decay": 0.05}),
    "SGD maximize":           ("SGD", {"lr": 0.01, "maximize": True}),
    "SGD maximize, all":      ("SGD", {"lr": 0.01, "maximize": True, "momentum": 0.5,
                               "nesterov": True, "weight_decay": 0.1}),
    "Adam":                   ("Adam", {"lr": 0.02}),
    "Adam default":           ("Adam", {}),
    "Adam betas":             ("Adam", {"lr": 0.02, "betas": (0.5, 0.9)}),
    "Adam betas of 0":        ("Adam", {"lr": 0.02, "betas": (0.0, 0.99)}),
    "Adam eps":               ("Adam", {"lr": 0.02, "eps": 1e-3}),
    "Adam decay":             ("Adam", {"lr": 0.02, "weight_decay": 0.1}),
    "Adam amsgrad":           ("Adam", {"lr": 0.05, "amsgrad": True, "betas": (0.9, 0.9)}),
    "Adam amsgrad, decay":    ("Adam", {"lr": 0.05, "amsgrad": True, "weight_decay": 0.1}),
    "Adam maximize":          ("Adam", {"lr": 0.005, "maximize": True}),
    "Adam maximize, decay":   ("Adam", {"lr": 0.005, "maximize": True, "weight_decay": 0.1}),
    "AdamW":                  ("AdamW", {"lr": 0.02}),
    "AdamW default":          ("AdamW", {}),
    "AdamW decay":            ("AdamW", {"lr": 0.02, "weight_decay": 0.3}),
    "AdamW no decay":         ("AdamW", {"lr": 0.02, "weight_decay": 0.0}),
    "AdamW betas, eps":       ("AdamW", {"lr": 0.02, "betas": (0.7, 0.95), "eps": 1e-4}),
    "AdamW amsgrad":          ("AdamW", {"lr": 0.05, "amsgrad": True, "betas": (0.9, 0.9)}),
    "AdamW maximize":         ("AdamW", {"lr": 0.005, "maximize": True}),
    **FAMILIES,
}
# fmt: on
# Those of each kind whose states are compared.
SAVED = ("Adagrad lr_decay", "Adadelta decay", "Adamax decay", "RAdam betas, eps")
# One of each kind, for what does not depend on the optimizer's other options.
KINDS = (
    "SGD nesterov, decay",
    "SGD dampening",
    "Adam amsgrad, decay",
    "AdamW decay",
    "RMSprop all",
    "NAdam decay",
    "Adafactor decay",
    "ASGD average",
)


def make(name: str) -> Any:
    kind, options = OPTIMIZERS[name]
    return lambda tw, model: getattr(tw.optim, kind)(model.parameters(), **options)


def both(dtype: str, made: Any, **options: Any) -> None:
    with default_dtype(dtype):
        ours, theirs = (train(tw, made, dtype, **options) for tw in BOTH)
    assert_same_trajectory(ours, theirs, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name: str, dtype: str) -> None:
    both(dtype, make(name))


def _grouped(name: str) -> Any:
    """Weights and biases apart, and the slopes under a step size of their own."""
    kind, options = OPTIMIZERS[name]

    def made(tw: Any, model: Any) -> Any:
        weights = [p for p in model.parameters() if p.ndim == 2]
        biases = [p for n, p in model.named_parameters() if n.endswith("bias")]
        groups = [
            {"params": weights, "weight_decay": 0.1},
            {"params": biases, "weight_decay": 0.0, "lr": 0.05},
            {"params": [model[3].weight], "lr": 0.5 * options["lr"], "maximize": True},
        ]
        return getattr(tw.optim, kind)(groups, **options)

    return made


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KINDS)
def test_parameter_groups(name: str, dtype: str) -> None:
    both(dtype, _grouped(name))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KINDS)
def test_a_group_added_later(name: str, dtype: str) -> None:
    kind, options = OPTIMIZERS[name]

    def made(tw: Any, model: Any) -> Any:
        optimizer = getattr(tw.optim, kind)(model[4].parameters(), **options)
        optimizer.add_param_group({"params": model[:4].parameters(), "lr": 0.01})
        return optimizer

    both(dtype, made)


# fmt: off
CLIPS = {
    "norm":     lambda tw, ps: tw.nn.utils.clip_grad_norm_(ps, 0.2),
    "norm, large": lambda tw, ps: tw.nn.utils.clip_grad_norm_(ps, 100.0),
    "norm of 1": lambda tw, ps: tw.nn.utils.clip_grad_norm_(ps, 1.0, norm_type=1),
    "norm of 3": lambda tw, ps: tw.nn.utils.clip_grad_norm_(ps, 0.2, norm_type=3.0),
    "largest":  lambda tw, ps: tw.nn.utils.clip_grad_norm_(ps, 0.05, norm_type=float("inf")),
    "value":    lambda tw, ps: tw.nn.utils.clip_grad_value_(ps, 0.02),
}
# fmt: on


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("clip", CLIPS)
def test_clipping(clip: str, dtype: str) -> None:
    norms: dict[str, list[float]] = {tw.__name__: [] for tw in BOTH}

    def between(tw: Any, model: Any, step: int) -> None:
        norm = CLIPS[clip](tw, model.parameters())
        if norm is not None:
            norms[tw.__name__].append(norm.item())

    both(dtype, make("SGD momentum"), between=between)
    np.testing.assert_allclose(*norms.values(), *TOLERANCES["trajectory", dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KINDS)
def test_accumulation(name: str, dtype: str) -> None:
    both(dtype, make(name), accumulate=3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KINDS)
def test_parameters_that_sit_out(name: str, dtype: str) -> None:
    """A parameter without a gradient is passed over, and its own count of steps stands still."""

    def between(tw: Any, model: Any, step: int) -> None:
        for position, p in enumerate(model.parameters()):
            if (step + position) % 7 == 2 or step < 3 * position:
                p.grad = None

    both(dtype, make(name), between=between)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KINDS)
def test_settings_changed_on_the_way(name: str, dtype: str) -> None:
    def after(optimizer: Any, step: int, loss: float) -> None:
        group = optimizer.param_groups[0]
        group["lr"] = 0.02 if step % 10 < 5 else 0.05
        if step == 20:
            group["weight_decay"] = 0.2
        if step == 30:
            group["maximize"] = True

    both(dtype, make(name), after=after)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KINDS)
def test_gradients_of_zero(name: str, dtype: str) -> None:
    """With `set_to_none=False` momentum and decay go on where the gradient is 0."""

    def made(tw: Any, model: Any) -> Any:
        optimizer = make(name)(tw, model)
        forget = optimizer.zero_grad
        optimizer.zero_grad = lambda: forget(set_to_none=False)
        return optimizer

    def between(tw: Any, model: Any, step: int) -> None:
        if step % 5 == 4:
            model.zero_grad(set_to_none=False)

    both(dtype, made, between=between)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KINDS)
def test_under_schedules(name: str, dtype: str) -> None:
    """A cosine by the step and a plateau by the loss of every fifth step."""

    def made(tw: Any, model: Any) -> Any:
        optimizer = make(name)(tw, model)
        schedules = tw.optim.lr_scheduler
        optimizer.warm_up = schedules.LinearLR(optimizer, 0.1, total_iters=10)
        optimizer.plateau = schedules.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
        return optimizer

    def after(optimizer: Any, step: int, loss: float) -> None:
        optimizer.warm_up.step()
        if step % 5 == 4:
            optimizer.plateau.step(round(loss, 3))

    both(dtype, made, after=after)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_under_each_schedule(schedule: str, dtype: str) -> None:
    def made(tw: Any, model: Any) -> Any:
        weights = [p for p in model.parameters() if p.ndim == 2]
        others = [p for p in model.parameters() if p.ndim != 2]
        groups = [{"params": weights, "lr": 0.3}, {"params": others, "lr": 0.1}]
        optimizer = tw.optim.SGD(groups, momentum=0.5)
        optimizer.schedule = SCHEDULES[schedule](tw.optim.lr_scheduler, optimizer)
        return optimizer

    both(dtype, made, after=lambda optimizer, step, loss: optimizer.schedule.step())


def _binary(loss: str) -> Any:
    def loss_of(tw: Any) -> Any:
        function = getattr(tw.nn.functional, loss)
        return lambda logits, labels: function(logits[:, 0], (labels > 1).to(logits.dtype))

    return loss_of


def _regression(loss: str) -> Any:
    """Four outputs towards numbers made of the label."""

    def loss_of(tw: Any) -> Any:
        function = getattr(tw.nn.functional, loss)
        return lambda out, labels: function(out, _targets(out, labels))

    return loss_of


def _targets(out: Any, labels: Any) -> Any:
    return (labels.to(out.dtype) / 4).unsqueeze(1).expand(-1, 4) - out.detach() * 0.1


def _likelihood(tw: Any) -> Any:
    f = tw.nn.functional
    return lambda out, labels: f.nll_loss(f.log_softmax(out, dim=1), labels)


def _smoothed(tw: Any) -> Any:
    f = tw.nn.functional
    return lambda out, labels: f.cross_entropy(out, labels, label_smoothing=0.1)


def _divergence(tw: Any) -> Any:
    f = tw.nn.functional

    def loss_of(out: Any, labels: Any) -> Any:
        target = 0.1 + 0.6 * f.one_hot(labels, 4).to(out.dtype)
        return f.kl_div(f.log_softmax(out, dim=1), target, reduction="batchmean")

    return loss_of


LOSSES = {
    "nll_loss": _likelihood,
    "label smoothing": _smoothed,
    "kl_div": _divergence,
    "binary_cross_entropy_with_logits": _binary("binary_cross_entropy_with_logits"),
    "mse_loss": _regression("mse_loss"),
    "l1_loss": _regression("l1_loss"),
    "huber_loss": _regression("huber_loss"),
    "smooth_l1_loss": _regression("smooth_l1_loss"),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss(loss: str, dtype: str) -> None:
    both(dtype, make("SGD nesterov"), loss_of=LOSSES[loss])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_closure(dtype: str) -> None:
    """`step(closure)` computes the gradients itself, and gives the loss."""

    def run(tw: Any) -> list[Any]:
        model = model_of(tw, classifier, dtype)
        optimizer = tw.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        x = tw.tensor(INPUTS.astype(dtype))

        def closure() -> Any:
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            return loss

        return [optimizer.step(closure).item() for _ in range(50)]

    ours, theirs = (run(tw) for tw in BOTH)
    np.testing.assert_allclose(ours, theirs, *TOLERANCES["trajectory", dtype])


# --- states --------------------------------------------------------------------------------------


def _after_some_steps(tw: Any, name: str) -> Any:
    model = model_of(tw, classifier, "float64")
    optimizer = _grouped(name)(tw, model)
    for _ in range(3):
        optimizer.zero_grad()
        (model(tw.tensor(INPUTS)) ** 2).mean().backward()
        optimizer.step()
    return model, optimizer


@pytest.fixture
def _double() -> Iterator[None]:
    with default_dtype("float64"):
        yield


def _plain_state(state: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {
        number: {name: plain(x) for name, x in tensors.items() if x is not None}
        for number, tensors in state["state"].items()
    }


@pytest.mark.usefixtures("_double")
@pytest.mark.parametrize("name", KINDS + SAVED)
def test_the_state_has_pytorch_layout(name: str) -> None:
    ours, theirs = (_after_some_steps(tw, name)[1].state_dict() for tw in BOTH)
    ours_plain, theirs_plain = _plain_state(ours), _plain_state(theirs)
    assert list(ours_plain) == list(theirs_plain)
    for number, tensors in theirs_plain.items():
        for key, value in tensors.items():
            np.testing.assert_allclose(ours_plain[number][key], value, rtol=1e-12, atol=1e-15)
    for group, other in zip(ours["param_groups"], theirs["param_groups"], strict=True):
        common = set(group) & set(other)
        assert {"params", "lr", "weight_decay", "maximize"} <= common
        assert {key: group[key] for key in common} == {key: other[key] for key in common}


# Dampening spares the first gradient: ours counts steps for that, PyTorch's state has no count.
@pytest.mark.usefixtures("_double")
@pytest.mark.parametrize("name", [n for n in KINDS + SAVED if n != "SGD dampening"])
def test_going_on_from_pytorch_state(name: str) -> None:
    """A checkpoint of PyTorch's optimizer and model, by NumPy: the next steps are the same."""
    runs = [_after_some_steps(tw, name) for tw in BOTH]
    theirs, their_optimizer = runs[1]
    ours = classifier(thalweg).double()
    ours.load_state_dict({key: plain(x) for key, x in theirs.state_dict().items()})
    optimizer = _grouped(name)(thalweg, ours)
    saved = their_optimizer.state_dict()
    known = optimizer.state_dict()["param_groups"]
    groups = [
        {key: value for key, value in group.items() if key in like}
        | {key: value for key, value in like.items() if key not in group}
        for group, like in zip(saved["param_groups"], known, strict=True)
    ]
    extra = {key for like in optimizer.state_dict()["state"].values() for key in like}
    state = {
        number: {
            key: thalweg.tensor(plain(x))
            for key, x in tensors.items()
            if x is not None and key in extra
        }
        for number, tensors in saved["state"].items()
    }
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    for tw, model, made in ((BOTH[0], ours, optimizer), (BOTH[1], theirs, their_optimizer)):
        for _ in range(5):
            made.zero_grad()
            (model(tw.tensor(INPUTS)) ** 2).mean().backward()
            made.step()
    for (key, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(plain(p), plain(q), rtol=1e-10, err_msg=key)
        assert dtype_name(p) == "float64"
