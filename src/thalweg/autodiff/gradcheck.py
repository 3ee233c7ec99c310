"""Numerical checks of gradients: central differences in float64 against the tape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.autodiff.backward import grad
from thalweg.dtypes import float64
from thalweg.errors import DTypeError, GradientError
from thalweg.tape import no_grad, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["gradcheck", "gradgradcheck"]


def gradcheck(
    function: Callable[..., Tensor | Sequence[Tensor]],
    inputs: Tensor | Sequence[Tensor],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the gradients of `function` agree with central differences.

    For every float64 input that requires a gradient and every element x_j,
    (f(x + eps e_j) - f(x - eps e_j)) / (2 eps) is compared with column j of the Jacobian that
    the vector-Jacobian products give. A disagreement raises `GradientError`, naming the input, the
    index and both numbers (or gives False). The error of the differences is about eps^2.

    >>> import thalweg as tw
    >>> x = tw.tensor([0.5, 2.0], dtype=tw.float64, requires_grad=True)
    >>> gradcheck(lambda x: (x * x).sum(), x)
    True
    """
    arguments: list[Any] = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    checked = [i for i, x in enumerate(arguments) if getattr(x, "requires_grad", False)]
    if not checked:
        raise GradientError("gradcheck: no input requires a gradient")
    for i in checked:
        if arguments[i].dtype is not float64:
            raise DTypeError(
                f"gradcheck: input {i} is {arguments[i].dtype!r}; central differences need "
                "float64: use x.double()"
            )
    analytic = _jacobians(function, arguments, checked)
    for i in checked:
        numeric = _differences(function, arguments, i, eps)
        problem = _disagreement(analytic[i], numeric, i, arguments[i].shape, atol, rtol)
        if problem and raise_exception:
            raise GradientError(problem)
        if problem:
            return False
    return True


def gradgradcheck(
    function: Callable[..., Tensor | Sequence[Tensor]],
    inputs: Tensor | Sequence[Tensor],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """`gradcheck` of the gradient itself: whether second derivatives are right.

    The gradient is weighted by fixed cotangents, which are inputs too, so that the VJPs are checked
    in the cotangent as well.
    """
    arguments: list[Any] = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    checked = [i for i, x in enumerate(arguments) if getattr(x, "requires_grad", False)]
    outputs = _flat(function(*arguments))
    weights = [
        wrap(np.linspace(0.5, 1.5, o.numel()).reshape(o.shape)).requires_grad_() for o in outputs
    ]

    def first_derivative(*given: Any) -> tuple[Tensor, ...]:
        xs, vs = given[: len(arguments)], given[len(arguments) :]
        ys = _flat(function(*xs))
        pairs = [(y, v) for y, v in zip(ys, vs, strict=True) if y.requires_grad]
        wanted = [xs[i] for i in checked]
        found = grad(
            [y for y, _ in pairs],
            wanted,
            [v for _, v in pairs],
            create_graph=True,
            allow_unused=True,
        )
        return tuple(g for g in found if g is not None)

    return gradcheck(
        first_derivative,
        [*arguments, *weights],
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
    )


def _flat(outputs: Any) -> list[Tensor]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def _jacobians(
    function: Callable[..., Any], arguments: list[Any], checked: list[int]
) -> dict[int, np.ndarray[Any, Any]]:
    """J[i, j] = d y_i / d x_j for each checked input, a VJP a row."""
    wanted = [arguments[i] for i in checked]
    rows: dict[int, list[np.ndarray[Any, Any]]] = {i: [] for i in checked}
    for y in _flat(function(*arguments)):
        for k in range(y.numel()):
            found: Sequence[Tensor | None] = [None] * len(wanted)
            if y.requires_grad:
                unit = np.zeros(y.numel())
                unit[k] = 1
                seed = wrap(unit.reshape(y.shape))
                found = grad(y, wanted, seed, retain_graph=True, allow_unused=True)
            for i, g in zip(checked, found, strict=True):
                flat = np.zeros(arguments[i].numel()) if g is None else g.detach().numpy().ravel()
                rows[i].append(flat)
    return {i: np.array(r).reshape(len(r), arguments[i].numel()) for i, r in rows.items()}


def _differences(
    function: Callable[..., Any], arguments: list[Any], position: int, eps: float
) -> np.ndarray[Any, Any]:
    """J by central differences."""
    x = arguments[position].detach().numpy()
    columns = []
    for j in range(x.size):
        sides = []
        for shift in (eps, -eps):
            moved = x.copy()
            moved.flat[j] += shift
            sides.append(_values(function, arguments, position, moved))
        columns.append((sides[0] - sides[1]) / (2 * eps))
    if not columns:
        return np.zeros((_values(function, arguments, position, x).size, 0))
    return np.stack(columns, axis=1)


def _values(
    function: Callable[..., Any], arguments: list[Any], position: int, moved: Any
) -> np.ndarray[Any, Any]:
    trial = list(arguments)
    # Recorded, since the function may itself ask for gradients (gradgradcheck does).
    trial[position] = wrap(moved).requires_grad_()
    outputs = _flat(function(*trial))
    with no_grad():
        flat = [y.detach().numpy().astype(np.float64).ravel() for y in outputs]
    return np.concatenate(flat) if flat else np.zeros(0)


def _disagreement(
    analytic: Any, numeric: Any, position: int, shape: Any, atol: float, rtol: float
) -> str | None:
    wrong = ~np.isclose(analytic, numeric, atol=atol, rtol=rtol, equal_nan=False)
    if not wrong.any():
        return None
    gap = np.where(wrong, np.nan_to_num(np.abs(analytic - numeric), nan=np.inf), -1)
    row, column = np.unravel_index(int(gap.argmax()), gap.shape)
    index = tuple(int(i) for i in np.unravel_index(int(column), shape)) if shape else ()
    return (
        f"gradient of output element {int(row)} with respect to input {position} at index {index}: "
        f"the tape gives {analytic[row, column]:.8g}, central differences "
        f"{numeric[row, column]:.8g} ({int(wrong.sum())} of {wrong.size} entries disagree)"
    )
