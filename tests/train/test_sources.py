"""Whatever the batches come from, a training goes on after a stop with the same bits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.train.test_trainer import StopAfter, bits, one_step_chunks, some_splits
from thalweg.data import Characters, Source, Sources, Stream, TokenSplits, load_arrays
from thalweg.data.source import Rows
from thalweg.errors import CheckpointError, ConfigError, DataError
from thalweg.nn import functional as F
from thalweg.train import Trainer, next_token_loss


class Squares(Source):
    """A source of one's own: nothing but the protocol. It makes its examples in the step."""

    name = "squares"

    def __len__(self) -> int:
        return 70

    def epoch(self, size: int, drop_last: bool = False, generator: Any = None) -> Rows:
        order = tw.arange(70) if generator is None else tw.randperm(70, generator=generator)
        return Rows(order, size, drop_last)

    def batch(self, *parts: tw.Tensor) -> tuple[tw.Tensor, tw.Tensor]:
        x = tw.stack([(parts[0] % k).float() for k in (2, 3, 5, 7)], -1) - 1
        return x, parts[0] % 2


def in_memory() -> Sources:
    return some_splits()


def streamed(**sizes: int) -> Sources:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (130, 4)).astype(np.uint8)
    y = (x[:, 0] > x[:, 1]).astype(np.uint8)
    scale = tw.data.Standardize((128.0,), (64.0,))
    return load_arrays(x, y, 0.2, 0.2, inputs=scale, **{"block": 5, "mixed": 3, **sizes})


def own() -> Sources:
    return Sources(Squares(), Squares(), Squares(), some_splits().encoding)


def text() -> Sources:
    tokens = Characters.fit("abcdef")
    parts = [tw.tensor(np.arange(n) * np.arange(n) % 6) for n in (300, 60, 60)]
    return TokenSplits(*parts, tokens).windows(context=5)


def model_for(data: Sources) -> tuple[tw.nn.Module, Any]:
    nn = tw.nn
    if data.task == "text":
        return nn.Sequential(nn.Embedding(6, 8), nn.Dropout(0.2), nn.Linear(8, 6)), next_token_loss
    layers = nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 2)
    return nn.Sequential(*layers), F.cross_entropy


def trainer_for(data: Sources, seed: int = 0, **options: Any) -> Trainer:
    tw.manual_seed(seed)
    model, loss = model_for(data)
    return Trainer(model, loss, tw.optim.Adam(model.parameters(), lr=0.02),
                   **{"batch_size": 16, **options})  # fmt: skip


KINDS = [in_memory, streamed, own, text]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"drop_last": True, "ema": 0.9, "l1": 1e-4, "patience": 9},
        {"accumulate": 2, "compile": False},
    ],
    ids=["plain", "options", "accumulated"],
)
def test_a_stop_within_an_epoch_changes_no_bit(
    make: Callable[[], Sources],
    options: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = trainer_for(make(), **options)
    expected = whole.fit(make(), epochs=3, evaluations=2)
    assert expected.history[-1]["loss"] < expected.history[0]["loss"]
    one_step_chunks(monkeypatch)
    for chunks in (2, 4, 7):
        folder = tmp_path / str(chunks)
        again = {"run": folder, "evaluations": 2}
        broken = trainer_for(make(), **options)
        stopped = broken.fit(make(), 3, watcher=StopAfter(chunks), **again)
        assert stopped.status == "interrupted"
        resumed = trainer_for(make(), seed=99, **options)
        result = resumed.fit(make(), 3, resume=True, **again)
        assert bits(resumed.model) == bits(whole.model)
        assert result.test == expected.test
        assert [{**row, "seconds": 0} for row in result.history] == [
            {**row, "seconds": 0} for row in expected.history
        ]
    assert not [t for t in threading.enumerate() if t.name == "thalweg-prefetch"]


@pytest.mark.parametrize("make", KINDS)
def test_compiled_is_eager(make: Callable[[], Sources]) -> None:
    seen = []
    for compile in (True, False):
        trainer = trainer_for(make(), compile=compile)
        result = trainer.fit(make(), epochs=2)
        seen.append([row["loss"] for row in result.history])
    assert seen[0] == pytest.approx(seen[1], rel=1e-4)


def test_the_size_of_the_chunks_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for _ in range(2):
        trainer = trainer_for(streamed())
        trainer.fit(streamed(), epochs=2)
        found.append(bits(trainer.model))
        one_step_chunks(monkeypatch)
    assert found[0] == found[1]


def test_a_stream_trains_on_every_example_of_its_own_blocks_once() -> None:
    data = streamed()
    seen: list[int] = []

    class Noting(Stream):
        def batch(self, *parts: tw.Tensor) -> tuple[tw.Tensor, tw.Tensor]:
            seen.extend(parts[0][:, 0].tolist())
            return super().batch(*parts)

    x = np.arange(130, dtype=np.float32)[:, None] * np.ones(4, np.float32)
    train = data.train
    noting = Noting(x, np.asarray(train.y), blocks=train.blocks, block=5, mixed=3)
    trainer = trainer_for(data, compile=False)
    trainer.fit(Sources(noting, data.dev, data.test, data.encoding), epochs=1)
    rows = [n for b in train.blocks for n in range(b * 5, b * 5 + 5)]
    assert sorted(seen) == rows
    assert seen != rows
    others = {*data.dev.blocks.tolist(), *data.test.blocks.tolist()}
    assert not others & set(train.blocks.tolist())
    assert len(data.train) + len(data.dev) + len(data.test) == 130


def test_scaling_in_the_step_is_that_of_the_encoding() -> None:
    data = streamed()
    x, _ = next(data.dev.chunks(7))
    raw = np.concatenate([data.dev.x[b * 5 : b * 5 + 5] for b in data.dev.blocks])
    np.testing.assert_array_equal(x.numpy()[0], data.encoding.encode(raw[:7]))
    table = Stream(np.array([[1e9, 1.0], [1e9 + 1, 3.0]]), np.zeros(2), inputs=tw.data.Standardize(
        (1e9, 2.0), (0.5, 1.0)))  # fmt: skip
    assert table.batch(tw.tensor(np.asarray(table.x)), tw.zeros(2))[0].tolist() == [[0, -1], [2, 1]]


def test_the_evaluation_of_a_stream_is_that_of_the_same_data_in_memory() -> None:
    x = np.random.default_rng(0).standard_normal((2300, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    model, loss = model_for(some_splits())
    measures = tw.train.Accuracy()
    whole = tw.train.evaluate(model, loss, tw.data.Split(tw.tensor(x), tw.tensor(y)), measures)
    stream = Stream(x, y, block=100, mixed=4)
    assert tw.train.evaluate(model, loss, stream, measures) == pytest.approx(whole, rel=1e-5)
    trainer = Trainer(model, loss, tw.optim.SGD(model.parameters()))
    assert trainer.evaluate(stream, measures) == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize(
    ("begun", "resumed", "said"),
    [
        (streamed, lambda: streamed(block=4), r"block = 4 \(was 5\)"),
        (text, lambda: TokenSplits(*[tw.arange(60) % 6] * 3, Characters("abcdef")).windows(5),
         r"tokens = 60 \(was 300\)"),
        (in_memory, lambda: some_splits(n=130), r"examples = 82 \(was 72\)"),
        (in_memory, streamed, r"examples"),
    ],
)  # fmt: skip
def test_other_batches_are_refused(
    begun: Callable[[], Sources], resumed: Callable[[], Sources], said: str, tmp_path: Path
) -> None:
    trainer_for(begun()).fit(begun(), 1, run=tmp_path)
    trainer = trainer_for(begun())
    before = bits(trainer.model)
    with pytest.raises(CheckpointError, match=said):
        trainer.fit(resumed(), 2, run=tmp_path, resume=True)
    assert bits(trainer.model) == before


def test_another_batch_size_is_refused(tmp_path: Path) -> None:
    trainer_for(in_memory()).fit(in_memory(), 1, run=tmp_path)
    with pytest.raises(CheckpointError, match=r"batch_size = 8 \(was 16\)"):
        trainer_for(in_memory(), batch_size=8).fit(in_memory(), 2, run=tmp_path, resume=True)


@pytest.mark.parametrize("compile", [True, False])
def test_bad_numbers_in_a_file_are_named_and_nothing_is_lost(tmp_path: Path, compile: bool) -> None:
    x = np.ones((40, 4), np.float32)
    y = np.arange(40) % 2
    x[:, 0] = np.arange(40) % 3
    data = load_arrays(x, y, block=4, mixed=2)
    assert 4 in data.train.blocks
    options = {"batch_size": 3, "compile": compile}
    whole = trainer_for(in_memory(), **options)
    whole.fit(data, 2)
    good, x[17, 2] = x[17, 2], np.nan
    with pytest.raises(
        DataError, match=r"example 16 \(to 19\).*nan at index \(1, 2\).*checkpoint stands before it"
    ):
        trainer_for(in_memory(), **options).fit(data, 2, run=tmp_path)
    assert tw.train.RunFolder.open(tmp_path).load_last()[1]["progress"]["step"] > 0
    x[17, 2] = good
    repaired = trainer_for(in_memory(), **options)
    repaired.fit(data, 2, run=tmp_path, resume=True)
    assert bits(repaired.model) == bits(whole.model)


def test_what_is_no_data() -> None:
    trainer = trainer_for(in_memory())
    with pytest.raises(ConfigError, match=r"a tuple for the data; expected Splits or Sources"):
        trainer.fit((1, 2))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a list is no source of batches"):
        Sources([], [], [], some_splits().encoding)  # type: ignore[arg-type]
    data = streamed()
    wrong = tw.data.Encoding("other", "classification", (5,), classes=("a", "b"))
    with pytest.raises(DataError, match=r"an input of train has shape \(4,\); expected \(5,\)"):
        Sources(data.train, data.dev, data.test, wrong)
    with pytest.raises(DataError, match="train: labels out of range: 2 at index 2"):
        load_arrays(np.ones((40, 2)), np.arange(40) % 4, classes=("a", "b"), block=4)
    with pytest.raises(DataError, match=r"20 examples in blocks of 30: .*or smaller blocks"):
        load_arrays(np.ones((20, 2)), np.arange(20) % 2, block=30)
    for options, said in (({"block": 0}, "block=0"), ({"blok": 3}, "did you mean 'block'")):
        with pytest.raises(ConfigError, match=said):
            load_arrays(np.ones((40, 2)), np.arange(40) % 2, **options)
    with pytest.raises(DataError, match="a label of -1; classes are numbered from 0"):
        load_arrays(np.ones((40, 2)), np.arange(40) % 2 - 1)
    with pytest.raises(DataError, match=r"train: 4 tokens have no stretch of 5"):
        TokenSplits(*[tw.arange(4)] * 3, Characters("abcd")).windows(5)


def test_a_text_says_how_likely_its_next_letter_is(tmp_path: Path) -> None:
    path = tmp_path / "ab.txt"
    path.write_text("ab" * 400, encoding="utf-8")
    data = tw.data.load_text(path).windows(8)
    tw.manual_seed(0)
    model = tw.nn.Sequential(tw.nn.Embedding(2, 4), tw.nn.Linear(4, 2))
    trainer = Trainer(model, next_token_loss, tw.optim.Adam(model.parameters(), lr=0.1))
    result = trainer.fit(data, epochs=20)
    assert result.test is not None
    assert result.test["accuracy"] == 1
    assert result.test["loss"] < 0.1
    encoding = tw.data.Encoding.from_dict(data.encoding.to_dict())
    assert encoding == data.encoding
    outputs = tw.train.predict(model, tw.tensor(encoding.encode("aba")))
    assert encoding.decode(outputs.numpy()) == ["b"]


def test_after_an_error_the_folder_is_free_again(tmp_path: Path) -> None:
    trainer = trainer_for(in_memory())

    def failing(*_: Any) -> Any:
        raise ValueError("no loss")

    trainer.loss = failing
    with pytest.raises(ValueError, match="no loss") as kept:
        trainer.fit(in_memory(), 1, run=tmp_path)
    assert kept.tb is not None, "what a notebook keeps, and with it all that was on the stack"
    trainer_for(in_memory()).fit(in_memory(), 1, run=tmp_path, resume=True)
