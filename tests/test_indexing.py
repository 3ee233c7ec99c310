"""x[key] and x[key] = value, for keys of every kind, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from thalweg.errors import DTypeError, OutOfRangeError, ShapeError

Array = np.ndarray
EXAMPLES = settings(max_examples=250, deadline=None, derandomize=True)


# --- any key --------------------------------------------------------------------------------------


@st.composite
def slices(draw: st.DrawFn, size: int) -> slice:
    bound = st.none() | st.integers(-size - 1, size + 1)
    step = st.sampled_from([None, 1, 2, 3, -1, -2, -3])
    return slice(draw(bound), draw(bound), draw(step))


@st.composite
def keys(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Any]]:
    """A shape, and a key for it: slices, places, None, an ellipsis, index arrays and masks."""
    shape = tuple(draw(st.lists(st.sampled_from([0, 1, 2, 3, 4]), max_size=4)))
    together = draw(st.sampled_from([(), (2,), (3, 1), (1,), (0,)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    key: list[Any] = []
    axis = 0
    while axis < len(shape):
        size = shape[axis]
        kinds = ["slice", "mask"] + ["new"] * (len(key) < 6) + ["place", "index"] * (size > 0)
        kinds += ["ellipsis"] * (Ellipsis not in [e if e is Ellipsis else 0 for e in key])
        kind = draw(st.sampled_from(kinds))
        if kind == "new":
            key.append(None)
            continue
        if kind == "ellipsis":
            key.append(Ellipsis)
            axis += draw(st.integers(0, len(shape) - axis))
            continue
        reach = 1
        if kind == "slice":
            key.append(draw(slices(size)))
        elif kind == "place":
            key.append(draw(st.integers(-size, size - 1)))
        elif kind == "index":
            key.append(rng.integers(-size, size, together))
        else:
            reach = draw(st.integers(1, len(shape) - axis))
            key.append(rng.random(shape[axis : axis + reach]) < 0.5)
        axis += reach
    return shape, key


def spelled_out(shape: tuple[int, ...], key: list[Any]) -> list[Any]:
    """The key without an ellipsis: as many full slices in its place."""
    reach = sum(e.ndim if is_mask(e) else e is not None and e is not Ellipsis for e in key)
    rest = [slice(None)] * (len(shape) - reach)
    if not any(e is Ellipsis for e in key):
        return [*key, *rest]
    return [e for entry in key for e in (rest if entry is Ellipsis else [entry])]


def is_mask(entry: Any) -> bool:
    return isinstance(entry, np.ndarray) and entry.dtype == bool


def is_place(entry: Any) -> bool:
    return isinstance(entry, int) or (isinstance(entry, np.ndarray) and entry.shape == ())


def taken(x: Array, key: list[Any]) -> Array:
    """x[key] by NumPy, single places first: that they are no index arrays is PyTorch's rule."""
    entries = spelled_out(x.shape, key)
    places: list[Any] = []
    for entry in entries:
        if is_place(entry):
            places.append(int(entry))
        elif entry is not None:
            places.extend([slice(None)] * (entry.ndim if is_mask(entry) else 1))
    return x[tuple(places)][tuple(e for e in entries if not is_place(e))]


def tensors(key: list[Any]) -> tuple[Any, ...]:
    return tuple(tw.tensor(e) if isinstance(e, np.ndarray) else e for e in key)


def outcome(function: Any) -> Any:
    try:
        return function()
    except IndexError:  # index arrays that do not broadcast
        return IndexError


@EXAMPLES
@given(keys())
def test_reading(case: tuple[tuple[int, ...], list[Any]]) -> None:
    shape, key = case
    x = np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape) + 0.5)
    expected = outcome(lambda: taken(x, key))
    if expected is IndexError:
        with pytest.raises((IndexError, ShapeError)):
            tw.tensor(x)[tensors(key)]
        return
    got = tw.tensor(x)[tensors(key)]
    assert got.shape == expected.shape
    assert np.array_equal(got.numpy(), expected)


@EXAMPLES
@given(keys(), st.data())
def test_writing(case: tuple[tuple[int, ...], list[Any]], data: st.DataObject) -> None:
    shape, key = case
    x = np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape) + 0.5)
    places = outcome(lambda: taken(np.arange(x.size).reshape(shape), key))
    if places is IndexError:
        return
    kept = [data.draw(st.booleans()) for _ in places.shape]
    sizes = [n if keep else 1 for n, keep in zip(places.shape, kept, strict=True)]
    sizes = sizes[data.draw(st.integers(0, len(sizes))) :] if 1 in sizes[:1] else sizes
    value = -1.0 - np.arange(np.prod(sizes, dtype=int)).reshape(sizes)
    expected = x.copy()
    for place, v in zip(places.flat, np.broadcast_to(value, places.shape).flat, strict=True):
        expected.flat[place] = v  # of several for one place, the last stays
    written = tw.tensor(x)
    written[tensors(key)] = tw.tensor(value)
    assert np.array_equal(written.numpy(), expected)


@EXAMPLES
@given(keys())
def test_the_gradient_goes_to_the_places_that_were_read(
    case: tuple[tuple[int, ...], list[Any]],
) -> None:
    shape, key = case
    size = int(np.prod(shape, dtype=int))
    places = outcome(lambda: taken(np.arange(size).reshape(shape), key))
    if places is IndexError:
        return
    x = tw.zeros(shape, dtype=tw.float64, requires_grad=True)
    weights = np.arange(1.0, places.size + 1).reshape(places.shape)
    (x[tensors(key)] * tw.tensor(weights)).sum().backward()
    expected = np.zeros(size)
    np.add.at(expected, places.ravel(), weights.ravel())
    got = np.zeros(shape) if x.grad is None else x.grad.numpy()
    assert np.array_equal(got, expected.reshape(shape))


# --- keys as they are written ---------------------------------------------------------------------

X = np.arange(24.0).reshape(2, 3, 4)
T = tw.tensor(X)


@pytest.mark.parametrize(
    "key",
    [
        1,
        -1,
        np.int64(1),
        (1, 2, 3),
        slice(None, None, -1),
        (..., 1),
        (None, 1, ..., None),
        [1, 0],
        ([1, 0], [2, 2]),
        (slice(None), [0, 2], slice(1, 3)),
        range(2),
        np.array([1, 1, 0]),
        [True, False],
        np.array([], dtype=int),
        [],
        (),
        ...,
    ],
    ids=str,
)
def test_numpy_and_python_keys(key: Any) -> None:
    assert np.array_equal(T[key].numpy(), X[key])


def test_a_tensor_as_index_slice_and_place() -> None:
    i = tw.tensor(1)
    assert np.array_equal(T[i].numpy(), X[1])
    assert np.array_equal(T[:, i:].numpy(), X[:, 1:])
    assert np.array_equal(T[tw.tensor([1, 0], dtype=tw.uint8)].numpy(), X[[1, 0]])
    assert np.array_equal(T[T > 5].numpy(), X[X > 5])
    assert X[0].tolist()[i] == X[0, 1].tolist()


@pytest.mark.parametrize(
    ("key", "error", "words"),
    [
        (
            2,
            OutOfRangeError,
            r"index 2 .* dimension 0 of shape \(2, 3, 4\); expected 0 to 1, or -2",
        ),
        ((0, -4), OutOfRangeError, "index -4 .* dimension 1"),
        ((0, 0, 0, 0), OutOfRangeError, r"4 indices .* rank 3, shape \(2, 3, 4\)"),
        ((..., ...), OutOfRangeError, "one ellipsis"),
        (slice(None, None, 0), OutOfRangeError, "step of a slice is not 0"),
        ([5], OutOfRangeError, "index 5 .* dimension 0"),
        (([0, 1], [0, 1, 2]), ShapeError, r"\(2,\) and \(3,\)"),
        (True, DTypeError, "one bool is no index"),
        (1.0, DTypeError, "an index is an integer.*'1.0'"),
        ("a", DTypeError, "'a'"),
        ([0.5], DTypeError, "0.5"),
        ([[1, 2], [3]], DTypeError, "an index is an integer"),
        (np.ones(3, bool), ShapeError, r"mask of shape \(3,\) .* \(2,\)"),
        (tw.tensor([0.0]), DTypeError, "float32"),
    ],
    ids=str,
)
def test_keys_that_fit_nothing(key: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        T[key]
    with pytest.raises(error, match=words):
        T.clone()[key] = 1.0


def test_a_rank_0_tensor_has_nothing_to_index() -> None:
    with pytest.raises(OutOfRangeError, match="1 indices for a tensor of rank 0"):
        tw.tensor(1.0)[0]
    assert tw.tensor(1.0)[...].item() == 1


# --- writing --------------------------------------------------------------------------------------


def test_writing_gives_the_name_a_new_value_and_no_other() -> None:
    x = tw.zeros(3)
    other, row = x.detach(), x[1:]
    x[0] = 5
    assert (x.tolist(), other.tolist(), row.tolist()) == ([5, 0, 0], [0, 0, 0], [0, 0])


def test_writing_keeps_the_dtype() -> None:
    x = tw.zeros(2, dtype=tw.int64)
    x[0] = 2.9
    assert (x.dtype, x.tolist()) == (tw.int64, [2, 0])
    y = tw.zeros(2)
    y[1] = tw.tensor(3, dtype=tw.int64)
    assert (y.dtype, y.tolist()) == (tw.float32, [0, 3])


def test_of_several_values_for_one_place_the_last_stays() -> None:
    x = tw.zeros(3)
    x[tw.tensor([1, 1, 1])] = tw.tensor([5.0, 6.0, 7.0])
    assert x.tolist() == [0, 7, 0]


def test_augmented_assignment_to_places() -> None:
    x = tw.arange(4.0)
    x[1:3] += 10
    x[x > 10] *= 2
    x[-1] -= 3
    assert x.tolist() == [0, 22, 24, 0]


def test_writing_passes_gradients_to_the_value_and_to_what_stays() -> None:
    base = tw.tensor([1.0, 2.0, 3.0], requires_grad=True)
    value = tw.tensor(5.0, requires_grad=True)
    x = base * 2
    x[1] = value * 3
    (x * tw.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert base.grad.tolist() == [2, 0, 200]
    assert value.grad.item() == 30


def test_writing_with_a_mask_and_a_number_needs_no_values() -> None:
    x = tw.tensor([[1.0, -2.0], [-3.0, 4.0]], requires_grad=True)
    y = x * 1
    y[y < 0] = 0
    y[tw.tensor([True, False])] = 9.0
    y.sum().backward()
    assert y.tolist() == [[9, 9], [0, 4]]
    assert x.grad.tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (0, tw.ones(3), r"value of shape \(3,\) .* x\[key\], of shape \(3, 4\)"),
        (([0, 1],), tw.ones(3, 3, 4), r"\(3, 3, 4\) .* \(2, 3, 4\)"),
    ],
)
def test_values_that_do_not_fit(key: Any, value: tw.Tensor, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        T.clone()[key] = value


def test_shapes_broadcast_by_name() -> None:
    assert tw.broadcast_shapes((3, 1), (4,), ()) == (3, 4)
    with pytest.raises(ShapeError, match=r"\(3, 2\) and \(4,\)"):
        tw.broadcast_shapes((3, 2), (4,))
