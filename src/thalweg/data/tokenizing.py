"""Text as numbers and back: by characters, by words, by byte pairs.

A tokenizer is fitted to a text once; it then travels as plain values, with a checkpoint or in a
TOML file, and reads any other text the same way.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final

import numpy as np

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, DataError
from thalweg.ops.creation import tensor

__all__ = ["BytePairs", "Characters", "TOKENIZERS", "Tokenizer", "Words"]

_UNKNOWN: Final = "<unk>"
_PAD: Final = "<pad>"
_PIECES: Final = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_NO_SPACE_BEFORE: Final = re.compile(r" ([.,;:!?%)\]}’'])")


class Tokenizer(ABC):
    """From a text to tokens, numbers from 0 to `len(tokenizer) - 1`, and back."""

    kind: ClassVar[str]

    @abstractmethod
    def __len__(self) -> int:
        """How many different tokens there are."""

    @abstractmethod
    def numbers(self, text: str) -> list[int]:
        """The tokens of a text."""

    @abstractmethod
    def decode(self, tokens: Tensor | Sequence[int]) -> str:
        """The text of tokens, as far as they remember it."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file."""

    def encode(self, text: str) -> Tensor:
        """The tokens of a text, (T,) in int64."""
        return tensor(np.asarray(self.numbers(text), np.int64))

    def batch(self, texts: Iterable[str], length: int, pad: int = 0) -> tuple[Tensor, Tensor]:
        """Texts as tokens (N, length), cut or filled up with `pad`, and their lengths (N,)."""
        if isinstance(texts, str):
            raise ConfigError(f"texts = {texts!r:.40}: one text; expected several, such as [text]")
        rows = [self.numbers(text)[:length] for text in texts]
        full = np.full((len(rows), length), pad, np.int64)
        for row, tokens in zip(full, rows, strict=True):
            row[: len(tokens)] = tokens
        return tensor(full), tensor(np.array([len(row) for row in rows], np.int64))

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> Tokenizer:
        """The tokenizer whose `to_dict` this is. Raises `DataError` for anything else."""
        try:
            kind = TOKENIZERS[plain["kind"]]
            found: Tokenizer = kind(**{k: v for k, v in plain.items() if k != "kind"})
        except (KeyError, TypeError) as error:
            raise DataError(f"not the description of a tokenizer: {error!r}") from error
        return found


@dataclass(frozen=True)
class Characters(Tokenizer):
    """A token for every character that the text it was fitted to has.

    >>> tokens = Characters.fit("hello")
    >>> tokens.alphabet, tokens.encode("hell")
    ('ehlo', tensor([1, 0, 2, 2]))
    >>> tokens.decode([1, 0, 2])
    'hel'
    """

    alphabet: str
    kind: ClassVar[str] = "characters"

    @classmethod
    def fit(cls, text: str) -> Characters:
        """The characters of a text, in order."""
        if not text:
            raise DataError("a tokenizer cannot be fitted to an empty text")
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.alphabet)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {character: place for place, character in enumerate(self.alphabet)}

    def numbers(self, text: str) -> list[int]:
        """The characters' places. Raises `DataError` for one that did not occur."""
        try:
            return [self._places[character] for character in text]
        except KeyError as error:
            at = text.index(error.args[0])
            raise DataError(
                f"character {error.args[0]!r}, number {at} of the text, did not occur in the text "
                f"that the tokenizer was fitted to; known are {self.alphabet!r}"
            ) from None

    def decode(self, tokens: Tensor | Sequence[int]) -> str:
        """Exactly the text."""
        return "".join(self.alphabet[token] for token in _listed(tokens, len(self)))

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "alphabet": self.alphabet}


@dataclass(frozen=True)
class Words(Tokenizer):
    """A token for every word and mark; 0 fills up, 1 stands for words that were not there.

    >>> words = Words.fit("The cat sat. The dog sat.", lower=True)
    >>> words.vocabulary
    ('<pad>', '<unk>', '.', 'sat', 'the', 'cat', 'dog')
    >>> words.encode("The bird sat!")
    tensor([4, 1, 3, 1])
    >>> words.decode(words.encode("the dog sat."))
    'the dog sat.'
    """

    vocabulary: tuple[str, ...]
    lower: bool = True
    kind: ClassVar[str] = "words"

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocabulary", tuple(self.vocabulary))

    @classmethod
    def fit(cls, text: str, most: int = 20_000, lower: bool = True) -> Words:
        """The `most` frequent words of a text, the most frequent first."""
        counts = Counter(_pieces(text, lower))
        if not counts:
            raise DataError("a tokenizer cannot be fitted to a text without words")
        if most < 3:
            raise ConfigError(f"most = {most}: expected room for 3 tokens or more")
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls((_PAD, _UNKNOWN, *ranked[: most - 2]), lower)

    def __len__(self) -> int:
        return len(self.vocabulary)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.vocabulary)}

    def numbers(self, text: str) -> list[int]:
        """The words' places, 1 for those that are not known."""
        return [self._places.get(word, 1) for word in _pieces(text, self.lower)]

    def decode(self, tokens: Tensor | Sequence[int]) -> str:
        """The words with spaces between them; what fills up is left out."""
        words = [self.vocabulary[token] for token in _listed(tokens, len(self)) if token]
        return _NO_SPACE_BEFORE.sub(r"\1", " ".join(words))

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "vocabulary": list(self.vocabulary), "lower": self.lower}


@dataclass(frozen=True)
class BytePairs(Tokenizer):
    """Byte-pair encoding: the pairs that occur most often grow together to tokens.

    It knows every text, since it begins with bytes. The work is that of the library `tokenizers`,
    in the extra `text`. Source: Sennrich, Haddow, Birch, ACL 2016; Radford et al., 2019 (GPT-2).

    >>> pairs = BytePairs.fit("low lower lowest " * 20, size=270)
    >>> pairs.decode(pairs.encode("lowest slower"))
    'lowest slower'
    >>> len(pairs.encode("lowest")) < 6
    True
    """

    model: str
    kind: ClassVar[str] = "byte-pairs"

    @classmethod
    def fit(cls, text: str, size: int = 2048) -> BytePairs:
        """At most `size` tokens, the 256 bytes among them."""
        if not text:
            raise DataError("a tokenizer cannot be fitted to an empty text")
        if size < 256:
            raise ConfigError(f"size = {size}: expected 256 or more: every byte is a token")
        library = _tokenizers()
        engine = library.ByteLevelBPETokenizer()
        engine.train_from_iterator(text.splitlines(keepends=True), size, 2, show_progress=False)
        return cls(engine.to_str())

    @cached_property
    def _engine(self) -> Any:
        return _tokenizers().Tokenizer.from_str(self.model)

    def __len__(self) -> int:
        return int(self._engine.get_vocab_size())

    def numbers(self, text: str) -> list[int]:
        """The text in as few tokens as its pairs allow."""
        return list(self._engine.encode(text).ids)

    def decode(self, tokens: Tensor | Sequence[int]) -> str:
        """Exactly the text."""
        return str(self._engine.decode(_listed(tokens, len(self))))

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "model": self.model}


TOKENIZERS: Final[dict[str, Any]] = {kind.kind: kind for kind in (Characters, Words, BytePairs)}


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise ConfigError(
            'byte pairs need the library tokenizers: pip install "thalweg[text]"; or use '
            "Characters or Words"
        ) from None
    return tokenizers


def _pieces(text: str, lower: bool) -> list[str]:
    return _PIECES.findall(text.lower() if lower else text)


def _listed(tokens: Tensor | Sequence[int], size: int) -> list[int]:
    listed = tokens.flatten().tolist() if isinstance(tokens, Tensor) else list(tokens)
    for token in listed:
        if not 0 <= token < size:
            raise DataError(f"token {token}: expected 0 to {size - 1}")
    return listed
