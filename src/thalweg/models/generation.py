"""How a model of text writes: a token at a time, with what the earlier ones left behind kept.

A token's keys and values depend on it and on those before it alone. So they are computed once and
kept, in tensors as long as the longest text, and a step is the work of one token. All its shapes
are fixed: one program does for all steps, and a whole text is one `scan` of it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

from thalweg._tensor import Tensor
from thalweg.dtypes import int64
from thalweg.nn import functional as F
from thalweg.ops.creation import arange, zeros
from thalweg.ops.joining import cat
from thalweg.ops.random import Generator, multinomial
from thalweg.tape import no_grad

__all__ = ["Choice", "KeyValues", "Model", "Writer", "Writers", "drawn"]


class KeyValues:
    """The keys and values of one layer's attention: each (N, heads, length, width), by place.

    >>> import thalweg as tw
    >>> kept = KeyValues((1, 2, 4, 3))
    >>> kept.add(tw.ones(1, 2, 1, 3), tw.ones(1, 2, 1, 3), tw.tensor([1]))
    >>> kept.keys[0, 0, :, 0].tolist(), kept.seen(tw.tensor([1])).tolist()
    ([0.0, 1.0, 0.0, 0.0], [True, True, False, False])
    """

    def __init__(self, shape: tuple[int, int, int, int], dtype: Any = None) -> None:
        self.keys, self.values = zeros(*shape, dtype=dtype), zeros(*shape, dtype=dtype)

    def fill(self, keys: Tensor, values: Tensor) -> None:
        """Keep these, of all places."""
        self.keys.copy_(keys)
        self.values.copy_(values)

    def add(self, key: Tensor, value: Tensor, place: Tensor) -> None:
        """Keep those of one token, (N, heads, 1, width), at its `place`, of shape (1,)."""
        here = self._places().eq(place).unsqueeze(-1)
        self.fill(key.where(here, self.keys), value.where(here, self.values))

    def seen(self, place: Tensor) -> Tensor:
        """Which places the token at `place` looks at: those up to its own, (length,) bools."""
        return self._places() <= place

    def _places(self) -> Tensor:
        return arange(self.keys._value.shape[-2])


class Choice(NamedTuple):
    """How the next token is chosen from its logits."""

    temperature: float = 1.0
    top_k: int | None = None
    generator: Generator | None = None


class Model(Protocol):
    """What a `Writer` asks of a model."""

    @property
    def longest(self) -> int:
        """The number of tokens it sees at a time."""

    def kept(self, rows: int) -> list[KeyValues]:
        """Room for the keys and values of so many texts, a layer at a time."""

    def logits(
        self, tokens: Tensor, places: Tensor, kept: list[KeyValues], place: Tensor | None
    ) -> Tensor:
        """The logits of tokens at their places: of a whole window, which `kept` is filled with,
        or, with a `place`, of the one token there, which it is added to.
        """


def drawn(logits: Tensor, choice: Choice) -> Tensor:
    """A token a row, (N, 1), of logits (N, V): the likeliest for temperature 0, else by chance.

    >>> import thalweg as tw
    >>> drawn(tw.tensor([[0.0, 3.0, 1.0]]), Choice(temperature=0))
    tensor([[1]])
    """
    if choice.temperature == 0:
        return logits.argmax(-1, keepdim=True)
    logits = logits / choice.temperature
    if choice.top_k is not None and choice.top_k < logits._value.shape[-1]:
        least = logits.topk(choice.top_k, -1)[0].narrow(-1, choice.top_k - 1, 1)
        logits = logits.masked_fill(logits < least, -math.inf)
    return multinomial(logits.softmax(-1), 1, generator=choice.generator)


class Writers(dict[Any, "Writer"]):
    """The latest writers, with their programs; a copy of the model begins without any."""

    def add(self, key: Any, writer: Writer, most: int = 8) -> None:
        """Keep this one too, and of the others those that were added last."""
        while len(self) >= most:
            del self[next(iter(self))]
        self[key] = writer

    def __deepcopy__(self, memo: object) -> Writers:
        return Writers()

    def __reduce__(self) -> tuple[type[Writers], tuple[()]]:
        return Writers, ()


class Writer:
    """Continues `rows` texts by a model, of which it keeps the keys and values.

    While a text fits into what the model sees at a time, a step computes one token. Beyond that
    the window moves on, every token in it has another place, and a step computes them all.
    """

    def __init__(
        self, model: Model, rows: int, choice: Choice, compiled: bool, use_cache: bool
    ) -> None:
        self.model, self.choice, self.use_cache = model, choice, use_cache
        self.kept = model.kept(rows)
        self.window = zeros(rows, model.longest, dtype=int64)
        self.last = zeros(rows, 1, dtype=int64)
        step = self._step if use_cache else self._begin
        self._programs = (self._begin, step, self._slide)
        self.compiled = compiled
        if compiled:
            from thalweg.compiler.function import compile

            self._programs = tuple(map(compile, self._programs))

    @no_grad()
    def write(self, tokens: Tensor, count: int) -> Tensor:
        """`tokens` (N, T) and `count` more."""
        longest, length = self.model.longest, tokens._value.shape[1]
        if not count:
            return tokens
        begin, step, slide = self._programs
        shown = tokens.narrow(1, max(length - longest, 0), min(length, longest))
        self.window.copy_(F.pad(shown, (0, longest - shown._value.shape[1])))
        last = shown._value.shape[1] - 1
        parts = [tokens, begin(arange(last, last + 1))]
        beside = min(longest - 1 - last, count - 1)  # tokens that still fit
        parts += self._run(step, arange(last + 1, last + 1 + beside))
        parts += self._run(slide, arange(count - 1 - beside))
        return cat(parts, 1)

    def _run(self, program: Any, places: Tensor) -> list[Tensor]:
        """The tokens of a program, one for each of `places`."""
        if not places._value.shape[0]:
            return []
        if self.compiled:
            return [program.scan(places.unsqueeze(-1)).squeeze(-1).t()]
        return [program(place) for place in places.unsqueeze(-1)]

    def _begin(self, place: Tensor) -> Tensor:
        """The token behind the one at `place`, from the whole window."""
        logits = self.model.logits(self.window, arange(self.model.longest), self.kept, None)
        return self._put(drawn(logits.index_select(1, place).squeeze(1), self.choice), place + 1)

    def _step(self, place: Tensor) -> Tensor:
        """The token behind the one at `place`, from that one and what is kept."""
        logits = self.model.logits(self.last, place, self.kept, place)
        return self._put(drawn(logits.squeeze(1), self.choice), place + 1)

    def _slide(self, place: Tensor) -> Tensor:
        """The token behind a full window, which moves on by one."""
        longest = self.model.longest
        self.window.copy_(cat([self.window.narrow(1, 1, longest - 1), self.last], 1))
        return self._begin(arange(longest - 1, longest))

    def _put(self, token: Tensor, place: Tensor) -> Tensor:
        """`token`, which now is the last one, and in the window if `place` is."""
        here = arange(self.model.longest).eq(place)
        self.window.copy_(token.where(here, self.window))
        self.last.copy_(token)
        return token
