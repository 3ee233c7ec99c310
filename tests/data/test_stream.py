"""Streams of batches: every example once, the exact position, files that are mapped."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thalweg.data import StreamLoader
from thalweg.errors import ConfigError, DataError


def loader(count: int = 103, **options: Any) -> StreamLoader:
    x = np.arange(count, dtype=np.float32)[:, None] * [1, 2]
    chosen = {"batch_size": 8, "block": 5, "mixed": 3, "seed": 1, **options}
    return StreamLoader(x.astype(np.float32), np.arange(count), **chosen)


def epoch(stream: StreamLoader) -> list[list[int]]:
    return [y.tolist() for x, y in stream if (x[:, 1] == 2 * y).all()]


@pytest.mark.parametrize(
    "options",
    [{}, {"block": 1, "mixed": 1}, {"block": 1000}, {"batch_size": 200}, {"batch_size": 1},
     {"mixed": 1000, "prefetch": 3}, {"shuffle": False}, {"drop_last": True}],
)  # fmt: skip
@pytest.mark.parametrize("count", [1, 8, 103])
def test_every_example_comes_once_an_epoch(options: dict[str, Any], count: int) -> None:
    stream = loader(count, **options)
    batches = epoch(stream)
    assert len(batches) == len(stream)
    seen = [y for batch in batches for y in batch]
    left_out = count % stream.batch_size if stream.drop_last else 0
    assert len(set(seen)) == len(seen) == count - left_out
    assert all(len(batch) == stream.batch_size for batch in batches[:-1])
    if "shuffle" in options:
        assert seen == list(range(count))


def test_the_order_is_the_seeds_and_new_each_epoch() -> None:
    one, two = loader(), loader()
    assert epoch(one) == epoch(two)
    second = epoch(one)
    assert second != epoch(loader())
    assert second == epoch(two)
    assert epoch(loader(seed=2)) != epoch(loader())
    spread = np.abs(np.diff(np.concatenate([np.array(b) for b in epoch(loader())])))
    assert spread.mean() > 8, "blocks far apart are mixed"


@pytest.mark.parametrize("taken", [0, 1, 5, 12, 13, 20])
def test_a_position_is_exact(taken: int) -> None:
    whole = loader()
    expected = epoch(whole) + epoch(whole)
    first = loader()
    found = []
    while len(found) < taken:
        for _, y in first:
            found.append(y.tolist())
            if len(found) == taken:
                break
    other = loader()
    other.load_state_dict(first.state_dict())
    while other.epoch < 2:
        found += epoch(other)
    assert found == expected


def test_a_position_of_another_order_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"block = 5 \(was 6\), seed = 1 \(was 9\)"):
        loader().load_state_dict(loader(block=6, seed=9).state_dict())


def test_files_are_mapped_and_read_ahead_by_one_thread(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.arange(50))
    stream = StreamLoader(tmp_path / "x.npy", tmp_path / "y.npy", 16, block=4, mixed=2)
    assert isinstance(stream.stream.x, np.memmap)
    for batch, y in stream:
        np.testing.assert_array_equal(batch.numpy(), x[y.numpy()])
    for _ in stream:
        break
    assert not [t for t in threading.enumerate() if t.name == "thalweg-prefetch"]


def test_an_error_in_the_thread_arrives() -> None:
    stream = loader()

    def fail(*_: object) -> None:
        raise OSError("disk gone")

    stream.stream._read = fail  # type: ignore[method-assign, assignment]
    with pytest.raises(DataError, match="disk gone"):
        epoch(stream)


def test_what_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="3 inputs and 2 targets"):
        StreamLoader(np.zeros(3), np.zeros(2), 1)
    with pytest.raises(DataError, match="0 inputs"):
        StreamLoader(np.zeros(0), np.zeros(0), 1)
    with pytest.raises(ConfigError, match="block = 0"):
        loader(block=0)
    with pytest.raises(DataError, match=r"none.npy: cannot be mapped"):
        StreamLoader(tmp_path / "none.npy", np.zeros(2), 1)
    np.save(tmp_path / "object.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(DataError, match=r"object.npy: cannot be mapped"):
        StreamLoader(tmp_path / "object.npy", np.zeros(2), 1)
