"""Tokenizers: what comes back, what travels, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

import thalweg as tw
from thalweg.data import BytePairs, Characters, Tokenizer, Words
from thalweg.errors import ConfigError, DataError

TEXT = "The quick brown fox jumps over the lazy dog. Über die Brücke, schnell!\n" * 4
FITTED: list[Callable[[], Tokenizer]] = [
    lambda: Characters.fit(TEXT),
    lambda: Words.fit(TEXT),
    lambda: Words.fit(TEXT, lower=False),
    lambda: BytePairs.fit(TEXT, size=300),
]


@pytest.mark.parametrize("make", FITTED)
def test_one_text_is_no_batch(make: Callable[[], Tokenizer]) -> None:
    with pytest.raises(ConfigError, match=r"one text; expected several, such as \[text\]"):
        make().batch("the lazy dog", 4)


@pytest.mark.parametrize("make", FITTED)
def test_it_travels_as_plain_values(make: Callable[[], Tokenizer]) -> None:
    tokenizer = make()
    again = Tokenizer.from_dict(json.loads(json.dumps(tokenizer.to_dict())))
    assert again == tokenizer
    assert len(again) == len(tokenizer)
    tokens = again.encode("the lazy dog")
    assert tokens.dtype is tw.int64
    assert tw.equal(tokens, tokenizer.encode("the lazy dog"))
    assert int(tokens.max()) < len(tokenizer)


@pytest.mark.parametrize("make", [FITTED[0], FITTED[3]])
def test_characters_and_byte_pairs_give_the_text_back(make: Callable[[], Tokenizer]) -> None:
    tokenizer = make()
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


def test_byte_pairs_know_every_text_and_grow_frequent_ones() -> None:
    pairs = BytePairs.fit(TEXT, size=300)
    assert pairs.decode(pairs.encode("日本 🙂")) == "日本 🙂"
    assert 256 < len(pairs) <= 300
    assert len(pairs.encode(TEXT)) < len(TEXT.encode()) / 1.5


def test_words_keep_the_frequent_ones() -> None:
    words = Words.fit(TEXT, most=5)
    assert words.vocabulary[:3] == ("<pad>", "<unk>", "the")
    assert len(words) == 5
    assert words.encode("the unheard-of").tolist() == [2, 1, 1, 1]
    assert words.decode([2, 0, 0]) == "the"
    assert Words.fit("It's 5 o'clock!").decode(Words.fit("It's 5 o'clock!").encode("it's 5")) == (
        "it's 5"
    )


def test_a_batch_is_cut_and_filled_up() -> None:
    words = Words.fit("a b c d")
    tokens, lengths = words.batch(["a b c d", "b", ""], 3)
    assert tokens.tolist() == [[2, 3, 4], [3, 0, 0], [0, 0, 0]]
    assert lengths.tolist() == [3, 1, 0]


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda: Characters.fit(""), DataError, "empty"),
        (lambda: Words.fit(" "), DataError, "without words"),
        (lambda: BytePairs.fit(""), DataError, "empty"),
        (lambda: BytePairs.fit("a", size=10), ConfigError, "every byte"),
        (lambda: Words.fit("a", most=2), ConfigError, "3 tokens"),
        (lambda: Characters.fit("ab").encode("abc"), DataError, "'c', number 2"),
        (lambda: Characters.fit("ab").decode([2]), DataError, "token 2: expected 0 to 1"),
        (lambda: Tokenizer.from_dict({"kind": "runes"}), DataError, "no.* tokenizer"),
        (lambda: Tokenizer.from_dict({"kind": "words", "x": 1}), DataError, "no.* tokenizer"),
    ],
)
def test_what_cannot_be_says_why(
    act: Callable[[], object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        act()
