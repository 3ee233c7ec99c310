"""Forward mode: `jvp` carries a tangent along with every value.

Inside, a tensor that depends on the inputs holds a `Dual`: its primal and its tangent, tensors of
the level outside. Each operation is applied to the primals, and the rule of its row in the op
table gives the tangent of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from thalweg.autodiff.levels import Transform, alias, application, drop, tensors_of
from thalweg.autodiff.reverse import split_aux, vjp
from thalweg.compiler.tracing.structure import Structure
from thalweg.errors import DTypeError, ShapeError
from thalweg.ops.creation import ones_like, zeros_like
from thalweg.primitives.core import VJP, AllOperands, Primitive
from thalweg.tape import Attributes, Composite, Inputs, Lifted, bind, compose, mode, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Dual", "Forward", "jvp", "transposed"]


class Dual(Lifted):
    """A primal and its tangent, of one shape and dtype; None is a tangent of zeros."""

    __slots__ = ("primal", "tangent")

    def __init__(self, level: Forward, primal: Tensor, tangent: Tensor | None) -> None:
        self.level, self.primal, self.tangent = level, primal, tangent
        self.shape, self.dtype = primal._value.shape, primal._value.dtype

    def tensors(self) -> tuple[Tensor, ...]:
        """The primal, and the tangent if there is one."""
        return (self.primal,) if self.tangent is None else (self.primal, self.tangent)

    def concrete(self, what: str) -> Any:
        """The primal's array."""
        return self.primal._concrete(what)

    def detached(self) -> Any:
        """The primal's value, without a tangent."""
        return self.primal.detach()._value

    def __repr__(self) -> str:
        return f"<dual {self.dtype} {self.shape}>"


class Forward(Transform):
    """The level of one `jvp`."""

    def wrap(self, primal: Tensor, tangent: Tensor | None) -> Tensor:
        """What the function sees of a value and its tangent."""
        return wrap(Dual(self, primal, tangent))

    def lifted(self, x: Tensor) -> Any:
        """A value from outside as one of this level."""
        return Dual(self, x, None)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The primal outside, and the tangent where there is one."""
        return (x._value.primal, x._value.tangent) if self.owns(x) else (x, None)

    def opened(self, x: Tensor, is_stacked: bool, is_full: bool) -> tuple[list[Tensor], bool]:
        """The primal, and the tangent if there is one, or may be."""
        primal, tangent = self.parts(x)
        if tangent is None and is_full and primal._value.dtype.kind == "f":
            tangent = zeros_like(primal)
        return ([primal], False) if tangent is None else ([primal, tangent], True)

    def closed(self, parts: Sequence[Tensor], varies: bool, is_stacked: bool) -> Tensor:
        """The tensor of this primal and this tangent."""
        return self.wrap(parts[0], parts[1] if varies else None)

    def again(self) -> Forward:
        """Another level."""
        return Forward()

    def key(self) -> tuple[Any, ...]:
        """All of them are alike."""
        return (Forward,)

    def apply(self, primitive: Primitive, inputs: Inputs, attributes: Attributes) -> Any:
        """The primitive on the primals, and the tangent by its rule."""
        is_mine = moves = False
        primals, tangents = [], []
        for x in inputs:
            value = x._value
            if value.__class__ is Dual and value.level is self:
                is_mine = True
                moves |= value.tangent is not None
                primals.append(value.primal)
                tangents.append(value.tangent)
            else:
                primals.append(x)
                tangents.append(None)
        if not is_mine:
            return mode.interpret(primitive, inputs, attributes)
        out = bind(primitive, *primals, **attributes)
        if primitive.vjp is None:
            return out._value
        if not moves:
            return Dual(self, out, None)
        if primitive.jvp is None:
            with self.outside():
                tangent = transposed(primitive.vjp, tangents, out, primals, attributes)
            return Dual(self, out, tangent)
        rule, apply = primitive.jvp, application(primitive)
        return Dual(self, out, rule(apply, tangents, out, *primals, **attributes))

    def apply_composite(self, op: Composite, inputs: Inputs, attributes: Attributes) -> Any:
        """The function on the primals; its own derivative, transposed, gives the tangent."""
        pairs = [self.parts(x) for x in inputs]
        primals, tangents = tuple(p for p, _ in pairs), [t for _, t in pairs]
        out = compose(op, primals, attributes)
        if not any(t is not None for t in tangents):
            return Dual(self, out, None)
        return Dual(self, out, transposed(op.vjp, tangents, out, primals, attributes))

    def escaped(self, x: Tensor) -> None:
        """A tensor from outside keeps the primal: its tangent is of no use there."""
        drop(x, lambda y: y._value.primal if self.owns(y) else y)


def transposed(
    column: VJP,
    tangents: Sequence[Tensor | None],
    out: Tensor,
    operands: Sequence[Tensor],
    attributes: Attributes,
) -> Tensor | None:
    """The tangent of the result by the VJP column alone.

    g^T J is linear in g, and so has a VJP itself, at any g: that of its sum with the tangents t,
    g^T J t, is J t.
    """
    chosen = [k for k, t in enumerate(tangents) if t is not None]

    def cotangents(g: Tensor) -> list[Tensor]:
        if isinstance(column, AllOperands):
            every = column.rule(g, out, *operands, **attributes)
            found = [every[k] for k in chosen]
        else:
            assert column is not None
            rules = [column[k] for k in chosen]
            found = [r and r(g, out, *operands, **attributes) for r in rules]
        kept.extend(k for k, x in zip(chosen, found, strict=True) if x is not None)
        return [x for x in found if x is not None]

    kept: list[int] = []
    _, pull = vjp(cotangents, ones_like(out))
    if not kept:
        return None
    given = [tangents[k] for k in kept]
    return pull(given)[0]  # type: ignore[no-any-return]


# --- the transform -------------------------------------------------------------------------------


def jvp(
    func: Callable[..., Any], primals: Any, tangents: Any, *, has_aux: bool = False
) -> tuple[Any, ...]:
    """The value of `func` at `primals`, and the Jacobian there times `tangents`.

    `primals` and `tangents` are tuples of tensors, or of nested tuples, lists and dicts of them,
    of the same shapes and dtypes. Gives (func(*primals), J tangents), with `has_aux` a third: what
    `func` gives beside its value. One pass forwards, without a tape:

        J t = sum over j of (d f / d x_j) t_j

    >>> import thalweg as tw
    >>> x, t = tw.tensor([1.0, 2.0]), tw.tensor([1.0, 0.0])
    >>> tw.func.jvp(lambda x: x * x.sum(), (x,), (t,))
    (tensor([3., 6.]), tensor([4., 2.]))

    Raises `ShapeError` and `DTypeError` where the tangents are not like the primals.

    Source: `torch.func.jvp`; deck 000, "Jacobian".
    """
    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise DTypeError(
            f"jvp: primals and tangents are tuples, one entry for each argument of func; got "
            f"{type(primals).__name__} and {type(tangents).__name__}. Write jvp(f, (x,), (t,))"
        )
    points, structure = tensors_of("jvp: primals", tuple(primals))
    directions, other = tensors_of("jvp: tangents", tuple(tangents))
    _check_tangents(points, structure, directions, other)
    level = Forward()
    pairs = zip(map(alias, points), map(alias, directions), strict=True)
    seen = structure.build([level.wrap(x, t) for x, t in pairs])

    def call() -> Any:
        result = func(*seen)
        return split_aux("jvp", result) if has_aux else result

    found, inner = level.run(call, level.parts)
    values = [x if mode.grad else x.detach() for x, _ in found]
    pushed = [zeros_like(x) if t is None else t for x, t in found]
    if not mode.grad:
        pushed = [t.detach() for t in pushed]
    if has_aux:
        value, aux = inner.build(values)
        return value, inner.build(pushed)[0], aux
    return inner.build(values), inner.build(pushed)


def _check_tangents(
    points: list[Tensor], structure: Structure, directions: list[Tensor], other: Structure
) -> None:
    if structure != other:
        raise ShapeError(
            f"jvp: tangents are of the structure of primals: {len(points)} tensors nested alike, "
            f"got {len(directions)}"
        )
    for k, (x, t) in enumerate(zip(points, directions, strict=True)):
        if x._value.shape != t._value.shape:
            raise ShapeError(
                f"jvp: tangent {k} has shape {tuple(t.shape)}, expected that of its primal, "
                f"{tuple(x.shape)}"
            )
        if x._value.dtype != t._value.dtype or x._value.dtype.kind != "f":
            raise DTypeError(
                f"jvp: tangent {k} is {t.dtype!r} and its primal {x.dtype!r}; expected one "
                "floating type"
            )
