"""Every function runs, forward and backward, on tensors without values: none branches on one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import thalweg as tw
import thalweg.nn.functional as F

X = tw.tensor([[0.3, -1.2, 2.0, 0.1], [0.4, -0.7, 0.2, 1.5]], requires_grad=True)
Y = tw.tensor([[0.1, 0.9, 0.5, 0.0], [1.0, 0.2, 0.3, 0.4]])
LABELS = tw.tensor([3, 0])
W = tw.ones(4)
SIGNS = tw.tensor([[1, -1, 1, 1], [-1, 1, -1, 1]])

PLAIN = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "logsigmoid",
    "mish",
    "normalize",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
]

# name: the function with its other arguments, and the operands.
CALLS: dict[str, tuple[Callable[..., tw.Tensor], tuple[tw.Tensor, ...]]] = {
    name: (getattr(F, name), (X,)) for name in PLAIN
} | {
    "dropout": (lambda x: F.dropout(x, generator=tw.Generator(0)), (X,)),
    "softmax": (lambda x: F.softmax(x, 1), (X,)),
    "softmin": (lambda x: F.softmin(x, 1), (X,)),
    "log_softmax": (lambda x: F.log_softmax(x, 1), (X,)),
    "threshold": (lambda x: F.threshold(x, 0.1, -1.0), (X,)),
    "prelu": (F.prelu, (X, W)),
    "batch_norm": (lambda x, w: F.batch_norm(x, None, None, w, w, training=True), (X, W)),
    "group_norm": (lambda x, w: F.group_norm(x, 2, w, w), (X, W)),
    "instance_norm": (lambda x: F.instance_norm(x.unsqueeze(0)), (X,)),
    "layer_norm": (lambda x, w: F.layer_norm(x, 4, w, w), (X, W)),
    "local_response_norm": (lambda x: F.local_response_norm(x.unsqueeze(0), 2), (X,)),
    "rms_norm": (lambda x, w: F.rms_norm(x, 4, w), (X, W)),
    "linear": (F.linear, (X, tw.ones(3, 4), tw.ones(3))),
    "embedding": (lambda w, i: F.embedding(i, w, padding_idx=0), (X, tw.tensor([1, 0]))),
    "one_hot": (lambda i: F.one_hot(i, 5), (LABELS,)),
    "conv1d": (lambda x, w: F.conv1d(x, w, stride=2, padding=1), (X, tw.ones(3, 2, 2))),
    "conv2d": (lambda x, w: F.conv2d(x.unsqueeze(0), w, dilation=(1, 2)), (X, tw.ones(3, 1, 2, 2))),
    "max_pool1d": (lambda x: F.max_pool1d(x, 3, 2, 1, ceil_mode=True), (X,)),
    "max_pool2d": (lambda x: F.max_pool2d(x.unsqueeze(0), 2, return_indices=True)[0], (X,)),
    "avg_pool1d": (lambda x: F.avg_pool1d(x, 3, 2, 1, count_include_pad=False), (X,)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x.unsqueeze(0), 2, 1, 1), (X,)),
    "conv_transpose1d": (lambda x, w: F.conv_transpose1d(x, w, stride=2), (X, tw.ones(2, 3, 2))),
    "conv_transpose2d": (
        lambda x, w: F.conv_transpose2d(x.unsqueeze(0), w, dilation=(1, 2)),
        (X, tw.ones(1, 3, 2, 2)),
    ),
    "adaptive_avg_pool1d": (lambda x: F.adaptive_avg_pool1d(x, 3), (X,)),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x.unsqueeze(0), (1, 3)), (X,)),
    "adaptive_max_pool1d": (lambda x: F.adaptive_max_pool1d(x, 3), (X,)),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x.unsqueeze(0), 1, True)[0], (X,)),
    "lp_pool1d": (lambda x: F.lp_pool1d(x, 2, 2), (X,)),
    "lp_pool2d": (lambda x: F.lp_pool2d(x.unsqueeze(0), 2, 2), (X,)),
    "interpolate": (lambda x: F.interpolate(x.unsqueeze(0), size=3, mode="linear"), (X,)),
    "affine_grid": (lambda x: F.affine_grid(x, (1, 1, 2, 2)), (tw.ones(1, 2, 3).requires_grad_(),)),
    "grid_sample": (lambda x: F.grid_sample(x.reshape(1, 1, 2, 4), tw.zeros(1, 2, 2, 2)), (X,)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x.reshape(4, 1, 2), 2), (X,)),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x.unsqueeze(0), 2), (X,)),
    "channel_shuffle": (lambda x: F.channel_shuffle(x.reshape(1, 4, 2, 1), 2), (X,)),
    "unfold": (lambda x: F.unfold(x.unsqueeze(0), 2), (X,)),
    "fold": (lambda x: F.fold(x.reshape(1, 4, 2), (2, 3), 2), (X,)),
    "ctc_loss": (
        lambda x, y: F.ctc_loss(x.unsqueeze(1), y.narrow(0, 0, 1).unsqueeze(0), [2], [1]),
        (X, LABELS),
    ),
    "gumbel_softmax": (lambda x: F.gumbel_softmax(x, generator=tw.Generator(0)), (X,)),
    "multilabel_soft_margin_loss": (F.multilabel_soft_margin_loss, (X, Y)),
    "dropout1d": (lambda x: F.dropout1d(x, generator=tw.Generator(0)), (X,)),
    "dropout2d": (lambda x: F.dropout2d(x.unsqueeze(0), generator=tw.Generator(0)), (X,)),
    "alpha_dropout": (
        lambda x: F.alpha_dropout(x, training=True, generator=tw.Generator(0)),
        (X,),
    ),
    "feature_alpha_dropout": (
        lambda x: F.feature_alpha_dropout(x, training=True, generator=tw.Generator(0)),
        (X,),
    ),
    "variational_dropout": (
        lambda x: F.variational_dropout(x, dim=1, generator=tw.Generator(0)),
        (X,),
    ),
    "bilinear": (lambda x, y: F.bilinear(x, y, tw.ones(3, 4, 4)), (X, Y)),
    "embedding_bag": (
        lambda w, i: F.embedding_bag(i, w, tw.tensor([0, 1]), padding_idx=0, mode="max"),
        (X, tw.tensor([1, 0, 1])),
    ),
    "pad": (lambda x: F.pad(x, (1, 2), "reflect"), (X,)),
    "scaled_dot_product_attention": (
        lambda x, y: F.scaled_dot_product_attention(x, y, y, is_causal=True),
        (X, Y),
    ),
    "multi_head_attention_forward": (
        lambda x, w: F.multi_head_attention_forward(
            x, x, x, 4, 2, w, None, None, None, True, 0.0, tw.eye(4), None, attn_mask=tw.eye(2) > 0
        )[0],
        (tw.ones(2, 4, requires_grad=True), tw.ones(12, 4)),
    ),
    "cosine_similarity": (F.cosine_similarity, (X, Y)),
    "pairwise_distance": (F.pairwise_distance, (X, Y)),
    "cross_entropy": (F.cross_entropy, (X, LABELS)),
    "cross_entropy of probabilities": (F.cross_entropy, (X, Y)),
    "cross_entropy with everything": (
        lambda x, y, w: F.cross_entropy(x, y, w, ignore_index=0, label_smoothing=0.1),
        (X, LABELS, W),
    ),
    "nll_loss": (F.nll_loss, (X, LABELS)),
    "binary_cross_entropy": (F.binary_cross_entropy, (X, Y)),
    "binary_cross_entropy_with_logits": (F.binary_cross_entropy_with_logits, (X, Y)),
    "binary_cross_entropy_with_logits, weighted": (
        lambda x, y, w: F.binary_cross_entropy_with_logits(x, y, w, pos_weight=w),
        (X, Y, W),
    ),
    "kl_div": (F.kl_div, (X, Y)),
    "mse_loss": (F.mse_loss, (X, Y)),
    "l1_loss": (F.l1_loss, (X, Y)),
    "huber_loss": (F.huber_loss, (X, Y)),
    "smooth_l1_loss": (F.smooth_l1_loss, (X, Y)),
    "poisson_nll_loss": (lambda x, y: F.poisson_nll_loss(x, y, full=True), (X, Y)),
    "gaussian_nll_loss": (F.gaussian_nll_loss, (X, Y, W.expand(2, 4))),
    "hinge_embedding_loss": (F.hinge_embedding_loss, (X, SIGNS)),
    "soft_margin_loss": (F.soft_margin_loss, (X, SIGNS)),
    "margin_ranking_loss": (F.margin_ranking_loss, (X, Y, SIGNS)),
    "cosine_embedding_loss": (F.cosine_embedding_loss, (X, Y, SIGNS.narrow(1, 0, 1).squeeze(1))),
    "triplet_margin_loss": (F.triplet_margin_loss, (X, Y, X)),
    "triplet_margin_with_distance_loss": (F.triplet_margin_with_distance_loss, (X, Y, X)),
    "multi_margin_loss": (F.multi_margin_loss, (X, LABELS)),
}


def test_every_function_is_listed() -> None:
    assert {name.split()[0].strip(",") for name in CALLS} == set(F.__all__)


@pytest.mark.parametrize("name", CALLS)
def test_without_values(name: str, symbolic: Callable[[tw.Tensor], tw.Tensor]) -> None:
    function, operands = CALLS[name]
    inputs = [symbolic(x) for x in operands]
    out = function(*inputs)
    if out.dtype.is_floating_point:
        out.sum().backward()
        assert inputs[0].grad is not None
        assert inputs[0].grad.shape == operands[0].shape


@pytest.mark.parametrize("name", CALLS)
def test_shapes_without_values_are_those_with(name: str, request: pytest.FixtureRequest) -> None:
    function, operands = CALLS[name]
    if name == "binary_cross_entropy":
        operands = (Y, Y)
    known = function(*operands)
    symbolic = request.getfixturevalue("symbolic")
    unknown = function(*(symbolic(x) for x in operands))
    assert (unknown.shape, unknown.dtype) == (known.shape, known.dtype)
