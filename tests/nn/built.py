"""One right way to build and to call each module of `nn`, for the tests of wrong ways."""

from __future__ import annotations

from typing import Any, NamedTuple

import thalweg as tw
from thalweg import nn

__all__ = ["MODULES", "UNCHECKED", "Built"]


class Built(NamedTuple):
    """The options of a constructor, and what the module is called with."""

    options: dict[str, Any]
    inputs: tuple[tw.Tensor, ...]


def floats(*shape: int) -> tw.Tensor:
    """Fixed numbers between -1 and 1, without a 0."""
    count = 1
    for size in shape:
        count *= size
    return (tw.arange(count, dtype=tw.float32) * 1.7 + 0.3).sin().reshape(shape)


def labels(*shape: int, below: int = 3) -> tw.Tensor:
    """Integers from 0 up to `below`, without it."""
    count = 1
    for size in shape:
        count *= size
    return (tw.arange(count) % below).reshape(shape)


_ROWS, _LINE, _IMAGE = floats(2, 4), floats(2, 4, 6), floats(2, 4, 6, 6)
_UNIT = floats(2, 4).abs()
_SIGNS = floats(2, 4).sign()
_STEPS = floats(5, 2, 4)
_PAD1, _PAD2 = {"padding": 1}, {"padding": (1, 0, 1, 1)}
_LOSS = (_ROWS, _ROWS * 0.5)


def _plain(
    *names: str, inputs: tuple[tw.Tensor, ...] = (_ROWS,), **options: Any
) -> dict[str, Built]:
    return {name: Built(options, inputs) for name in names}


# Containers and what is no layer: they have tests of their own.
UNCHECKED = (
    *("Module", "ModuleDict", "ModuleList", "Parameter", "ParameterDict", "ParameterList"),
    *("Sequential", "Identity"),
)

MODULES: dict[str, Built] = {
    **_plain(
        *("CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh"),
        *("LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish", "PReLU", "ReLU", "ReLU6", "SELU"),
        *("Sigmoid", "SiLU", "Softmax", "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh"),
        *("Tanhshrink", "Dropout", "AlphaDropout"),
    ),
    "Threshold": Built({"threshold": 0.0, "value": 1.0}, (_ROWS,)),
    **_plain("Dropout1d", "VariationalDropout", inputs=(_LINE,)),
    **_plain("Dropout2d", "FeatureAlphaDropout", inputs=(_IMAGE,)),
    "Linear": Built({"in_features": 4, "out_features": 3}, (_ROWS,)),
    "Bilinear": Built({"in1_features": 4, "in2_features": 4, "out_features": 3}, (_ROWS, _ROWS)),
    **_plain("Conv1d", inputs=(_LINE,), in_channels=4, out_channels=2, kernel_size=3),
    **_plain("Conv2d", inputs=(_IMAGE,), in_channels=4, out_channels=2, kernel_size=3),
    **_plain("ConvTranspose1d", inputs=(_LINE,), in_channels=4, out_channels=2, kernel_size=3),
    **_plain("ConvTranspose2d", inputs=(_IMAGE,), in_channels=4, out_channels=2, kernel_size=3),
    **_plain("MaxPool1d", "AvgPool1d", inputs=(_LINE,), kernel_size=2),
    **_plain("MaxPool2d", "AvgPool2d", inputs=(_IMAGE,), kernel_size=2),
    **_plain("LPPool1d", inputs=(_LINE,), norm_type=2.0, kernel_size=2),
    **_plain("LPPool2d", inputs=(_IMAGE,), norm_type=2.0, kernel_size=2),
    **_plain("AdaptiveAvgPool1d", "AdaptiveMaxPool1d", inputs=(_LINE,), output_size=2),
    **_plain("AdaptiveAvgPool2d", "AdaptiveMaxPool2d", inputs=(_IMAGE,), output_size=2),
    **_plain("CircularPad1d", "ReflectionPad1d", "ReplicationPad1d", inputs=(_LINE,), **_PAD1),
    **_plain("CircularPad2d", "ReflectionPad2d", "ReplicationPad2d", inputs=(_IMAGE,), **_PAD2),
    **_plain("ZeroPad1d", inputs=(_LINE,), **_PAD1),
    **_plain("ZeroPad2d", inputs=(_IMAGE,), **_PAD2),
    **_plain("ConstantPad1d", inputs=(_LINE,), value=2.0, **_PAD1),
    **_plain("ConstantPad2d", inputs=(_IMAGE,), value=2.0, **_PAD2),
    **_plain("BatchNorm1d", "InstanceNorm1d", inputs=(_LINE,), num_features=4),
    **_plain("BatchNorm2d", "InstanceNorm2d", inputs=(_IMAGE,), num_features=4),
    **_plain("GroupNorm", inputs=(_IMAGE,), num_groups=2, num_channels=4),
    **_plain("LayerNorm", "RMSNorm", normalized_shape=4),
    **_plain("LocalResponseNorm", inputs=(_IMAGE,), size=2),
    **_plain("Embedding", inputs=(labels(2, 3),), num_embeddings=3, embedding_dim=2),
    **_plain("EmbeddingBag", inputs=(labels(2, 3),), num_embeddings=3, embedding_dim=2),
    **_plain("RNN", "GRU", "LSTM", inputs=(_STEPS,), input_size=4, hidden_size=3),
    **_plain("RNNCell", "GRUCell", "LSTMCell", input_size=4, hidden_size=3),
    **_plain("MultiheadAttention", inputs=(_STEPS,) * 3, embed_dim=4, num_heads=2),
    **_plain("TransformerEncoderLayer", inputs=(_STEPS,), d_model=4, nhead=2, dim_feedforward=8),
    **_plain(
        "TransformerDecoderLayer", inputs=(_STEPS,) * 2, d_model=4, nhead=2, dim_feedforward=8
    ),
    "TransformerEncoder": Built(
        {"encoder_layer": nn.TransformerEncoderLayer(4, 2, 8), "num_layers": 1}, (_STEPS,)
    ),
    "TransformerDecoder": Built(
        {"decoder_layer": nn.TransformerDecoderLayer(4, 2, 8), "num_layers": 1}, (_STEPS,) * 2
    ),
    "Transformer": Built(
        {
            "d_model": 4,
            "nhead": 2,
            "num_encoder_layers": 1,
            "num_decoder_layers": 1,
            "dim_feedforward": 8,
        },
        (_STEPS,) * 2,
    ),
    **_plain("SinusoidalEncoding", "LearnedEncoding", inputs=(_LINE,), d_model=6, max_len=8),
    "RotaryEncoding": Built({"dim": 6, "max_len": 8}, (_IMAGE,)),
    **_plain("Flatten", inputs=(_LINE,)),
    **_plain("Unflatten", dim=1, unflattened_size=(2, 2)),
    **_plain("PixelShuffle", inputs=(_IMAGE,), upscale_factor=2),
    **_plain("PixelUnshuffle", inputs=(_IMAGE,), downscale_factor=2),
    **_plain("ChannelShuffle", inputs=(_IMAGE,), groups=2),
    **_plain("Upsample", inputs=(_IMAGE,), scale_factor=2.0),
    "Residual": Built({"inner": nn.Linear(4, 4)}, (_ROWS,)),
    **_plain("MSELoss", "L1Loss", "HuberLoss", "SmoothL1Loss", inputs=_LOSS),
    **_plain("BCELoss", inputs=(_UNIT, _UNIT)),
    **_plain("BCEWithLogitsLoss", inputs=(_ROWS, _UNIT)),
    **_plain("KLDivLoss", inputs=(_ROWS, _UNIT), reduction="sum"),
    **_plain("PoissonNLLLoss", inputs=(_ROWS, _UNIT)),
    **_plain("GaussianNLLLoss", inputs=(_ROWS, _ROWS, _UNIT)),
    **_plain("CrossEntropyLoss", "NLLLoss", "MultiMarginLoss", inputs=(_ROWS, labels(2))),
    **_plain("HingeEmbeddingLoss", "SoftMarginLoss", inputs=(_ROWS, _SIGNS)),
    **_plain("CosineEmbeddingLoss", inputs=(_ROWS, _ROWS, _SIGNS[:, 0])),
    **_plain("MarginRankingLoss", inputs=(_ROWS, _ROWS, _SIGNS)),
    **_plain("TripletMarginLoss", inputs=(_ROWS, _ROWS * 2, _ROWS * 3)),
    **_plain("CosineSimilarity", "PairwiseDistance", inputs=(_ROWS, _ROWS * 2)),
}
