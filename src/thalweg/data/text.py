"""A text file to model: its tokens in three parts, and stretches of them to train with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg._tensor import Tensor
from thalweg.data.encoding import Encoding
from thalweg.data.source import Rows, Source, Sources
from thalweg.data.tokenizing import TOKENIZERS, Tokenizer
from thalweg.errors import ConfigError, DataError, nearest
from thalweg.ops.creation import arange
from thalweg.ops.random import Generator, randint

__all__ = ["TokenSplits", "Windows", "load_text", "windows"]

_PARTS = ("train", "dev", "test")


class Windows(Source):
    """Stretches of `context` tokens of a text, and the same one token later: what comes next.

    tokens   (T,) in int64
    context  the length of a stretch
    count    stretches in an epoch, drawn anywhere, some twice; by default (T - 1) / context, as
             many as there are in the text side by side, which is what it is evaluated on

    Raises `DataError` for a text that is too short.

    >>> import thalweg as tw
    >>> text = Windows(tw.arange(10), context=3)
    >>> x, y = text.batch(tw.tensor([0, 5]))
    >>> len(text), x.tolist(), y.tolist()
    (3, [[0, 1, 2], [5, 6, 7]], [[1, 2, 3], [6, 7, 8]])
    """

    def __init__(
        self, tokens: Tensor, context: int, count: int | None = None, name: str = "text"
    ) -> None:
        for what, size in (("context", context), ("count", 1 if count is None else count)):
            if type(size) is not int or size < 1:
                raise ConfigError(f"{what} = {size!r}; expected a whole number of 1 or more")
        _check_length(tokens, context, name)
        self.tokens, self.context, self.name = tokens, context, name
        self.count = count

    def __len__(self) -> int:
        return self.count or (len(self.tokens) - 1) // self.context

    def epoch(self, size: int, drop_last: bool = False, generator: Generator | None = None) -> Rows:
        """Where the stretches begin: anywhere, or without a generator one after another."""
        if generator is None:
            starts = arange(0, len(self.tokens) - self.context, self.context)
        else:
            starts = randint(0, len(self.tokens) - self.context, (len(self),), generator=generator)
        return Rows(starts, size, drop_last)

    def batch(self, *parts: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets (N, context), cut out of the text in the compiled step."""
        return _stretches(self.tokens, parts[0].unsqueeze(-1), self.context)

    def settings(self) -> dict[str, Any]:
        """The number of stretches, their length, and the text's."""
        return {"examples": len(self), "context": self.context, "tokens": len(self.tokens)}

    def check(self, encoding: Encoding) -> None:
        """The length of a stretch, and the tokens. Raises `DataError`."""
        highest = int(self.tokens.max())
        if encoding.input_shape != (self.context,) or highest >= encoding.output_size:
            raise DataError(
                f"{self.name}: stretches of {self.context} tokens from 0 to {highest}; expected "
                f"stretches of {encoding.input_shape} of {encoding.output_size} different tokens"
            )

    def __repr__(self) -> str:
        return f"<Windows {self.name}: {len(self)} of {self.context} of {len(self.tokens)} tokens>"


@dataclass(frozen=True, slots=True, repr=False)
class TokenSplits:
    """A text as tokens: its beginning to train with, then parts for development and test."""

    train: Tensor
    dev: Tensor
    test: Tensor
    tokenizer: Tokenizer
    name: str = "text"

    def windows(self, context: int, count: int | None = None) -> Sources:
        """What a `Trainer` takes: stretches of `context` tokens, each with the token behind it.

        To train, `count` stretches an epoch are drawn anywhere in the text, by default as many as
        have all its tokens once on average; to evaluate, the text is cut into stretches. The
        targets (N, context) are the inputs (N, context) one token later: a model that gives logits
        (N, context, tokens) has `train.next_token_loss` as its loss.
        """
        encoding = Encoding(self.name, "text", (context,), tokenizer=self.tokenizer)
        train, dev, test = (
            Windows(getattr(self, part), context, count if part == "train" else None, part)
            for part in _PARTS
        )
        sizes = ", ".join(f"{len(getattr(self, part)):,} {part}" for part in _PARTS)
        notes = (f"{len(self.tokenizer)} different {self.tokenizer.kind}; {sizes}",)
        return Sources(train, dev, test, encoding, notes)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(getattr(self, p))} {p}" for p in _PARTS)
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

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "rhyme.txt"
    ...     _ = path.write_text("humpty dumpty sat on a wall. " * 10)
    ...     load_text(path), load_text(path, "words")
    (<TokenSplits: 15 different characters; 232 train, 29 dev, 29 test>,
     <TokenSplits: 9 different words; 56 train, 7 dev, 7 test>)
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
    return TokenSplits(train, dev_part, test_part, tokenizer, path.stem)


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
    _check_length(tokens, context, "windows")
    start = randint(0, len(tokens) - context, (count, 1), generator=generator)
    return _stretches(tokens, start, context)


def _check_length(tokens: Tensor, context: int, name: str) -> None:
    if len(tokens) <= context:
        raise DataError(
            f"{name}: {len(tokens)} tokens have no stretch of {context} and the one after it. "
            "Give a longer text, larger shares, or a shorter context"
        )


def _stretches(tokens: Tensor, start: Tensor, context: int) -> tuple[Tensor, Tensor]:
    """Stretches from `start` (..., 1) on, and the same one token later: (..., context)."""
    place = start + arange(context)
    return tokens[place], tokens[place + 1]
