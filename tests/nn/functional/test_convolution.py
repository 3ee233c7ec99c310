"""Convolution: its values by hand, and all its derivatives, which are convolutions themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.autograd import gradcheck, gradgradcheck
from thalweg.errors import ConfigError, DTypeError, ShapeError
from thalweg.nn.functional.convolution import padding_amounts

# Everything that decides where windows stand, with sizes that do not divide evenly.
# fmt: off
OPTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain":        ((2, 3, 5, 4), (2, 3, 3, 2), {}),
    "stride":       ((2, 2, 6, 5), (3, 2, 3, 2), {"stride": (2, 3)}),
    "padding":      ((1, 2, 4, 3), (2, 2, 3, 3), {"padding": (2, 1)}),
    "more padding than kernel": ((1, 2, 2, 2), (2, 2, 1, 2), {"padding": 2, "stride": 2}),
    "dilation":     ((1, 2, 6, 7), (2, 2, 2, 3), {"dilation": (3, 2), "padding": 1}),
    "stride and dilation": ((1, 1, 8, 7), (2, 1, 3, 2), {"stride": 2, "dilation": 2}),
    "groups":       ((2, 4, 4, 4), (6, 2, 2, 2), {"groups": 2, "stride": 2, "padding": 1}),
    "a channel a group": ((1, 3, 4, 5), (3, 1, 2, 2), {"groups": 3}),
    "same":         ((1, 2, 4, 3), (2, 2, 2, 4), {"padding": "same"}),
    "tiles":        ((1, 2, 5, 4), (3, 2, 2, 2), {"stride": 2}),
    "tiles, padded": ((1, 2, 4, 5), (3, 2, 2, 2), {"stride": (2, 3), "padding": 1}),
    "one place":    ((2, 3, 5, 4), (2, 3, 1, 1), {"stride": 2}),
    "whole image":  ((2, 2, 3, 4), (2, 2, 3, 4), {}),
    "one image":    ((2, 5, 4), (3, 2, 2, 3), {"padding": 1}),
    "1-D":          ((2, 2, 7), (3, 2, 3), {"stride": 2, "padding": 1}),
    "1-D, groups":  ((2, 4, 7), (4, 2, 2), {"groups": 2, "dilation": 3}),
    "1-D, one sequence": ((2, 6), (2, 2, 2), {"stride": 2}),
    "no images":    ((0, 2, 4, 4), (3, 2, 2, 2), {}),
}
# fmt: on


def operands(x: tuple[int, ...], w: tuple[int, ...]) -> list[tw.Tensor]:
    tw.manual_seed(0)
    return [tw.randn(shape, dtype=tw.float64).requires_grad_() for shape in (x, w, w[:1])]


@pytest.mark.parametrize("name", OPTIONS)
def test_derivatives(name: str) -> None:
    x, w, options = OPTIONS[name]
    conv = F.conv1d if len(w) == 3 else F.conv2d
    tensors = operands(x, w)
    assert gradcheck(lambda *t: conv(*t, **options), tensors)
    assert gradgradcheck(lambda *t: conv(*t, **options), tensors)


@pytest.mark.parametrize("name", ["stride", "groups", "tiles", "1-D"])
def test_third_derivatives(name: str) -> None:
    x, w, options = OPTIONS[name]
    conv = F.conv1d if len(w) == 3 else F.conv2d

    def slope(x: tw.Tensor, w: tw.Tensor) -> tuple[tw.Tensor | None, ...]:
        return tw.autograd.grad(conv(x, w, **options).sin().sum(), (x, w), create_graph=True)

    assert gradgradcheck(slope, operands(x, w)[:2])


def test_by_hand() -> None:
    x = tw.arange(9.0).reshape(1, 1, 3, 3)
    w = tw.tensor([[[[1.0, 0.0], [0.0, -1.0]]]])
    assert F.conv2d(x, w).flatten().tolist() == [-4, -4, -4, -4]
    assert F.conv2d(x, w, tw.tensor([10.0]), stride=2).tolist() == [[[[6]]]]
    assert F.conv1d(tw.tensor([[1.0, 2, 3]]), tw.tensor([[[1.0, 10]]])).tolist() == [[21, 32]]


def test_it_is_numpys_correlation() -> None:
    x, w = tw.randn(1, 1, 20), tw.randn(1, 1, 5)
    for mode in ("valid", "same"):
        expected = np.correlate(x.numpy()[0, 0], w.numpy()[0, 0], mode)
        np.testing.assert_allclose(F.conv1d(x, w, padding=mode).numpy()[0, 0], expected, atol=1e-5)


def test_what_no_window_reaches_gets_no_gradient() -> None:
    x = tw.ones(1, 1, 6, 6, requires_grad=True)
    F.conv2d(x, tw.ones(1, 1, 2, 2), stride=3).sum().backward()
    reached = [1.0, 1, 0, 1, 1, 0]
    assert x.grad[0, 0].tolist() == [[a * b for b in reached] for a in reached]
    x = tw.ones(1, 1, 8, requires_grad=True)
    F.conv1d(x, tw.ones(1, 1, 3), stride=2).sum().backward()
    assert x.grad.flatten().tolist() == [1, 1, 2, 1, 2, 1, 1, 0]


def test_the_tape_holds_one_operation_and_the_input_itself() -> None:
    x, w = tw.ones(1, 2, 5, 5, requires_grad=True), tw.ones(3, 2, 3, 3, requires_grad=True)
    y = F.conv2d(x, w, padding=1)
    assert y.grad_fn.name == "convolution"
    assert y.grad_fn.values[0] is x._value
    assert repr(y.grad_fn.attributes["grid"]) == "<stride (1, 1), padding (1, 1)>"
    assert [step.name for step in tw.backward_steps(y.sum())] == [
        "sum",
        "convolution",
        "leaf",
        "leaf",
    ]


def test_element_types() -> None:
    w = tw.ones(1, 1, 2, 2, requires_grad=True)
    y = F.conv2d(tw.ones(1, 3, 3, dtype=tw.uint8), w)
    assert y.dtype is tw.float32
    y.sum().backward()
    assert w.grad.dtype is tw.float32
    both = F.conv2d(tw.ones(1, 3, 3, dtype=tw.float64), w)
    both.sum().backward()
    assert (both.dtype, w.grad.dtype) == (tw.float64, tw.float32)
    whole = F.conv1d(tw.arange(4).reshape(1, 4), tw.tensor([[[2, 3]]]))
    assert whole.tolist() == [[3, 8, 13]]


@pytest.mark.parametrize(
    ("padding", "sizes", "dilations", "expected"),
    [
        ("valid", (3, 4), (1, 1), ((0, 0), (0, 0))),
        ("same", (3, 4), (1, 1), ((1, 1), (1, 2))),
        ("same", (3, 2), (2, 3), ((2, 1), (2, 2))),
        (2, (3, 4), (1, 1), ((2, 2), (2, 2))),
        ((0, 5), (3, 4), (1, 1), ((0, 5), (0, 5))),
    ],
)
def test_padding(padding: Any, sizes: Any, dilations: Any, expected: Any) -> None:
    assert padding_amounts("conv2d", padding, sizes, (1, 1), dilations) == expected


@pytest.mark.parametrize(
    ("x", "w", "options", "message"),
    [
        ((2, 4, 5, 5), (4, 1, 3, 3), {"groups": 2}, "takes 2 in 2 groups of 1. groups=4"),
        ((2, 5, 5, 3), (4, 3, 3, 3), {}, r"x\.movedim\(-1, -3\)"),
        ((64, 28, 28), (4, 1, 3, 3), {}, r"For a batch without channels use x\.unsqueeze\(1\)"),
        ((2, 3, 5, 5), (4, 2, 3, 3), {}, "Build the weight for 3 input channels"),
        ((28, 28), (4, 1, 3, 3), {}, r"x\.unsqueeze\(0\) gives it one"),
        ((64, 784), (4, 1, 3, 3), {}, r"x\.unflatten\(-1, \(C, H, W\)\)"),
        ((1, 1, 1, 1, 1), (4, 1, 3, 3), {}, r"\(N, C, H, W\) or \(C, H, W\) expected"),
        ((2, 1, 2, 5), (4, 1, 3, 3), {}, r"\(3, 3\) does not fit into an input of size \(2, 5\)\."),
        ((2, 1, 2, 2), (4, 1, 5, 5), {"padding": 1}, r"\(2, 2\), \(4, 4\) with its padding"),
        ((2, 1, 4, 4), (4, 1, 3, 3), {"dilation": 2}, r"spans \(5, 5\) with dilation \(2, 2\)"),
        ((2, 2, 4, 4), (3, 1, 2, 2), {"groups": 2}, "must divide the 3 output channels"),
        ((2, 2, 4, 4), (4, 2, 2), {}, r"weight has shape \(4, 2, 2\), expected \(O, C / groups,"),
    ],
)
def test_shapes_that_do_not_fit(x: Any, w: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        F.conv2d(tw.ones(x), tw.ones(w), **options)


def test_options_that_do_not_exist() -> None:
    x, w = tw.ones(1, 4, 4), tw.ones(1, 1, 2, 2)
    for options, message in (
        ({"stride": 0}, "stride=0; expected a whole number of 1 or more"),
        ({"padding": -1}, "padding=-1; expected a whole number of 0 or more"),
        ({"dilation": (1, 2, 3)}, r"dilation=\(1, 2, 3\)"),
        ({"padding": "full"}, "no padding 'full': Known: same, valid"),
        ({"padding": "same", "stride": 2}, r"for stride 1, got stride \(2, 2\)"),
    ):
        with pytest.raises(ConfigError, match=message):
            F.conv2d(x, w, **options)  # type: ignore[arg-type]


def test_what_is_no_tensor() -> None:
    with pytest.raises(DTypeError, match=r"conv2d: input: a tensor is expected, got a NumPy array"):
        F.conv2d(np.ones((1, 4, 4)), tw.ones(1, 1, 2, 2))  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="bfloat16"):
        F.conv2d(tw.ones(1, 4, 4).to(tw.bfloat16), tw.ones(1, 1, 2, 2).to(tw.bfloat16))
