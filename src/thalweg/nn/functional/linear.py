"""The affine map of a fully connected layer, and the bilinear one of two inputs."""

from __future__ import annotations

from functools import cache

from thalweg._tensor import Tensor
from thalweg.errors import ShapeError
from thalweg.nn.functional.arguments import checked

__all__ = ["bilinear", "linear"]


@checked()
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b, over the last dimension of x: one contraction and one addition.

    Input (..., in), weight (out, in), bias (out,) or None; result (..., out). The gradients are
    g W for x, g^T x for W and the sum of g for b. Raises `ShapeError`, with both shapes and the
    likely fix, where they do not fit.

    >>> import thalweg as tw
    >>> x, w = tw.tensor([[1.0, 2.0]]), tw.tensor([[3.0, 4.0], [5.0, 6.0], [0.0, 1.0]])
    >>> tw.nn.functional.linear(x, w, tw.tensor([0.5, 0.0, 0.0]))
    tensor([[11.5000, 17.0000,  2.0000]])

    Source: decks 000 ("LINEAR") and 003.
    """
    shape, wanted = input._value.shape, weight._value.shape
    if len(wanted) != 2 or shape[-1:] != wanted[1:]:
        raise _shape_error(shape, wanted)
    out = input.contract(weight, _spec(len(shape)))
    if bias is None:
        return out
    if bias._value.shape != wanted[:1]:
        raise _bias_error("linear", bias, wanted[0])
    return out + bias


@checked()
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y[.., o] = sum over i, j of x1[.., i] weight[o, i, j] x2[.., j] + b[o].

    Inputs (..., in1) and (..., in2) with the same leading dimensions, weight (out, in1, in2), bias
    (out,) or None; result (..., out). Raises `ShapeError` where they do not fit.

    >>> import thalweg as tw
    >>> x1, x2 = tw.tensor([[1.0, 2.0]]), tw.tensor([[3.0, 4.0]])
    >>> tw.nn.functional.bilinear(x1, x2, tw.ones(1, 2, 2))
    tensor([[21.]])
    """
    first, second, wanted = (x._value.shape for x in (input1, input2, weight))
    fits = len(wanted) == 3 and (*first[-1:], *second[-1:]) == wanted[1:]
    if not fits or first[:-1] != second[:-1]:
        raise ShapeError(
            f"bilinear: inputs have shapes {first} and {second}, weight {wanted}; expected "
            "(.., in1), (.., in2) with the same leading dimensions, and (out, in1, in2)"
        )
    if bias is not None and bias._value.shape != wanted[:1]:
        raise _bias_error("bilinear", bias, wanted[0])
    lead = "abcdefghl"[: len(first) - 1]
    halfway = input1.contract(weight, f"{lead}i,oij->{lead}oj")
    out = (halfway * input2.unsqueeze(-2)).sum(-1)
    return out if bias is None else out + bias


def _bias_error(name: str, bias: Tensor, outputs: int) -> ShapeError:
    return ShapeError(
        f"{name}: bias has shape {bias._value.shape}, expected one number for each of the "
        f"{outputs} outputs, ({outputs},)"
    )


@cache
def _spec(rank: int) -> str:
    """The map of a matrix, "nk,mk->nm", for two dimensions, with more leading ones as need be."""
    lead = "abcdefghijlnopqrstuvwxyz"[: rank - 1]
    return f"{lead}k,mk->{lead}m"


def _shape_error(shape: tuple[int, ...], weight: tuple[int, ...]) -> ShapeError:
    if len(weight) != 2:
        return ShapeError(f"linear: weight has shape {weight}, expected (out, in)")
    out_features, in_features = weight
    text = (
        f"linear: input has shape {shape}, weight {weight}: the last dimension of the input "
        f"must have {in_features} elements"
    )
    size = 1
    for axis in reversed(range(1, len(shape))):
        size *= shape[axis]
        if size == in_features:
            return ShapeError(f"{text}. Flatten it first: x.flatten({axis})")
    if shape and shape[-1] == out_features:
        return ShapeError(f"{text}. The weight is (out, in); is it transposed? Use weight.t()")
    return ShapeError(text)
