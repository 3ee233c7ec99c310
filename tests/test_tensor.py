"""A tensor's face: making it from data, asking what it is, turning it into Python and NumPy."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from thalweg.errors import ConfigError, DTypeError, GradientError, ShapeError

# --- from data ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, tw.float32),
        (2, tw.int64),
        (True, tw.bool),
        ([1, 2.5], tw.float32),
        ([True, 2], tw.int64),
        ([], tw.float32),
        (np.float64(1.5), tw.float64),
        (np.zeros(2, np.float32), tw.float32),
        (np.zeros(2, np.float16), tw.float16),
        (np.zeros(2, np.int8), tw.int32),
        (np.zeros(2, np.uint16), tw.int32),
        (np.zeros(2, ">f4"), tw.float32),
        (np.zeros(2, bool), tw.bool),
        ((1.0, [2.0][0]), tw.float32),
        ([np.float32(1), np.float32(2)], tw.float32),
        ([tw.tensor(1.0), tw.tensor(2.0)], tw.float32),
        ([[tw.tensor(1), 2]], tw.int64),
    ],
    ids=str,
)
def test_the_dtype_follows_the_data(data: Any, dtype: tw.DType) -> None:
    assert tw.tensor(data).dtype is dtype


def test_data_are_copied() -> None:
    array = np.zeros(3, np.float32)
    tensors = [tw.tensor(array), tw.from_numpy(array), tw.as_tensor(array), tw.Tensor(array)]
    array[0] = 5
    assert [x.tolist() for x in tensors] == [[0, 0, 0]] * 4


def test_any_layout_in_memory() -> None:
    array = np.arange(12.0).reshape(3, 4)[::-1, ::2].T
    assert np.array_equal(tw.tensor(array).numpy(), array)


def test_as_tensor_gives_back_a_tensor() -> None:
    x = tw.tensor([1.0])
    assert tw.as_tensor(x) is x
    assert tw.as_tensor(x, dtype=tw.float64).dtype is tw.float64
    assert tw.is_tensor(x)
    assert not tw.is_tensor(np.zeros(1))


def test_the_class_makes_floats() -> None:
    assert tw.Tensor([[1, 2], [3, 4]]).dtype is tw.float32


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ("text", DTypeError, "numbers or bools expected.*'text'"),
        (None, DTypeError, "numbers or bools expected"),
        ([[1], [1, 2]], ShapeError, "equal lengths"),
        (1j, DTypeError, "complex"),
        (np.zeros(2, np.complex64), DTypeError, "complex64.*astype"),
        (np.zeros(2, np.uint64), DTypeError, "uint64"),
        (["a", "b"], DTypeError, "numbers or bools"),
        ([2**70], DTypeError, "numbers or bools"),
        (np.array(["2020-01-01"], "datetime64"), DTypeError, "datetime64"),
    ],
    ids=str,
)
def test_data_that_are_no_numbers(data: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        tw.tensor(data)


@pytest.mark.parametrize(("number", "dtype"), [(300, tw.uint8), (-1, tw.uint8), (2**31, tw.int32)])
def test_numbers_that_do_not_fit(number: int, dtype: tw.DType) -> None:
    for make in (
        lambda: tw.full((2,), number, dtype=dtype),
        lambda: tw.ones(2, dtype=dtype) * number,
    ):
        with pytest.raises(DTypeError, match=f"{number} does not fit into {dtype!r}"):
            make()


def test_large_floats_become_infinite_and_nothing_warns() -> None:
    assert (tw.ones(1) * 1e300).tolist() == [math.inf]
    assert tw.tensor([1e300]).tolist() == [math.inf]
    assert tw.full((1,), 1e300).tolist() == [math.inf]
    assert (tw.zeros(1) / 0).isnan().item()
    assert tw.zeros(1).log().tolist() == [-math.inf]


# --- dtypes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("float", tw.float32),
        ("double", tw.float64),
        ("half", tw.float16),
        ("bfloat16", tw.bfloat16),
        ("long", tw.int64),
        ("int", tw.int32),
        ("byte", tw.uint8),
        ("bool", tw.bool),
    ],
)
def test_casts_by_name(name: str, dtype: tw.DType) -> None:
    x = tw.tensor([0.0, 1.0, 2.0])
    assert getattr(x, name)().dtype is x.to(dtype).dtype is x.type(dtype).dtype is dtype
    assert x.type_as(tw.zeros(1, dtype=dtype)).dtype is dtype


@pytest.mark.parametrize(
    "spelled", [tw.float64, "float64", "double", np.float64, np.dtype("f8"), "f8"], ids=str
)
def test_dtypes_may_be_spelled(spelled: Any) -> None:
    assert tw.zeros(1, dtype=spelled).dtype is tw.float64


def test_python_types_are_the_usual_dtypes() -> None:
    kinds = [tw.tensor([1], dtype=kind).dtype for kind in (float, int, bool)]
    assert kinds == [tw.float32, tw.int64, tw.bool]


@pytest.mark.parametrize("spelled", ["flaot32", [], "complex64", object(), np.complex64])
def test_what_is_no_dtype(spelled: Any) -> None:
    with pytest.raises(DTypeError, match="float32"):
        tw.zeros(1, dtype=spelled)


def test_a_misspelled_dtype_gets_the_nearest() -> None:
    with pytest.raises(DTypeError, match="did you mean 'float32'"):
        tw.zeros(1).to("flaot32")


def test_casting_a_tensor_to_its_own_dtype_is_the_tensor() -> None:
    x = tw.zeros(2)
    assert x.float() is x.to(tw.float32) is x.cpu() is x.contiguous() is x.to("cpu") is x
    assert x.is_contiguous()


def test_no_other_device() -> None:
    assert tw.zeros(1).device == "cpu"
    for move in (lambda x: x.to("cuda:0"), lambda x: x.to(device="mps")):
        with pytest.raises(ConfigError, match="no device.*CPU"):
            move(tw.zeros(1))


def test_floats_round_towards_0_on_the_way_to_integers() -> None:
    assert tw.tensor([1.9, -1.9]).long().tolist() == [1, -1]


# --- storage types --------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.floats(width=16))
def test_float16_round_trips(number: float) -> None:
    stored = tw.tensor(number).half()
    assert stored.element_size() == 2
    np.testing.assert_array_equal(stored.float().numpy(), np.float32(np.float16(number)))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.floats(width=32))
def test_bfloat16_is_the_nearest_with_eight_bits(number: float) -> None:
    stored = tw.tensor(number).bfloat16()
    got = float(stored.float().item())
    if math.isnan(number):
        assert math.isnan(got)
        return
    bits = int(np.float32(number).view(np.uint32))
    nearby = [np.uint32((bits >> 16) + step << 16).view(np.float32) for step in (0, 1)]
    if np.isfinite(number):
        exact = [float(x) if np.isfinite(x) else math.copysign(2.0**128, x) for x in nearby]
        distance = min(abs(number - x) for x in exact)
        value = got if math.isfinite(got) else math.copysign(2.0**128, got)
        assert abs(number - value) == distance
    else:
        assert got == number


def test_bfloat16_rounds_ties_to_even() -> None:
    ties = [1 + 2**-8, 1 + 3 * 2**-8, -(1 + 2**-8)]
    assert tw.tensor(ties).bfloat16().tolist() == [1, 1 + 2**-6, -1]


@pytest.mark.parametrize("dtype", [tw.float16, tw.bfloat16], ids=str)
def test_storage_moves_and_prints_and_leaves(dtype: tw.DType) -> None:
    x = tw.tensor([[1.0, 2.0], [3.0, 4.0]]).to(dtype)
    assert x.T[1].tolist() == [2, 4]
    assert tw.cat([x, x]).shape == (4, 2)
    assert x.item if x.numel() == 1 else x[0, 0].item() == 1
    assert x.numpy().dtype == (np.float16 if dtype is tw.float16 else np.float32)
    assert tw.tensor(x.float().numpy(), dtype=dtype).tolist() == x.tolist()


@pytest.mark.parametrize("dtype", [tw.float16, tw.bfloat16], ids=str)
@pytest.mark.parametrize(
    "compute",
    [
        lambda x: x + x,
        lambda x: x * 2,
        lambda x: x.exp(),
        lambda x: x.sum(),
        lambda x: x.mean(),
        lambda x: x @ x,
        lambda x: x > 0,
        lambda x: x.relu(),
        lambda x: x.sort(),
        lambda x: -x,
        lambda x: x**2,
        lambda x: x.max(),
    ],
)
def test_storage_is_not_computed_with(dtype: tw.DType, compute: Any) -> None:
    with pytest.raises(DTypeError, match=rf"{dtype.name}.*x.float\(\)"):
        compute(tw.ones(2, 2).to(dtype))


# --- what it is -----------------------------------------------------------------------------------


def test_shape_and_size() -> None:
    x = tw.zeros(2, 3, 4)
    assert x.shape == x.size() == (2, 3, 4)
    assert (x.size(-1), x.dim(), x.ndim, len(x)) == (4, 3, 3, 2)
    assert x.numel() == x.nelement() == x.shape.numel() == 24
    assert (x.element_size(), x.nbytes) == (4, 96)
    assert (x.is_floating_point(), x.long().is_floating_point()) == (True, False)
    with pytest.raises(ShapeError, match="dimension 3"):
        x.size(3)


def test_a_rank_0_tensor_has_no_length() -> None:
    for ask in (len, iter):
        with pytest.raises(ShapeError, match="rank 0"):
            ask(tw.tensor(1.0))


def test_iteration() -> None:
    assert [row.tolist() for row in tw.tensor([[1, 2], [3, 4]])] == [[1, 2], [3, 4]]
    first, second = tw.tensor([1.5, 2.5])
    assert (first.item(), second.item()) == (1.5, 2.5)
    assert 2.5 in tw.tensor([1.5, 2.5])
    assert 3.5 not in tw.tensor([1.5, 2.5])


def test_comparison_with_what_is_no_number() -> None:
    x = tw.tensor([1.0, 2.0])
    assert (x == None) is False  # noqa: E711  # what a user types
    assert (x != "a") is True
    assert x != [1.0, 2.0]
    with pytest.raises(DTypeError, match=r"NumPy array of shape \(2,\)"):
        x == np.ones(2)  # noqa: B015
    assert len({x, x, x.detach()}) == 2


def test_whole_comparisons() -> None:
    x = tw.tensor([1.0, 2.0])
    assert x.equal(tw.tensor([1.0, 2.0]))
    assert not x.equal(tw.tensor([1.0, 2.0, 3.0]))
    assert x.allclose(x + 1e-7)
    assert not tw.allclose(x, x + 1e-3)
    assert not tw.allclose(tw.tensor(math.nan), tw.tensor(math.nan))
    assert tw.allclose(tw.tensor(math.nan), tw.tensor(math.nan), equal_nan=True)


# --- out ------------------------------------------------------------------------------------------


def test_python_numbers() -> None:
    assert (tw.tensor(2.5).item(), tw.tensor([[3]]).item(), tw.tensor(True).item()) == (
        2.5,
        3,
        True,
    )
    assert (int(tw.tensor(2.9)), float(tw.tensor(2)), bool(tw.tensor(0.0))) == (2, 2.0, False)
    assert [10, 20, 30][tw.tensor(1)] == 20
    assert list(range(tw.tensor(2))) == [0, 1]
    assert tw.tensor([[1, 2]]).tolist() == [[1, 2]]
    assert tw.tensor(1.5).tolist() == 1.5
    assert math.sqrt(tw.tensor(4.0)) == 2


@pytest.mark.parametrize(
    "turn", [bool, int, float, tw.Tensor.item], ids=["bool", "int", "float", "item"]
)
def test_several_elements_are_no_number(turn: Any) -> None:
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        turn(tw.tensor([1.0, 2.0]))


def test_a_float_is_no_index() -> None:
    with pytest.raises(DTypeError, match="integer tensor is needed"):
        [1, 2][tw.tensor(1.0)]


def test_numpy_gets_a_copy() -> None:
    x = tw.tensor([1.0, 2.0])
    x.numpy()[0] = 9
    assert x.tolist() == [1, 2]
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert np.sin(np.asarray(x)).shape == (2,)


def test_numpy_of_what_requires_a_gradient() -> None:
    x = tw.ones(2, requires_grad=True)
    for turn in (tw.Tensor.numpy, np.asarray):
        with pytest.raises(GradientError, match=r"x.detach\(\).numpy\(\)"):
            turn(x)
    assert x.detach().numpy().tolist() == x.tolist() == [1, 1]


def test_a_numpy_array_is_no_operand() -> None:
    for add in (lambda a, b: a + b, lambda a, b: b + a):
        with pytest.raises(DTypeError, match=r"NumPy array of shape \(2,\).*tw.tensor"):
            add(tw.ones(2), np.ones(2))
    assert (tw.ones(2) + np.float32(2)).tolist() == [3, 3]
    assert (np.float64(2) * tw.ones(2)).dtype is tw.float32


@pytest.mark.parametrize(
    "call",
    [
        lambda: tw.exp(2.0),
        lambda: tw.sum([1.0, 2.0]),
        lambda: tw.reshape(np.ones(4), (2, 2)),
        lambda: tw.matmul(tw.ones(2, 2), np.ones((2, 2))),
        lambda: tw.cat([tw.ones(1), [2.0]]),
        lambda: tw.stack([1.0, 2.0]),
        lambda: tw.add(1, 2),
        lambda: tw.einsum("i->", [1.0]),
        lambda: tw.nn.functional.relu(3.0),
        lambda: tw.isnan(3.0),
        lambda: tw.where(True, tw.ones(2), 0),
        lambda: tw.ones(2).gather(0, [0, 1]),
        lambda: tw.ones(2).index_select(0, 1),
        lambda: tw.ones(2).scatter(0, 0, 1.0),
        lambda: tw.meshgrid(tw.ones(2), 3),
        lambda: tw.broadcast_tensors(tw.ones(2), 3),
    ],
)
def test_what_is_no_tensor_is_named(call: Any) -> None:
    with pytest.raises(DTypeError, match=r"a tensor is expected, got .*tw.tensor\(\.\.\.\)"):
        call()


@pytest.mark.parametrize("dim", [1.5, "a", [0.5]])
def test_what_is_no_dimension(dim: Any) -> None:
    x = tw.ones(2, 3)
    for call in (x.sum, x.softmax, x.sort, x.unbind, x.unsqueeze):
        with pytest.raises(ShapeError, match="dimension is an int|dim is an int"):
            call(dim)


@pytest.mark.parametrize("sizes", ["a", 1.5, None, (2, 1.5)])
def test_what_is_no_shape(sizes: Any) -> None:
    for call in (tw.zeros, tw.rand, tw.ones(2).reshape, tw.ones(2).expand):
        with pytest.raises(ShapeError, match="integers"):
            call(sizes)


def test_exponents_of_any_kind() -> None:
    x = tw.tensor([1, 2, 3])
    assert (x ** np.float32(2.5)).dtype is tw.float32
    assert (x ** np.int64(2)).tolist() == [1, 4, 9]
    assert (x ** np.int64(2)).dtype is tw.int64
    with pytest.raises(DTypeError, match="a str cannot be combined"):
        x ** "a"


# --- copies ---------------------------------------------------------------------------------------


def test_deepcopy() -> None:
    x = tw.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    twin = copy.deepcopy([x, x])
    assert twin[0] is twin[1]
    assert (twin[0].requires_grad, twin[0].grad.tolist()) == (True, [2, 4])
    twin[0].grad.zero_()
    with tw.no_grad():
        twin[0] += 1
    assert (x.tolist(), x.grad.tolist()) == ([1, 2], [2, 4])


def test_deepcopy_keeps_the_class() -> None:
    p = copy.deepcopy(tw.nn.Parameter(tw.ones(2)))
    assert type(p) is tw.nn.Parameter
    assert type(copy.deepcopy(tw.ones(2).data)) is tw.Tensor


def test_only_leaves_are_deepcopied() -> None:
    with pytest.raises(GradientError, match=r"x.detach\(\) or x.clone\(\)"):
        copy.deepcopy(tw.ones(2, requires_grad=True) * 2)


@pytest.mark.parametrize("dtype", [tw.float32, tw.int64, tw.bool, tw.bfloat16, tw.float16], ids=str)
def test_processes_can_hand_tensors_on(dtype: tw.DType) -> None:
    x = pickle.loads(pickle.dumps(tw.tensor([0, 1], dtype=dtype)))
    assert (x.dtype, x.tolist()) == (dtype, [0, 1])


def test_detach_in_place() -> None:
    h = tw.ones(2, requires_grad=True) * 2
    assert h.detach_() is h
    assert not h.requires_grad
