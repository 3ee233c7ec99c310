"""Known networks, the same lines in PyTorch and in Thalweg: a small GPT, residual networks.

The names of parameters are nanoGPT's and torchvision's. What `thalweg.models` has is compared with
these in tests/reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.training.layers import Array

__all__ = ["GPT", "ResNet"]


@dataclass(frozen=True)
class GPT:
    """A Transformer for texts: `context` of `vocabulary` characters; its output is its embedding,
    if `tied`.
    """

    vocabulary: int = 65
    context: int = 64
    layers: int = 4
    heads: int = 4
    width: int = 128
    bias: bool = True
    tied: bool = True

    @property
    def image(self) -> tuple[int, ...]:
        """The shape of an example."""
        return (self.context,)

    def parameters(self) -> dict[str, Array]:
        """Initial parameters: the norms' as 1 and 0, biases as 0, the others as N(0, 0.02^2)."""
        wide, rng = self.width, np.random.default_rng(1)
        shapes: dict[str, tuple[int, ...]] = {
            "transformer.wte.weight": (self.vocabulary, wide),
            "transformer.wpe.weight": (self.context, wide),
            "transformer.ln_f.weight": (wide,),
            "transformer.ln_f.bias": (wide,),
            "lm_head.weight": (self.vocabulary, wide),
        }
        linear = {"attn.c_attn": (3, 1), "attn.c_proj": (1, 1), "mlp.c_fc": (4, 1)}
        linear["mlp.c_proj"] = (1, 4)
        for layer in range(self.layers):
            at = f"transformer.h.{layer}"
            shapes |= {f"{at}.{n}.{p}": (wide,) for n in ("ln_1", "ln_2") for p in _PARTS}
            for name, (out, inner) in linear.items():
                shapes[f"{at}.{name}.weight"] = (out * wide, inner * wide)
                shapes[f"{at}.{name}.bias"] = (out * wide,)
        found = {name: _begun(rng, shape, 0.02) for name, shape in shapes.items()}
        found |= {name: 0 * x for name, x in found.items() if name.endswith("bias")}
        if self.tied:
            found["lm_head.weight"] = found["transformer.wte.weight"]
        return {name: x for name, x in found.items() if self.bias or not name.endswith("bias")}

    @property
    def flop(self) -> float:
        """Operations of an example's products: forward, backward to weights and to inputs."""
        linear = 12 * self.width**2 * self.layers + self.vocabulary * self.width
        attention = 2 * self.context * self.width * self.layers
        return 3 * 2.0 * self.context * (linear + attention)

    def module(self, torch: Any) -> Any:
        """The network, of PyTorch or of Thalweg."""
        nn, size = torch.nn, self
        module: Any = nn.Module

        def norm() -> Any:
            return nn.LayerNorm(size.width, bias=size.bias)

        class Attention(module):  # type: ignore[misc]  # of either library
            def __init__(self) -> None:
                super().__init__()
                self.c_attn = nn.Linear(size.width, 3 * size.width, size.bias)
                self.c_proj = nn.Linear(size.width, size.width, size.bias)

            def forward(self, x: Any) -> Any:
                q, k, v = (
                    y.unflatten(-1, (size.heads, -1)).transpose(1, 2)
                    for y in self.c_attn(x).chunk(3, -1)
                )
                y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
                return self.c_proj(y.transpose(1, 2).flatten(2))

        class Block(module):  # type: ignore[misc]  # of either library
            def __init__(self) -> None:
                super().__init__()
                self.ln_1, self.attn, self.ln_2 = norm(), Attention(), norm()
                fan_in = nn.Linear(size.width, 4 * size.width, size.bias)
                fan_out = nn.Linear(4 * size.width, size.width, size.bias)
                self.mlp = nn.ModuleDict({"c_fc": fan_in, "gelu": nn.GELU(), "c_proj": fan_out})

            def forward(self, x: Any) -> Any:
                x = x + self.attn(self.ln_1(x))
                inner = self.mlp["gelu"](self.mlp["c_fc"](self.ln_2(x)))
                return x + self.mlp["c_proj"](inner)

        class Model(module):  # type: ignore[misc]  # of either library
            def __init__(self) -> None:
                super().__init__()
                self.transformer = nn.ModuleDict(
                    {
                        "wte": nn.Embedding(size.vocabulary, size.width),
                        "wpe": nn.Embedding(size.context, size.width),
                        "h": nn.ModuleList([Block() for _ in range(size.layers)]),
                        "ln_f": norm(),
                    }
                )
                self.lm_head = nn.Linear(size.width, size.vocabulary, bias=False)
                if size.tied:
                    self.lm_head.weight = self.transformer["wte"].weight

            def forward(self, tokens: Any) -> Any:
                parts = self.transformer
                x = parts["wte"](tokens) + parts["wpe"](torch.arange(tokens.shape[1]))
                for block in parts["h"]:
                    x = block(x)
                return self.lm_head(parts["ln_f"](x))

        return Model()


@dataclass(frozen=True)
class ResNet:
    """A residual network of `counts` blocks a stage: (2, 2, 2, 2) is the one of 18 layers."""

    image: tuple[int, ...] = (3, 64, 64)
    counts: tuple[int, ...] = (2, 2, 2, 2)
    classes: int = 10

    def parameters(self) -> dict[str, Array]:
        """Initial parameters: the norms' as 1 and 0, the others' spread as their fan-in asks."""
        rng = np.random.default_rng(1)
        found: dict[str, Array] = {}
        for name, (fan_in, out, kernel, _) in self._convolutions().items():
            spread = np.sqrt(2 / (fan_in * kernel**2))
            found[f"{name}.weight"] = _begun(rng, (out, fan_in, kernel, kernel), spread)
            norm = name.replace("conv", "bn").replace("downsample.0", "downsample.1")
            found[f"{norm}.weight"] = np.ones(out, np.float32)
            found[f"{norm}.bias"] = np.zeros(out, np.float32)
        found["fc.weight"] = _begun(rng, (self.classes, 512), 0.05)
        found["fc.bias"] = np.zeros(self.classes, np.float32)
        return found

    def _convolutions(self) -> dict[str, tuple[int, int, int, int]]:
        """By name: channels in and out, the kernel's size, and by how much the image is halved."""
        found = {"conv1": (3, 64, 7, 1)}
        before = 64
        for stage, count in enumerate(self.counts):
            after, halved = 64 << stage, 2 + stage
            for block in range(count):
                at = f"layer{stage + 1}.{block}"
                found[f"{at}.conv1"] = (before, after, 3, halved)
                found[f"{at}.conv2"] = (after, after, 3, halved)
                if before != after:
                    found[f"{at}.downsample.0"] = (before, after, 1, halved)
                before = after
        return found

    @property
    def flop(self) -> float:
        """Operations of an example's products: forward, backward to weights and to inputs.

        The first layer's inputs want no gradient.
        """
        total = 3 * 2.0 * 512 * self.classes
        for name, (fan_in, out, kernel, halved) in self._convolutions().items():
            places = np.prod([-(-size // 2**halved) for size in self.image[1:]])
            times = 2 if name == "conv1" else 3
            total += times * 2.0 * float(places) * fan_in * out * kernel**2
        return total

    def module(self, torch: Any) -> Any:
        """The network, of PyTorch or of Thalweg."""
        nn, size = torch.nn, self
        module: Any = nn.Module

        class Block(module):  # type: ignore[misc]  # of either library
            def __init__(self, before: int, after: int, stride: int) -> None:
                super().__init__()
                self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
                self.bn1 = nn.BatchNorm2d(after)
                self.relu = nn.ReLU(inplace=True)
                self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
                self.bn2 = nn.BatchNorm2d(after)
                self.downsample = None
                if stride > 1 or before != after:
                    narrowed = nn.Conv2d(before, after, 1, stride, bias=False)
                    self.downsample = nn.Sequential(narrowed, nn.BatchNorm2d(after))

            def forward(self, x: Any) -> Any:
                past = x if self.downsample is None else self.downsample(x)
                x = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
                return self.relu(x + past)

        class Model(module):  # type: ignore[misc]  # of either library
            def __init__(self) -> None:
                super().__init__()
                self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
                self.bn1 = nn.BatchNorm2d(64)
                self.relu = nn.ReLU(inplace=True)
                self.maxpool = nn.MaxPool2d(3, 2, 1)
                before = 64
                for stage, count in enumerate(size.counts):
                    after = 64 << stage
                    blocks = [Block(before, after, 2 if stage else 1)]
                    blocks += [Block(after, after, 1) for _ in range(count - 1)]
                    self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
                    before = after
                self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
                self.fc = nn.Linear(512, size.classes)

            def forward(self, x: Any) -> Any:
                x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
                for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
                    x = stage(x)
                return self.fc(self.avgpool(x).flatten(1))

        return Model()


_PARTS = ("weight", "bias")


def _begun(rng: np.random.Generator, shape: tuple[int, ...], spread: float) -> Array:
    """Ones for a vector, else Gaussian numbers."""
    if len(shape) == 1:
        return np.ones(shape, np.float32)
    return (spread * rng.standard_normal(shape)).astype(np.float32)
