"""`tw.nn.functional`, usually `F`: activations, losses and layers as functions of tensors.

PyTorch's names, arguments and meanings. They differ where PyTorch's are a trap: labels out of
range are errors, and so are shapes that would broadcast in a loss; softmax asks for its
dimension. There are no `inplace` arguments: tensors are values.
"""

from __future__ import annotations

from thalweg.nn.functional.activations import (
    celu,
    elu,
    gelu,
    glu,
    logsigmoid,
    mish,
    selu,
    silu,
    softmin,
    softplus,
    softsign,
    tanhshrink,
)
from thalweg.nn.functional.adaptive import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    lp_pool1d,
    lp_pool2d,
)
from thalweg.nn.functional.attention import scaled_dot_product_attention
from thalweg.nn.functional.classification import cross_entropy, nll_loss
from thalweg.nn.functional.convolution import conv1d, conv2d
from thalweg.nn.functional.ctc import ctc_loss
from thalweg.nn.functional.distance import cosine_similarity, normalize, pairwise_distance
from thalweg.nn.functional.dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    feature_alpha_dropout,
    variational_dropout,
)
from thalweg.nn.functional.embedding import embedding, embedding_bag, one_hot
from thalweg.nn.functional.gumbel import gumbel_softmax
from thalweg.nn.functional.linear import bilinear, linear
from thalweg.nn.functional.margin import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from thalweg.nn.functional.multihead import multi_head_attention_forward
from thalweg.nn.functional.normalization import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    rms_norm,
)
from thalweg.nn.functional.padding import pad
from thalweg.nn.functional.patches import fold, unfold
from thalweg.nn.functional.piecewise import (
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    prelu,
    relu6,
    softshrink,
    threshold,
)
from thalweg.nn.functional.pooling import avg_pool1d, avg_pool2d, max_pool1d, max_pool2d
from thalweg.nn.functional.probability import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    kl_div,
    multilabel_soft_margin_loss,
)
from thalweg.nn.functional.regression import (
    gaussian_nll_loss,
    huber_loss,
    l1_loss,
    mse_loss,
    poisson_nll_loss,
    smooth_l1_loss,
)
from thalweg.nn.functional.resizing import (
    channel_shuffle,
    interpolate,
    pixel_shuffle,
    pixel_unshuffle,
)
from thalweg.nn.functional.sampling import affine_grid, grid_sample
from thalweg.nn.functional.transposed import conv_transpose1d, conv_transpose2d
from thalweg.ops.activations import log_softmax, relu, softmax
from thalweg.ops.functions import sigmoid, tanh

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "affine_grid",
    "alpha_dropout",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "channel_shuffle",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "ctc_loss",
    "dropout",
    "dropout1d",
    "dropout2d",
    "elu",
    "embedding",
    "embedding_bag",
    "feature_alpha_dropout",
    "fold",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "grid_sample",
    "group_norm",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log_softmax",
    "logsigmoid",
    "lp_pool1d",
    "lp_pool2d",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool2d",
    "mish",
    "mse_loss",
    "multi_head_attention_forward",
    "multi_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
    "unfold",
    "variational_dropout",
]
