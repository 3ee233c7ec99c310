"""Weights normalized in either form: names, values, gradients, and what training does to them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import thalweg
from tests.reference.both import BOTH, TOLERANCES, assert_close, copied, numbers, tensors
from tests.reference.spelling import Samples

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated in favor of:FutureWarning")

normal = Samples(41).normal
_ROWS, _LINES, _IMAGES = normal(5, 3), normal(2, 6, 5), normal(2, 4, 5, 5)


def first(kind: str, layer: str, *sizes: int, **options: Any) -> Callable[[Any], Any]:
    """Builds a layer normalized by `nn.utils`."""
    return lambda tw: getattr(tw.nn.utils, kind)(getattr(tw.nn, layer)(*sizes), **options)


def orthogonal(name: str, *sizes: int, **options: Any) -> Callable[[Any], Any]:
    """Builds a layer with an orthogonal weight."""
    return lambda tw: tw.nn.utils.parametrizations.orthogonal(
        getattr(tw.nn, name)(*sizes), **options
    )


# fmt: off
BUILT: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "weight_norm":          (first("weight_norm", "Linear", 3, 4), _ROWS),
    "weight_norm 1":        (first("weight_norm", "Conv2d", 4, 2, 3, dim=1), _IMAGES),
    "weight_norm None":     (first("weight_norm", "Conv1d", 6, 2, 3, dim=None), _LINES),
    "weight_norm bias":     (first("weight_norm", "Linear", 3, 4, name="bias"), _ROWS),
    "weight_norm LSTM":     (first("weight_norm", "LSTM", 6, 3, name="weight_hh_l0"),
                             normal(4, 2, 6)),
    "spectral_norm":        (first("spectral_norm", "Linear", 3, 4), _ROWS),
    "spectral_norm +":      (first("spectral_norm", "Conv2d", 4, 2, 3, n_power_iterations=3,
                                   eps=1e-6, dim=1), _IMAGES),
    "spectral_norm turned": (first("spectral_norm", "ConvTranspose2d", 4, 2, 3), _IMAGES),
    "spectral_norm bias":   (first("spectral_norm", "Linear", 3, 4, name="bias"), _ROWS),
    "square":               (orthogonal("Linear", 3, 3), _ROWS),
    "square cayley":        (orthogonal("Linear", 3, 3, orthogonal_map="cayley"), _ROWS),
    "square householder":   (orthogonal("Linear", 3, 3, orthogonal_map="householder"), _ROWS),
    "tall":                 (orthogonal("Linear", 3, 5), _ROWS),
    "wide":                 (orthogonal("Linear", 3, 2), _ROWS),
    "tall exp":             (orthogonal("Linear", 3, 5, orthogonal_map="matrix_exp"), _ROWS),
    "wide cayley":          (orthogonal("Linear", 3, 2, orthogonal_map="cayley"), _ROWS),
    "wide householder":     (orthogonal("Linear", 3, 2, orthogonal_map="householder",
                                        use_trivialization=False), _ROWS),
    "batch":                (orthogonal("Conv1d", 4, 2, 3), normal(2, 4, 6)),
}
# fmt: on


def pair(name: str) -> tuple[Any, Any]:
    """The layer in both frameworks with PyTorch's state."""
    ours, theirs = (BUILT[name][0](tw) for tw in BOTH)
    ours.load_state_dict(copied(thalweg, theirs.state_dict()))
    return ours, theirs


def _trained(tw: Any, module: Any, x: Any, optimizer: Any) -> list[Any]:
    out = module(x)
    out = out[0] if isinstance(out, tuple) else out
    weights = numbers(out.numel()).reshape(tuple(out.shape)).astype("float32")
    loss = (out * tw.tensor(weights)).sum() / out.numel()
    optimizer.zero_grad()
    loss.backward()
    gradients = [p.grad.clone() for p in module.parameters()]
    optimizer.step()
    return [out.detach(), *gradients]


@pytest.mark.parametrize("is_compiled", [False, True])
@pytest.mark.parametrize("name", BUILT)
def test_training(name: str, is_compiled: bool) -> None:
    found = []
    for tw, module in zip(BOTH, pair(name), strict=True):
        x = tensors(tw, BUILT[name][1], "float32", differentiable=False)
        optimizer = tw.optim.SGD(module.parameters(), lr=0.1)
        step = partial(_trained, tw, module, x, optimizer)
        step = thalweg.compile(step) if is_compiled and tw is thalweg else step
        results = [y for _ in range(3) for y in step()]
        module.eval()
        out = module(x)
        results.append(out[0] if isinstance(out, tuple) else out)
        found.append([*results, *module.state_dict().values()])
    for position, (x, y) in enumerate(zip(*found, strict=True)):
        assert_close(x, y, TOLERANCES["trajectory", "float32"], f"{name} {position}")


@pytest.mark.parametrize("name", BUILT)
def test_names(name: str) -> None:
    ours, theirs = pair(name)
    layouts = [[(k, tuple(x.shape)) for k, x in m.state_dict().items()] for m in (ours, theirs)]
    assert layouts[0] == layouts[1]
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert [n for n, _ in ours.named_buffers()] == [n for n, _ in theirs.named_buffers()]
    assert repr(ours) == repr(theirs)


REMOVE = {"weight_norm": "remove_weight_norm", "spectral_norm": "remove_spectral_norm"}


@pytest.mark.parametrize("kind", REMOVE)
def test_removing(kind: str) -> None:
    found = []
    for tw, module in zip(BOTH, pair(kind), strict=True):
        x = tensors(tw, _ROWS, "float32", differentiable=False)
        module(x)
        assert getattr(tw.nn.utils, REMOVE[kind])(module) is module
        assert list(module.state_dict()) == ["bias", "weight"]
        found.append([module(x), module.weight])
    for x, y in zip(*found, strict=True):
        assert_close(x, y, TOLERANCES["value", "float32"], kind)


def test_what_is_read_outside_of_forward_moves_nothing(tw: Any) -> None:
    layer = tw.nn.utils.spectral_norm(tw.nn.Linear(3, 4))
    layer(tw.ones(1, 3))
    before = layer.state_dict()["weight_u"].tolist()
    _ = layer.weight, layer.weight
    assert layer.state_dict()["weight_u"].tolist() == before


@pytest.mark.parametrize("size", [(3, 3), (5, 3), (3, 5), (2, 4, 3)])
def test_an_orthogonal_weight_can_be_set(tw: Any, size: tuple[int, ...]) -> None:
    module = tw.nn.Module()
    module.weight = tw.nn.Parameter(tw.ones(size))
    tw.nn.utils.parametrizations.orthogonal(module)
    given = np.linalg.qr(normal(*size) if size[-2] >= size[-1] else normal(*size[::-1]))[0]
    given = given if size[-2] >= size[-1] else np.swapaxes(given, -1, -2)
    with tw.no_grad():
        module.weight = tw.tensor(given.astype("float32"))
    np.testing.assert_allclose(module.weight.detach().numpy(), given, atol=2e-6)
