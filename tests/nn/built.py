"""One right way to build and to call each module of `nn`, for the tests of wrong ways."""

from __future__ import annotations

from typing import Any, NamedTuple

import thalweg as tw
from thalweg import nn

__all__ = ["FUNCTIONS", "INITIALIZERS", "MODULES", "UNCHECKED", "Built"]


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


def _same(*names: str, **options: Any) -> dict[str, dict[str, Any]]:
    return dict.fromkeys(names, options)  # never written to


def _plain(
    *names: str, inputs: tuple[tw.Tensor, ...] = (_ROWS,), **options: Any
) -> dict[str, Built]:
    return {name: Built(options, inputs) for name in names}


# Containers and what is no layer: they have tests of their own.
UNCHECKED = (
    *("Module", "ModuleDict", "ModuleList", "Parameter", "ParameterDict", "ParameterList"),
    *("CTCLoss", "Sequential", "Identity", "record"),
)

MODULES: dict[str, Built] = {
    **_plain(
        *("CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh"),
        *("LeakyReLU", "LogSigmoid", "Mish", "PReLU", "ReLU", "ReLU6", "SELU"),
        *("Sigmoid", "SiLU", "Softplus", "Softshrink", "Softsign", "Tanh"),
        *("Tanhshrink", "Dropout", "AlphaDropout"),
    ),
    **_plain("LogSoftmax", "Softmax", "Softmin", dim=-1),
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
    **_plain("Unfold", inputs=(_IMAGE,), kernel_size=2),
    **_plain("Fold", inputs=(floats(2, 16, 25),), output_size=(6, 6), kernel_size=2),
    **_plain("Softmax2d", inputs=(_IMAGE,)),
    **_plain("MultiLabelSoftMarginLoss", inputs=(_ROWS, _UNIT)),
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
    **_plain(
        *("TripletMarginLoss", "TripletMarginWithDistanceLoss"),
        inputs=(_ROWS, _ROWS * 2, _ROWS * 3),
    ),
    **_plain("CosineSimilarity", "PairwiseDistance", inputs=(_ROWS, _ROWS * 2)),
}

# --- functions, by the names of their arguments ---------------------------------------------------

_X = {"input": _ROWS}
_SEQUENCE, _PICTURE = {"input": _LINE}, {"input": _IMAGE}
_PAIR = {"input": _ROWS, "target": _ROWS * 0.5}
_LABELLED = {"input": _ROWS, "target": labels(2)}
_PAIR_12 = {"input1": _ROWS, "input2": _ROWS * 2, "target": _SIGNS[:, 0]}
_HEADS = floats(2, 2, 5, 4)


def _conv(rank: int, swapped: bool = False) -> dict[str, tw.Tensor]:
    weight = floats(*((4, 2) if swapped else (2, 4)), *(3,) * rank)
    return {"input": (_LINE, _IMAGE)[rank - 1], "weight": weight}


FUNCTIONS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        (
            *("celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh"),
            *("leaky_relu", "logsigmoid", "mish", "selu", "silu", "softplus", "softshrink"),
            *("softsign", "tanhshrink", "dropout", "alpha_dropout", "normalize"),
        ),
        _X,
    ),
    "softmin": {**_X, "dim": -1},
    "prelu": {**_X, "weight": floats(1)},
    "threshold": {**_X, "threshold": 0.0, "value": 1.0},
    **dict.fromkeys(("dropout1d", "variational_dropout"), _SEQUENCE),
    **dict.fromkeys(("dropout2d", "feature_alpha_dropout"), _PICTURE),
    "linear": {**_X, "weight": floats(3, 4)},
    "bilinear": {"input1": _ROWS, "input2": _ROWS, "weight": floats(3, 4, 4)},
    "conv1d": _conv(1),
    "conv2d": _conv(2),
    "conv_transpose1d": _conv(1, swapped=True),
    "conv_transpose2d": _conv(2, swapped=True),
    **_same("avg_pool1d", "max_pool1d", **_SEQUENCE, kernel_size=2),
    **_same("avg_pool2d", "max_pool2d", **_PICTURE, kernel_size=2),
    "lp_pool1d": {**_SEQUENCE, "kernel_size": 2, "norm_type": 2.0},
    "lp_pool2d": {**_PICTURE, "kernel_size": 2, "norm_type": 2.0},
    **_same("adaptive_avg_pool1d", "adaptive_max_pool1d", **_SEQUENCE, output_size=2),
    **_same("adaptive_avg_pool2d", "adaptive_max_pool2d", **_PICTURE, output_size=2),
    "pad": {**_SEQUENCE, "pad": (1, 1)},
    "batch_norm": {**_SEQUENCE, "running_mean": None, "running_var": None, "training": True},
    "instance_norm": _SEQUENCE,
    "layer_norm": {**_X, "normalized_shape": 4},
    "rms_norm": {**_X, "normalized_shape": 4},
    "group_norm": {**_PICTURE, "num_groups": 2},
    "local_response_norm": {**_PICTURE, "size": 2},
    "embedding": {"input": labels(2, 3), "weight": floats(3, 2)},
    "embedding_bag": {"input": labels(2, 3), "weight": floats(3, 2)},
    "one_hot": {"tensor": labels(4)},
    "scaled_dot_product_attention": {"query": _HEADS, "key": _HEADS, "value": _HEADS},
    "multi_head_attention_forward": {
        **dict.fromkeys(("query", "key", "value"), _STEPS),
        **dict.fromkeys(("in_proj_bias", "bias_k", "bias_v", "out_proj_bias")),
        "embed_dim_to_check": 4,
        "num_heads": 2,
        "in_proj_weight": floats(12, 4),
        "add_zero_attn": False,
        "dropout_p": 0.0,
        "out_proj_weight": floats(4, 4),
    },
    "interpolate": {**_PICTURE, "scale_factor": 2.0},
    "pixel_shuffle": {**_PICTURE, "upscale_factor": 2},
    "pixel_unshuffle": {**_PICTURE, "downscale_factor": 2},
    "channel_shuffle": {**_PICTURE, "groups": 2},
    "unfold": {**_PICTURE, "kernel_size": 2},
    "fold": {"input": floats(2, 16, 25), "output_size": (6, 6), "kernel_size": 2},
    "gumbel_softmax": {"logits": _ROWS},
    "ctc_loss": {
        "log_probs": floats(6, 2, 4),
        "targets": labels(2, 3) + 1,
        "input_lengths": labels(2) + 5,
        "target_lengths": labels(2) + 1,
    },
    "multilabel_soft_margin_loss": {**_X, "target": _UNIT},
    "affine_grid": {"theta": floats(2, 2, 3), "size": (2, 4, 6, 6)},
    "grid_sample": {**_PICTURE, "grid": floats(2, 3, 3, 2)},
    **dict.fromkeys(("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "kl_div"), _PAIR),
    **_same("binary_cross_entropy", "poisson_nll_loss", input=_UNIT, target=_UNIT),
    "binary_cross_entropy_with_logits": {**_X, "target": _UNIT},
    "gaussian_nll_loss": {**_PAIR, "var": _UNIT},
    **dict.fromkeys(("cross_entropy", "nll_loss", "multi_margin_loss"), _LABELLED),
    **_same("hinge_embedding_loss", "soft_margin_loss", **_X, target=_SIGNS),
    "cosine_embedding_loss": _PAIR_12,
    "margin_ranking_loss": {**_PAIR_12, "target": _SIGNS},
    **_same(
        *("triplet_margin_loss", "triplet_margin_with_distance_loss"),
        anchor=_ROWS,
        positive=_ROWS * 2,
        negative=_ROWS * 3,
    ),
    **_same("cosine_similarity", "pairwise_distance", x1=_ROWS, x2=_ROWS * 2),
}

_DRAWN = {"tensor": _ROWS.clone()}
INITIALIZERS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        (
            *("eye_", "glorot_normal_", "glorot_uniform_", "he_normal_", "he_uniform_"),
            *("kaiming_normal_", "kaiming_uniform_", "normal_", "ones_", "orthogonal_"),
            *("trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_"),
        ),
        _DRAWN,
    ),
    "constant_": {**_DRAWN, "val": 2.0},
    "dirac_": {"tensor": floats(4, 2, 3)},
    "sparse_": {**_DRAWN, "sparsity": 0.5},
    "calculate_gain": {"nonlinearity": "relu"},
}
