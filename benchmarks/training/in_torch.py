"""A work in PyTorch; and, the same lines on the other library, in Thalweg.

Variants of PyTorch: "eager"; "channels-last", for convolutions; "compile", where `torch.compile`
makes one program of forward and loss, and one of the update.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.training.layers import Array
from benchmarks.training.works import Work

__all__ = ["build", "loss_for", "network", "optimizer_for"]


def build(work: Work, x: Array, y: Array, variant: str) -> Callable[[Array], Sequence[Any]]:
    """A function from rows (steps, batch) to the losses of the steps, run."""
    torch = importlib.import_module("torch")
    model = network(torch, work)
    images, labels = torch.from_numpy(x), torch.from_numpy(y)
    if variant == "channels-last":
        model = model.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    optimizer = optimizer_for(torch, model, work)

    def loss_of(index: Any) -> Any:
        return loss_for(torch, model, images[index], labels[index])

    update = optimizer.step
    if variant == "compile":
        loss_of, update = torch.compile(loss_of), torch.compile(update)

    def step(index: Any) -> Any:
        loss = loss_of(index)
        optimizer.zero_grad()
        loss.backward()
        update()
        return loss.detach()

    return lambda rows: [step(index) for index in torch.from_numpy(rows)]


def network(torch: Any, work: Work) -> Any:
    """The network, of PyTorch or of Thalweg, with the work's initial parameters."""
    model = work.network.module(torch)
    begun = {name: torch.from_numpy(value) for name, value in work.network.parameters().items()}
    model.load_state_dict({**model.state_dict(), **begun})
    return model


def loss_for(torch: Any, model: Any, x: Any, y: Any) -> Any:
    """Cross-entropy of the model's logits (.., classes) and labels (..)."""
    logits = model(x)
    return torch.nn.functional.cross_entropy(logits.flatten(0, -2), y.flatten())


def optimizer_for(torch: Any, model: Any, work: Work) -> Any:
    """SGD or AdamW, of PyTorch or of Thalweg."""
    kinds = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}
    return kinds[work.optimizer](model.parameters(), lr=work.rate)
