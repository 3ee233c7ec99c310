"""What each layer of a network was given and computed, by its path."""

from __future__ import annotations

from typing import Any, Self

from thalweg._tensor import Tensor
from thalweg.nn.hooks import RemovableHandle
from thalweg.nn.module import Module

__all__ = ["record"]


class record(dict[str, Any]):
    """In a `with` block, the output of each layer of `model` by its path, at its last call.

    In a network of layers and activations, the outputs of the layers are the pre-activations, and
    those of the activation modules the activations; "" is the output of the whole. What a layer
    was given, its positional arguments, is in `inputs`: the activations too where `forward`
    computes them by functions. With `retain_grad`, outputs have their `.grad` after a backward
    pass. The outputs are those the model itself goes on with, still on the tape, and stay here
    after the block.

    >>> import thalweg as tw
    >>> model = tw.nn.Sequential(tw.nn.Linear(3, 4), tw.nn.Sigmoid(), tw.nn.Linear(4, 2))
    >>> with tw.nn.record(model) as layers:
    ...     y = model(tw.ones(5, 3))
    >>> {path: tuple(z.shape) for path, z in layers.items()}
    {'0': (5, 4), '1': (5, 4), '2': (5, 2), '': (5, 2)}
    >>> tw.equal(layers["0"].sigmoid(), layers["1"])
    True
    """

    def __init__(self, model: Module, *, retain_grad: bool = False) -> None:
        super().__init__()
        self.inputs: dict[str, tuple[Any, ...]] = {}
        self._model = model
        self._retain_grad = retain_grad
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        paths = {module: path for path, module in self._model.named_modules()}

        def keep(module: Module, args: tuple[Any, ...], output: Any) -> None:
            self.inputs[paths[module]] = args
            self[paths[module]] = output
            if self._retain_grad and isinstance(output, Tensor):
                output.retain_grad()

        self._handles = [module.register_forward_hook(keep) for module in paths]
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
