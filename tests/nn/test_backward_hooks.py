"""Hooks on the gradients of a module: what they see, what they replace; eager and compiled."""

from __future__ import annotations

from typing import Any

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import GradientError, TraceError


class Two(nn.Module):
    """Two results of two arguments, an integer between them."""

    def forward(self, x: Any, count: Any, y: Any) -> Any:
        return x * y * count, y


def test_a_hook_that_gives_another_number_of_gradients() -> None:
    x = tw.ones(2, requires_grad=True)
    layer = nn.Tanh()
    handle = layer.register_full_backward_hook(lambda m, i, o: (i[0], i[0]))
    with pytest.raises(GradientError, match="backward hook of Tanh gives 2 gradients for 1"):
        layer(x).sum().backward()
    handle.remove()
    layer.register_full_backward_pre_hook(lambda m, o: ())
    with pytest.raises(GradientError, match="pre-hook of Tanh gives 0 gradients for 1"):
        layer(x).sum().backward()


def test_no_input_requires_a_gradient() -> None:
    layer, seen = nn.Linear(2, 1), []
    handle = layer.register_full_backward_hook(lambda m, i, o: seen.append((i, o[0].tolist())))
    layer(tw.ones(1, 2)).sum().backward()
    assert seen == [((None,), [[1.0]])]
    handle.remove()
    layer.register_full_backward_hook(lambda m, i, o: o)
    with pytest.raises(GradientError, match="of which none requires a gradient"):
        layer(tw.ones(1, 2)).sum().backward()


def test_off_the_tape_nothing_is_seen() -> None:
    layer, seen = nn.Linear(2, 1), []
    layer.register_full_backward_hook(lambda m, i, o: seen.append(o))
    with tw.no_grad():
        assert not layer(tw.ones(1, 2)).requires_grad
    assert seen == []


def test_the_last_one_removed_makes_calls_fast_again() -> None:
    layer = nn.Linear(2, 1)
    one = layer.register_full_backward_hook(lambda *given: None)
    two = layer.register_full_backward_pre_hook(lambda *given: None)
    one.remove()
    assert layer._hooks is not None
    two.remove()
    assert layer._hooks is None


def test_every_backward_pass_is_seen_whole() -> None:
    layer, seen = Two(), []
    layer.register_full_backward_hook(
        lambda m, i, o: seen.append([None if g is None else g.tolist() for g in (*i, *o)])
    )
    x, y = (tw.tensor([v], requires_grad=True) for v in (2.0, 5.0))
    product, _ = layer(x, tw.tensor(3), y)
    product.backward(tw.tensor([1.0]), retain_graph=True)
    product.backward(tw.tensor([10.0]))
    assert seen == [
        [[15.0], None, [6.0], [1.0], [0.0]],
        [[150.0], None, [60.0], [10.0], [0.0]],
    ]


def test_through_transforms() -> None:
    layer = nn.Linear(2, 2, bias=False)
    layer.register_full_backward_hook(lambda m, i, o: (i[0] * 2,))
    weight = layer.weight.detach()

    def loss(x: tw.Tensor) -> tw.Tensor:
        return layer(x).sum()

    x = tw.randn(3, 2)
    wanted = (2 * weight.sum(0)).expand(3, 2)
    assert tw.allclose(tw.func.vmap(tw.func.grad(loss))(x), wanted)


def trained(compiled: str) -> Any:
    """Three steps with hooks that clip, scale and note; the parameters and what was noted."""
    tw.manual_seed(2)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    noted = tw.zeros(4)
    x, target = tw.randn(8, 3), tw.randn(8, 2)

    def note(module: Any, grad_input: Any, grad_output: Any) -> Any:
        if compiled != "model":  # its backward pass is a program that writes no state
            noted.copy_(grad_output[0].abs().mean(0))
        return (grad_input[0] * 0.5,)

    model[1].register_full_backward_hook(note)
    model[2].register_full_backward_pre_hook(lambda module, out: (out[0].clamp(-0.05, 0.05),))
    model[2].weight.register_hook(lambda g: g * 3)
    model[0].register_forward_pre_hook(
        lambda module, args, kwargs: ((args[0] * 2,), kwargs), with_kwargs=True
    )
    optimizer = tw.optim.SGD(model.parameters(), lr=0.5)
    run: Any = tw.compile(model) if compiled == "model" else model

    def step() -> Any:
        out = run(x)
        hidden = out * 1
        hidden.retain_grad()
        hidden.register_hook(lambda g: g * 2)
        loss = (hidden - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, hidden.grad

    call = tw.compile(step) if compiled == "step" else step
    found = [y for _ in range(3) for y in call()]
    return [*found, noted, *model.state_dict().values()]


@pytest.mark.parametrize("compiled", ["step", "model"])
def test_compiled(compiled: str) -> None:
    wanted = trained("no")
    found = trained(compiled)
    if compiled == "model":
        del wanted[6], found[6]
    for x, y in zip(found, wanted, strict=True):
        assert tw.allclose(x, y, rtol=1e-4, atol=1e-6)


def test_a_hook_registered_or_removed_between_compiled_steps() -> None:
    layer = nn.Linear(1, 1, bias=False)
    x = tw.ones(1, 1, requires_grad=True)

    @tw.compile
    def slope() -> Any:
        return tw.autograd.grad(layer(x).sum(), x)[0]

    plain = slope().item()
    handle = layer.register_full_backward_hook(lambda m, i, o: (i[0] * 3,))
    assert slope().item() == pytest.approx(3 * plain)
    handle.remove()
    assert slope().item() == pytest.approx(plain)


def test_a_hook_of_a_compiled_model_writes_no_state() -> None:
    layer, noted = nn.Linear(2, 2), tw.zeros(2)
    layer.register_full_backward_hook(lambda m, i, o: (noted.copy_(o[0][0]), None)[1])
    x = tw.ones(1, 2, requires_grad=True)
    with pytest.raises(TraceError, match=r"shape \(2,\) was assigned to in the backward pass"):
        tw.compile(layer)(x)
    assert noted.tolist() == [0, 0]
