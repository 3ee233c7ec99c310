"""Loops and branches as operations: `scan` over the slices of tensors, `cond` by a truth value.

Both take functions of tensors in tuples, lists and dicts, nested at will. Eagerly they are what
they say, a Python loop and a Python `if`, so that one can step through them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from thalweg.compiler.tracing.structure import Structure, flatten
from thalweg.dtypes import as_dtype
from thalweg.errors import ConfigError, DTypeError, ShapeError, ThalwegError
from thalweg.ops.creation import zeros
from thalweg.ops.joining import stack
from thalweg.primitives.core import normalize_axis
from thalweg.tape import TensorBase, mode, no_grad, not_a_tensor

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Branch", "Results", "Step", "Tensors", "cond", "cond_of_lists", "scan", "scan_along_0"]

Tensors: TypeAlias = "list[Tensor]"
Results: TypeAlias = "tuple[Tensors, Tensors]"
Branch: TypeAlias = "Callable[[], Tensors]"
Step: TypeAlias = "Callable[[Tensors, Tensors], Results]"


def scan(
    combine_fn: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any,
    *,
    dim: int = 0,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Carry a value through the slices of `xs`: carry, y = combine_fn(carry, x) for each x.

    `init`, the first carry, and `xs` are tensors, or tuples, lists and dicts of them. Slices are
    taken along `dim` of each tensor of `xs`, from its end with `reverse`; `combine_fn` gives the
    next carry, of the structure, shapes and dtypes of `init`, and an output y. Results are the
    last carry, and the outputs stacked along `dim` (along 0 where y has fewer dimensions), each
    at the place of its slice:

        c_0 = init,   (c_{t+1}, y_t) = f(c_t, x_t)

    >>> import thalweg as tw
    >>> tw.scan(lambda c, x: (c + x, c * x), tw.tensor(0.0), tw.tensor([1.0, 2.0, 3.0]))
    (tensor(6.), tensor([0., 2., 9.]))

    Raises `ShapeError` where the tensors of `xs` differ in the size of `dim` or a carry changes
    its shape or structure, `DTypeError` where it changes its dtype or is no tensor.

    Source: `torch._higher_order_ops.scan`; `jax.lax.scan`.
    """
    carry, kept = _tensors("scan: init", init)
    slices, outer = _tensors("scan: xs", xs)
    if not slices:
        return init, []
    axis, count = _steps(slices, dim)
    inner = Structure(tuple)

    def step(state: Tensors, leaves: Tensors) -> Results:
        nonlocal inner
        result: Any = combine_fn(kept.build(state), outer.build(leaves))
        if not isinstance(result, tuple) or len(result) != 2:
            raise ConfigError(f"scan: combine_fn gives a pair (carry, y), got {type(result)}")
        after = _carried(init, state, result[0], kept)
        y, inner = _tensors("scan: y", result[1])
        return after, y

    slices = [x.movedim(axis, 0) for x in slices]
    carry, ys = scan_along_0(step, carry, slices, count, reverse)
    ys = [y.movedim(0, axis) if axis < y.ndim else y for y in ys]
    return kept.build(carry), inner.build(ys)


def scan_along_0(step: Step, carry: Tensors, slices: Tensors, count: int, reverse: bool) -> Results:
    """`scan` of lists of tensors, along axis 0: one equation in a trace, else a loop."""
    level: Any = mode.level
    if mode.trace is not None if level is None else level.is_traced:
        from thalweg.autodiff import one_round, rounds

        try:
            return rounds.scan(step, carry, slices, count, reverse)
        except one_round.Unreplayable:
            pass
    return _in_turn(step, carry, slices, count, reverse)


def _in_turn(step: Step, carry: Tensors, slices: Tensors, count: int, reverse: bool) -> Results:
    """One step after the other."""
    if not count:
        return carry, _nothing(step, carry, slices)
    columns = [x.unbind(0) for x in slices]
    ys: list[Tensors] = []
    for i in range(count - 1, -1, -1) if reverse else range(count):
        carry, y = step(carry, [column[i] for column in columns])
        ys.append(y)
    if reverse:
        ys.reverse()
    return carry, [stack(y) for y in zip(*ys, strict=True)]


def _nothing(step: Step, carry: Tensors, slices: Tensors) -> Tensors:
    """The stacks of no output: a step is traced, not made, to learn of what types they are."""
    like = [zeros(*x._value.shape[1:], dtype=x.dtype) for x in slices]
    if mode.trace is not None:  # within a function transform
        with no_grad():
            return [y.unsqueeze(0)[:0] for y in step(carry, like)[1]]
    from thalweg.compiler.tracing.trace import trace

    kinds = trace(lambda: step(carry, like)[1]).outputs
    return [zeros(0, *y.shape, dtype=as_dtype(y.dtype)) for y in kinds]


def _tensors(name: str, value: Any) -> tuple[list[Tensor], Structure]:
    """The tensors of a nested value, and its structure without them."""
    leaves, structure = flatten(value)
    if not all(isinstance(x, TensorBase) for x in leaves):
        raise not_a_tensor(name, *leaves)
    return leaves, structure


def _steps(slices: Sequence[Tensor], dim: int) -> tuple[int, int]:
    """The axis that is run over, and its size."""
    axis = normalize_axis("scan", dim, slices[0].ndim)
    shapes = [tuple(x.shape) for x in slices]
    sizes = {shape[axis] if axis < len(shape) else None for shape in shapes}
    if len(sizes) != 1 or None in sizes:
        given = ", ".join(map(str, shapes))
        raise ShapeError(f"scan: tensors of one size along dimension {dim} expected, got {given}")
    return axis, shapes[0][axis]


def _carried(init: Any, before: Sequence[Tensor], carry: Any, kept: Structure) -> list[Tensor]:
    """The tensors of a carry, which are like those it was made from."""
    after, structure = _tensors("scan: the carry that combine_fn gives", carry)
    if structure != kept:
        raise ShapeError(
            f"scan: combine_fn gives a carry of the structure of init, {init!r:.80}, "
            f"got {carry!r:.80}"
        )
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        if new._value.shape != old._value.shape:
            raise ShapeError(
                f"scan: tensor {number} of the carry has shape {tuple(old.shape)} and combine_fn "
                f"gives {tuple(new.shape)}: a carry keeps its shape (expand init to it)"
            )
        if new._value.dtype != old._value.dtype:
            raise DTypeError(
                f"scan: tensor {number} of the carry is {old.dtype!r} and combine_fn gives "
                f"{new.dtype!r}: a carry keeps its dtype (cast init to it)"
            )
    return after


def cond(
    pred: Tensor | bool,
    true_fn: Callable[..., Any],
    false_fn: Callable[..., Any],
    operands: Sequence[Any] = (),
) -> Any:
    """true_fn(*operands) where `pred` holds, false_fn(*operands) where it does not.

    `pred` is a bool, or a tensor of one bool; the functions give tensors of the same structure,
    shapes and dtypes. In a compiled function `pred` may be a value of the trace, which an `if`
    cannot ask; the function that is taken is computed alone, in derivatives too. In a `vmap` `pred`
    may differ from case to case: both functions are called, and each case takes what one gives.

    What the other one gives is in no result and no derivative, of any order, NaN or not. A tensor
    that it gives another value keeps the one it had.

    >>> import thalweg as tw
    >>> x = tw.tensor(2.0)
    >>> tw.cond(x > 1, lambda x: x * x, lambda x: -x, (x,))
    tensor(4.)

    Raises `ShapeError` or `DTypeError` where `pred` is not one bool, and, in a compiled function,
    where the functions' results differ in structure, shape or dtype.

    Source: `torch.cond`.
    """
    if not isinstance(pred, TensorBase):
        return true_fn(*operands) if pred else false_fn(*operands)
    if pred._value.dtype.kind != "b":
        raise DTypeError(f"cond: pred is a bool, got {pred.dtype!r}: compare it, as in x > 0")
    if pred.numel() != 1:
        raise ShapeError(f"cond: pred is one bool, got shape {tuple(pred.shape)}; use where")
    if mode.trace is None or _is_known(pred):
        return true_fn(*operands) if pred.item() else false_fn(*operands)
    return _either(pred.reshape(()), lambda: true_fn(*operands), lambda: false_fn(*operands))


def _is_known(pred: Tensor) -> bool:
    from thalweg.autodiff import either

    return either.is_known(pred)


def _either(pred: Tensor, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """One of two results, in a trace or in a function transform."""
    found: dict[str, tuple[Tensors, Structure]] = {}

    def called(name: str, function: Callable[[], Any]) -> Tensors:
        found[name] = _tensors(f"cond: {name}'s result", function())
        if len(found) == 2:
            _check_alike(found["true_fn"], found["false_fn"])
        return found[name][0]

    calls = partial(called, "true_fn", true_fn), partial(called, "false_fn", false_fn)
    tensors = cond_of_lists(pred, *calls)
    return found["true_fn"][1].build(tensors)


def cond_of_lists(pred: Tensor, true: Branch, false: Branch) -> Tensors:
    """`cond` of functions that give lists of tensors of the same types."""
    from thalweg.autodiff import either

    if either.is_known(pred):
        return true() if pred.item() else false()
    return either.cond(pred, true, false)


def _check_alike(true: tuple[Tensors, Structure], false: tuple[Tensors, Structure]) -> None:
    """Both results are of one structure, and of the same shapes and dtypes."""
    (some, structure), (others, other) = true, false
    if structure != other:
        raise ShapeError(
            "cond: the functions give results of one structure, got "
            f"{structure.build(some)!r:.80} and {other.build(others)!r:.80}"
        )
    for number, (a, b) in enumerate(zip(some, others, strict=True)):
        error: type[ThalwegError] | None = None
        if a._value.shape != b._value.shape:
            error = ShapeError
        elif a._value.dtype != b._value.dtype:
            error = DTypeError
        if error is not None:
            raise error(
                f"cond: tensor {number} of the result is of shape {tuple(a.shape)}, {a.dtype!r} "
                f"from true_fn and of shape {tuple(b.shape)}, {b.dtype!r} from false_fn"
            )
