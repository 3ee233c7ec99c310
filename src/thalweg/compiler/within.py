"""A compiled function inside function transforms: what it becomes there is compiled as well.

Inside `vmap` and `jvp` it is called with values of a level. They are opened, and the function of
what they are made of, which goes through a level of its own, is a compiled function outside; where
a level is there too, by the same rule. On a tape a call is one node, whose VJP is a compiled
function: the function once more, and back through it. So derivatives of all orders are programs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from thalweg._tensor import Tensor
from thalweg.autodiff.borrowing import borrowed
from thalweg.autodiff.bundles import bundle, item
from thalweg.autodiff.levels import Transform
from thalweg.autodiff.reverse import vjp
from thalweg.compiler.tracing.structure import Structure, flatten
from thalweg.compiler.tracing.surroundings import Surroundings
from thalweg.compiler.tracing.trace import Guard, trace_program
from thalweg.ops.creation import zeros
from thalweg.primitives.loops import Cotangents
from thalweg.tape import Lifted, concretely, mode, wrap

__all__ = ["Derivative", "Made", "Nested", "call", "connected"]

Fn = Callable[..., Any]


@dataclass(frozen=True)
class Nested:
    """Arguments or results of a call: the structure and its leaves, `Tensor` where one stands."""

    structure: Structure
    leaves: tuple[Any, ...]

    @classmethod
    def of(cls, leaves: Sequence[Any], structure: Structure) -> Nested:
        """Without the tensors among the leaves."""
        return cls(structure, tuple([Tensor if isinstance(x, Tensor) else x for x in leaves]))

    def built(self, tensors: Sequence[Tensor]) -> Any:
        """With these tensors."""
        rest = iter(tensors)
        return self.structure.build([next(rest) if x is Tensor else x for x in self.leaves])


def _called(fn: Fn, arguments: Nested, tensors: Sequence[Tensor]) -> tuple[list[Tensor], Nested]:
    """The tensors that `fn` gives for these tensors, and what they stand in."""
    args, kwargs = arguments.built(tensors)
    leaves, structure = flatten(fn(*args, **kwargs))
    return [x for x in leaves if isinstance(x, Tensor)], Nested.of(leaves, structure)


@dataclass
class Made:
    """What a compiled function is inside transforms, as far as it was called there."""

    levels: dict[Any, Any] = field(default_factory=dict)
    derivatives: dict[Any, Derivative] = field(default_factory=dict)
    captured: dict[Any, _Captured] = field(default_factory=dict)


class _Captured:
    """The tensors that a call with arguments of these types reads of the world around it."""

    def __init__(self, fn: Fn, arguments: Nested, tensors: Sequence[Tensor]) -> None:
        self.surroundings = Surroundings((fn, *arguments.leaves))
        rest, level = iter(tensors), mode.level
        leaves = [next(rest) if x is Tensor else x for x in arguments.leaves]
        with concretely():
            mode.level = None
            try:
                trace = trace_program(fn, arguments.structure, leaves)
            finally:
                mode.level = level
        self.surroundings.settle()
        self.guards: list[Guard] = trace.guards
        self.tensors = [slot.tensor for slot in trace.slots if slot.owner is None]

    def holds(self) -> bool:
        """Whether what decided this is as it was."""
        return self.surroundings.hold() and all(guard.holds() for guard in self.guards)


def call(compiled: Any, leaves: Sequence[Any], structure: Structure, signature: Any) -> Any:
    """What a compiled function gives inside a transform that is not traced."""
    arguments = Nested.of(leaves, structure)
    tensors = [x for x in leaves if isinstance(x, Tensor)]
    known: _Captured | None = compiled.made.captured.get(signature)
    if known is None or not known.holds():
        known = _Captured(compiled.fn, arguments, tensors)
        compiled.made.captured[signature] = known
    if any(isinstance(x._value, Lifted) for x in known.tensors):  # lent by functional_call, say
        found, results = _called(compiled.fn, arguments, tensors)
        return results.built(found)
    operands = [connected(wrap(x._value), x) for x in (*tensors, *known.tensors)]
    found, results = _through(compiled, arguments, tensors)
    wanted = [k for k, x in enumerate(operands) if mode.grad and x._requires_grad]
    if wanted:
        kinds = [(x._value.shape, x.dtype) for x in found]
        live = {k: kind for k, kind in enumerate(kinds) if kind[1].is_floating_point}
        derivative = Derivative.of(compiled, arguments, known.tensors, wanted, live)
        joint = bundle(derivative.name, derivative.cotangents, operands, found)
        found = [item(joint, k, k in live) for k in range(len(found))]
    return results.built(found)


def connected(y: Tensor, x: Tensor) -> Tensor:
    """`y`, in the place of `x` on the tape: a value that it had once."""
    if x._requires_grad:
        y._node, y._requires_grad = x if x._node is None else x._node, True
    return y


# --- levels --------------------------------------------------------------------------------------


def _through(
    compiled: Any, arguments: Nested, tensors: Sequence[Tensor]
) -> tuple[list[Tensor], Nested]:
    """The results of the program for this level, off the tape inside."""
    level: Any = mode.level
    with level.outside():
        opened = [level.opened(x, is_stacked=False, is_full=False) for x in tensors]
        kinds = tuple([(len(parts), varies) for parts, varies in opened])
        key = level.key(), arguments, kinds
        program = compiled.made.levels.get(key)
        if program is None:
            function = _AtLevel(compiled.fn, level.again(), arguments, kinds)
            program = compiled.made.levels[key] = type(compiled)(function, compiled.fallback)
        found, made = program(*(part for parts, _ in opened for part in parts))
        pairs = zip(found, made.kinds, strict=True)
        return [level.closed(parts, varies, False) for parts, varies in pairs], made.results


@dataclass(frozen=True, eq=False)
class _MadeAtLevel:
    """What stands beside the tensors that a function at a level gives."""

    kinds: list[bool]
    results: Nested


class _AtLevel:
    """A function at a level of its own, of the tensors that its arguments are made of."""

    def __init__(
        self, fn: Fn, level: Transform, arguments: Nested, kinds: Sequence[tuple[int, bool]]
    ) -> None:
        self.__wrapped__ = fn
        self.__name__ = getattr(fn, "__name__", type(fn).__name__)
        self.level, self.arguments, self.kinds = level, arguments, kinds

    def __call__(self, *parts: Tensor) -> tuple[list[list[Tensor]], _MadeAtLevel]:
        rest, level = iter(parts), self.level.again()
        seen = [level.closed([next(rest) for _ in range(n)], v, False) for n, v in self.kinds]
        beside: list[Nested] = []

        def called() -> list[Tensor]:
            found, results = _called(self.__wrapped__, self.arguments, seen)
            beside.append(results)
            return found

        opened, _ = level.run(called, lambda x: level.opened(x, is_stacked=False, is_full=False))
        return [p for p, _ in opened], _MadeAtLevel([varies for _, varies in opened], beside[0])


# --- the tape ------------------------------------------------------------------------------------


class Derivative:
    """The VJP of a compiled function, compiled.

    Its operands are the tensors among the arguments, then those that the function captures.
    `wanted` are those that get a cotangent, `live` the results that come with one, by numbers.
    """

    def __init__(
        self,
        compiled: Any,
        arguments: Nested,
        captured: Sequence[Tensor],
        wanted: Sequence[int],
        live: dict[int, tuple[Any, Any]],
    ) -> None:
        self.name, self.wanted, self.live = compiled._name, list(wanted), live
        pulled = _Pulled(compiled.fn, arguments, captured, self.wanted, list(live))
        self.compiled = type(compiled)(pulled, compiled.fallback)

    @classmethod
    def of(
        cls,
        compiled: Any,
        arguments: Nested,
        captured: Sequence[Tensor],
        wanted: Sequence[int],
        live: dict[int, tuple[Any, Any]],
    ) -> Derivative:
        """That of such calls; made once."""
        key = arguments, tuple(map(id, captured)), tuple(wanted), tuple(live.items())
        known: dict[Any, Derivative] = compiled.made.derivatives
        if key not in known:
            known[key] = cls(compiled, arguments, captured, wanted, live)
        return known[key]

    def cotangents(self, g: Cotangents, out: Tensor, *operands: Tensor) -> list[Tensor | None]:
        """The cotangents of the operands, on the tape themselves where that is on."""
        given = [
            g[k] if k in g else zeros(*shape, dtype=dtype)
            for k, (shape, dtype) in self.live.items()
        ]
        found = self.compiled(*operands, *given)
        cotangents: list[Tensor | None] = [None] * len(operands)
        for k, x in zip(self.wanted, found, strict=True):
            cotangents[k] = x
        return cotangents


class _Pulled:
    """The VJP of a function, as a function of its operands and the cotangents of its results."""

    def __init__(
        self,
        fn: Fn,
        arguments: Nested,
        captured: Sequence[Tensor],
        wanted: Sequence[int],
        live: Sequence[int],
    ) -> None:
        self.__wrapped__ = fn
        self.__name__ = getattr(fn, "__name__", type(fn).__name__)
        self.arguments, self.captured, self.wanted, self.live = arguments, captured, wanted, live

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        count = len(given) - len(self.live)
        operands, cotangents = given[:count], given[count:]
        own = count - len(self.captured)

        def function(*chosen: Tensor) -> tuple[Tensor, ...]:
            values = [wrap(x._value) for x in operands]  # what is written inside is lost
            for k, x in zip(self.wanted, chosen, strict=True):
                values[k] = x
            with borrowed(zip(self.captured, values[own:], strict=True)):
                found, _ = _called(self.__wrapped__, self.arguments, values[:own])
            return tuple(found[k] for k in self.live)

        _, pull = vjp(function, *(operands[k] for k in self.wanted))
        found: tuple[Tensor, ...] = pull(cotangents)
        return found
