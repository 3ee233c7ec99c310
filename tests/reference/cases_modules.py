"""Modules: how each is built, and what it is called with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.reference.both import Fixed
from tests.reference.spelling import Samples, given

__all__ = ["LAYERS", "LOSSES", "MODELS", "Built", "named"]

_samples = Samples(7)
normal, positive, integers = _samples.normal, _samples.positive, _samples.integers


class Built(NamedTuple):
    """A function of the framework that builds a module, and the arrays it is called with."""

    build: Callable[[Any], Any]
    inputs: tuple[Any, ...]


def named(name: str, *arguments: Any, **options: Any) -> Callable[[Any], Any]:
    """Builds `tw.nn.name(*arguments, **options)`, with arrays among the options as tensors."""

    def build(tw: Any) -> Any:
        chosen = {
            key: tw.tensor(value.array.astype("float32")) if isinstance(value, Fixed) else value
            for key, value in options.items()
        }
        return getattr(tw.nn, name)(*arguments, **chosen)

    return build


def _ctc(tw: Any) -> Any:
    """The loss behind a log_softmax, without which PyTorch's gradient is not its derivative."""

    class OfLogits(tw.nn.CTCLoss):  # type: ignore[misc]
        def forward(self, logits: Any) -> Any:
            targets = tw.tensor(np.array([[1, 2, 2], [3, 1, 0], [4, 0, 0]]))
            lengths = (tw.tensor(np.array(n)) for n in ([7, 5, 6], [3, 2, 1]))
            return super().forward(logits.log_softmax(2), targets, *lengths)

    return OfLogits()


_X, _Y = normal(3, 4) * 2, normal(3, 4)
# fmt: off
_ELEMENTWISE = (
    "CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "Identity",
    "LeakyReLU", "LogSigmoid", "Mish", "PReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid",
    "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink",
)
# fmt: on
_SIGNS = np.where(normal(3, 4) > 0, 1.0, -1.0)
_SIGNED = np.where(normal(6) > 0, 1.0, -1.0)
_LABELS = integers(6, low=0, high=5)
_WEIGHT = Fixed(positive(5))
_IMAGES = normal(2, 3, 4, 5)

# fmt: off
LAYERS: dict[str, Built] = {
    **{name: Built(named(name), (_X,)) for name in _ELEMENTWISE},
    "CELU 2":              Built(named("CELU", 2.0), (_X,)),
    "ELU 2":               Built(named("ELU", alpha=2.0), (_X,)),
    "GELU tanh":           Built(named("GELU", approximate="tanh"), (_X,)),
    "GLU":                 Built(named("GLU"), (_X,)),
    "GLU 0":               Built(named("GLU", dim=0), (normal(4, 3),)),
    "Hardshrink 1":        Built(named("Hardshrink", 1.0), (_X,)),
    "Hardtanh -2 1":       Built(named("Hardtanh", -2.0, 1.0), (_X,)),
    "LeakyReLU 0.2":       Built(named("LeakyReLU", 0.2), (_X,)),
    "PReLU 4":             Built(named("PReLU", 4, 0.1), (_X,)),
    "PReLU of images":     Built(named("PReLU", num_parameters=3), (_IMAGES,)),
    "Softplus 2":          Built(named("Softplus", 2.0, 3.0), (_X,)),
    "Softshrink 1":        Built(named("Softshrink", 1.0), (_X,)),
    "Threshold":           Built(named("Threshold", 0.1, 20.0), (_X,)),
    "Softmax":             Built(named("Softmax", dim=-1), (_X,)),
    "LogSoftmax":          Built(named("LogSoftmax", dim=1), (_X,)),
    "Softmin":             Built(named("Softmin", dim=0), (_X,)),
    "ReLU inplace":        Built(named("ReLU", inplace=True), (Fixed(_X),)),
    "Flatten":             Built(named("Flatten"), (_IMAGES,)),
    "Flatten 0 2":         Built(named("Flatten", 0, 2), (_IMAGES,)),
    "Unflatten":           Built(named("Unflatten", 1, (2, 2)), (_X,)),
    "Unflatten -1":        Built(named("Unflatten", -1, (2, -1)), (_X,)),
    "Linear":              Built(named("Linear", 4, 5), (_X,)),
    "Linear bias=False":   Built(named("Linear", 4, 5, bias=False), (_X,)),
    "Linear of a vector":  Built(named("Linear", 4, 5), (normal(4),)),
    "Linear of images":    Built(named("Linear", 5, 2), (_IMAGES,)),
    "Conv1d":              Built(named("Conv1d", 3, 5, 2), (normal(2, 3, 6),)),
    "Conv1d +":            Built(named("Conv1d", 4, 6, 3, 2, padding=2, dilation=2, groups=2,
    bias=False), (normal(2, 4, 9),)),
    "Conv2d":              Built(named("Conv2d", 3, 5, 2), (_IMAGES,)),
    "Conv2d +":            Built(named("Conv2d", 3, 6, (3, 2), stride=(1, 2), padding=1,
    groups=3), (_IMAGES,)),
    "Conv2d same":         Built(named("Conv2d", 3, 2, 3, padding="same", bias=False),
                                 (_IMAGES[0].copy(),)),
    "MaxPool1d":           Built(named("MaxPool1d", 2), (normal(2, 3, 6),)),
    "MaxPool1d +":         Built(named("MaxPool1d", 3, 2, 1, ceil_mode=True), (normal(3, 6),)),
    "MaxPool2d":           Built(named("MaxPool2d", 2), (_IMAGES,)),
    "MaxPool2d +":         Built(named("MaxPool2d", (2, 3), stride=1, padding=1, dilation=2,
    return_indices=True), (_IMAGES,)),
    "AvgPool1d":           Built(named("AvgPool1d", 2), (normal(2, 3, 6),)),
    "AvgPool1d +":         Built(named("AvgPool1d", 3, 2, 1, count_include_pad=False),
                                 (normal(3, 6),)),
    "AvgPool2d":           Built(named("AvgPool2d", 2), (_IMAGES,)),
    "AvgPool2d +":         Built(named("AvgPool2d", (3, 2), stride=(2, 3), padding=1,
    ceil_mode=True), (_IMAGES,)),
    "Embedding":           Built(named("Embedding", 6, 3), (integers(2, 4, low=0, high=6),)),
    "Embedding padded":    Built(named("Embedding", 6, 3, padding_idx=2), (integers(9, low=0,
    high=6),)),
    "Embedding padded -1": Built(named("Embedding", 6, 3, padding_idx=-1), (integers(9, low=0,
    high=6),)),
    "Dropout in eval":     Built(lambda tw: tw.nn.Dropout(0.3).eval(), (_X,)),
    "Dropout 0":           Built(named("Dropout", 0.0), (_X,)),
    "CosineSimilarity":    Built(named("CosineSimilarity", dim=1), (_X, _Y)),
    "PairwiseDistance":    Built(named("PairwiseDistance", p=1.0, keepdim=True), (_X, _Y)),
}

LOSSES: dict[str, Built] = {
    "MSELoss":             Built(named("MSELoss"), (_X, Fixed(_Y))),
    "MSELoss sum":         Built(named("MSELoss", reduction="sum"), (_X, Fixed(_Y))),
    "L1Loss":              Built(named("L1Loss"), (_X, Fixed(_Y))),
    "HuberLoss":           Built(named("HuberLoss", delta=0.5), (_X, Fixed(_Y))),
    "SmoothL1Loss":        Built(named("SmoothL1Loss", beta=0.5), (_X, Fixed(_Y))),
    "CrossEntropyLoss":    Built(named("CrossEntropyLoss"), (normal(6, 5), _LABELS)),
    "CrossEntropyLoss +":  Built(named("CrossEntropyLoss", weight=_WEIGHT, ignore_index=2,
    label_smoothing=0.1),
                                 (normal(6, 5), _LABELS)),
    "NLLLoss":             Built(named("NLLLoss"), (normal(6, 5), _LABELS)),
    "NLLLoss +":           Built(named("NLLLoss", weight=_WEIGHT, reduction="none"), (normal(6,
    5), _LABELS)),
    "BCELoss":             Built(named("BCELoss"), (1 / (1 + np.exp(-_X)), Fixed(_Y > 0))),
    "BCEWithLogitsLoss":   Built(named("BCEWithLogitsLoss"), (_X, Fixed(_Y > 0))),
    "BCEWithLogitsLoss +": Built(named("BCEWithLogitsLoss", weight=Fixed(positive(4)),
    pos_weight=Fixed(positive(4)),
                                        reduction="sum"), (_X, Fixed(_Y > 0))),
    "KLDivLoss":           Built(named("KLDivLoss", reduction="batchmean"), (_X, Fixed(positive(3,
    4)))),
    "KLDivLoss log":       Built(named("KLDivLoss", reduction="sum", log_target=True), (_X,
    Fixed(_Y))),
    "PoissonNLLLoss":      Built(named("PoissonNLLLoss", full=True), (_X, Fixed(positive(3,
    4) * 2))),
    "GaussianNLLLoss":     Built(named("GaussianNLLLoss", full=True), (_X, Fixed(_Y), positive(3,
    4))),
    "HingeEmbeddingLoss":  Built(named("HingeEmbeddingLoss", margin=0.5), (_X, Fixed(_SIGNS))),
    "SoftMarginLoss":      Built(named("SoftMarginLoss"), (_X, Fixed(_SIGNS))),
    "MarginRankingLoss":   Built(named("MarginRankingLoss", margin=0.5), (normal(6), normal(6),
    Fixed(_SIGNED))),
    "CosineEmbeddingLoss": Built(named("CosineEmbeddingLoss", margin=0.2), (normal(6, 4),
    normal(6, 4), Fixed(_SIGNED))),
    "TripletMarginLoss":   Built(named("TripletMarginLoss", swap=True), (normal(6, 4), normal(6,
    4), normal(6, 4))),
    "TripletMarginWithDistanceLoss": Built(named("TripletMarginWithDistanceLoss", swap=True),
                                           (normal(6, 4), normal(6, 4), normal(6, 4))),
    "CTCLoss":             Built(_ctc, (normal(7, 3, 5),)),
    "MultiMarginLoss":     Built(named("MultiMarginLoss", p=2, weight=_WEIGHT), (normal(6, 5),
    _LABELS)),
}
# fmt: on


def _perceptron(tw: Any) -> Any:
    nn = tw.nn
    return nn.Sequential(nn.Linear(4, 6), nn.Sigmoid(), nn.Dropout(0.0), nn.Linear(6, 3), nn.Tanh())


def _nested(tw: Any) -> Any:
    nn = tw.nn
    block = nn.Sequential(nn.Linear(6, 6), nn.PReLU(6))
    return nn.Sequential(nn.Flatten(), nn.Linear(20, 6), block, nn.Sequential(), nn.Linear(6, 2))


def _held(tw: Any) -> Any:
    """Parameters, buffers and modules of every kind, in the order they are set."""
    nn = tw.nn

    class Held(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4), nn.ELU(), nn.Linear(4, 4, bias=False)])
            self.scale = nn.Parameter(tw.full((4,), 0.5))
            self.register_buffer("shift", tw.full((4,), 0.25))
            self.register_buffer("unsaved", tw.ones(4), persistent=False)
            self.gates = nn.ParameterList([nn.Parameter(tw.ones(4)), nn.Parameter(tw.zeros(4))])
            self.heads = nn.ModuleDict({"left": nn.Linear(4, 2), "right": nn.Linear(4, 1)})
            self.biases = nn.ParameterDict({"left": nn.Parameter(tw.zeros(2))})
            self.frozen = nn.Parameter(tw.ones(4), requires_grad=False)

        def forward(self, x: Any) -> Any:
            for layer in self.layers:
                x = x + layer(x) * self.scale
            x = (x + self.shift) * self.gates[0] + self.gates[1] * self.frozen * self.unsaved
            return self.heads["left"](x) + self.biases["left"], self.heads["right"](x).sin()

    return Held()


def _tied(tw: Any) -> Any:
    """One weight in two places, as an embedding and as the output layer."""
    nn = tw.nn

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(6, 4)
            self.output = nn.Linear(4, 6, bias=False)
            self.output.weight = self.embedding.weight

        def forward(self, tokens: Any) -> Any:
            return self.output(self.embedding(tokens).tanh())

    return Tied()


def _residual(tw: Any) -> Any:
    nn = tw.nn

    class Residual(nn.Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Any) -> Any:
            return x + self.inner(x)

    body = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))
    return nn.Sequential(Residual(body), Residual(nn.Linear(4, 4)), nn.LogSoftmax(dim=-1))


def _lenet(tw: Any) -> Any:
    nn = tw.nn
    first = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU())
    return nn.Sequential(first, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(96, 5))


MODELS: dict[str, Built] = {
    "perceptron": Built(_perceptron, (_X,)),
    "nested": Built(_nested, (normal(3, 4, 5),)),
    "held": Built(_held, (_X,)),
    "lenet": Built(_lenet, (normal(2, 1, 12, 12),)),
    "tied": Built(_tied, (integers(2, 3, low=0, high=6),)),
    "residual": Built(_residual, (_X,)),
    "one unit": Built(lambda tw: tw.nn.Linear(1, 1), (given(0.5, -1.0, 2.0)[:, None],)),
}
