"""ReLU, softmax and log-softmax, with derivatives written by hand.

Their composed derivatives would split a tie at 0 (ReLU), or carry every step of the shift by
the largest element (softmax). `thalweg.nn.functional` has the other activations, and these too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.dtypes import as_dtype
from thalweg.errors import ConfigError
from thalweg.ops.lift import floating, to_dtype
from thalweg.primitives import movement, reductions
from thalweg.primitives.core import Primitive, normalize_axis
from thalweg.tape import bind, composite

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Activations", "log_softmax", "relu", "softmax"]


def relu(input: Tensor) -> Tensor:
    """max(x, 0), elementwise; NaN stays NaN.

    Any shape and number type. The derivative is 1 where x > 0, and 0 elsewhere: the decks' rule
    relu'(0) = 0.

    >>> import thalweg as tw
    >>> x = tw.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    >>> tw.relu(x).sum().backward()
    >>> x.grad
    tensor([0., 0., 1.])

    Source: decks 000 ("D_RELU") and 002.
    """
    return _relu(input)


def _relu_slope(g: Any, out: Any, x: Any) -> Any:
    # A product with the mask: NumPy's select mispredicts a branch at every other element.
    return g * to_dtype(x > 0, x.dtype)


@composite("relu", _relu_slope)
def _relu(x: Tensor) -> Tensor:
    return x.maximum(0)


def softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """e^x_i / sum_j e^x_j along `dim`: positive numbers that add up to 1.

    Any shape of rank 1 or more; the result has the same. Shifted by the largest element, so
    that nothing overflows; a slice of nothing but -inf gives NaN. `dtype`: computed in that type.
    `dim` has no default: which dimension holds the classes is the caller's to say.

    >>> import thalweg as tw
    >>> tw.softmax(tw.tensor([[0.0, 0.0], [1000.0, -1000.0]]), dim=1)
    tensor([[0.5000, 0.5000],
            [1.0000, 0.0000]])

    Source: deck 000.
    """
    x, axis = _along("softmax", input, dim, dtype)
    return _softmax(x, axis=axis)


def _softmax_slope(g: Any, out: Any, x: Any, *, axis: int) -> Any:
    """J^T g with J[i, j] = y_i (delta_ij - y_j)."""
    weighted = g * out
    return weighted - out * _kept(reductions.sum, weighted, axis)


@composite("softmax", _softmax_slope)
def _softmax(x: Tensor, *, axis: int) -> Tensor:
    grown = (x - _kept(reductions.max, x, axis)).exp()
    return grown / _kept(reductions.sum, grown, axis)


def log_softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """x_i - log sum_j e^x_j along `dim`: the logarithm of softmax, finite where that rounds to 0.

    Shapes, `dim` and `dtype` as for `softmax`.

    >>> import thalweg as tw
    >>> tw.log_softmax(tw.tensor([0.0, -1000.0]), dim=0)
    tensor([    0., -1000.])

    Source: deck 001 (its cross-entropy).
    """
    x, axis = _along("log_softmax", input, dim, dtype)
    return _log_softmax(x, axis=axis)


def _log_softmax_slope(g: Any, out: Any, x: Any, *, axis: int) -> Any:
    return g - out.exp() * _kept(reductions.sum, g, axis)


@composite("log_softmax", _log_softmax_slope)
def _log_softmax(x: Tensor, *, axis: int) -> Tensor:
    shifted = x - _kept(reductions.max, x, axis)
    return shifted - _kept(reductions.sum, shifted.exp(), axis).log()


def _along(name: str, x: Tensor, dim: int | None, dtype: Any) -> tuple[Tensor, int]:
    """`x` in a floating dtype, and the axis that `dim` names."""
    if dim is None:
        raise ConfigError(
            f"{name}: along which dimension? Say dim=-1 for the last one, where the classes of "
            "(batch, classes) logits are"
        )
    x = floating(x) if dtype is None else to_dtype(x, as_dtype(dtype))
    return x, normalize_axis(name, dim, len(x._value.shape))


def _kept(primitive: Primitive, x: Tensor, axis: int) -> Tensor:
    """`x` reduced along `axis`, which stays as a dimension of size 1."""
    shape = x._value.shape
    return bind(
        movement.reshape,
        bind(primitive, x, axes=(axis,)),
        shape=(*shape[:axis], 1, *shape[axis + 1 :]),
    )


class Activations:
    """Tensor's activations."""

    __slots__ = ()

    relu = relu
    softmax = softmax
    log_softmax = log_softmax
