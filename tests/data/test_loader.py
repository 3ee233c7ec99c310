from __future__ import annotations

from itertools import chain

import pytest

import thalweg as tw
from thalweg.data import Loader, Split
from thalweg.errors import ConfigError, DataError


def numbered(count: int) -> Split:
    return Split(tw.arange(count).float().reshape(count, 1), tw.arange(count))


def labels(loader: Loader) -> list[list[int]]:
    return [y.tolist() for _, y in loader]


@pytest.mark.parametrize(
    ("count", "size", "drop_last", "sizes"),
    [
        (10, 4, False, [4, 4, 2]),
        (10, 4, True, [4, 4]),
        (8, 4, False, [4, 4]),
        (8, 4, True, [4, 4]),
        (3, 10, False, [3]),
        (3, 1, False, [1, 1, 1]),
    ],
)
@pytest.mark.parametrize("shuffle", [True, False])
def test_sizes(count: int, size: int, drop_last: bool, sizes: list[int], shuffle: bool) -> None:
    loader = Loader(numbered(count), size, shuffle, drop_last)
    assert [len(y) for _, y in loader] == sizes
    assert len(loader) == len(sizes) == len(loader.indices())


def test_each_example_once_with_its_own_label() -> None:
    for x, y in Loader(numbered(50), 7, generator=tw.Generator(3)):
        assert x[:, 0].tolist() == y.tolist()
    assert sorted(chain.from_iterable(labels(Loader(numbered(50), 7)))) == list(range(50))


def test_in_order_without_shuffling() -> None:
    assert labels(Loader(numbered(5), 2, shuffle=False)) == [[0, 1], [2, 3], [4]]


def test_each_epoch_is_another_order_and_the_seed_decides_which() -> None:
    loader, again = (Loader(numbered(20), 6, generator=tw.Generator(1)) for _ in range(2))
    epochs = [labels(loader), labels(loader)]
    assert epochs[0] != epochs[1]
    assert [labels(again), labels(again)] == epochs


def test_the_default_generator_is_the_one_manual_seed_sets() -> None:
    orders = []
    for _ in range(2):
        tw.manual_seed(5)
        orders.append(labels(Loader(numbered(20), 6)))
    assert orders[0] == orders[1]


def test_a_generator_put_back_gives_the_epoch_again() -> None:
    generator = tw.Generator(9)
    loader = Loader(numbered(20), 6, generator=generator)
    next(iter(loader))
    state = generator.get_state()
    epoch = labels(loader)
    generator.set_state(state)
    assert labels(loader) == epoch


def test_grid_and_indices_are_what_iterating_gives() -> None:
    first, second, third = (Loader(numbered(11), 4, generator=tw.Generator(2)) for _ in range(3))
    full, rest = first.grid()
    assert (full.shape, rest.shape) == ((2, 4), (3,))
    assert full.dtype is rest.dtype is tw.int64
    assert [*full.tolist(), rest.tolist()] == [rows.tolist() for rows in second.indices()]
    assert [*full.tolist(), rest.tolist()] == labels(third)
    assert Loader(numbered(11), 4, drop_last=True).grid()[1].shape == (0,)
    assert Loader(numbered(3), 4).grid()[0].shape == (0, 4)


def test_a_pair_of_tensors() -> None:
    (x, y), *_ = Loader((tw.zeros(4, 2, 2), tw.ones(4)), 4)
    assert (x.shape, y.shape) == ((4, 2, 2), (4,))


def test_nothing_to_load() -> None:
    with pytest.raises(DataError, match=r"a pair of tensors \(x, y\), expected; got a int"):
        Loader(3, 4)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="empty"):
        Loader((tw.zeros(0, 2), tw.zeros(0)), 4)
    with pytest.raises(
        DataError, match=r"3 examples in batches of 4 .*batch_size of at most 3.*False"
    ):
        Loader(numbered(3), 4, drop_last=True)


def test_lengths_that_differ() -> None:
    with pytest.raises(DataError, match=r"\(3, 2\) and targets of shape \(2,\)"):
        Loader((tw.zeros(3, 2), tw.zeros(2)), 1)
    with pytest.raises(DataError, match=r"shape \(\)"):
        Loader((tw.tensor(1.0), tw.zeros(2)), 1)


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "8"])
def test_a_batch_size_that_is_none(size: object) -> None:
    with pytest.raises(ConfigError, match="batch_size"):
        Loader(numbered(3), size)  # type: ignore[arg-type]
