"""Randomness that depends on the seed alone: not on the machine, the threads or the compiler.

A `Generator` is a key (the seed) and a counter, both tensors, so that they are state like any
other. Drawing n numbers takes Philox blocks counter, counter + 1, ... and moves the counter on.
"""

from __future__ import annotations

import math
import operator
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg import dtypes
from thalweg.devices import check_device
from thalweg.dtypes import DType, as_dtype
from thalweg.errors import ConfigError, DTypeError, ShapeError
from thalweg.ops.creation import shape_of, tensor, zeros
from thalweg.ops.joining import cat
from thalweg.ops.lift import floating, to_dtype
from thalweg.primitives import sources
from thalweg.settings import whole
from thalweg.tape import bind, mode, no_grad

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = [
    "Generator",
    "bernoulli",
    "default_generator",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "multinomial",
    "normal",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "seed",
    "set_rng_state",
]


class Generator:
    """A stream of random numbers: Philox4x32-10 under a 64-bit key.

    >>> import thalweg as tw
    >>> a, b = tw.Generator(7), tw.Generator(7)
    >>> bool((tw.rand(5, generator=a) == tw.rand(5, generator=b)).all())
    True
    """

    def __init__(self, seed: int = 0) -> None:
        self.key = tensor(0, dtype=dtypes.int64)
        self.counter = tensor(0, dtype=dtypes.int64)
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Begin the stream of `seed`, an integer of at most 63 bits, anew."""
        try:
            key = operator.index(seed)
        except TypeError:
            key = -1
        if not 0 <= key < 2**63:
            raise ConfigError(f"a seed is an integer from 0 to 2**63 - 1, got {seed!r}")
        with no_grad():
            self.key.fill_(key)
            self.counter.zero_()
        return self

    def initial_seed(self) -> int:
        """The seed this stream began with."""
        return int(self.key.item())

    def get_state(self) -> Tensor:
        """(key, counter), int64: everything there is to continue from."""
        return tensor([self.key.item(), self.counter.item()], dtype=dtypes.int64)

    def set_state(self, state: Tensor) -> Generator:
        """Continue from what `get_state` gave."""
        if state.shape != (2,) or state.dtype is not dtypes.int64:
            raise DTypeError(
                f"a generator's state is int64 of shape (2,), got {state.dtype!r} of shape "
                f"{tuple(state.shape)}"
            )
        with no_grad():
            self.key.copy_(state[0])
            self.counter.copy_(state[1])
        return self

    def bits(self, shape: tuple[int, ...]) -> Tensor:
        """Uniform uint32 numbers; moves the stream on."""
        out = bind(sources.random_bits, self.key, self.counter, shape=shape)
        with no_grad():
            self.counter += sources.blocks(math.prod(shape)) * mode.cases
        return out


default_generator = Generator(0)


def manual_seed(seed: int) -> Generator:
    """Begin the default stream of random numbers anew with `seed`.

    >>> import thalweg as tw
    >>> stream = tw.manual_seed(7)
    >>> first = tw.rand(3)
    >>> stream = tw.manual_seed(7)
    >>> tw.rand(3).equal(first)
    True
    """
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Begin the default stream with a seed from the operating system, and tell it."""
    chosen = int.from_bytes(os.urandom(7), "little")
    manual_seed(chosen)
    return chosen


def get_rng_state() -> Tensor:
    """Where the default stream stands, int64 of shape (2,): for `set_rng_state`.

    >>> import thalweg as tw
    >>> tw.get_rng_state().shape
    Size([2])
    """
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Let the default stream continue from what `get_rng_state` gave.

    >>> import thalweg as tw
    >>> state, first = tw.get_rng_state(), tw.rand(3)
    >>> tw.set_rng_state(state)
    >>> tw.equal(tw.rand(3), first)
    True
    """
    default_generator.set_state(new_state)


def initial_seed() -> int:
    """The seed of the default stream."""
    return default_generator.initial_seed()


def _uniform(shape: tuple[int, ...], dtype: DType, generator: Generator | None) -> Tensor:
    """Multiples of 2^-24 (float32) or 2^-53 (float64) in [0, 1), all equally likely."""
    stream = generator or default_generator
    if dtype is dtypes.float64:
        pair = stream.bits((2, *shape))
        high, low = to_dtype(pair[0] >> 5, dtypes.float64), to_dtype(pair[1] >> 6, dtypes.float64)
        return (high * 2.0**26 + low) * 2.0**-53
    if dtype is not dtypes.float32:
        raise DTypeError(f"random numbers are float32 or float64, not {dtype!r}; cast them")
    return to_dtype(stream.bits(shape) >> 8, dtypes.float32) * 2.0**-24


def _gaussian(shape: tuple[int, ...], dtype: DType, generator: Generator | None) -> Tensor:
    """Box-Muller: sqrt(-2 log(1 - u)) times cos and sin of 2 pi v. Source: Box, Muller 1958."""
    count = math.prod(shape)
    half = -(-count // 2)
    uv = _uniform((2, half), dtype, generator)
    radius = ((1 - uv[0]).log() * -2).sqrt()
    angle = uv[1] * (2 * math.pi)
    both = cat([radius * angle.cos(), radius * angle.sin()])
    return both.narrow(0, 0, count).reshape(shape)


def _floating(dtype: Any) -> DType:
    return dtypes.get_default_dtype() if dtype is None else as_dtype(dtype)


@no_grad()
def rand(
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform numbers in [0, 1).

    >>> import thalweg as tw
    >>> x = tw.rand(1000)
    >>> bool((0 <= x).all() and (x < 1).all())
    True
    """
    check_device(device)
    out = _uniform(shape_of("rand", size), _floating(dtype), generator)
    return out.requires_grad_() if requires_grad else out


@no_grad()
def randn(
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Standard normal numbers: mean 0, variance 1.

    >>> import thalweg as tw
    >>> tw.randn(2, 3).shape
    Size([2, 3])
    """
    check_device(device)
    out = _gaussian(shape_of("randn", size), _floating(dtype), generator)
    return out.requires_grad_() if requires_grad else out


@no_grad()
def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Uniform integers in [low, high), int64 unless given; `randint(high, size)` begins at 0.

    >>> import thalweg as tw
    >>> x = tw.randint(0, 6, (100,))
    >>> x.shape, bool((x >= 0).all()), bool((x < 6).all())
    (Size([100]), True, True)
    """
    check_device(device)
    if size is None:
        low, high, size = 0, low, high
    shape = shape_of("randint", (size,))
    if not low < high or high - low > 2**32:
        raise ConfigError(f"randint: low < high <= low + 2**32 expected, got [{low}, {high})")
    stream = generator or default_generator
    wide = to_dtype(stream.bits(shape), dtypes.int64)
    # The upper word of bits * range: uniform to within range / 2^32.
    drawn = _scaled_down(wide, high - low) + low
    return to_dtype(drawn, dtypes.int64 if dtype is None else as_dtype(dtype))


def _scaled_down(bits: Tensor, count: int) -> Tensor:
    """floor(bits * count / 2^32) without leaving int64: the two halves of `bits` one by one."""
    high, low = bits >> 16, bits & 0xFFFF
    return (high * count + ((low * count) >> 16)) >> 16


@no_grad()
def randperm(n: int, *, device: Any = None, generator: Generator | None = None) -> Tensor:
    """The integers 0 to n - 1 (int64) in random order: the order that sorts random bits.

    >>> import thalweg as tw
    >>> tw.randperm(4).sort().values
    tensor([0, 1, 2, 3])
    """
    check_device(device)
    return (generator or default_generator).bits((n,)).argsort()


def rand_like(
    x: Tensor, *, dtype: Any = None, device: Any = None, generator: Generator | None = None
) -> Tensor:
    """Uniform numbers of the shape and, unless given, the dtype of `x`."""
    check_device(device)
    return rand(x.shape, dtype=dtype or x.dtype, generator=generator)


def randn_like(
    x: Tensor, *, dtype: Any = None, device: Any = None, generator: Generator | None = None
) -> Tensor:
    """Standard normal numbers of the shape and, unless given, the dtype of `x`."""
    check_device(device)
    return randn(x.shape, dtype=dtype or x.dtype, generator=generator)


def randint_like(
    x: Tensor, low: int, high: int | None = None, *, generator: Generator | None = None
) -> Tensor:
    """Uniform integers in [low, high), or [0, low), of the shape and dtype of `x`."""
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, x.shape, dtype=x.dtype, generator=generator)


@no_grad()
def normal(mean: Any, std: Any, size: Any = None, *, generator: Generator | None = None) -> Tensor:
    """Normal numbers of given means and standard deviations: numbers with a size, or tensors."""
    if size is None:
        size = getattr(mean + std, "shape", ())
    kinds = {getattr(x, "dtype", None) for x in (mean, std)}
    dtype = dtypes.float64 if dtypes.float64 in kinds else None
    return randn(size, dtype=dtype, generator=generator).mul(std).add(mean)


@no_grad()
def bernoulli(p: Tensor, *, generator: Generator | None = None) -> Tensor:
    """1 with probability p, else 0, in the shape and dtype of `p`.

    >>> import thalweg as tw
    >>> tw.bernoulli(tw.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    return to_dtype(rand(p.shape, dtype=p.dtype, generator=generator) < p, p.dtype)


@no_grad()
def multinomial(
    weights: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Indices (int64) drawn with probabilities proportional to `weights`, (k,) or (rows, k).

    Shape (num_samples,) or (rows, num_samples). With replacement, or for one draw, the inverse of
    the distribution function: the first index at which the sum of the weights so far is above u
    times all of it. Without, the exponential race: the smallest of -log(1 - u) / weight first. In
    float64, whatever the dtype of `weights` is. An index of weight 0 is never drawn.

    Raises `ShapeError` for another rank, `ConfigError` for weights that are negative or not finite,
    for rows of zeros, and, without replacement, for more draws than nonzero weights. In a traced
    function, and in `vmap`, weights have no values to be looked at: there a row of zeros, and draws
    beyond the nonzero weights, give indices of weight 0.

    Source of the race: Efraimidis, Spirakis, "Weighted random sampling with a reservoir", 2006.

    >>> import thalweg as tw
    >>> tw.multinomial(tw.tensor([0.0, 3.0, 0.0]), 4, replacement=True)
    tensor([1, 1, 1, 1])
    """
    shape = weights.shape
    if len(shape) not in (1, 2) or not shape[-1]:
        raise ShapeError(
            f"multinomial: weights (k,) or (rows, k) expected, of k > 0, got {tuple(shape)}"
        )
    whole("multinomial: num_samples", num_samples, 1)
    if num_samples > shape[-1] and not replacement:
        raise ConfigError(_TOO_MANY.format(num_samples, "without", shape[-1], "weights"))
    if isinstance(weights._value, np.ndarray):
        _check_weights(weights, num_samples, replacement)
    weights = to_dtype(floating(weights), dtypes.float64)
    weights = weights / weights.amax(-1, keepdim=True)  # so that no sum is too large
    if replacement or num_samples == 1:
        return _inverted(weights, num_samples, generator)
    race = -(1 - rand(shape, dtype=dtypes.float64, generator=generator)).log() / weights
    race = race.minimum(_LARGEST).where(weights > 0, math.inf)
    return race.argsort(-1).narrow(-1, 0, num_samples)


_LARGEST = float(np.finfo(np.float64).max)
_TOO_MANY = "multinomial: {} draws {} replacement from {} {}"


def _inverted(weights: Tensor, num_samples: int, generator: Generator | None) -> Tensor:
    """How many of the sums up to each index are at most u times the last: by halving."""
    sums, count = weights.cumsum(-1), weights.shape[-1]
    u = rand(*weights.shape[:-1], num_samples, dtype=dtypes.float64, generator=generator)
    # Sums of weights of 0 do not grow, and u < 1: the index that is found has a weight above it.
    level, found = u * sums.narrow(-1, count - 1, 1), zeros(u.shape, dtype=dtypes.int64)
    for power in reversed(range(count.bit_length())):
        further = found + 2**power
        reached = sums.gather(-1, further.minimum(count) - 1) <= level
        found = further.where(reached & (further < count), found)
    return found


def _check_weights(weights: Tensor, num_samples: int, replacement: bool) -> None:
    if not bool(((weights >= 0) & weights.isfinite()).all()):
        raise ConfigError("multinomial: weights are finite and not negative")
    available = int(weights.ne(0).sum(-1).amin().item()) if weights.numel() else num_samples
    if not available or (num_samples > available and not replacement):
        how = "with" if replacement else "without"
        raise ConfigError(_TOO_MANY.format(num_samples, how, available, "nonzero weights"))
