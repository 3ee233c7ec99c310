"""How tensors print: as in PyTorch, number for number and space for space."""

from __future__ import annotations

import math

import pytest

import thalweg as tw

NAN, INF = math.nan, math.inf

# As PyTorch prints them.
SHOWN = {
    "tensor(1.)": 1.0,
    "tensor(-1.5000)": -1.5,
    "tensor(3)": 3,
    "tensor(True)": True,
    "tensor([1., 2.])": [1.0, 2.0],
    "tensor([1.5000, 2.2500])": [1.5, 2.25],
    "tensor([ -1.,   2., -30.])": [-1.0, 2.0, -30.0],
    "tensor([1.0000e-01, 1.2346e+04])": [0.1, 12345.6789],
    "tensor([1.0000e-05, 1.0000e+00])": [1e-5, 1.0],
    "tensor([1.0000e-10])": [1e-10],
    "tensor([1.0000e+10, 1.0000e+00])": [1e10, 1.0],
    "tensor([1.2346e+08])": [123456789.0],
    "tensor([100000000.])": [1e8],
    "tensor([   inf,   -inf, 2.5000])": [INF, -INF, 2.5],
    "tensor([nan, inf])": [NAN, INF],
    "tensor([0.5000,    nan])": [0.5, NAN],
    "tensor([0.0010])": [0.001],
    "tensor([9.9990e-05, 1.0000e+01])": [0.00009999, 10.0],
    "tensor([[1, 2],\n        [3, 4]])": [[1, 2], [3, 4]],
    "tensor([[ -1,  20],\n        [300,   4]])": [[-1, 20], [300, 4]],
    "tensor([[ True, False]])": [[True, False]],
    "tensor([])": [],
    "tensor([], size=(1, 0))": [[]],
    "tensor([[[1., 2.],\n         [3., 4.]],\n\n        [[5., 6.],\n         [7., 8.]]])": [
        [[1.0, 2.0], [3.0, 4.0]],
        [[5.0, 6.0], [7.0, 8.0]],
    ],
}


@pytest.mark.parametrize("text", SHOWN)
def test_values(text: str) -> None:
    assert repr(tw.tensor(SHOWN[text])) == text


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        (tw.float64, "tensor([1., 2.], dtype=thalweg.float64)"),
        (tw.float16, "tensor([1., 2.], dtype=thalweg.float16)"),
        (tw.bfloat16, "tensor([1., 2.], dtype=thalweg.bfloat16)"),
        (tw.int32, "tensor([1, 2], dtype=thalweg.int32)"),
        (tw.uint8, "tensor([1, 2], dtype=thalweg.uint8)"),
        (tw.int64, "tensor([1, 2])"),
        (tw.bool, "tensor([True, True])"),
    ],
    ids=str,
)
def test_the_dtype_is_named_where_it_is_not_the_usual_one(dtype: tw.DType, text: str) -> None:
    assert repr(tw.tensor([1, 2], dtype=dtype)) == text


def test_empty_tensors_name_their_shape_and_dtype() -> None:
    assert repr(tw.zeros(0, 3)) == "tensor([], size=(0, 3))"
    assert repr(tw.zeros(0, dtype=tw.int64)) == "tensor([], dtype=thalweg.int64)"


def test_the_tape() -> None:
    x = tw.tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "tensor([1., 2.], requires_grad=True)"
    assert repr(x * 2) == "tensor([2., 4.], grad_fn=<multiply>)"
    assert repr(x.detach()) == "tensor([1., 2.])"


def test_parameters() -> None:
    p = tw.nn.Parameter(tw.zeros(2))
    assert repr(p) == "Parameter containing:\ntensor([0., 0.], requires_grad=True)"
    p.requires_grad_(False)
    assert repr(p) == "Parameter containing:\ntensor([0., 0.], requires_grad=False)"


def test_lines_break_at_80_columns() -> None:
    assert repr(tw.arange(30.0)) == (
        "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.,\n"
        "        14., 15., 16., 17., 18., 19., 20., 21., 22., 23., 24., 25., 26., 27.,\n"
        "        28., 29.])"
    )


def test_many_elements_are_left_out() -> None:
    assert repr(tw.arange(2000)) == "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"
    row = "[0., 0., 0.,  ..., 0., 0., 0.]"
    assert repr(tw.zeros(40, 40)) == (
        f"tensor([{row},\n        {row},\n        {row},\n        ...,\n"
        f"        {row},\n        {row},\n        {row}])"
    )


def test_what_is_left_out_does_not_set_the_width() -> None:
    x = tw.zeros(2001)
    x[1000] = 123456.0
    assert repr(x) == "tensor([0., 0., 0.,  ..., 0., 0., 0.])"


def test_another_default_dtype() -> None:
    tw.set_default_dtype(tw.float64)
    try:
        assert repr(tw.tensor(1.5)) == "tensor(1.5000)"
        assert repr(tw.tensor(1.5, dtype=tw.float32)) == "tensor(1.5000, dtype=thalweg.float32)"
    finally:
        tw.set_default_dtype(tw.float32)


def test_formats() -> None:
    assert f"{tw.tensor(3.14159):.2f}" == "3.14"
    assert f"{tw.tensor([3.14159]):.2f}" == "3.14"
    assert f"{tw.tensor(7)}" == "7"
    assert f"{tw.tensor([7.0])}" == str(tw.tensor([7.0])) == "tensor([7.])"
    assert repr(tw.zeros(2, 3).shape) == "Size([2, 3])"
    assert repr(tw.float32) == "thalweg.float32"


def test_options() -> None:
    x = tw.tensor([[1.23456, 1000.0], [0.5, 2.0]])
    try:
        tw.set_printoptions(precision=1, linewidth=20)
        assert repr(x[0]) == "tensor([   1.2,\n        1000.0])"
        tw.set_printoptions(sci_mode=True)
        assert repr(x[1]) == "tensor([5.0e-01,\n        2.0e+00])"
        tw.set_printoptions()
        tw.set_printoptions(threshold=3, edgeitems=1)
        assert repr(tw.arange(9)) == "tensor([0,  ..., 8])"
    finally:
        tw.set_printoptions()
    assert repr(x[1]) == "tensor([0.5000, 2.0000])"
