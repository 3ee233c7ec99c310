"""What every optimizer must do, whatever its equations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import thalweg as tw
from tests.optim.kinds import KINDS, Kind, descend, parameters
from thalweg import optim
from thalweg.errors import ConfigError
from thalweg.interop import safetensors


def made(kind: Kind, dtype: Any = tw.float64) -> tuple[list[tw.Tensor], optim.Optimizer]:
    params = parameters(kind, dtype)
    return params, kind.make(params)


def values(params: list[tw.Tensor]) -> list[Any]:
    return [p.tolist() for p in params]


@pytest.mark.parametrize("name", [name for name in KINDS if name != "maximize"])
def test_it_descends(name: str) -> None:
    params, optimizer = made(KINDS[name])
    losses = [float(descend(optimizer, params)) for _ in range(40)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", KINDS)
def test_compiled_is_eager(name: str) -> None:
    """A step, natively: the loss, the parameters and the whole state, for ten steps."""
    eager, ours = made(KINDS[name], tw.float32)
    native, theirs = made(KINDS[name], tw.float32)
    step = tw.compile(lambda: descend(theirs, native))
    for _ in range(10):
        loss, other = descend(ours, eager), step()
        assert other.item() == pytest.approx(loss.item(), rel=1e-5)
    for p, q in zip(eager, native, strict=True):
        assert tw.allclose(p.detach(), q.detach(), rtol=2e-5, atol=2e-6)
    for number, tensors in ours.state_dict()["state"].items():
        for key, x in tensors.items():
            y = theirs.state_dict()["state"][number][key]
            assert tw.allclose(x, y, rtol=1e-4, atol=1e-5), (number, key)


@pytest.mark.parametrize("name", KINDS)
def test_step_counts_and_step_sizes_are_data(name: str) -> None:
    """Nothing is traced again: one program before there are gradients to forget, one after."""
    params, optimizer = made(KINDS[name])
    schedule = optim.lr_scheduler.LinearLR(optimizer, 0.5, total_iters=5)
    step = tw.compile(lambda: (descend(optimizer, params), schedule.step())[0])
    for _ in range(8):
        step()
    assert len({id(e.bound) for entries in step.programs.values() for e in entries}) == 2


@pytest.mark.parametrize("name", KINDS)
def test_resumed_with_the_same_bits(name: str, tmp_path: Any) -> None:
    """The state by way of files: tensors in safetensors, the rest as JSON."""
    straight, optimizer = made(KINDS[name], tw.float32)
    for _ in range(7):
        descend(optimizer, straight)
    resumed, first = made(KINDS[name], tw.float32)
    for _ in range(3):
        descend(first, resumed)
    saved = first.state_dict()
    tensors = {f"{n}.{key}": x for n, s in saved["state"].items() for key, x in s.items()}
    safetensors.save_file(tensors, tmp_path / "state.safetensors")
    loaded = safetensors.load_file(tmp_path / "state.safetensors")
    state: dict[str, dict[str, Any]] = {}
    for key, x in loaded.items():
        number, _, field = key.partition(".")
        state.setdefault(number, {})[field] = x
    groups = json.loads(json.dumps(saved["param_groups"]))
    second = KINDS[name].make(resumed)
    second.load_state_dict({"state": state, "param_groups": groups})
    for _ in range(4):
        descend(second, resumed)
    assert values(resumed) == values(straight)


@pytest.mark.parametrize("name", KINDS)
def test_ascent_is_descent_of_the_negated(name: str) -> None:
    down, up = made(KINDS[name]), made(KINDS[name])
    for _, optimizer in (down, up):
        (group,) = optimizer.param_groups
        if "weight_decay" in group:
            group["weight_decay"] = 0.0
    group["maximize"] = not group["maximize"]
    for _ in range(3):
        for p, q in zip(down[0], up[0], strict=True):
            p.grad = p.detach() + 0.3
            q.grad = -(q.detach() + 0.3)
        down[1].step()
        up[1].step()
    assert values(down[0]) == values(up[0])


@pytest.mark.parametrize("name", [name for name in KINDS if name != "all"])
def test_a_parameter_alone_goes_as_in_company(name: str) -> None:
    together, optimizer = made(KINDS[name])
    alone = parameters(KINDS[name])
    singles = [KINDS[name].make([p]) for p in alone]
    for step in range(5):
        for position, p in enumerate(together):
            p.grad = None if (step + position) % 3 == 2 else p.detach() - 0.5
        for p, q, single in zip(together, alone, singles, strict=True):
            q.grad = p.grad
            single.step()
        optimizer.step()
    assert values(together) == values(alone)


def test_every_optimizer_is_here() -> None:
    params = parameters(KINDS["muon"])
    tested = {type(kind.make(params)).__name__ for kind in KINDS.values()}
    elsewhere = {"LBFGS", "LineSearchGD", "Several"}  # closures; others as one
    public = {
        name
        for name in optim.__all__
        if isinstance(getattr(optim, name), type)
        and issubclass(getattr(optim, name), optim.Optimizer)
    }
    assert public - tested == {"Optimizer"} | (elsewhere & public)


def test_the_table_of_equations_has_every_optimizer() -> None:
    page = (Path(__file__).parents[2] / "docs" / "optimizers.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1].partition("(")[0] for line in page.splitlines() if line[:3] == "| `"}
    kinds = {n for n in optim.__all__ if isinstance(getattr(optim, n), type)}
    assert kinds - rows == {"Optimizer", "ParamGroup"}


# fmt: off
REFUSED = [
    (optim.Adagrad,       {"lr_decay": -1.0},             "lr_decay=-1.0"),
    (optim.Adagrad,       {"initial_accumulator_value": -1.0}, "initial_accumulator_value=-1.0"),
    (optim.Adadelta,      {"rho": 1.5},                   "rho=1.5; expected a number from 0 to 1"),
    (optim.RMSprop,       {"centered": 1},                "expected True or False"),
    (optim.RMSprop,       {"momentum": -0.1},             "momentum=-0.1"),
    (optim.Adamax,        {"betas": (0.9, 1.0)},          "betas="),
    (optim.NAdam,         {"momentum_decay": -1.0},       "momentum_decay=-1.0"),
    (optim.RAdam,         {"eps": -1.0},                  "eps=-1.0"),
    (optim.Lion,          {"betas": 0.9},                 "expected two numbers"),
    (optim.LAMB,          {"weight_decay": -1.0},         "weight_decay=-1.0"),
    (optim.Muon,          {"ns_coefficients": (1.0, 2.0)}, "expected three numbers"),
    (optim.Muon,          {"ns_steps": 0},                "expected a whole number, 1 or more"),
    (optim.Muon,          {"adjust_lr_fn": "orginal"},    "did you mean 'original'"),
    (optim.Adafactor,     {"beta2_decay": 0.8},           "expected a number, 0 or less"),
    (optim.Adafactor,     {"d": 0.5},                     "expected a number, 1 or more"),
    (optim.Adafactor,     {"eps": (None, None)},          "eps=None"),
    (optim.Rprop,         {"etas": (1.1, 1.2)},           "one number below 1 and one above"),
    (optim.Rprop,         {"step_sizes": (1.0, 0.1)},     "the smallest step size, then"),
    (optim.ASGD,          {"alpha": -1.0},                "alpha=-1.0"),
    (optim.NormalizedSGD, {"by": "norm"},                 "Known: all, element, tensor"),
]
# fmt: on


@pytest.mark.parametrize(("kind", "options", "message"), REFUSED)
def test_refused(kind: type[optim.Optimizer], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        kind([tw.zeros(2, 2, requires_grad=True)], **options)
    assert str(caught.value).startswith(f"{kind.__name__}: ")


@pytest.mark.parametrize("kind", sorted({row[0] for row in REFUSED}, key=lambda k: k.__name__))
def test_a_misspelt_argument(kind: Any) -> None:
    with pytest.raises(ConfigError, match=r"has no 'weight_decy'; "):
        kind([tw.zeros(2, 2, requires_grad=True)], weight_decy=0.1)
