"""Modules: names, order and shapes of what they hold; outputs and gradients from equal weights."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch

import thalweg
from tests.reference import cases_attention, cases_layers
from tests.reference.both import (
    BOTH,
    DTYPES,
    TOLERANCES,
    assert_close,
    copied,
    dtype_name,
    flat,
    numbers,
    plain,
    tensors,
)
from tests.reference.cases_modules import LAYERS, LOSSES, MODELS, Built
from tests.reference.cases_recurrent import RECURRENT

# PyTorch builds its Transformer with an option that does not fit the rest, and says which library
# it does without.
pytestmark = [
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True:UserWarning"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported:UserWarning"),
]

MODULES = {**cases_layers.MODULES, **RECURRENT}
ALL = {**LAYERS, **LOSSES, **MODELS, **MODULES, **cases_attention.LAYERS}
# Ours alone, or with nothing to compare: containers stand in the models.
NOT_TABLED = {
    *("Module", "ModuleDict", "ModuleList", "Parameter", "ParameterDict", "ParameterList"),
    "Sequential",
}
# Ours name the option as every other module does, and a parameter's dtype by our name.
# PyTorch's attention prints the class of its last layer, which is private.
PRINTED_OTHERWISE = (
    *("Hardshrink", "Softshrink", "held"),
    *{name.split()[0] for name in cases_attention.LAYERS},
)


def pair(built: Built) -> tuple[Any, Any]:
    """The module in both frameworks, with PyTorch's initial weights in both."""
    ours, theirs = (built.build(tw) for tw in BOTH)
    ours.load_state_dict(copied(thalweg, theirs.state_dict()))
    return ours, theirs


def layout(state: dict[str, Any]) -> list[tuple[str, tuple[int, ...], str]]:
    return [(name, tuple(x.shape), dtype_name(x)) for name, x in state.items()]


def backward(tw: Any, module: Any, built: Built, dtype: str) -> tuple[list[Any], list[Any]]:
    """The outputs, and the gradients of all parameters and inputs, for fixed cotangents."""
    inputs = [tensors(tw, x, dtype) for x in built.inputs]
    outputs = flat(module(*inputs))
    weights = [numbers(y.numel()).reshape(tuple(y.shape)).astype(dtype) for y in outputs]
    total = sum((y * tw.tensor(w)).sum() for y, w in zip(outputs, weights, strict=True))
    if total.requires_grad:
        total.backward()
    return outputs, [x.grad for x in chain(module.parameters(), inputs) if x.requires_grad]


@pytest.mark.parametrize("name", ALL)
def test_state_dict_has_the_same_layout(name: str) -> None:
    ours, theirs = (ALL[name].build(tw) for tw in BOTH)
    assert layout(ours.state_dict()) == layout(theirs.state_dict())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert [n for n, _ in ours.named_buffers()] == [n for n, _ in theirs.named_buffers()]
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in theirs.named_modules()]
    assert [n for n, _ in ours.named_children()] == [n for n, _ in theirs.named_children()]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALL)
def test_outputs_and_gradients(name: str, dtype: str) -> None:
    modules = pair(ALL[name])
    if dtype == "float64":
        modules = tuple(module.double() for module in modules)
    found = [backward(tw, m, ALL[name], dtype) for tw, m in zip(BOTH, modules, strict=True)]
    for what, ours, theirs in zip(("output", "gradient"), *found, strict=True):
        assert len(ours) == len(theirs)
        for position, (x, y) in enumerate(zip(ours, theirs, strict=True)):
            loose = name == "Hardsigmoid"  # PyTorch's derivative has 1/6 in float32
            kind = "float32" if loose else dtype
            assert_close(x, y, TOLERANCES["value", kind], f"{what} {position}")


@pytest.mark.parametrize("is_compiled", [False, True])
@pytest.mark.parametrize("name", MODULES)
def test_what_it_keeps_and_eval_mode(name: str, is_compiled: bool) -> None:
    """Two batches in training, then one in eval mode; all compiled, too."""
    found = []
    for tw, module in zip(BOTH, pair(MODULES[name]), strict=True):
        inputs = [tensors(tw, x, "float32") for x in MODULES[name].inputs]
        run = partial(_outputs, tw, module, inputs)
        run = thalweg.compile(run) if is_compiled and tw is thalweg else run
        training = [run(1.0), run(0.5)]
        module.eval()
        found.append([*flat([*training, run(1.0)]), *module.state_dict().values()])
    for position, (x, y) in enumerate(zip(*found, strict=True)):
        assert_close(x, y, TOLERANCES["value", "float32"], f"{position}")


def _outputs(tw: Any, module: Any, inputs: list[Any], share: float) -> list[Any]:
    """Outputs and gradients of parameters and inputs."""
    leaves = [x for x in (*module.parameters(), *inputs) if x.requires_grad]
    outputs = flat(module(*(x * share if x.is_floating_point() else x for x in inputs)))
    weights = [numbers(y.numel()).reshape(tuple(y.shape)).astype("float32") for y in outputs]
    total = sum((y * tw.tensor(w)).sum() for y, w in zip(outputs, weights, strict=True))
    return [*outputs, *tw.autograd.grad(total, leaves)] if total.requires_grad else outputs


@pytest.mark.parametrize("name", ALL)
def test_prints_alike(name: str) -> None:
    ours, theirs = (repr(ALL[name].build(tw)) for tw in BOTH)
    assert (ours == theirs) == (name.split()[0] not in PRINTED_OTHERWISE)


def test_every_common_module_is_compared() -> None:
    common = {name for name in thalweg.nn.__all__ if name[0].isupper() and hasattr(torch.nn, name)}
    tabled = {name.split()[0] for name in (*LAYERS, *LOSSES, *MODULES, *cases_attention.LAYERS)}
    assert common - tabled == NOT_TABLED


@pytest.mark.parametrize("name", MODELS)
def test_state_goes_both_ways_by_numpy(name: str) -> None:
    ours, theirs = (MODELS[name].build(tw) for tw in BOTH)
    ours.load_state_dict({key: plain(x) for key, x in theirs.state_dict().items()})
    assert {key: x.tolist() for key, x in ours.state_dict().items()} == {
        key: x.tolist() for key, x in theirs.state_dict().items()
    }
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.zero_()
    theirs.load_state_dict(copied(torch, ours.state_dict()))
    for key, x in ours.state_dict().items():
        np.testing.assert_array_equal(plain(x), plain(theirs.state_dict()[key]))


def test_strict_and_not(tw: Any) -> None:
    model = MODELS["perceptron"].build(tw)
    state = model.state_dict()
    state["extra"] = state.pop("0.weight")
    with pytest.raises(RuntimeError, match=r"0\.weight"):
        model.load_state_dict(state)
    result = model.load_state_dict(state, strict=False)
    assert (result.missing_keys, result.unexpected_keys) == (["0.weight"], ["extra"])


def test_prefix(tw: Any) -> None:
    model = MODELS["held"].build(tw)
    assert list(model.state_dict(prefix="a.")) == [f"a.{name}" for name in model.state_dict()]


def test_modes(tw: Any) -> None:
    model = MODELS["nested"].build(tw)
    assert all(module.training for module in model.modules())
    assert model.eval() is model
    assert not any(module.training for module in model.modules())
    assert model.train() is model
    assert model[2].training


def test_tied_weights_count_once(tw: Any) -> None:
    model = MODELS["tied"].build(tw)
    assert [name for name, _ in model.named_parameters()] == ["embedding.weight"]
    assert list(model.state_dict()) == ["embedding.weight", "output.weight"]


def test_apply_and_freeze(tw: Any) -> None:
    model, seen = MODELS["nested"].build(tw), []
    assert model.apply(lambda module: seen.append(type(module).__name__)) is model
    assert seen == [
        "Flatten",
        "Linear",
        "Linear",
        "PReLU",
        *["Sequential"] * 2,
        "Linear",
        "Sequential",
    ]
    assert model.requires_grad_(False) is model
    assert not any(p.requires_grad for p in model.parameters())


def test_hooks(tw: Any) -> None:
    model = MODELS["perceptron"].build(tw)
    seen: list[str] = []
    before = model[0].register_forward_pre_hook(lambda module, args: seen.append("before"))
    model[0].register_forward_hook(lambda module, args, output: seen.append("after"))
    model[1].register_forward_hook(lambda module, args, output: output * 0)
    output = model(tw.ones(2, 4))
    bias = model[3].bias.detach()
    assert (output == bias.tanh()).all()
    before.remove()
    model(tw.ones(2, 4))
    assert seen == ["before", "after", "after"]


def test_zero_grad(tw: Any) -> None:
    model = MODELS["perceptron"].build(tw)
    model(tw.ones(2, 4)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    model(tw.ones(2, 4)).sum().backward()
    model.zero_grad(set_to_none=False)
    assert all(not p.grad.any() for p in model.parameters())


def test_containers_change(tw: Any) -> None:
    nn = tw.nn
    layers = nn.ModuleList([nn.Linear(1, 1)])
    layers.append(nn.ReLU())
    layers.extend([nn.Tanh(), nn.Linear(2, 2)])
    layers.insert(0, nn.Identity())
    del layers[2]
    assert [type(x).__name__ for x in layers] == ["Identity", "Linear", "Tanh", "Linear"]
    assert list(layers.state_dict()) == ["1.weight", "1.bias", "3.weight", "3.bias"]
    model = nn.Sequential(*layers[1:])
    model[1] = nn.ReLU()
    assert [type(x).__name__ for x in model[:2]] == ["Linear", "ReLU"]
    assert (len(model), len(layers)) == (3, 4)
    heads = nn.ModuleDict({"a": nn.Linear(1, 1)})
    heads["b"] = nn.ReLU()
    assert (list(heads.keys()), "a" in heads, len(heads)) == (["a", "b"], True, 2)


def test_submodules_by_name(tw: Any) -> None:
    model = MODELS["held"].build(tw)
    assert model.get_submodule("layers.0") is model.layers[0]
    assert model.get_parameter("layers.0.weight") is model.layers[0].weight
    assert model.get_buffer("shift") is model.shift


def test_vectors_of_parameters() -> None:
    ours, theirs = pair(MODELS["held"])
    vectors = [
        tw.nn.utils.parameters_to_vector(m.parameters())
        for tw, m in zip(BOTH, (ours, theirs), strict=True)
    ]
    np.testing.assert_array_equal(*(plain(v) for v in vectors))
    for tw, module, vector in zip(BOTH, (ours, theirs), vectors, strict=True):
        tw.nn.utils.vector_to_parameters(vector * 2, module.parameters())
    for (name, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        np.testing.assert_array_equal(plain(p), plain(q), err_msg=name)
