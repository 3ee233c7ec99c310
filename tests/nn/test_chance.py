"""Everything that draws by chance: rates, distributions, moments, and what depends on what.

Each check fails with a probability below 1e-6 if all is right; there are about 300, so all of them
together below 3e-4. Seeds are fixed: a check that passes once passes always. What they are to find,
a wrong rate, scale or variance, or one draw where there should be two, is far beyond.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.data import Loader
from thalweg.ops import random

F, init = nn.functional, nn.init
Array = Any

Z = 4.9  # standard deviations that a normal number exceeds with a probability of 1e-6
KS = 2.7  # sqrt(n) times the distance of Kolmogorov and Smirnov that is exceeded with 1e-6
COUNT = 40_000


@pytest.fixture(autouse=True)
def _seed() -> None:
    tw.manual_seed(2024)


# --- checks ---------------------------------------------------------------------------------------


def is_rate(hits: Array, p: float) -> None:
    """As many hits as draws with probability p give."""
    n = np.size(hits)
    assert abs(float(np.mean(hits)) - p) <= Z * math.sqrt(p * (1 - p) / n) + 1e-12


def is_distributed(sample: Array, cdf: Callable[[Array], Array]) -> None:
    """The sample's distribution function is nowhere far from `cdf`."""
    x = np.sort(np.ravel(sample).astype(np.float64))
    n, below = len(x), cdf(np.sort(np.ravel(sample).astype(np.float64)))
    above = np.abs(np.arange(1, n + 1) / n - below).max()
    assert max(above, np.abs(np.arange(n) / n - below).max()) * math.sqrt(n) < KS


def are_counts(counts: Array, shares: Array) -> None:
    """Chi-squared of counts, made normal by Wilson and Hilferty, is no surprise."""
    counts, expected = np.asarray(counts, np.float64), np.asarray(shares) * np.sum(counts)
    chi, freedom = float((np.square(counts - expected) / expected).sum()), len(expected) - 1
    spread = 2 / (9 * freedom)
    assert abs((chi / freedom) ** (1 / 3) - (1 - spread)) < Z * math.sqrt(spread)


def are_independent(columns: Array) -> None:
    """No two of the columns of (n, k) numbers are correlated: of all pairs, with 1e-6 together."""
    x = np.asarray(columns, np.float64)
    correlations = np.corrcoef(x.T)[np.triu_indices(x.shape[1], 1)]
    limit = math.sqrt(2 * math.log(1e6 * len(correlations)))  # the tail is below e^(-z^2 / 2)
    assert np.abs(correlations).max() * math.sqrt(len(x)) < limit


def normal_cdf(mean: float, std: float) -> Callable[[Array], Array]:
    erf = np.vectorize(math.erf)
    return lambda x: 0.5 * (1 + erf((x - mean) / std / math.sqrt(2)))


def uniform_cdf(a: float, b: float) -> Callable[[Array], Array]:
    return lambda x: np.clip((x - a) / (b - a), 0, 1)


def truncated_cdf(mean: float, std: float, a: float, b: float) -> Callable[[Array], Array]:
    whole = normal_cdf(mean, std)
    return lambda x: (whole(x) - whole(np.array(a))) / (whole(np.array(b)) - whole(np.array(a)))


# --- continuous numbers ---------------------------------------------------------------------------


class Drawn(NamedTuple):
    """How numbers of a shape are drawn, and their distribution function."""

    draw: Callable[[int, int], tw.Tensor]
    cdf: Callable[[Array], Array]


def made(function: Callable[..., tw.Tensor], **options: Any) -> Callable[[int, int], tw.Tensor]:
    return lambda n, k: function(tw.empty(n, k), **options)


ROWS, COLUMNS = COUNT // 8, 8
XAVIER, HE, HE_OUT = (math.sqrt(2 / f) for f in (ROWS + COLUMNS, COLUMNS, ROWS))

# fmt: off
CONTINUOUS: dict[str, Drawn] = {
    "rand":             Drawn(lambda n, k: tw.rand(n, k), uniform_cdf(0, 1)),
    "rand float64":     Drawn(lambda n, k: tw.rand(n, k, dtype=tw.float64), uniform_cdf(0, 1)),
    "rand_like":        Drawn(made(tw.rand_like), uniform_cdf(0, 1)),
    "randn":            Drawn(lambda n, k: tw.randn(n, k), normal_cdf(0, 1)),
    "randn float64":    Drawn(lambda n, k: tw.randn(n, k, dtype=tw.float64), normal_cdf(0, 1)),
    "randn_like":       Drawn(made(tw.randn_like), normal_cdf(0, 1)),
    "normal":           Drawn(lambda n, k: tw.normal(2.0, 3.0, (n, k)), normal_cdf(2, 3)),
    "x.uniform_":       Drawn(lambda n, k: tw.empty(n, k).uniform_(-1, 3), uniform_cdf(-1, 3)),
    "x.normal_":        Drawn(lambda n, k: tw.empty(n, k).normal_(-1, 2), normal_cdf(-1, 2)),
    "uniform_":         Drawn(made(init.uniform_, a=-2.0, b=1.0), uniform_cdf(-2, 1)),
    "normal_":          Drawn(made(init.normal_, mean=1.0, std=0.5), normal_cdf(1, 0.5)),
    "trunc_normal_":    Drawn(made(init.trunc_normal_, a=-1.0, b=0.5),
                              truncated_cdf(0, 1, -1, 0.5)),
    "xavier_uniform_":  Drawn(made(init.xavier_uniform_, gain=2.0),
                              uniform_cdf(-2 * XAVIER * math.sqrt(3), 2 * XAVIER * math.sqrt(3))),
    "xavier_normal_":   Drawn(made(init.xavier_normal_), normal_cdf(0, XAVIER)),
    "glorot_uniform_":  Drawn(made(init.glorot_uniform_),
                              uniform_cdf(-XAVIER * math.sqrt(3), XAVIER * math.sqrt(3))),
    "glorot_normal_":   Drawn(made(init.glorot_normal_), normal_cdf(0, XAVIER)),
    "kaiming_uniform_": Drawn(made(init.kaiming_uniform_),
                              uniform_cdf(-HE * math.sqrt(3), HE * math.sqrt(3))),
    "kaiming_normal_":  Drawn(made(init.kaiming_normal_, mode="fan_out"), normal_cdf(0, HE_OUT)),
    "he_uniform_":      Drawn(made(init.he_uniform_),
                              uniform_cdf(-HE * math.sqrt(3), HE * math.sqrt(3))),
    "he_normal_":       Drawn(made(init.he_normal_), normal_cdf(0, HE)),
}
# fmt: on


@pytest.mark.parametrize("name", CONTINUOUS)
def test_numbers_follow_their_distribution(name: str) -> None:
    drawn = CONTINUOUS[name]
    sample = drawn.draw(ROWS, COLUMNS).numpy()
    is_distributed(sample, drawn.cdf)
    are_independent(sample)
    are_independent(np.stack([sample.ravel()[lag : lag + COUNT - 9] for lag in range(9)], 1))
    again = drawn.draw(ROWS, COLUMNS).numpy()
    are_independent(np.stack([sample.ravel(), again.ravel()], 1))


def test_orthogonal_matrices_have_no_direction() -> None:
    """The square of an element of a column of two is the square of a cosine of any angle."""
    elements = [init.orthogonal_(tw.empty(2, 2)).numpy() for _ in range(3000)]
    angles = np.array([math.atan2(m[1, 0], m[0, 0]) for m in elements])
    is_distributed(angles, uniform_cdf(-math.pi, math.pi))
    is_rate([np.linalg.det(m) > 0 for m in elements], 0.5)


def test_sparse_weights_are_anywhere_in_a_column() -> None:
    weight = init.sparse_(tw.empty(10, 4000), 0.7, std=0.5).numpy()
    assert ((weight == 0).sum(0) == 7).all()
    are_counts((weight != 0).sum(1), np.full(10, 0.1))
    is_distributed(weight[weight != 0], normal_cdf(0, 0.5))


# --- discrete numbers -----------------------------------------------------------------------------

SHARES = np.array([0.5, 0.2, 0.05, 0.25])

# fmt: off
DISCRETE: dict[str, tuple[Callable[[], tw.Tensor], Array]] = {
    "randint":             (lambda: tw.randint(0, 7, (ROWS, COLUMNS)), np.full(7, 1 / 7)),
    "randint_like":        (lambda: tw.randint_like(tw.empty(ROWS, COLUMNS), 0, 4), [0.25] * 4),
    "bernoulli":           (lambda: tw.bernoulli(tw.full((ROWS, COLUMNS), 0.3)), [0.7, 0.3]),
    "bernoulli_":          (lambda: tw.empty(ROWS, COLUMNS).bernoulli_(0.3), [0.7, 0.3]),
    "x.bernoulli":         (lambda: tw.full((ROWS, COLUMNS), 0.9).bernoulli(), [0.1, 0.9]),
    "multinomial":         (lambda: tw.multinomial(tw.tensor(SHARES).expand(ROWS, 4), COLUMNS,
                                                   replacement=True), SHARES),
    "multinomial, one":    (lambda: tw.cat([tw.multinomial(tw.tensor(3 * SHARES).expand(ROWS, 4), 1)
                                            for _ in range(3)], 1), SHARES),
}
# fmt: on


@pytest.mark.parametrize("name", DISCRETE)
def test_integers_are_as_frequent_as_they_should_be(name: str) -> None:
    draw, shares = DISCRETE[name]
    sample = draw().numpy().astype(np.int64)
    are_counts(np.bincount(sample.ravel(), minlength=len(shares)), shares)
    are_independent(sample)
    are_independent(np.stack([sample.ravel(), draw().numpy().ravel()], 1))


def _orders(draw: Callable[[], Any], count: int) -> Array:
    """How often each of the 24 orders of four things comes."""
    places = [tuple(draw()) for _ in range(count)]
    _, counts = np.unique(places, axis=0, return_counts=True)
    return counts


def test_all_orders_are_alike() -> None:
    weights, each = tw.ones(2400, 4), np.full(24, 1 / 24)
    are_counts(_orders(lambda: tw.randperm(4).tolist(), 2400), each)
    are_counts(np.unique(tw.multinomial(weights, 4).numpy(), axis=0, return_counts=True)[1], each)
    loader = Loader((tw.arange(4).reshape(4, 1), tw.arange(4)), batch_size=4)
    are_counts(_orders(lambda: next(iter(loader))[1].tolist(), 1200), each)


# --- dropout --------------------------------------------------------------------------------------


class Dropout(NamedTuple):
    """A kind of dropout over (64, 32, 24) ones, and which of its dimensions share a draw."""

    make: Callable[[float], nn.Module]
    shared: tuple[int, ...]
    saturates: bool = False


DROPOUTS: dict[str, Dropout] = {
    "Dropout": Dropout(nn.Dropout, ()),
    "Dropout1d": Dropout(nn.Dropout1d, (2,)),
    "Dropout2d": Dropout(nn.Dropout2d, (2,)),
    "VariationalDropout": Dropout(nn.VariationalDropout, (0,)),
    "VariationalDropout, batch first": Dropout(lambda p: nn.VariationalDropout(p, True), (1,)),
    "AlphaDropout": Dropout(nn.AlphaDropout, (), saturates=True),
    "FeatureAlphaDropout": Dropout(nn.FeatureAlphaDropout, (2,), saturates=True),
}
SHAPE = (64, 32, 24)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("name", DROPOUTS)
@pytest.mark.parametrize("compiled", [False, True])
def test_kinds_of_dropout(name: str, p: float, compiled: bool) -> None:
    kind = DROPOUTS[name]
    module: Any = kind.make(p)
    module = tw.compile(module) if compiled else module
    x = tw.ones(*SHAPE)
    out = np.stack([module(x).numpy() for _ in range(4)])
    off, on = out.min(), out.max()
    assert set(np.unique(out)) == {off, on}
    if not kind.saturates:
        assert off == 0
        assert on == pytest.approx(1 / (1 - p), rel=1e-6)
    axes = tuple(axis + 1 for axis in kind.shared)
    kept = out == on
    if kind.shared:
        assert (kept.all(axes) | (~kept).all(axes)).all()
    draws = kept.all(axes)  # one for each that is drawn
    is_rate(draws, 1 - p)
    for axis in range(draws.ndim):  # calls, and every dimension that is not shared
        are_independent(np.moveaxis(draws, axis, -1).reshape(-1, draws.shape[axis]))
    are_independent(np.stack([draws.ravel()[:-1], draws.ravel()[1:]], 1))


@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize("name", DROPOUTS)
def test_the_mean_stays_and_the_variance_is_known(name: str, p: float) -> None:
    """Of normal numbers z: mean 0; variance 1 / (1 - p), or, behind SELU, 1 as it was."""
    kind = DROPOUTS[name]
    z = tw.randn(*SHAPE)
    out = tw.cat([kind.make(p)(z) for _ in range(8)]).numpy().astype(np.float64)
    shared = [SHAPE[axis] for axis in kind.shared]
    count = out.size // (math.prod(shared) if shared else 1)  # of draws
    variance = 1.0 if kind.saturates else 1 / (1 - p)
    assert abs(out.mean()) < Z * math.sqrt(variance / count)
    fourth = 6 * variance * variance  # no less than that of any of these
    assert abs(out.var() - variance) < Z * math.sqrt(fourth / count)


def test_attention_leaves_out_weights() -> None:
    """Of equal weights over 50 keys whose values are 1: the sum is that of what is kept."""
    q, k, v = tw.zeros(40, 4, 30, 8), tw.zeros(40, 4, 50, 8), tw.ones(40, 4, 50, 1)
    out = F.scaled_dot_product_attention(q, k, v, dropout_p=0.3).numpy() * 0.7 * 50
    kept = np.rint(out).ravel()
    assert np.abs(out.ravel() - kept).max() < 1e-3
    assert abs(kept.mean() - 35) < Z * math.sqrt(50 * 0.21 / len(kept))
    assert abs(kept.var() / (50 * 0.21) - 1) < Z * math.sqrt(3 / len(kept))
    are_independent(np.rint(out).reshape(-1, 30))


def test_multihead_attention_leaves_out_weights() -> None:
    layer = nn.MultiheadAttention(4, 2, dropout=0.25, batch_first=True)
    with tw.no_grad():
        layer.in_proj_weight.zero_()  # type: ignore[union-attr]
    x = tw.randn(60, 20, 4)
    weights = layer(x, x, x, average_attn_weights=False)[1].detach().numpy()
    is_rate(weights > 0, 0.75)
    assert np.allclose(weights[weights > 0], 1 / 20 / 0.75)
    are_independent((weights > 0).reshape(-1, 20))


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_dropout_between_recurrent_layers(kind: Any) -> None:
    """A step's outputs of the first layer are left out on their own, each step anew."""
    layer = kind(1, 16, 2, dropout=0.4)
    with tw.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.zero_()
            if name.startswith("bias_ih_l0"):
                parameter.fill_(1.0)  # the first layer gives one number in all its units
    hidden = tw.zeros(2, 50, 16)
    state = (hidden, hidden) if kind is nn.LSTM else hidden
    rows = slice(-16, None) if kind is not nn.LSTM else slice(32, 48)  # of the unit's own input
    layer.weight_ih_l1.data = layer.weight_ih_l1.with_item(rows, tw.eye(16)).detach()
    x = tw.zeros(40, 50, 1)
    out = layer(x, state)[0].detach().numpy()
    first = out[0]  # before the second layer's state plays a part
    is_rate(first != 0, 0.6)
    are_independent(first != 0)


@pytest.mark.parametrize("name", ["TransformerEncoderLayer", "TransformerDecoderLayer"])
def test_dropout_in_transformers_keeps_the_mean(name: str) -> None:
    """Over many draws the output is nearly that without: no part is scaled twice, or not."""
    layer: Any = getattr(nn, name)(8, 2, 16, dropout=0.05, norm_first=True)
    x = tw.randn(3, 1, 8)
    inputs = (x,) if "Encoder" in name else (x, tw.randn(4, 1, 8))
    many = [y.expand(y.shape[0], 4000, 8) for y in inputs]
    with tw.no_grad():
        drawn = layer(*many).numpy()
        wanted = layer.eval()(*inputs).numpy()
    error = drawn.std(1) / math.sqrt(4000)
    most = np.square(wanted).mean() ** 0.5  # what norms and activations bend is of second order
    assert (np.abs(drawn.mean(1) - wanted[:, 0]) < Z * error + 0.03 * most).all()


# --- layers begin by chance too -------------------------------------------------------------------

# fmt: off
LAYERS: dict[str, tuple[Callable[[], Any], Callable[[Array], Array]]] = {
    "Linear":          (lambda: nn.Linear(100, 200).weight, uniform_cdf(-0.1, 0.1)),
    "Linear's bias":   (lambda: nn.Linear(100, 9000).bias, uniform_cdf(-0.1, 0.1)),
    "Conv2d":          (lambda: nn.Conv2d(4, 400, 5).weight, uniform_cdf(-0.1, 0.1)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(400, 20, 5).weight, uniform_cdf(-0.1, 0.1)),
    "Embedding":       (lambda: nn.Embedding(300, 60).weight, normal_cdf(0, 1)),
    "EmbeddingBag":    (lambda: nn.EmbeddingBag(300, 60).weight, normal_cdf(0, 1)),
    "LSTM":            (lambda: nn.LSTM(30, 100).weight_ih_l0, uniform_cdf(-0.1, 0.1)),
    "GRUCell":         (lambda: nn.GRUCell(30, 100).weight_hh, uniform_cdf(-0.1, 0.1)),
    "attention":       (lambda: nn.MultiheadAttention(60, 2).in_proj_weight,
                        uniform_cdf(-math.sqrt(6 / 240), math.sqrt(6 / 240))),
    "Bilinear":        (lambda: nn.Bilinear(100, 10, 20).weight, uniform_cdf(-0.1, 0.1)),
}
# fmt: on


@pytest.mark.parametrize("name", LAYERS)
def test_layers_begin_as_they_say(name: str) -> None:
    make, cdf = LAYERS[name]
    first, second = (make().detach().numpy().ravel() for _ in range(2))
    is_distributed(first, cdf)
    are_independent(np.stack([first, second], 1))
    are_independent(np.stack([first[:-1], first[1:]], 1))


def test_nothing_that_draws_is_left_out() -> None:
    draws = {name for name in random.__all__ if not name.startswith(("Generator", "default"))}
    assert draws - {"initial_seed", "manual_seed", "seed", "get_rng_state", "set_rng_state"} == {
        *("bernoulli", "multinomial", "normal", "rand", "rand_like", "randint", "randint_like"),
        *("randn", "randn_like", "randperm"),
    }
    constants = {"calculate_gain", "constant_", "dirac_", "eye_", "ones_", "zeros_"}
    assert set(init.__all__) - constants <= {*CONTINUOUS, "orthogonal_", "sparse_"}
    kinds = {name for name in nn.__all__ if "ropout" in name}
    assert kinds == {name.split(",")[0] for name in DROPOUTS}
