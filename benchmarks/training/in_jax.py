"""A work in JAX: the round is one jitted `lax.scan`, its data on the device, its state donated.

Convolutions run channels-last, which is the faster layout on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.training.works import Array, Layer, Work

__all__ = ["build"]

Parameters = dict[str, Any]


def build(work: Work, x: Array, y: Array, variant: str) -> Callable[[Array], Sequence[Any]]:
    """A function from rows (steps, batch) to the losses of the steps, run."""
    images = jnp.asarray(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x)
    labels = jnp.asarray(y)
    init, update = {"sgd": sgd, "adamw": adamw}[work.optimizer](work.rate)

    def loss_of(parameters: Parameters, index: Any) -> Any:
        logits = apply(work.layers, parameters, images[index])
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[index][:, None], 1)
        return -chosen.mean()

    def step(carry: Any, index: Any) -> tuple[Any, Any]:
        loss, gradient = jax.value_and_grad(loss_of)(carry[0], index)
        return update(carry, gradient), loss

    jitted = jax.jit(lambda carry, rows: lax.scan(step, carry, rows), donate_argnums=0)
    parameters = {name: jnp.asarray(_layout(value)) for name, value in work.parameters().items()}
    state = [(parameters, *init(parameters))]

    def round_of(rows: Array) -> Sequence[Any]:
        state[0], losses = jitted(state[0], jnp.asarray(rows))
        return jax.block_until_ready(losses)  # type: ignore[no-any-return]

    return round_of


def _layout(value: Array) -> Array:
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value


def apply(layers: Sequence[Layer], parameters: Parameters, x: Any) -> Any:
    """The network's outputs."""
    for number, layer in enumerate(layers):
        weight: Any = parameters.get(f"{number}.weight")
        bias: Any = parameters.get(f"{number}.bias")
        match layer:
            case ("linear", *_):
                x = x @ weight.T + bias
            case ("conv", _, _, padding):
                edges = ((padding, padding),) * 2
                kinds = ("NHWC", "HWIO", "NHWC")
                x = lax.conv_general_dilated(x, weight, (1, 1), edges, dimension_numbers=kinds)
                x = x + bias
            case ("batchnorm", _):  # without running statistics, which training does not read
                mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
                x = (x - mean) * (lax.rsqrt(var + 1e-5) * weight) + bias
            case ("pool",):
                x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            case ("flatten",):  # in the order of channels first, as the others have it
                x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
            case (name,):
                x = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}[name](x)
    return x


Optimizer = tuple[Callable[[Parameters], tuple[Any, ...]], Callable[[Any, Parameters], Any]]


def sgd(rate: float) -> Optimizer:
    """p - rate g."""

    def update(carry: Any, gradient: Parameters) -> Any:
        return (jax.tree.map(lambda p, g: p - rate * g, carry[0], gradient),)

    return lambda parameters: (), update


def adamw(rate: float, decay: float = 0.01) -> Optimizer:
    """Adam with decoupled decay, as PyTorch has it."""
    b1, b2, eps = 0.9, 0.999, 1e-8

    def init(parameters: Parameters) -> tuple[Any, ...]:
        def zeros() -> Any:
            return jax.tree.map(jnp.zeros_like, parameters)

        return zeros(), zeros(), jnp.zeros((), jnp.float32)

    def update(carry: Any, gradient: Parameters) -> Any:
        parameters, m, v, t = carry
        t = t + 1
        m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, gradient)
        v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, gradient)
        c1, c2 = 1 - b1**t, 1 - b2**t

        def moved(p: Any, m: Any, v: Any) -> Any:
            return p * (1 - rate * decay) - rate * (m / c1) / (jnp.sqrt(v / c2) + eps)

        return jax.tree.map(moved, parameters, m, v), m, v, t

    return init, update
