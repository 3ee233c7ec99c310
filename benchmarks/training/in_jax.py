"""A work in JAX: the round is one jitted `lax.scan`, its data on the device, its state donated.

Convolutions run channels-last, which is the faster layout on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.training.known import GPT, ResNet
from benchmarks.training.layers import Array, Layer
from benchmarks.training.recurrent import LSTM
from benchmarks.training.works import Network, Work

__all__ = ["build"]

Parameters = dict[str, Any]


def build(work: Work, x: Array, y: Array, variant: str) -> Callable[[Array], Sequence[Any]]:
    """A function from rows (steps, batch) to the losses of the steps, run."""
    images = jnp.asarray(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x)
    labels = jnp.asarray(y)
    init, update = {"sgd": sgd, "adamw": adamw}[work.optimizer](work.rate)

    def loss_of(parameters: Parameters, index: Any) -> Any:
        logits = outputs(work.network, parameters, images[index])
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[index][..., None], -1)
        return -chosen.mean()

    def step(carry: Any, index: Any) -> tuple[Any, Any]:
        loss, gradient = jax.value_and_grad(loss_of)(carry[0], index)
        return update(carry, gradient), loss

    jitted = jax.jit(lambda carry, rows: lax.scan(step, carry, rows), donate_argnums=0)
    parameters = {name: jnp.asarray(_layout(value)) for name, value in begun(work.network)}
    state = [(parameters, *init(parameters))]

    def round_of(rows: Array) -> Sequence[Any]:
        state[0], losses = jitted(state[0], jnp.asarray(rows))
        return jax.block_until_ready(losses)  # type: ignore[no-any-return]

    return round_of


def _layout(value: Array) -> Array:
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value


def begun(network: Network) -> list[tuple[str, Array]]:
    """The initial parameters, each once."""
    is_tied = isinstance(network, GPT) and network.tied
    named = network.parameters().items()
    return [(name, value) for name, value in named if not (is_tied and name == "lm_head.weight")]


def outputs(network: Network, parameters: Parameters, x: Any) -> Any:
    """The network's outputs."""
    match network:
        case GPT():
            return gpt(network, parameters, x)
        case ResNet():
            return resnet(network, parameters, x)
        case LSTM():
            return lstm(network, parameters, x)
        case _:
            return apply(network.layers, parameters, x)


def apply(layers: Sequence[Layer], parameters: Parameters, x: Any) -> Any:
    """The network's outputs."""
    for number, layer in enumerate(layers):
        weight: Any = parameters.get(f"{number}.weight")
        bias: Any = parameters.get(f"{number}.bias")
        match layer:
            case ("linear", *_):
                x = x @ weight.T + bias
            case ("conv", _, _, padding):
                x = convolved(x, weight, 1, padding) + bias
            case ("batchnorm", _):
                x = batch_normed(x, weight, bias)
            case ("pool",):
                x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            case ("flatten",):  # in the order of channels first, as the others have it
                x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
            case (name,):
                x = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}[name](x)
    return x


def lstm(network: LSTM, parameters: Parameters, x: Any) -> Any:
    """A recurrent network's logits: the products with the sequence before the scan."""
    before = x.transpose(1, 0, 2) @ parameters["rnn.weight_ih_l0"].T
    before = before + parameters["rnn.bias_ih_l0"] + parameters["rnn.bias_hh_l0"]

    def step(carry: tuple[Any, Any], gates: Any) -> tuple[tuple[Any, Any], None]:
        h, c = carry
        i, f, g, o = jnp.split(gates + h @ parameters["rnn.weight_hh_l0"].T, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    nothing = jnp.zeros((len(x), network.width), x.dtype)
    (h, _), _ = lax.scan(step, (nothing, nothing), before)
    return h @ parameters["head.weight"].T + parameters["head.bias"]


def convolved(x: Any, weight: Any, stride: int, padding: int) -> Any:
    """A convolution, channels last."""
    edges = ((padding, padding),) * 2
    kinds = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, weight, (stride, stride), edges, dimension_numbers=kinds)


def batch_normed(x: Any, weight: Any, bias: Any) -> Any:
    """Batch normalization without running statistics, which training does not read."""
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) * (lax.rsqrt(var + 1e-5) * weight) + bias


def resnet(network: ResNet, parameters: Parameters, x: Any) -> Any:
    """A residual network's logits."""

    def step(name: str, x: Any, stride: int = 1, norm: str = "") -> Any:
        weight = parameters[f"{name}.weight"]
        x = convolved(x, weight, stride, len(weight) // 2)
        norm = norm or name.replace("conv", "bn")
        return batch_normed(x, parameters[f"{norm}.weight"], parameters[f"{norm}.bias"])

    x = jax.nn.relu(step("conv1", x, 2))
    edges = ((0, 0), (1, 1), (1, 1), (0, 0))
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), edges)
    for stage, count in enumerate(network.counts):
        for block in range(count):
            at = f"layer{stage + 1}.{block}"
            stride, past = 2 if stage and not block else 1, x
            if f"{at}.downsample.0.weight" in parameters:
                past = step(f"{at}.downsample.0", x, stride, f"{at}.downsample.1")
            x = step(f"{at}.conv2", jax.nn.relu(step(f"{at}.conv1", x, stride)))
            x = jax.nn.relu(x + past)
    return x.mean((1, 2)) @ parameters["fc.weight"].T + parameters["fc.bias"]


def gpt(network: GPT, parameters: Parameters, tokens: Any) -> Any:
    """A small GPT's logits."""

    def linear(name: str, x: Any) -> Any:
        x = x @ parameters[f"{name}.weight"].T
        return x + parameters[f"{name}.bias"] if network.bias else x

    def norm(name: str, x: Any) -> Any:
        x = (x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)
        x = x * parameters[f"{name}.weight"]
        return x + parameters[f"{name}.bias"] if network.bias else x

    wte = parameters["transformer.wte.weight"]
    x = wte[tokens] + parameters["transformer.wpe.weight"][: tokens.shape[1]]
    for layer in range(network.layers):
        at = f"transformer.h.{layer}"
        parts = jnp.split(linear(f"{at}.attn.c_attn", norm(f"{at}.ln_1", x)), 3, -1)
        q, k, v = (part.reshape(*x.shape[:2], network.heads, -1) for part in parts)
        y = jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(x.shape)
        x = x + linear(f"{at}.attn.c_proj", y)
        inner = linear(f"{at}.mlp.c_fc", norm(f"{at}.ln_2", x))
        x = x + linear(f"{at}.mlp.c_proj", jax.nn.gelu(inner, approximate=False))
    head: Any = parameters.get("lm_head.weight", wte)
    return norm("transformer.ln_f", x) @ head.T


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
