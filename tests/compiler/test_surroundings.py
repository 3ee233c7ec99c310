"""What a compiled function reads beside its arguments may change: it is never of the past."""

from __future__ import annotations

import importlib
import random
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.compiler.tracing import surroundings
from thalweg.compiler.tracing.surroundings import Surroundings
from thalweg.errors import TraceError

SETTING = 1.0
SETTINGS = types.SimpleNamespace(scale=1.0, unread=0)
X = tw.tensor([[1.0, -2.0, 3.0]])


def times_setting(x: tw.Tensor) -> tw.Tensor:
    return x * SETTING


@dataclass(eq=False)
class Plan:
    """A user's own object with a method that is compiled."""

    scale: float = 1.0
    steps: int = 0
    layers: list[nn.Module] = field(default_factory=list)
    table: dict[str, float] = field(default_factory=lambda: {"scale": 1.0})

    factor = 1.0

    def run(self, x: tw.Tensor) -> tw.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x * self.scale * self.table["scale"] * self.factor


class Net(nn.Module):
    def __init__(self) -> None:
        self.inner = nn.Linear(3, 3)
        self.scale = 1.0
        self.kind = "plain"
        self.epoch = 0

    def forward(self, x: tw.Tensor) -> tw.Tensor:
        y = self.inner(x) if self.kind == "plain" else x
        return y * self.scale


Case = tuple[Callable[..., Any], Callable[[], object]]


def a_global() -> Case:
    def change() -> None:
        global SETTING
        SETTING += 1

    return (lambda x: x + SETTING), change


def a_global_of_a_function_it_calls() -> Case:
    return (lambda x: times_setting(x) + 1), a_global()[1]


def an_attribute_of_a_global() -> Case:
    def change() -> None:
        SETTINGS.scale += 1

    return (lambda x: x * SETTINGS.scale), change


def a_variable_around() -> Case:
    k = 1

    def change() -> None:
        nonlocal k
        k += 1

    return (lambda x: x * k), change


def a_tensor_s_name() -> Case:
    w = tw.ones(3)

    def change() -> None:
        nonlocal w
        w = w + 1

    return (lambda x: x * w), change


def an_item_of_a_list() -> Case:
    w = [tw.ones(3)]
    return (lambda x: x * w[0]), lambda: w.append(w.pop() + 1)


def the_length_of_a_list() -> Case:
    layers: list[Callable[[tw.Tensor], tw.Tensor]] = [tw.relu]

    def run(x: tw.Tensor) -> tw.Tensor:
        for layer in layers:
            x = layer(x)
        return x

    return run, lambda: layers.append(tw.exp)


def an_entry_of_a_dictionary() -> Case:
    config = {"scale": 1.0}
    return (lambda x: x * config["scale"]), lambda: config.update(scale=2.0)


def an_array() -> Case:
    a = np.ones(3, dtype=np.float32)
    return (lambda x: x * tw.tensor(a)), lambda: a.fill(3)


def a_method_of_a_dictionary() -> Case:
    config = {"scale": 1.0}
    get = config.get
    return (lambda x: x * get("scale")), lambda: config.update(scale=2.0)


def an_array_s_nan() -> Case:
    a = np.array([np.nan, 1.0, 2.0], dtype=np.float32)
    return (lambda x: x * tw.tensor(a[1:2])), lambda: a.__setitem__(1, 3.0)


def a_method_s_object() -> Case:
    plan = Plan()
    return plan.run, lambda: setattr(plan, "scale", 2.0)


def a_method_s_list() -> Case:
    plan = Plan()
    return plan.run, lambda: plan.layers.append(nn.Linear(3, 2))


def a_method_s_dictionary() -> Case:
    plan = Plan()
    return plan.run, lambda: plan.table.update(scale=3.0)


def a_class_s_attribute() -> Case:
    def change() -> None:
        Plan.factor += 1.0

    return Plan().run, change


def an_attribute_over_a_class_s() -> Case:
    plan = Plan()
    return plan.run, lambda: setattr(plan, "factor", plan.factor + 1)


def a_bound_argument() -> Case:
    w = [1.0]
    return partial(lambda w, x: x * w[0], w), lambda: w.__setitem__(0, 2.0)


def a_module_s_number() -> Case:
    net = Net()
    return net, lambda: setattr(net, "scale", 2.0)


def a_module_s_word() -> Case:
    net = Net()
    return net, lambda: setattr(net, "kind", "none")


def a_layer_s_number() -> Case:
    layer = nn.LeakyReLU(0.1)
    return (lambda x: layer(x)), lambda: setattr(layer, "negative_slope", 0.5)


def a_parameter() -> Case:
    layer = nn.Linear(3, 3)
    return layer, lambda: setattr(layer, "weight", nn.Parameter(tw.ones(3, 3)))


def a_layer_of_a_network() -> Case:
    net = Net()
    return net, lambda: setattr(net, "inner", nn.Linear(3, 5))


def one_more_layer() -> Case:
    model = nn.Sequential(nn.Linear(3, 3))
    return model, lambda: model.append(nn.Linear(3, 2))


def a_hook() -> Case:
    net = Net()
    return net, lambda: net.inner.register_forward_hook(lambda m, given, out: out + 1)


def a_forward_of_its_own() -> Case:
    net = Net()
    return net, lambda: setattr(net, "forward", lambda x: x + 7)


def a_parametrization() -> Case:
    layer: Any = nn.Linear(3, 3)

    def change() -> None:
        nn.utils.parametrizations.weight_norm(layer)
        with tw.no_grad():
            layer.parametrizations.weight.original0.mul_(2)

    return layer, change


def a_name_given_to_another_function() -> Case:
    act: Any = tw.relu

    def change() -> None:
        nonlocal act
        act = tw.exp

    return (lambda x: act(x)), change


CASES = [
    a_global, a_global_of_a_function_it_calls, an_attribute_of_a_global, a_variable_around,
    a_tensor_s_name, an_item_of_a_list, the_length_of_a_list, an_entry_of_a_dictionary, an_array,
    a_method_of_a_dictionary, an_array_s_nan,
    a_method_s_object, a_method_s_list, a_method_s_dictionary, a_class_s_attribute,
    an_attribute_over_a_class_s, a_bound_argument, a_module_s_number, a_module_s_word,
    a_layer_s_number, a_parameter, a_layer_of_a_network, one_more_layer, a_hook,
    a_forward_of_its_own, a_parametrization, a_name_given_to_another_function,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_changes_outside_is_seen(case: Callable[[], Case]) -> None:
    fn, change = case()
    compiled = tw.compile(fn)
    before = compiled(X)
    assert tw.allclose(before, fn(X), atol=1e-6)
    assert len(programs(compiled)) == 1
    change()
    assert tw.allclose(compiled(X), fn(X), atol=1e-6)
    assert compiled(X).tolist() != before.tolist(), "the case changes nothing"
    assert len(programs(compiled)) == 2


def programs(compiled: Any) -> list[Any]:
    """Every trace that a compiled function has kept."""
    return [entry for entries in compiled.programs.values() for entry in entries]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_stays_is_traced_once(case: Callable[[], Case]) -> None:
    fn, _ = case()
    compiled = tw.compile(fn)
    for _ in range(3):
        compiled(X)
    assert len(programs(compiled)) == 1


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_changes_inside_a_transform_is_seen(case: Callable[[], Case]) -> None:
    fn, change = case()
    mapped = tw.func.vmap(fn)
    compiled, several = tw.compile(mapped), tw.stack([X, X + 1])
    compiled(several)
    change()
    assert tw.allclose(compiled(several), mapped(several), atol=1e-6)
    assert len(programs(compiled)) == 2


def test_names_of_ours_are_no_surroundings() -> None:
    """A transform of a function wraps it, and goes by its name and module."""
    transformed = tw.func.vmap(tw.func.grad(lambda x: (x * x).sum()))
    assert Surroundings((transformed,)).is_empty


def test_scan_sees_it_too() -> None:
    k = 1.0
    step = tw.compile(lambda x: x * k)
    assert step.scan(tw.ones(2)).tolist() == [1, 1]
    k = 3.0
    assert step.scan(tw.ones(2)).tolist() == [3, 3]


def test_what_is_not_read_may_change() -> None:
    net, plan = Net(), Plan()
    model, method = tw.compile(net), tw.compile(plan.run)
    for count in range(3):
        SETTINGS.unread = net.epoch = plan.steps = count
        model(X), method(X)
    assert len(programs(model)) == len(programs(method)) == 1


def test_going_back_needs_no_trace() -> None:
    k = 1
    step = tw.compile(lambda x: x * k)
    for k in (1, 2, 1, 2):
        assert step(tw.ones(1)).item() == k
    assert len(programs(step)) == 2


def test_an_object_that_is_an_argument() -> None:
    @tw.compile
    def run(plan: Plan, x: tw.Tensor) -> tw.Tensor:
        return x * plan.scale

    plan = Plan()
    assert run(plan, tw.ones(1)).item() == 1
    plan.scale = 4.0
    assert run(plan, tw.ones(1)).item() == 4


def test_a_counter_of_its_own_is_counted() -> None:
    plan = Plan()

    @tw.compile
    def run(x: tw.Tensor) -> tw.Tensor:
        plan.steps += 1
        return x * plan.steps

    assert [run(tw.ones(1)).item() for _ in range(3)] == [1, 2, 3]


def test_what_it_appends_itself_is_no_change() -> None:
    shapes: list[Any] = []
    seen: dict[Any, bool] = {}

    @tw.compile
    def double(x: tw.Tensor) -> tw.Tensor:
        shapes.append(tuple(x.shape))
        seen[tuple(x.shape)] = True
        return x * 2

    for n in (3, 3, 5, 3, 5):
        double(tw.ones(n))
    assert shapes == [(3,), (5,)]


def test_a_state_that_is_a_name_is_refused() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            self.h = tw.zeros(3)

        def forward(self, x: tw.Tensor) -> tw.Tensor:
            self.h = tw.tanh(self.h + x)
            return self.h

    model = tw.compile(Recurrent())
    model(tw.ones(3))
    with pytest.raises(TraceError, match="escaped from a compiled function"):
        model(tw.ones(3))


def test_a_value_that_is_kept_in_a_list_is_refused() -> None:
    losses: list[tw.Tensor] = []
    log: dict[str, tw.Tensor] = {}

    def in_a_list(x: tw.Tensor) -> tw.Tensor:
        losses.append(x.sum())
        return x

    def in_a_dictionary(x: tw.Tensor) -> tw.Tensor:
        log["loss"] = x.sum()
        return x

    def in_a_default(x: tw.Tensor, seen: list[tw.Tensor] = []) -> Any:  # noqa: B006
        seen.append(x * 2)
        return sum(seen)

    keep = losses.append

    def in_a_bound_method(x: tw.Tensor) -> tw.Tensor:
        keep(x * 2)
        return x

    for keeping in (in_a_list, in_a_dictionary, in_a_default, in_a_bound_method):
        step = tw.compile(keeping)
        for _ in range(2):
            with pytest.raises(TraceError, match=r"(?s)Return the value.* made at .*in in_a"):
                step(tw.ones(3))
        assert keeping(tw.ones(3)) is not None, "and eagerly it works"
    assert (len(losses), len(log)) == (2, 1)


@pytest.mark.parametrize("draw", [random.random, np.random.rand])
def test_a_number_drawn_elsewhere_is_warned_of(draw: Callable[[], float]) -> None:
    step = tw.compile(lambda x: x + draw())
    with pytest.warns(UserWarning, match=r"same at every call. Draw with tw\.rand"):
        step(tw.ones(1))
    step(tw.ones(1))  # says it once


@pytest.mark.parametrize("give", [lambda x: Plan(x * 2), lambda x: (y for y in [x])])
def test_a_result_is_made_of_tensors(give: Callable[[Any], Any]) -> None:
    with pytest.raises(TraceError, match="tuples; this one gave a (Plan|generator)"):
        tw.compile(give)(tw.ones(1))


def test_a_result_kept_in_an_attribute_is_no_change() -> None:
    class Watched(nn.Module):
        def forward(self, x: tw.Tensor) -> tw.Tensor:
            self.kept = x * 2
            return self.kept + 1

    model = tw.compile(Watched())
    for _ in range(4):
        assert model(tw.ones(1)).item() == 3
    assert len(programs(model)) <= 2


def test_the_warning_says_what_changes() -> None:
    k = 0.0
    step = tw.compile(lambda x: x + k)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for k in range(18):
            assert step(tw.ones(1)).item() == k + 1
    (warning,) = found
    assert "traced 16 times; the last time because k was 15 and is 16" in str(warning.message)
    assert len(programs(step)) == 16, "old programs go"


def test_zeros_of_two_signs_and_nan_are_arguments() -> None:
    step = tw.compile(lambda x, k: x * k)
    signs = [np.signbit(step(tw.ones(1), k).numpy())[0] for k in (0.0, -0.0, 0.0)]
    assert signs == [False, True, False]
    for _ in range(3):
        step(tw.ones(1), float("nan"))
    assert len(programs(step)) == 3


def a_generator() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    "root", [1, None, "word", np, tw, tw.relu, len, a_generator(), Plan, object(), {1: {2: [3]}}]
)
def test_anything_can_be_looked_at(root: Any) -> None:
    around = Surroundings([root])
    assert around.hold()
    around.settle()
    assert around.hold()


# What an installed package has in a module: a number, and a function that reads another.
PACKAGE = {
    "__init__": "from package import inside\nSCALE = 1.0\n"
    "def times(x): return x * inside.scale()\n",
    "inside": "WITHIN = 1.0\ndef scale(): return WITHIN\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A package that lies where packages are installed."""
    folder = tmp_path / "package"
    folder.mkdir()
    for name, text in PACKAGE.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(surroundings, "_INSTALLED", (str(tmp_path),))
    surroundings._is_installed.cache_clear()
    yield importlib.import_module("package")
    surroundings._is_installed.cache_clear()
    for name in ("package", "package.inside"):
        sys.modules.pop(name)


def test_of_an_installed_package_what_users_read_is_looked_at(package: Any) -> None:
    step = tw.compile(lambda x: package.times(x) * package.SCALE)
    assert step(tw.ones(1)).item() == 1
    package.SCALE = 2.0
    assert step(tw.ones(1)).item() == 2
    package.inside.WITHIN = 3.0  # its own business
    assert step(tw.ones(1)).item() == 2


def test_an_installed_package_that_compiles_is_looked_into(package: Any) -> None:
    step = tw.compile(package.times)
    assert step(tw.ones(1)).item() == 1
    package.inside.WITHIN = 3.0
    assert step(tw.ones(1)).item() == 3
