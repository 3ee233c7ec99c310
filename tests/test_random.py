"""Randomness: the known answers of Philox, the streams, and the distributions drawn from them.

Statistics use fixed seeds; each bound is what a sample of that size passes in all but about one
in a million cases.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ConfigError, DTypeError, ShapeError
from thalweg.ops import random
from thalweg.primitives import sources

COUNT = 100_000


@pytest.fixture(autouse=True)
def seeded() -> None:
    tw.manual_seed(0)


# --- Philox ---------------------------------------------------------------------------------------


ONES = 0xFFFFFFFF
# Random123, kat_vectors: philox4x32, 10 rounds.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_known_answers(
    counter: tuple[int, int, int, int], key: tuple[int, int], words: tuple[int, ...]
) -> None:
    given = tuple(np.array([word], np.uint64) for word in counter)
    assert tuple(int(w[0]) for w in sources._rounds(given, key[0] | key[1] << 32)) == words


@pytest.mark.parametrize("key", [0, 1, 2**32, 2**63 - 1, 0x299F31D0A4093822])
@pytest.mark.parametrize("counter", [0, 5, 2**32 - 2, 2**40 + 7, 2**62])
def test_the_primitive_counts_in_64_bits(key: int, counter: int) -> None:
    counters = np.arange(3, dtype=np.uint64) + np.uint64(counter)
    got = sources._philox(np.uint64(key), counters)
    for row, c in zip(got.tolist(), range(counter, counter + 3), strict=True):
        words = tuple(np.array([w], np.uint64) for w in (c & ONES, c >> 32, 0, 0))
        assert row == [int(w[0]) for w in sources._rounds(words, key)]


def test_the_first_numbers_of_seed_0() -> None:
    words = np.array(KNOWN[0][2])
    expected = (words >> 8) * 2.0**-24
    assert tw.rand(4).tolist() == expected.tolist()


# --- streams --------------------------------------------------------------------------------------


DRAWS: list[Callable[..., tw.Tensor]] = [
    lambda g: tw.rand(3, 5, generator=g),
    lambda g: tw.rand(7, dtype=tw.float64, generator=g),
    lambda g: tw.randn(3, 5, generator=g),
    lambda g: tw.randint(0, 100, (9,), generator=g),
    lambda g: tw.randperm(10, generator=g),
    lambda g: tw.bernoulli(tw.full((9,), 0.5), generator=g),
    lambda g: tw.multinomial(tw.ones(5), 3, generator=g),
    lambda g: tw.normal(0.0, 1.0, (4,), generator=g),
    lambda g: tw.zeros(6).uniform_(-1, 1, generator=g),
    lambda g: tw.zeros(6).normal_(2, 3, generator=g),
    lambda g: tw.zeros(6).bernoulli_(0.3, generator=g),
]


@pytest.mark.parametrize("draw", DRAWS)
def test_the_same_seed_gives_the_same_numbers(draw: Callable[..., tw.Tensor]) -> None:
    first, again, other = (draw(tw.Generator(seed)) for seed in (7, 7, 8))
    assert first.equal(again)
    assert not first.equal(other) or first.numel() < 10


@pytest.mark.parametrize("draw", DRAWS)
def test_a_stream_moves_on_and_can_be_taken_up_again(draw: Callable[..., tw.Tensor]) -> None:
    stream = tw.Generator(3)
    draw(stream)
    state = stream.get_state()
    following = draw(stream)
    assert draw(stream.set_state(state)).equal(following)
    assert draw(tw.Generator(99).set_state(state)).equal(following)
    assert stream.initial_seed() == 3


def test_the_default_stream() -> None:
    tw.manual_seed(5)
    first = tw.rand(3)
    assert tw.initial_seed() == 5
    assert not first.equal(tw.rand(3))
    tw.manual_seed(5)
    assert tw.rand(3).equal(first)


def test_a_stream_of_its_own_leaves_the_default_alone() -> None:
    expected = tw.rand(3)
    tw.manual_seed(0)
    tw.rand(100, generator=tw.Generator(1))
    assert tw.rand(3).equal(expected)


def test_numbers_come_block_by_block() -> None:
    """Draws of whole blocks of four join as if drawn at once."""
    whole = tw.rand(12, generator=tw.Generator(1))
    stream = tw.Generator(1)
    parts = [tw.rand(4, generator=stream), tw.rand(2, 4, generator=stream).flatten()]
    assert tw.cat(parts).equal(whole)


def test_the_shape_does_not_change_the_numbers() -> None:
    flat = tw.rand(24, generator=tw.Generator(1))
    assert tw.rand(2, 3, 4, generator=tw.Generator(1)).flatten().equal(flat)


def test_a_state_of_another_form() -> None:
    with pytest.raises(DTypeError, match=r"int64 of shape \(2,\)"):
        tw.Generator().set_state(tw.zeros(2))


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "a", None])
def test_what_is_no_seed(seed: object) -> None:
    with pytest.raises(ConfigError, match=r"0 to 2\*\*63 - 1"):
        tw.manual_seed(seed)  # type: ignore[arg-type]


def test_a_seed_from_the_system() -> None:
    first, second = tw.seed(), tw.seed()
    assert first != second
    assert tw.initial_seed() == second


# --- distributions --------------------------------------------------------------------------------


def near(value: float, expected: float, deviation: float) -> bool:
    """Within five standard errors of a mean over COUNT numbers."""
    return abs(value - expected) < 5 * deviation / math.sqrt(COUNT)


@pytest.mark.parametrize("dtype", [tw.float32, tw.float64], ids=str)
def test_uniform(dtype: tw.DType) -> None:
    x = tw.rand(COUNT, dtype=dtype).numpy()
    assert x.dtype.name == dtype.name
    assert 0 <= x.min() < 1e-3
    assert 1 - 1e-3 < x.max() < 1
    assert near(x.mean(), 0.5, math.sqrt(1 / 12))
    assert near((x**2).mean(), 1 / 3, math.sqrt(4 / 45))
    counts = np.histogram(x, 100, (0, 1))[0]
    assert ((counts - COUNT / 100) ** 2 / (COUNT / 100)).sum() < 180  # chi-squared, 99 degrees
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 5 / math.sqrt(COUNT)


def test_uniform_numbers_are_multiples_of_the_least_step() -> None:
    single, double = tw.rand(1000), tw.rand(1000, dtype=tw.float64)
    assert bool(((single * 2**24).frac() == 0).all())
    assert bool(((double * 2.0**53).frac() == 0).all())
    assert not bool(((double * 2.0**32).frac() == 0).any())


@pytest.mark.parametrize("dtype", [tw.float32, tw.float64], ids=str)
def test_normal(dtype: tw.DType) -> None:
    x = tw.randn(COUNT, dtype=dtype).numpy().astype(float)
    for power, moment, square in ((1, 0, 1), (2, 1, 3), (3, 0, 15), (4, 3, 105)):
        assert near((x**power).mean(), moment, math.sqrt(square - moment**2))
    assert np.isfinite(x).all()
    assert 3.5 < np.abs(x).max() < 6.5
    inside = (np.abs(x) < 1).mean()
    assert near(inside, 0.6826895, 0.4655)
    assert abs(np.corrcoef(x[: COUNT // 2], x[COUNT // 2 :])[0, 1]) < 5 / math.sqrt(COUNT / 2)


def test_normal_with_parameters() -> None:
    x = tw.normal(3.0, 2.0, (COUNT,))
    assert near(x.mean().item(), 3, 2)
    assert near(x.std().item(), 2, math.sqrt(2))
    means = tw.tensor([0.0, 100.0], dtype=tw.float64)
    y = tw.normal(means, tw.tensor([1.0, 0.0]))
    assert (y.dtype, y[1].item(), y.shape) == (tw.float64, 100, (2,))
    z = tw.zeros(COUNT).normal_(-1, 0.5)
    assert near(z.mean().item(), -1, 0.5)


def test_uniform_in_place() -> None:
    x = tw.zeros(COUNT).uniform_(-2, 4)
    assert -2 <= x.amin().item() < -1.9
    assert 3.9 < x.amax().item() < 4
    assert near(x.mean().item(), 1, math.sqrt(3))


def test_integers() -> None:
    x = tw.randint(-3, 7, (COUNT,))
    assert x.dtype is tw.int64
    counts = np.bincount(x.numpy() + 3)
    assert len(counts) == 10
    assert ((counts - COUNT / 10) ** 2 / (COUNT / 10)).sum() < 45  # chi-squared, 9 degrees
    assert tw.randint(5, (3,)).shape == (3,)
    assert tw.randint(5, (1000,), dtype=tw.uint8).amax().item() == 4
    assert tw.randint(2**31, 2**31 + 2, (4,)).amin().item() >= 2**31
    whole = tw.randint(0, 2**32, (1000,))
    assert 0 <= whole.amin().item() < 2**24 < 2**32 - 2**24 < whole.amax().item() < 2**32


@pytest.mark.parametrize(("low", "high"), [(3, 3), (5, 2), (0, 2**32 + 1)])
def test_integers_from_nothing(low: int, high: int) -> None:
    with pytest.raises(ConfigError, match=rf"\[{low}, {high}\)"):
        tw.randint(low, high, (3,))


def test_permutations() -> None:
    x = tw.randperm(1000)
    assert sorted(x.tolist()) == list(range(1000))
    assert x.tolist() != sorted(x.tolist())
    firsts = np.bincount([tw.randperm(5)[0].item() for _ in range(2000)], minlength=5)
    assert ((firsts - 400) ** 2 / 400).sum() < 35  # chi-squared, 4 degrees
    assert tw.randperm(0).shape == (0,)


def test_bernoulli() -> None:
    p = tw.tensor([0.0, 0.25, 1.0]).expand(COUNT, 3)
    means = tw.bernoulli(p).mean(0).tolist()
    assert (means[0], means[2]) == (0, 1)
    assert near(means[1], 0.25, math.sqrt(0.1875))
    assert tw.full((4,), 1.0).bernoulli().tolist() == [1, 1, 1, 1]
    assert near(tw.zeros(COUNT).bernoulli_(0.7).mean().item(), 0.7, math.sqrt(0.21))


def test_multinomial_with_replacement() -> None:
    weights = tw.tensor([1.0, 0.0, 3.0, 6.0, 0.0])
    x = tw.multinomial(weights, COUNT, replacement=True)
    shares = np.bincount(x.numpy(), minlength=5) / COUNT
    assert shares[1] == shares[4] == 0
    for share, p in zip(shares[[0, 2, 3]], (0.1, 0.3, 0.6), strict=True):
        assert near(share, p, math.sqrt(p * (1 - p)))


def test_multinomial_without_replacement() -> None:
    rows = tw.tensor([1.0, 0.0, 3.0]).expand(COUNT, 3)
    x = rows.multinomial(2).numpy()
    assert (np.sort(x, 1) == [0, 2]).all()
    assert near((x[:, 0] == 2).mean(), 0.75, math.sqrt(0.1875))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33])
def test_each_of_any_number_of_weights_is_drawn(size: int) -> None:
    weights = tw.arange(1, size + 1, dtype=tw.float32)
    x = tw.multinomial(weights, COUNT, replacement=True).numpy()
    expected = weights.numpy() / weights.numpy().sum() * COUNT
    counts = np.bincount(x, minlength=size)
    assert len(counts) == size
    chi = ((counts - expected) ** 2 / expected).sum()
    assert chi < size + 6 * math.sqrt(2 * size) + 12
    alone = tw.zeros(40, size)
    alone[tw.arange(40), tw.arange(40) % size] = 1e-30
    for drawn in (alone.multinomial(3, replacement=True), alone.multinomial(1)):
        assert (drawn == (tw.arange(40) % size).unsqueeze(1)).all()


def test_weights_of_any_size_are_drawn_in_proportion() -> None:
    """Where sums in float32, or of 1e308, would lose the small ones or be infinite."""
    many = tw.ones(1 << 20)
    many[0] = 2.0**24
    x = tw.multinomial(many, COUNT, replacement=True)
    assert near((x == 0).float().mean().item(), 16 / 17, math.sqrt(16) / 17)
    rest = x[x > 0].numpy() / 2**20
    assert abs(rest.mean() - 0.5) < 5 * math.sqrt(1 / 12 / len(rest))
    huge = tw.tensor([1.5e308, 0.0, 0.5e308], dtype=tw.float64)
    for replacement in (True, False):
        x = huge.expand(COUNT, 3).multinomial(2, replacement)[:, 0]
        assert near((x == 0).double().mean().item(), 0.75, math.sqrt(0.1875))
        assert not (x == 1).any()
    tiny = tw.tensor([0.0, 5e-324, 1.0, 0.0], dtype=tw.float64).expand(1000, 4)
    assert (tiny.multinomial(2) == tw.tensor([2, 1])).all()


def test_pairs_without_replacement() -> None:
    """The second is drawn as the first was, from what is left."""
    p = np.array([0.1, 0.2, 0.3, 0.4])
    x = tw.multinomial(tw.tensor(p).expand(COUNT, 4), 2).numpy()
    expected = p[:, None] * p / (1 - p[:, None]) * (1 - np.eye(4)) * COUNT
    counts = np.zeros((4, 4))
    np.add.at(counts, (x[:, 0], x[:, 1]), 1)
    off = ~np.eye(4, dtype=bool)
    assert (counts[~off] == 0).all()
    assert ((counts - expected)[off] ** 2 / expected[off]).sum() < 48  # chi-squared, 11 degrees


@pytest.mark.parametrize(
    ("weights", "count", "replacement", "said"),
    [
        ([1.0, 1.0], 3, False, "3 draws without replacement from 2 weights"),
        ([1.0, 0.0], 2, False, "2 draws without replacement from 1 nonzero weights"),
        ([0.0, 0.0], 1, True, "1 draws with replacement from 0 nonzero weights"),
        ([1.0, -1.0], 1, True, "finite and not negative"),
        ([1.0, math.inf], 1, True, "finite and not negative"),
        ([1.0, math.nan], 1, False, "finite and not negative"),
        ([1.0, 1.0], 0, True, "num_samples=0; expected a whole number, 1 or more"),
    ],
)
def test_draws_that_cannot_be_made(
    weights: list[float], count: int, replacement: bool, said: str
) -> None:
    with pytest.raises(ConfigError, match=f"multinomial: {said}|multinomial: weights are {said}"):
        tw.multinomial(tw.tensor(weights), count, replacement)


def test_a_traced_draw_has_no_values_to_look_at() -> None:
    """What depends on shapes alone is an error there too; the rest gives indices that exist."""
    draw = tw.compile(lambda w: tw.multinomial(w, 3))
    with pytest.raises(ConfigError, match="3 draws without replacement from 2 weights"):
        draw(tw.ones(2))
    assert draw(tw.tensor([0.0, 2.0, 0.0]))[0] == 1
    for replacement in (True, False):
        x = tw.compile(lambda w, r=replacement: tw.multinomial(w, 3, r))(tw.zeros(2, 5))
        assert bool(((0 <= x) & (x < 5)).all())


@pytest.mark.parametrize("shape", [(2, 2, 2), (3, 0), ()])
def test_multinomial_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=re.escape(str(shape))):
        tw.multinomial(tw.ones(shape), 1)


def test_the_state_of_the_stream_is_taken_and_set() -> None:
    tw.manual_seed(3)
    tw.randn(5)
    state = tw.get_rng_state()
    first = tw.randn(7)
    tw.manual_seed(4)
    tw.set_rng_state(state)
    assert tw.equal(tw.randn(7), first)


# --- traced, compiled, many at once ---------------------------------------------------------------


# Each of what draws, of a generator and of (4,) probabilities.
# fmt: off
TRACED: dict[str, Callable[[tw.Generator, tw.Tensor], tw.Tensor]] = {
    "rand":             lambda g, p: tw.rand(3, 5, generator=g),
    "rand f64":         lambda g, p: tw.rand(7, dtype=tw.float64, generator=g),
    "rand_like":        lambda g, p: tw.rand_like(p, generator=g),
    "randn":            lambda g, p: tw.randn(3, 5, generator=g),
    "randn_like":       lambda g, p: tw.randn_like(p, generator=g),
    "randint":          lambda g, p: tw.randint(-5, 100, (9,), generator=g),
    "randint_like":     lambda g, p: tw.randint_like(p, 7, generator=g),
    "randperm":         lambda g, p: tw.randperm(10, generator=g),
    "bernoulli":        lambda g, p: tw.bernoulli(p, generator=g),
    "x.bernoulli":      lambda g, p: p.bernoulli(generator=g),
    "normal":           lambda g, p: tw.normal(p, 2.0, generator=g),
    "normal, size":     lambda g, p: tw.normal(1.0, 2.0, (5,), generator=g),
    "multinomial":      lambda g, p: tw.multinomial(p, 2, generator=g),
    "multinomial, again": lambda g, p: tw.multinomial(p, 6, replacement=True, generator=g),
    "x.multinomial":    lambda g, p: p.multinomial(1, generator=g),
    "uniform_":         lambda g, p: tw.zeros(6).uniform_(-1, 1, generator=g),
    "normal_":          lambda g, p: tw.zeros(6).normal_(2, 3, generator=g),
    "bernoulli_":       lambda g, p: tw.zeros(6).bernoulli_(0.3, generator=g),
}
# fmt: on
DROPOUTS = [name for name in tw.nn.functional.__all__ if "dropout" in name]


def dropped(name: str) -> Callable[[tw.Generator, tw.Tensor], tw.Tensor]:
    """Of the default stream."""
    shape = (2, 3, 2, 4) if name == "dropout2d" else (2, 3, 4)
    return lambda g, p: getattr(tw.nn.functional, name)(p.expand(shape), 0.5, training=True)


ANY = {**TRACED, **{name: dropped(name) for name in DROPOUTS}}


def test_what_draws_is_all_there() -> None:
    others = {"Generator", "default_generator", "get_rng_state", "initial_seed", "manual_seed"}
    draws = {*random.__all__} - others - {"seed", "set_rng_state"}
    assert draws <= TRACED.keys()
    assert len(DROPOUTS) == 6


@pytest.mark.parametrize("name", ANY)
def test_compiled_it_draws_the_same(name: str) -> None:
    draw, p = ANY[name], tw.tensor([0.5, 0.25, 0.125, 1.0])
    eager, native = tw.Generator(7), tw.Generator(7)
    step = tw.compile(lambda p: draw(native, p))
    for _ in range(3):
        tw.manual_seed(7)
        expected, where = draw(eager, p), tw.get_rng_state()
        tw.manual_seed(7)
        found = step(p)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        assert tw.allclose(found.double(), expected.double(), rtol=1e-5, atol=1e-6)
        assert native.get_state().equal(eager.get_state())
        assert tw.get_rng_state().equal(where)
    rows = step.scan(p.expand(4, 4))
    again = tw.stack([draw(eager, p) for _ in range(4)]) if name in TRACED else rows
    assert tw.allclose(rows.double(), again.double(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ANY)
def test_many_at_once_draw_alike_or_each_its_own(name: str) -> None:
    draw, p = ANY[name], tw.tensor([0.5, 0.25, 0.125, 1.0]).expand(64, 4)
    rows = {}
    for randomness in ("same", "different"):
        mapped = tw.func.vmap(lambda p: draw(tw.default_generator, p), randomness=randomness)
        tw.manual_seed(7)
        x = mapped(p)
        tw.manual_seed(7)
        assert tw.allclose(tw.compile(mapped)(p).double(), x.double(), rtol=1e-5, atol=1e-6)
        assert len(x) == 64
        rows[randomness] = len({tuple(row.flatten().tolist()) for row in x})
    assert rows["same"] == 1 < rows["different"]


# --- shapes and dtypes ----------------------------------------------------------------------------


def test_shapes_and_dtypes() -> None:
    assert tw.rand(()).shape == tw.randn(()).shape == ()
    assert tw.rand(0, 3).shape == tw.randn((0, 3)).shape == (0, 3)
    assert tw.rand((2, 3)).shape == (2, 3)
    like = tw.zeros(2, 3, dtype=tw.float64)
    for make in (tw.rand_like, tw.randn_like):
        assert (make(like).shape, make(like).dtype) == ((2, 3), tw.float64)
        assert make(like, dtype=tw.float32).dtype is tw.float32
    drawn = tw.randint_like(tw.zeros(50, dtype=tw.int32), 3)
    assert (drawn.dtype, drawn.amax().item(), drawn.amin().item()) == (tw.int32, 2, 0)


def test_random_numbers_are_leaves() -> None:
    x = tw.rand(3, requires_grad=True)
    assert (x.is_leaf, x.requires_grad) == (True, True)
    assert not tw.randn(3).requires_grad


@pytest.mark.parametrize("dtype", [tw.int64, tw.bfloat16, tw.bool], ids=str)
def test_other_dtypes_are_cast_to(dtype: tw.DType) -> None:
    with pytest.raises(DTypeError, match="float32 or float64.*cast"):
        tw.rand(3, dtype=dtype)
