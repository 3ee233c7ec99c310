from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ConfigError, ShapeError
from thalweg.optim import SGD, Adam


def leaf(*size: int) -> tw.Tensor:
    return tw.ones(*size, requires_grad=True)


def group_of(**options: Any) -> Any:
    (group,) = SGD([leaf(2)], **options).param_groups
    return group


# --- what a group holds ---------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.25, 1, np.float32(0.25), tw.tensor(0.25), tw.tensor(3)])
def test_setting_lr_keeps_the_tensor(value: Any) -> None:
    group = group_of(lr=0.1)
    lr = group["lr"]
    group["lr"] = value
    assert group["lr"] is lr
    assert (lr.dtype, lr.shape, float(lr)) == (tw.float64, (), float(value))


def test_lr_reads_like_a_number() -> None:
    group = group_of(lr=0.1)
    assert group["lr"] == 0.1
    assert group["lr"] < 0.2
    assert f"{group['lr']:.2e}" == "1.00e-01"
    assert float(group["lr"]) == 0.1


def test_lr_changes_in_place() -> None:
    group = group_of(lr=0.1)
    lr = group["lr"]
    group["lr"] *= 0.5
    assert group["lr"] is lr
    assert float(lr) == 0.05


def test_lr_may_be_given_as_a_tensor_which_stays_the_callers() -> None:
    lr = tw.tensor(0.5, requires_grad=True)
    group = group_of(lr=lr)
    group["lr"] *= 0.5
    assert (lr.item(), float(group["lr"]), group["lr"].requires_grad) == (0.5, 0.25, False)


def test_groups_do_not_share_their_lr() -> None:
    optimizer = SGD([{"params": [leaf(1)]}, {"params": [leaf(1)]}], lr=0.5)
    optimizer.param_groups[0]["lr"] = 0.1
    assert [float(group["lr"]) for group in optimizer.param_groups] == [0.1, 0.5]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lr", -0.1),
        ("lr", float("nan")),
        ("lr", "0.1"),
        ("momentum", -0.9),
        ("momentum", tw.tensor(0.9)),
        ("dampening", "no"),
        ("weight_decay", -1e-4),
        ("nesterov", 1),
        ("maximize", None),
        ("form", "polack"),
        ("params", []),
        ("param_names", []),
    ],
)
def test_what_cannot_be_set(key: str, value: object) -> None:
    group = group_of()
    before = dict(group)
    with pytest.raises(ConfigError, match=key):
        group[key] = value
    assert {k: id(v) for k, v in group.items()} == {k: id(v) for k, v in before.items()}


def test_lr_of_another_shape() -> None:
    with pytest.raises(ConfigError, match=r"lr of shape \(1,\)"):
        group_of(lr=tw.tensor([0.1]))
    with pytest.raises(ShapeError):
        group_of()["lr"] = tw.tensor([0.1, 0.2])


def test_unknown_names() -> None:
    group = group_of()
    with pytest.raises(ConfigError, match="SGD has no 'momentun'; did you mean 'momentum'"):
        group["momentun"] = 0.9
    with pytest.raises(KeyError, match="did you mean 'momentum'"):
        group["momentun"]
    with pytest.raises(ConfigError, match="keeps its 'lr'"):
        del group["lr"]


def test_it_is_a_mapping_and_checks_update_too() -> None:
    group = group_of(lr=0.1)
    lr = group["lr"]
    group.update(lr=0.2, momentum=0.5)
    assert group["lr"] is lr
    assert float(lr) == 0.2
    assert {**group}["momentum"] == 0.5
    assert {"lr", "params", "momentum"} <= set(group)
    assert "'momentum': 0.5" in repr(group)
    with pytest.raises(ConfigError, match="weight_decay"):
        group.update(weight_decay=-1)


def test_a_name_of_ones_own() -> None:
    (group,) = SGD([{"params": [leaf(1)], "name": "head"}]).param_groups
    assert group["name"] == "head"


# --- what an optimizer is given -------------------------------------------------------------------


def test_tensors_groups_and_names() -> None:
    a, b, c = leaf(1), leaf(2), leaf(3)
    optimizer = SGD([{"params": a, "lr": 1.0}, {"params": [b, c], "momentum": 0.5}], lr=0.1)
    first, second = optimizer.param_groups
    assert [p is q for p, q in zip(first["params"], [a], strict=True)] == [True]
    assert [p is q for p, q in zip(second["params"], [b, c], strict=True)] == [True, True]
    assert (float(first["lr"]), first["momentum"]) == (1.0, 0.0)
    assert (float(second["lr"]), second["momentum"]) == (0.1, 0.5)
    (named,) = SGD([("weight", a), ("bias", b)]).param_groups
    assert named["param_names"] == ("weight", "bias")
    assert len(named["params"]) == 2


def test_a_generator_is_fine_once() -> None:
    generator = (p for p in [leaf(1), leaf(2)])
    SGD(generator)
    with pytest.raises(ConfigError, match=r"empty parameter list.*once: call it again"):
        SGD(generator)
    with pytest.raises(ConfigError, match="used up"):
        SGD([{"params": [leaf(1)]}, {"params": generator}])


def test_an_empty_list_beside_others_is_a_group() -> None:
    optimizer = Adam([{"params": [leaf(1)]}, {"params": [], "lr": 0.5}])
    optimizer.param_groups[0]["params"][0].grad = tw.ones(1)
    optimizer.step()
    assert len(optimizer.state_dict()["param_groups"]) == 2


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([], "empty parameter list"),
        ([{"params": []}], "empty parameter list"),
        (leaf(2), r"write \[tensor\]"),
        ({"params": [leaf(2)]}, "is a mapping"),
        ({leaf(2)}, "no order"),
        ("weights", "is a str"),
        (3, "is a int"),
        ([1.0], r"params\[0\] is a float"),
        ([leaf(2), None], r"params\[1\] is a NoneType"),
        ([np.ones(3)], "is a ndarray"),
        ([leaf(2), {"params": [leaf(2)]}], "mixes groups"),
        ([leaf(2), ("bias", leaf(2))], r"mixes \(name, tensor\)"),
        ([{"param": [leaf(2)]}], 'without "params"; it has: param'),
        ([{"params": [leaf(2)], "param_names": ["a"]}], "names are given with"),
        ([{"params": [leaf(2)], "lrr": 0.1}], "no 'lrr'; did you mean 'lr'"),
        ([{"params": [leaf(2)], "lr": -1}], "SGD: lr=-1"),
        ([leaf(2) * 2], "computed from other tensors"),
        ([tw.arange(3)], "float32 or float64"),
        ([tw.ones(3).half()], "float32 or float64"),
    ],
)
def test_what_an_optimizer_refuses(params: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SGD(params)


def test_duplicates() -> None:
    a, b = leaf(2), leaf(3)
    with pytest.raises(
        ConfigError, match=r"parameter 2 of group 0, of shape \(2,\), is given twice"
    ):
        SGD([a, b, a])
    with pytest.raises(ConfigError, match="parameter 'bias' of group 1"):
        SGD([{"params": [a]}, {"params": [("weight", b), ("bias", a)]}])
