"""Rows of `nn.functional`: closed forms of activations, losses and layers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import thalweg as tw
from tests.table.elementwise import through
from tests.table.reductions import logsumexp, softmax
from tests.table.row import Array, Bad, Row, inside, integers, normal, row, s, unary
from thalweg.errors import ConfigError, DataError, DTypeError, OutOfRangeError

__all__ = ["ROWS"]


def f(name: str, oracle: Callable[..., Any], *samples: Any, **settings: Any) -> Row:
    return row(f"nn.functional.{name}", oracle, *samples, **{"result": "float", **settings})


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softplus(x: Array, beta: float = 1) -> Array:
    return np.logaddexp(0, beta * x) / beta


def elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def gelu(x: Array, approximate: str = "none") -> Array:
    if approximate == "tanh":
        return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x / 2 * (1 + through(math.erf)(x / math.sqrt(2)))


def prelu(x: Array, weight: Array) -> Array:
    wide = weight.reshape(-1, *(1,) * (x.ndim - 2)) if x.ndim > 1 else weight.reshape(())
    return np.where(x > 0, x, wide * x)


def unit(x: Array, p: float = 2, dim: int = 1, eps: float = 1e-12) -> Array:
    size = (np.abs(x) ** p).sum(dim, keepdims=True) ** (1 / p)
    return x / np.maximum(size, eps)


def cosine(a: Array, b: Array, dim: int = 1, eps: float = 1e-8) -> Array:
    return (unit(a, 2, dim, eps) * unit(b, 2, dim, eps)).sum(dim)


def distance(a: Array, b: Array, p: float = 2, eps: float = 1e-6) -> Array:
    return (np.abs(a - b + eps) ** p).sum(-1) ** (1 / p)


def bagged(
    i: Array,
    w: Array,
    starts: Array | None = None,
    mode: str = "mean",
    padding_idx: int | None = None,
    weights: Array | None = None,
) -> Array:
    """A bag at a time."""
    weights = np.ones(i.shape) if weights is None else weights
    bags = list(zip(i, weights, strict=True))
    if starts is not None:
        bags = list(zip(np.split(i, starts[1:]), np.split(weights, starts[1:]), strict=True))
    skipped = None if padding_idx is None else padding_idx % len(w)
    out = np.zeros((len(bags), w.shape[1]))
    for at, (indices, shares) in enumerate(bags):
        kept = indices != skipped
        if kept.any():
            rows = w[indices[kept]] * shares[kept][:, None]
            out[at] = {"mean": np.mean, "sum": np.sum, "max": np.max}[mode](rows, 0)
    return out


def loss(losses: Callable[..., Array]) -> Callable[..., Any]:
    """An oracle for a loss from that of its elements: the reductions."""

    def oracle(*args: Any, reduction: str = "mean", **kwargs: Any) -> Any:
        each = losses(*args, **kwargs)
        return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](each)

    return oracle


def entropy_of_labels(
    x: Array,
    y: Array,
    w: Array | None = None,
    *,
    ignore_index: int | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    logits: bool = True,
) -> Any:
    """By the sum over classes, an element at a time."""
    scores = np.moveaxis(x, 1, -1) if x.ndim > 1 else x
    if logits:
        scores = scores - logsumexp(scores, -1, True)
    weights = np.ones(scores.shape[-1]) if w is None else w
    losses, counts = np.zeros(y.shape), np.zeros(y.shape)
    for place in np.ndindex(y.shape):
        if y[place] != ignore_index:
            target = np.full(len(weights), label_smoothing / len(weights))
            target[y[place]] += 1 - label_smoothing
            losses[place] = -(target * weights * scores[place]).sum()
            counts[place] = weights[y[place]]
    return (
        losses.sum() / counts.sum()
        if reduction == "mean"
        else losses.sum()
        if reduction == "sum"
        else losses
    )


def entropy_of_probabilities(
    x: Array, t: Array, w: Array | None = None, *, label_smoothing: float = 0.0
) -> Array:
    t = t * (1 - label_smoothing) + label_smoothing / x.shape[1]
    weights = np.ones(x.shape[1]) if w is None else w
    return -(weights * t * np.log(softmax(x, 1))).sum(1)


def bce_logits(x: Array, y: Array, weight: Any = 1, pos_weight: Any = 1) -> Array:
    return weight * (pos_weight * y * softplus(-x) + (1 - y) * softplus(x))


def bce(p: Array, y: Array, weight: Any = 1) -> Array:
    return -weight * (y * np.maximum(np.log(p), -100) + (1 - y) * np.maximum(np.log1p(-p), -100))


def huber(a: Array, b: Array, delta: float = 1.0) -> Array:
    d = np.abs(a - b)
    return np.where(d < delta, d * d / 2, delta * (d - delta / 2))


def poisson(
    x: Array, y: Array, log_input: bool = True, full: bool = False, eps: float = 1e-8
) -> Array:
    out = np.exp(x) - y * x if log_input else x - y * np.log(x + eps)
    many = np.maximum(y, 1)
    return (
        out + np.where(y > 1, many * np.log(many) - many + np.log(2 * np.pi * many) / 2, 0) * full
    )


def gaussian(x: Array, y: Array, v: Array, full: bool = False, eps: float = 1e-6) -> Array:
    v = np.maximum(v, eps)
    return (np.log(v) + (x - y) ** 2 / v) / 2 + full * math.log(2 * math.pi) / 2


def multi_margin(x: Array, y: Array, p: int = 1, margin: float = 1.0) -> Array:
    short = np.maximum(0, margin - np.take_along_axis(x, y[:, None], 1) + x) ** p
    np.put_along_axis(short, y[:, None], 0, 1)
    return short.sum(1) / x.shape[1]


def ways(x: Array, y: Array, steps: Array, sizes: Array, blank: int = 0) -> Array:
    """-log of the sum over all paths through time that spell y, a path at a time."""
    losses = []
    for n, (count, size) in enumerate(zip(steps, sizes, strict=True)):
        total = 0.0
        for path in itertools.product(range(x.shape[2]), repeat=int(count)):
            merged = [k for k, _ in itertools.groupby(path)]
            if [k for k in merged if k != blank] == y[n, :size].tolist():
                total += math.exp(sum(x[t, n, k] for t, k in enumerate(path)))
        losses.append(-math.log(total) if total else math.inf)
    return np.array(losses)


def triplet(
    a: Array, near: Array, far: Array, margin: float = 1.0, p: float = 2, swap: bool = False
) -> Array:
    apart = distance(a, far, p)
    apart = np.minimum(apart, distance(near, far, p)) if swap else apart
    return np.maximum(0, distance(a, near, p) - apart + margin)


def pad(x: Array, amounts: Any, mode: str = "constant", value: float = 0) -> Array:
    pairs = [(0, 0)] * (x.ndim - len(amounts) // 2) + list(
        zip(amounts[::2], amounts[1::2], strict=True)
    )[::-1]
    inner = tuple(
        slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, pairs, strict=True)
    )
    pairs = [(max(a, 0), max(b, 0)) for a, b in pairs]
    names = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    extra = {"constant_values": value} if mode == "constant" else {}
    return np.pad(x[inner], pairs, names[mode], **extra)


def reductions(*arrays: Array, **kwargs: Any) -> tuple[Any, ...]:
    return tuple(s(*arrays, reduction=how, **kwargs) for how in ("mean", "sum", "none"))


X, Y = normal(3, 4), normal(3, 4, seed=1)
P, SIGNS = inside(3, 4) / 2 + 0.5, np.sign(normal(3, 4, seed=2)).astype(np.int64)
LABELS, CLASSES = np.array([3, 0, 3]), np.abs(normal(4, seed=3))
SHARES = softmax(normal(3, 4, seed=4), 1).astype(np.float32).astype(np.float64)
IMAGE, PLACES = normal(2, 3, 2, 2), integers(0, 3, 2, 2, 2)
TOKENS = normal(4, 2, seed=5)
UNEQUAL = Bad((normal(3, 1), normal(3)), mentions=("(3, 1)", "(3,)", "squeeze"))
WORD = Bad((X, Y), kwargs={"reduction": "average"}, error=ConfigError, mentions=("average", "mean"))
PAIRS = (UNEQUAL, WORD)

SPELLED = np.array([[1, 2], [2, 1]])
# fmt: off
ACTIVATIONS = [
    f("elu",         elu, unary(normal, 0.0), s(X, alpha=0.5)),
    f("celu",        lambda x, alpha=1.0: np.where(x > 0, x,
            alpha * np.expm1(np.minimum(x, 0) / alpha)), unary(normal, 0.0), s(X, alpha=0.5),
        bad=Bad((X,), kwargs={"alpha": 0.0}, error=ConfigError, mentions=("alpha",))),
    f("selu",        lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772), unary(normal, 0.0)),
    f("gelu",        gelu, unary(), s(X, approximate="tanh"),
        bad=Bad((X,), kwargs={"approximate": "erf"}, error=ConfigError, mentions=("erf", "tanh"))),
    f("silu",        lambda x: x * sigmoid(x), unary(), s(np.array([100.0, -90.0]))),
    f("mish",        lambda x: x * np.tanh(softplus(x)), unary()),
    f("glu",         lambda x, dim=-1: np.split(x, 2, dim)[0] * sigmoid(np.split(x, 2, dim)[1]),
        s(X), s(normal(4, 3), dim=0), bad=Bad((normal(3, 3),), mentions=("(3, 3)",))),
    f("logsigmoid",  lambda x: -softplus(-x), unary(), s(np.array([1000.0, -1000.0]))),
    f("softplus",    softplus, unary(), s(X, beta=2.0), s(np.array([1000.0, -50.0]))),
    f("softsign",    lambda x: x / (1 + np.abs(x)), unary(), s(np.array([0.0]), smooth=False)),
    f("tanhshrink",  lambda x: x - np.tanh(x), unary()),
    f("softmin",     lambda x, dim: softmax(-x, dim), s(X, dim=1), s(normal(0, 2), dim=1)),
    f("hardshrink",  lambda x, lambd=0.5: np.where(np.abs(x) > lambd, x, 0),
        unary(normal, 0.5, -0.5), s(X, lambd=1.0)),
    f("softshrink",  lambda x, lambd=0.5: np.sign(x) * np.maximum(np.abs(x) - lambd, 0),
        unary(normal, 0.5, -0.5), s(X, lambd=1.0),
        bad=Bad((X,), kwargs={"lambd": -1.0}, error=ConfigError, mentions=("lambd",))),
    f("hardsigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1), unary(normal, 3.0, -3.0),
        s(np.array([4.0, -4.0]))),
    f("hardswish",   lambda x: x * np.clip(x / 6 + 0.5, 0, 1), unary(normal, 3.0, -3.0),
        s(np.array([4.0, -4.0]))),
    f("hardtanh",    lambda x, a=-1.0, b=1.0: np.clip(x, a, b), unary(normal, 1.0, -1.0),
        s(X, args=(-0.25, 0.5)), bad=Bad((X,), (1.0, -1.0), error=ConfigError,
            mentions=("min_val",))),
    f("leaky_relu",  lambda x, k=0.01: np.where(x > 0, x, k * x), unary(normal, 0.0),
        s(X, args=(0.25,))),
    f("prelu",       prelu, s(X, CLASSES), s(X, np.array([0.25])), s(normal(2, 3, 2), normal(3)),
        s(normal(), np.array([0.5])), bad=Bad((X, normal(3)))),
    f("relu6",       lambda x: np.clip(x, 0, 6), unary(normal, 0.0, 6.0, 7.0)),
    f("threshold",   lambda x, t, v: np.where(x > t, x, v), s(X, args=(0.25, -1.0)),
        s(np.array([0.25]), args=(0.25, -1.0), smooth=False)),
]

LAYERS = [
    f("linear",      lambda x, w, b=0: x @ w.T + b, s(X, normal(2, 4)),
        s(X, normal(2, 4), normal(2)), s(normal(4), normal(2, 4), normal(2)),
        s(normal(2, 3, 4), normal(2, 4), normal(2)), s(normal(0, 4), normal(2, 4), normal(2)),
        kinds="",
        bad=(Bad((normal(2, 3), normal(5, 4))),
            Bad((normal(2, 4), normal(5, 4), normal(3)), mentions=("(5,)", "(3,)")))),
    f("embedding",   lambda i, w, padding_idx=None: w[i], s(integers(0, 4, 2, 3), normal(4, 2)),
        s(np.array(1), normal(4, 2)), s(integers(0, 1, 0), normal(4, 2)), kinds="s", exact=True,
        bad=(Bad((np.array([4]), normal(4, 2)), error=OutOfRangeError,
            mentions=("index 4", "(4, 2)")), Bad((normal(2), normal(4, 2)), error=DTypeError,
            mentions=("float32",)))),
    f("one_hot",     lambda y, n=-1: np.eye(y.max() + 1 if n < 0 else n)[y], s(LABELS),
        s(LABELS, args=(5,)), result=tw.int64, derivatives=0, concrete=True,
        bad=Bad((LABELS,), (3,), error=OutOfRangeError, mentions=("label 3", "0 to 2"))),
    f("dropout",     lambda x, p, training=True: x if not training else x * (p == 0),
        s(X, args=(0.0,)), s(X, args=(0.5,), training=False), s(X, args=(1.0,)), kinds="m",
        bad=Bad((X,), (1.5,), error=ConfigError, mentions=("1.5",))),
    *(f(name, lambda x, p=0.5, training=False: x if not training else x * (p == 0),
        s(x, args=(0.0, True)), s(x, args=(0.5, False)), s(x, args=(1.0, True)), kinds="m",
        bad=(Bad((x,), (1.5,), error=ConfigError, mentions=(f"{name}: p", "1.5")),
             *(Bad((given,), mentions=(str(given.shape),)) for given in others)))
      for name, x, others in (("dropout1d", normal(2, 3, 4), (normal(3),)),
                              ("dropout2d", normal(2, 3, 2, 2), (normal(2, 3),)),
                              ("alpha_dropout", X, ()),
                              ("feature_alpha_dropout", IMAGE, (normal(3),)))),
    f("variational_dropout", lambda x, p, dim=0, training=True: x if not training else x * (p == 0),
        s(X, args=(0.0,)), s(X, args=(0.5, 1), training=False), s(X, args=(1.0,)), kinds="m",
        bad=(Bad((X,), (-0.5,), error=ConfigError, mentions=("-0.5",)),
             Bad((X,), (0.5, 2), mentions=("dimension 2",)))),
    f("bilinear",    lambda x, y, w, b=0: np.einsum("...i,oij,...j->...o", x, w, y) + b,
        s(X, normal(3, 2), normal(5, 4, 2)), s(X, normal(3, 2), normal(5, 4, 2), normal(5)),
        s(normal(4), normal(2), normal(5, 4, 2)), s(normal(0, 4), normal(0, 2), normal(5, 4, 2)),
        bad=(Bad((X, normal(2, 2), normal(5, 4, 2))), Bad((X, normal(3, 2), normal(5, 2, 4))),
            Bad((X, normal(3, 2), normal(5, 4, 2), normal(4)), mentions=("(4,)", "(5,)")))),
    f("embedding_bag", bagged, s(integers(0, 4, 3, 2), TOKENS), s(integers(0, 4, 3, 2), TOKENS,
        mode="sum"), s(integers(0, 4, 3, 2), normal(4, 2), mode="max"),
        s(integers(0, 4, 3, 5), TOKENS, padding_idx=-2), s(integers(0, 4, 3, 0), TOKENS), kinds="",
        bad=(Bad((np.array([4, 1]), TOKENS), mentions=("(2,)", "(B, n)")),
             Bad((np.array([[4, 1]]), TOKENS), error=OutOfRangeError, mentions=("index 4",)),
             Bad((integers(0, 4, 3, 2), TOKENS), kwargs={"mode": "average"}, error=ConfigError,
                 mentions=("average", "mean")))),
    f("embedding_bag", bagged, s(integers(0, 4, 7), TOKENS, args=([0, 2, 2, 6],)),
        s(integers(0, 4, 7), TOKENS, args=([0, 3],), mode="sum"),
        s(integers(0, 4, 7), TOKENS, args=([0, 0, 3],), mode="max", padding_idx=1), kinds="",
        call=lambda i, w, b, **options: tw.nn.functional.embedding_bag(
            i, w, b if isinstance(b, tw.Tensor) else tw.tensor(b), **options),
        bad=Bad((integers(0, 4, 2, 2), TOKENS, np.array([0])), mentions=("(2, 2)", "offsets"))),
    f("embedding_bag", lambda i, w, v, b: bagged(i, w, b, mode="sum", weights=v),
        s(integers(0, 4, 7), TOKENS, normal(7), args=([0, 3],)), call=lambda i, w, v,
        b: tw.nn.functional.embedding_bag(i, w, tw.tensor(b), mode="sum", per_sample_weights=v)),
    f("pad",         pad, s(X, args=((1, 2),)), s(X, args=((1, 0, 0, 2), "constant", 1.5)),
        s(X, args=((-1, 1),)), s(X, args=((2, 1), "reflect")),
        s(X, args=((1, 1, 2, 0), "replicate")), s(X, args=((3, 4), "circular")), kinds="m",
        exact=True,
        bad=(Bad((X,), ((1, 2, 3),), mentions=("(3, 4)",)),
            Bad((X,), ((5, 0), "reflect"), mentions=("(3, 4)", "reflect")),
            Bad((X,), ((1, 0), "mirror"), error=ConfigError, mentions=("mirror", "reflect")))),
    f("normalize",   unit, s(X), s(X, p=1.0), s(X, p=3.0, dim=0), s(np.zeros((2, 2)), smooth=False),
        bad=Bad((normal(3),), mentions=("dimension 1",))),
    f("cosine_similarity", cosine, s(X, Y), s(X, normal(4), dim=-1),
        bad=Bad((normal(2, 3), normal(2, 4)))),
    f("pairwise_distance", distance, s(X, Y), s(X, Y, p=1.0), s(X, X, smooth=False),
        bad=Bad((normal(2, 3), normal(2, 4)))),
]

LOSSES = [
    f("mse_loss",    loss(lambda a, b: (a - b) ** 2), reductions(X, Y), s(normal(), normal(seed=1)),
        bad=PAIRS),
    f("l1_loss",     loss(lambda a, b: np.abs(a - b)), reductions(X, Y), s(X, X, smooth=False),
        bad=PAIRS),
    f("huber_loss",  loss(huber), reductions(X, Y), s(X, Y, delta=0.25),
        bad=(*PAIRS, Bad((X, Y), kwargs={"delta": 0.0}, error=ConfigError, mentions=("delta",)))),
    f("smooth_l1_loss", loss(lambda a, b, beta=1.0: huber(a, b, beta) / beta if beta
        else np.abs(a - b)), reductions(X, Y), s(X, Y, beta=0.25), s(X, Y, beta=0.0), bad=PAIRS),
    f("poisson_nll_loss", loss(poisson), reductions(X, P), s(X, 3 * P, full=True),
        s(P, 3 * P, log_input=False), bad=PAIRS),
    f("gaussian_nll_loss", loss(gaussian), reductions(X, Y, P), s(X, Y, P, full=True),
        s(X, Y, np.abs(normal(3, 1))), bad=Bad((X, Y, normal(5)), mentions=("(5,)", "(3, 4)"))),
    f("kl_div",      loss(lambda x, t, log_target=False: np.exp(t) * (t - x) if log_target
            else t * (np.log(t) - x)), reductions(X, SHARES), s(X, Y, log_target=True), bad=PAIRS),
    f("binary_cross_entropy", loss(bce), reductions(P, P[::-1].copy()), s(P, SHARES, CLASSES),
        s(np.array([0.0, 1.0]), np.array([0.0, 0.0]), smooth=False), bad=UNEQUAL, judged=True),
    f("binary_cross_entropy_with_logits", loss(bce_logits), reductions(X, P), s(X, P, CLASSES),
        s(np.array([1000.0, -1000.0]), np.array([0.0, 1.0])), bad=PAIRS),
    f("binary_cross_entropy_with_logits", loss(lambda x, y, q: bce_logits(x, y, 1, q)),
        s(X, P, CLASSES), call=lambda x, y, q: tw.nn.functional.binary_cross_entropy_with_logits(x,
            y, pos_weight=q)),
    f("multilabel_soft_margin_loss", loss(lambda x, y, w=1: bce_logits(x, y, w).mean(-1)),
        reductions(X, P), s(X, P, CLASSES), s(X[0], P[0]), bad=PAIRS),
    f("cross_entropy", entropy_of_labels, reductions(X, LABELS), reductions(X, LABELS, CLASSES),
        reductions(X, LABELS, ignore_index=0),
        reductions(X, LABELS, CLASSES, label_smoothing=0.25, ignore_index=0), s(IMAGE, PLACES),
        s(normal(4), np.array(2)), s(np.array([[1000.0, 0.0, -1000.0]]), np.array([0])),
        bad=(Bad((X, LABELS[:2]), mentions=("(3, 4)", "(2,)")),
            Bad((X, LABELS + 1), error=OutOfRangeError, mentions=("4", "0 to 3")),
            Bad((X, normal(3)), error=DTypeError, mentions=("float",)),
            Bad((X, LABELS, normal(3)), mentions=("(3,)", "(4,)")),
        Bad((X, LABELS), kwargs={"label_smoothing": 2.0}, error=ConfigError, mentions=("2.0",)))),
    f("cross_entropy", loss(entropy_of_probabilities), reductions(X, SHARES), s(X, SHARES, CLASSES),
        s(X, SHARES, label_smoothing=0.25), kinds="m"),
    f("nll_loss",    lambda x, y, w=None, **k: entropy_of_labels(x, y, w, logits=False, **k),
        reductions(X, LABELS), reductions(X, LABELS, CLASSES, ignore_index=0), s(IMAGE, PLACES),
        bad=(Bad((X, LABELS[:2]), mentions=("(3, 4)", "(2,)")),
            Bad((X, LABELS + 1), error=OutOfRangeError, mentions=("4", "0 to 3")))),
    f("hinge_embedding_loss", loss(lambda x, y,
            margin=1.0: np.where(y == 1, x, np.maximum(0, margin - x))), reductions(X, SIGNS),
        s(X, SIGNS, margin=0.25), bad=UNEQUAL),
    f("soft_margin_loss", loss(lambda x, y: softplus(-y * x)), reductions(X, SIGNS), bad=UNEQUAL),
    f("margin_ranking_loss", loss(lambda a, b, y, margin=0.0: np.maximum(0, -y * (a - b) + margin)),
        reductions(X, Y, SIGNS), s(X, Y, SIGNS, margin=0.25),
        bad=Bad((X, Y, SIGNS[0]), mentions=("(3, 4)", "(4,)"))),
    f("cosine_embedding_loss", loss(lambda a, b, y,
            margin=0.0: np.where(y == 1, 1 - cosine(a, b, -1),
            np.maximum(0, cosine(a, b, -1) - margin))), reductions(X, Y, SIGNS[:, 0].copy()),
        bad=Bad((X, Y, SIGNS), mentions=("(3, 4)", "(N,)"))),
    f("triplet_margin_loss", loss(triplet), reductions(X, Y, normal(3, 4, seed=2)),
        s(X, Y, normal(3, 4, seed=2), p=1.0, swap=True, margin=3.0),
        bad=Bad((X, Y, normal(3)), mentions=("(3, 4)", "(3,)"))),
    f("triplet_margin_with_distance_loss", loss(lambda a, p, n, margin=1.0: triplet(a, p, n,
        margin=margin)), reductions(X, Y, normal(3, 4, seed=2)), s(X, Y, normal(3, 4, seed=2),
        margin=2.0), bad=Bad((X, Y, normal(3)), mentions=("(3, 4)", "(3,)"))),
    f("ctc_loss", lambda x, *a, reduction="mean", **k: {"sum": np.sum, "none": np.asarray,
        "mean": lambda v: np.mean(v / np.maximum(a[2], 1))}[reduction](ways(x, *a, **k)),
        *(s(normal(5, 2, 3), SPELLED, np.array([5, 4]), np.array([2, 1]), reduction=reduction)
            for reduction in ("mean", "sum", "none")),
        s(normal(3, 2, 3), SPELLED[:, ::-1] * 0 + 1, np.array([3, 1]), np.array([2, 0]), blank=2),
        s(normal(3, 2, 3), SPELLED * 0 + 1, np.array([2, 3]), np.array([2, 1]), reduction="none",
            smooth=False),
        bad=(Bad((normal(5, 2, 3), SPELLED, np.array([5, 6]), np.array([2, 1])), error=DataError,
                mentions=("input_lengths", "6", "0 to 5")),
            Bad((normal(5, 2, 3), SPELLED + 1, np.array([5, 4]), np.array([2, 1])),
                error=DataError, mentions=("label 3", "0 to 2")),
            Bad((normal(5, 2, 3), SPELLED * 0, np.array([5, 4]), np.array([2, 1])),
                error=DataError, mentions=("label 0", "blank")),
            Bad((normal(5, 2, 3), SPELLED[:1], np.array([5, 4]), np.array([2, 1])),
                mentions=("(1, 2)", "2 sequences")),
            Bad((normal(5, 2, 3), SPELLED, np.array([5]), np.array([2, 1])), mentions=("(1,)",)),
            Bad((normal(5), SPELLED, np.array([5]), np.array([2])), mentions=("(5,)",)),
            Bad((normal(5, 2, 3), SPELLED, np.array([5, 4]), np.array([2, 1])), (3,),
                error=OutOfRangeError, mentions=("blank=3",)))),
    f("multi_margin_loss", loss(multi_margin), reductions(X, LABELS), s(X, LABELS, p=2, margin=0.5),
        bad=(Bad((X, LABELS[:2]), mentions=("(3, 4)", "(2,)")),
            Bad((X, LABELS + 1), error=OutOfRangeError, mentions=("4", "0 to 3")))),
]
# fmt: on

ROWS = [*ACTIVATIONS, *LAYERS, *LOSSES]
