"""A text file to model: its tokens in three parts, and random stretches of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg._tensor import Tensor
from thalweg.data.tokenizing import TOKENIZERS, Tokenizer
from thalweg.errors import ConfigError, DataError, nearest
from thalweg.ops.creation import arange
from thalweg.ops.random import Generator, randint

__all__ = ["TokenSplits", "load_text", "windows"]


@dataclass(frozen=True, slots=True, repr=False)
class TokenSplits:
    """A text as tokens: its beginning to train with, then parts for development and test."""

    train: Tensor
    dev: Tensor
    test: Tensor
    tokenizer: Tokenizer

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(getattr(self, p))} {p}" for p in ("train", "dev", "test"))
        return f"<TokenSplits: {len(self.tokenizer)} different {self.tokenizer.kind}; {sizes}>"


def load_text(
    path: str | Path,
    tokenizer: str | Tokenizer = "characters",
    dev: float = 0.1,
    test: float = 0.1,
    **options: Any,
) -> TokenSplits:
    """A text file as tokens, in three parts, one after the other.

    tokenizer  "characters", "words" or "byte-pairs", fitted to the first part with `options`, or
               one that is there already. Characters are those of the whole text.
    dev, test  shares of the tokens

    Raises `DataError` for a file that cannot be read or is too short, `ConfigError` for an unknown
    tokenizer.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a UTF-8 text: {error}") from error
    if not (0 <= dev and 0 <= test and dev + test < 1):
        raise ConfigError(f"dev = {dev}, test = {test}: expected shares whose sum is below 1")
    ends = [round(len(text) * share) for share in (1 - dev - test, 1 - test, 1)]
    parts = [text[a:b] for a, b in zip((0, *ends), ends, strict=False)]
    if isinstance(tokenizer, str):
        if tokenizer not in TOKENIZERS:
            raise ConfigError(f"unknown tokenizer {tokenizer!r}: {nearest(tokenizer, TOKENIZERS)}")
        fitted = text if tokenizer == "characters" else parts[0]
        tokenizer = TOKENIZERS[tokenizer].fit(fitted, **options)
    assert isinstance(tokenizer, Tokenizer)
    train, dev_part, test_part = map(tokenizer.encode, parts)
    return TokenSplits(train, dev_part, test_part, tokenizer)


def windows(
    tokens: Tensor, context: int, count: int, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Random stretches of a text, (count, context), and the same one token later: what comes next.

    Everything is tensor operations: inside a compiled step the batch is drawn there.

    >>> import thalweg as tw
    >>> x, y = windows(tw.arange(100), context=4, count=2)
    >>> x.shape, bool((y == x + 1).all())
    (Size([2, 4]), True)
    """
    if len(tokens) <= context:
        raise DataError(f"{len(tokens)} tokens have no stretch of {context} and the one after it")
    start = randint(0, len(tokens) - context, (count, 1), generator=generator)
    place = start + arange(context)
    return tokens[place], tokens[place + 1]
