"""Whole derivatives: Jacobians by rows or by columns, Hessians, and products with them.

J[i, j] = d y_i / d x_j. A VJP of a unit vector is a row, a JVP a column; `vmap` takes all of them
at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

from thalweg.autodiff.batching import vmap
from thalweg.autodiff.forward import jvp
from thalweg.autodiff.levels import tensors_of
from thalweg.autodiff.reverse import chosen, grad_and_value, vjp
from thalweg.compiler.tracing.structure import Structure
from thalweg.errors import DTypeError
from thalweg.ops.creation import eye, ones_like, zeros_like
from thalweg.ops.lift import literal

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["hessian", "hvp", "jacfwd", "jacrev", "linearize"]


def _units(x: Tensor) -> Tensor:
    """The unit vectors of the shape of `x`, along a first axis."""
    return eye(x.numel(), dtype=x.dtype).reshape((x.numel(), *x._value.shape))


def _over(
    name: str,
    function: Callable[[Tensor], Any],
    x: Tensor,
    chunk_size: int | None,
    randomness: str = "error",
) -> tuple[list[Tensor], Structure, int]:
    """`function` of every unit vector of the shape of `x`: its tensors, and how many axes the
    vectors are along in front of theirs. Of a number there is one, and no axis.
    """
    if x.numel() == 1:
        one = ones_like(x) if x._value.shape else literal(1, x.dtype)
        return *tensors_of(name, function(one)), 0
    mapped = vmap(function, randomness=randomness, chunk_size=chunk_size)
    return *tensors_of(name, mapped(_units(x))), 1


def _arguments(name: str, args: Sequence[Any], argnums: Any) -> tuple[tuple[int, ...], Any]:
    positions = chosen(name, argnums, len(args))
    return positions, tuple(args[k] for k in positions)


def jacrev(
    func: Callable[..., Any],
    argnums: Any = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that gives the Jacobian of `func` by reverse mode, a VJP a row.

    J[i, j] = d y_i / d x_j: of shape y.shape + x.shape, for every tensor of the result and, inside
    that, every tensor of the argument that `argnums` names (a tuple of them where it is a tuple).
    The better of the two where the value has fewer elements than the argument. `chunk_size` rows
    are computed at a time, all of them unless given. With `has_aux` the result is (J, aux).

    >>> import thalweg as tw
    >>> tw.func.jacrev(lambda x: tw.stack([x[0] * x[1], x[0] ** 2]))(tw.tensor([3.0, 4.0]))
    tensor([[4., 3.],
            [6., 0.]])

    Source: `torch.func.jacrev`; deck 000, "Jacobian".
    """

    @wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        positions, given = _arguments("jacrev", args, argnums)
        points, _ = tensors_of("jacrev: an argument that is differentiated", given)
        _check_floating("jacrev", points)

        def of_chosen(*values: Any) -> Any:
            return func(*_with(args, positions, values), **kwargs)

        value, pull, *aux = vjp(of_chosen, *given, has_aux=has_aux)
        outputs, outer = tensors_of("jacrev: the result of func", value)
        _check_floating("jacrev", outputs)
        rows = [_rows(pull, outputs, outer, k, chunk_size) for k in range(len(outputs))]
        found = outer.build([r if isinstance(argnums, tuple | list) else r[0] for r in rows])
        return (found, aux[0]) if has_aux else found

    return jacobian


def _rows(
    pull: Callable[..., Any],
    outputs: Sequence[Tensor],
    outer: Structure,
    position: int,
    chunk_size: int | None,
) -> Any:
    """The Jacobian of one result: for every argument."""
    y = outputs[position]

    def row(unit: Tensor) -> Any:
        others = [zeros_like(x) if k != position else unit for k, x in enumerate(outputs)]
        return pull(outer.build(others))

    leaves, structure, axes = _over("jacrev", row, y, chunk_size)
    shape = y._value.shape
    return structure.build([x.reshape((*shape, *x._value.shape[axes:])) for x in leaves])


def jacfwd(
    func: Callable[..., Any],
    argnums: Any = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    randomness: str = "error",
) -> Callable[..., Any]:
    """The function that gives the Jacobian of `func` by forward mode, a JVP a column.

    As `jacrev`; the better of the two where the argument has fewer elements than the value.
    `randomness`: as for `vmap`.

    >>> import thalweg as tw
    >>> tw.func.jacfwd(lambda x: tw.stack([x[0] * x[1], x[0] ** 2]))(tw.tensor([3.0, 4.0]))
    tensor([[4., 3.],
            [6., 0.]])

    Source: `torch.func.jacfwd`.
    """

    @wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        positions, given = _arguments("jacfwd", args, argnums)
        points, structure = tensors_of("jacfwd: an argument that is differentiated", given)
        _check_floating("jacfwd", points)

        def of_chosen(*values: Any) -> Any:
            return func(*_with(args, positions, structure.build(values)), **kwargs)

        columns: list[list[Tensor]] = []
        aux: Any = None
        for k in range(len(points)):
            outer, found, aux = _columns(of_chosen, points, k, has_aux, chunk_size, randomness)
            columns.append(found)
        parts = [structure.build(list(row)) for row in zip(*columns, strict=True)]
        result = outer.build([p if isinstance(argnums, tuple | list) else p[0] for p in parts])
        return (result, aux) if has_aux else result

    return jacobian


def _columns(
    func: Callable[..., Any],
    points: Sequence[Tensor],
    position: int,
    has_aux: bool,
    chunk_size: int | None,
    randomness: str,
) -> tuple[Structure, list[Tensor], Any]:
    """The Jacobian of every result with respect to one tensor."""
    x = points[position]
    rest: list[Any] = [None, None]

    def of_one(value: Tensor) -> Any:
        return func(*points[:position], value, *points[position + 1 :])

    def column(unit: Tensor) -> list[Any]:
        _, pushed, *aux = jvp(of_one, (x,), (unit,), has_aux=has_aux)
        outputs, rest[0] = tensors_of("jacfwd: the result of func", pushed)
        return [outputs, aux]

    leaves, several, axes = _over("jacfwd: aux", column, x, chunk_size, randomness)
    if axes:
        leaves = [y.movedim(0, -1) for y in leaves]
    outputs, aux = several.build(leaves)
    found = [y.reshape((*y._value.shape[: y.ndim - axes], *x._value.shape)) for y in outputs]
    if has_aux and axes:
        parts, structure = tensors_of("jacfwd: aux", aux)
        aux = structure.build([a.select(-1, 0) for a in parts])  # the same for all columns
    return rest[0], found, aux[0] if has_aux else None


def _with(args: Sequence[Any], positions: Sequence[int], values: Sequence[Any]) -> list[Any]:
    chosen_ones = dict(zip(positions, values, strict=True))
    return [chosen_ones.get(k, x) for k, x in enumerate(args)]


def _check_floating(name: str, tensors: Sequence[Tensor]) -> None:
    for x in tensors:
        if x._value.dtype.kind != "f":
            raise DTypeError(
                f"{name}: {x.dtype!r} has no derivative, float32 and float64 have: use x.float()"
            )


def hessian(func: Callable[..., Any], argnums: Any = 0) -> Callable[..., Any]:
    """The function that gives the Hessian of `func`: H[i, j] = d^2 f / d x_i d x_j.

    Forward over reverse mode: the Jacobian, by columns, of the gradient.

    >>> import thalweg as tw
    >>> tw.func.hessian(lambda x: x[0] ** 2 * x[1])(tw.tensor([3.0, 5.0]))
    tensor([[10.,  6.],
            [ 6.,  0.]])

    Source: `torch.func.hessian`; deck 003, "Hessian".
    """
    return jacfwd(jacrev(func, argnums), argnums)


def hvp(func: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """The value of `func`, one number, and its Hessian times `tangents`, without the Hessian.

    `primals` and `tangents` as for `jvp`. Gives (func(*primals), H t), the second of the structure
    of `primals`, or of the one argument. The gradient, in forward mode: about the work of two.

    >>> import thalweg as tw
    >>> tw.func.hvp(lambda x: x[0] ** 2 * x[1], (tw.tensor([3.0, 5.0]),), (tw.tensor([1.0, 0.0]),))
    (tensor(45.), tensor([10.,  6.]))

    Source: Pearlmutter, "Fast exact multiplication by the Hessian" (1994).
    """
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    (_, value), (product, _) = jvp(grad_and_value(func, argnums), primals, tangents)
    return value, product


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The value of `func` at `primals`, and the linear function t -> J t.

    `func` runs once; the linear function may be called as often as one likes.

    >>> import thalweg as tw
    >>> value, push = tw.func.linearize(lambda x: x**3, tw.tensor([1.0, 2.0]))
    >>> push(tw.tensor([1.0, 1.0])), push(tw.tensor([1.0, 2.0]))
    (tensor([ 3., 12.]), tensor([ 3., 24.]))

    Source: `torch.func.linearize`.
    """
    value, pull = vjp(func, *primals)
    outputs, outer = tensors_of("linearize: the result of func", value)
    _check_floating("linearize", outputs)
    # v^T J is linear in v: its VJP, at any v, is J t.
    _, push = vjp(lambda v: pull(v), outer.build([zeros_like(y) for y in outputs]))

    def pushed(*tangents: Any) -> Any:
        return push(tangents)[0]

    return value, pushed
