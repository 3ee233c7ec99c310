"""`tw.compile`: a function that runs as one native program, once or over a whole epoch."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cached_property, update_wrapper
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar

import numpy as np

from thalweg._tensor import Tensor
from thalweg.compiler.binding import Bound
from thalweg.compiler.graph import Graph, Variable
from thalweg.compiler.tracing.asked import listening
from thalweg.compiler.tracing.signature import AS_A_TENSOR, differences, signature_of
from thalweg.compiler.tracing.structure import Structure, flatten
from thalweg.compiler.tracing.surroundings import Surroundings
from thalweg.compiler.tracing.trace import Guard, Trace, trace_program
from thalweg.dtypes import as_dtype
from thalweg.errors import ConfigError, ShapeError, TraceError
from thalweg.files import size_text
from thalweg.tape import mode, tracing, wrap

if TYPE_CHECKING:
    from thalweg.compiler.explain import Explanation
    from thalweg.compiler.within import Made

__all__ = ["Compiled", "compile"]

P = ParamSpec("P")
R = TypeVar("R")
_MOST_PROGRAMS = 16


class Compiled(Generic[P, R]):
    """A function compiled by `tw.compile`; it has the name and the documentation of the original.

    `scan(xs, ...)` runs it over the leading axis of its arguments natively; `graph()`, `llvm()`,
    `asm()` and `explain()` show the program of the last call.
    """

    def __init__(self, fn: Callable[P, R], fallback: Literal["eager"] | None = None) -> None:
        if fallback not in (None, "eager"):
            raise ConfigError(f'fallback={fallback!r}: expected "eager" or None')
        self.fn = fn
        self.fallback = fallback
        self.programs: dict[Any, list[_Entry]] = {}
        self.last: _Entry | None = None
        self._traced = 0
        self._key: Any = None  # of the last trace
        self._is_eager = False
        update_wrapper(self, fn)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """As a method: of `instance`, which is an argument like any other."""
        return self if instance is None else _Method(self, instance)

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled[P, R]:
        return Compiled(deepcopy(self.fn, memo), self.fallback)

    def __reduce__(self) -> Any:
        """By its name, where that is what the function is called; else the function is saved."""
        found: Any = sys.modules.get(getattr(self.fn, "__module__", None) or "")
        path = getattr(self.fn, "__qualname__", "")
        for name in path.split("."):
            found = getattr(found, name, None)
        return path if found is self else (Compiled, (self.fn, self.fallback))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        level: Any = mode.level
        is_traced = mode.trace is not None if level is None else level.is_traced
        if is_traced or mode.watched or self._is_eager:
            return self.fn(*args, **kwargs)
        leaves, structure = flatten((args, kwargs))
        if level is not None:
            return self._within(leaves, structure)
        entry = self._entry(leaves, structure, differentiate=mode.grad)
        if entry is None:
            return self.fn(*args, **kwargs)
        given = [x for x in leaves if isinstance(x, Tensor)]
        if entry.trace.pullback is not None:
            recorded: R = entry.recorded(self, leaves, structure)
            return recorded
        result: R = entry.result(entry.bound.call(given))
        return result

    def _within(self, leaves: Sequence[Any], structure: Structure) -> R:
        """A call inside a function transform."""
        from thalweg.compiler import within

        signature = signature_of(leaves, structure, differentiate=False)
        found: R = within.call(self, leaves, structure, signature)
        return found

    @cached_property
    def made(self) -> Made:
        """What this is inside function transforms."""
        from thalweg.compiler.within import Made

        return Made()

    def scan(self, *args: Any, **kwargs: Any) -> Any:
        """Run over the leading axis of the arguments' tensors, natively; stacks the results.

        `step.scan(xs, ys)` is the stacked [step(x, y) for x, y in zip(xs, ys)]: state such as
        parameters goes from one iteration to the next. An epoch is one scan over the batches of a
        permutation of row numbers, with the data captured. Results have a leading axis of the
        number of iterations.

        Ctrl-C ends it between two iterations, with the state of the last complete one.
        """
        leaves, structure = flatten((args, kwargs))
        tensors = [x for x in leaves if isinstance(x, Tensor)]
        count = _iterations(tensors)
        if not count:
            raise ShapeError("scan: a leading axis of size 0: there is no iteration to run")
        with tracing:
            firsts = [x.detach()[0] if isinstance(x, Tensor) else x for x in leaves]
        parts, done = [], 0
        while done < count:
            entry = None
            if mode.trace is None and not (mode.watched or mode.recorded or self._is_eager):
                entry = self._entry(firsts, structure)
            if entry is None:
                parts.append(self._eager_scan(leaves, structure, range(done, count)))
                break
            end = count if entry.goes_on() else done + 1
            given = tensors if end - done == count else [x.detach()[done:end] for x in tensors]
            parts.append(entry.result(entry.bound.scan(given, end - done, done)))
            done = end
        return parts[0] if len(parts) == 1 else _one_after_another(parts)

    def _eager_scan(self, leaves: list[Any], structure: Structure, numbers: range) -> Any:
        from thalweg.ops.joining import stack

        kept, outer = [], None
        for i in numbers:
            args, kwargs = structure.build([x[i] if isinstance(x, Tensor) else x for x in leaves])
            results, outer = flatten(self.fn(*args, **kwargs))
            kept.append(results)
        columns = zip(*kept, strict=True)
        joined = [stack(c) if isinstance(c[0], Tensor) else c[-1] for c in map(list, columns)]
        assert outer is not None
        return outer.build(joined)

    # --- programs --------------------------------------------------------------------------------

    def _entry(
        self, leaves: Sequence[Any], structure: Structure, differentiate: bool = False
    ) -> _Entry | None:
        """The program for arguments like these, traced and compiled if there is none yet."""
        key = signature_of(leaves, structure, differentiate)
        for entry in self.programs.get(key, ()):
            if entry.fits():
                self.last = entry
                return entry
        try:
            return self._made(key, leaves, structure, differentiate)
        except TraceError as error:
            if self.fallback != "eager":
                raise
            warnings.warn(f"{self._name} runs eagerly: {error}", stacklevel=3)
            self._is_eager = True
            return None

    def _made(
        self, key: Any, leaves: Sequence[Any], structure: Structure, differentiate: bool
    ) -> _Entry:
        entries = self.programs.setdefault(key, [])
        self._warn_of_many(entries, key)
        self._key = key
        objects = [x for x in leaves if not isinstance(x, Tensor)]
        surroundings = Surroundings((self.fn, *objects))
        others = [e.surroundings for known in self.programs.values() for e in known]
        holding = [surroundings, *(x for x in others if x.hold())]
        with listening(surroundings.anew) as asked:
            trace = trace_program(self.fn, structure, leaves, differentiate)
        asked.warn(self._name, stacklevel=4)
        self._warn_of_large(surroundings)
        self._check_escape(surroundings.escaped(), trace.graph)
        for x in holding:
            x.settle()
        text = str(trace.graph)
        bound = next((e.bound for e in entries if e.is_same(trace, text)), None)
        if bound is None:
            bound = Bound(trace)
        bound.follow()
        entry = _Entry(trace, text, bound, surroundings)
        entries.append(entry)
        del entries[:-_MOST_PROGRAMS]
        self._traced += 1
        self.last = entry
        return entry

    def _check_escape(self, value: Any, graph: Graph) -> None:
        """A value that was kept in a list would be that of the trace, not of each call."""
        if value is None:
            return
        lines = [e.origin for e in graph.equations if e.output is value and e.origin]
        raise TraceError(
            f"{self._name} put a traced value of shape {value.shape} into a list or a dictionary "
            "that was there before: it is run once, and would not do so at later calls. Return "
            "the value and keep it there" + "".join(f"\n  made at {line}" for line in lines)
        )

    def _warn_of_large(self, surroundings: Surroundings) -> None:
        """Say, once, what makes each call slow."""
        for array in surroundings.large() if not self._traced else ():
            warnings.warn(
                f"{self._name} reads a NumPy array of shape {array.shape}, "
                f"{size_text(array.nbytes)}, which is compared with what it was at every call. "
                "Make a tensor of it outside, tw.tensor(array), and use that",
                stacklevel=5,
            )

    def _warn_of_many(self, before: Sequence[_Entry], key: Any) -> None:
        """Say why it is traced again and again; `before` are those for the same arguments."""
        if self._traced == _MOST_PROGRAMS:
            reason, remedy = differences(self._key, key)
            if before:
                reason, remedy = before[-1].surroundings.changed(), AS_A_TENSOR
            warnings.warn(
                f"{self._name} was traced {self._traced} times; the last time because {reason}. "
                f"{remedy}, or leave it outside the compiled function",
                stacklevel=5,
            )

    @property
    def _name(self) -> str:
        return getattr(self.fn, "__name__", type(self.fn).__name__)

    # --- seeing through --------------------------------------------------------------------------

    def _latest(self) -> _Entry:
        if self.last is None:
            raise TraceError(f"{self._name} has no program yet: call it once")
        return self.last

    def graph(self) -> Graph:
        """The traced operations of the last call's program."""
        return self._latest().trace.graph

    def llvm(self) -> str:
        """The LLVM IR of the last call's program."""
        return str(self._latest().bound.program.llvm())

    def asm(self) -> str:
        """The machine code of the last call's program, as assembly text."""
        return str(self._latest().bound.program.asm())

    def explain(self, threads: int | None = None) -> Explanation:
        """Where the time of the last call's program goes: a table of its kernels, measured.

        It runs for a moment on copies of the captured tensors, which stay as they are, with
        arguments that it was called with. See `thalweg.compiler.explain`.
        """
        from thalweg.compiler.explain import explain

        return explain(self._latest().bound, threads)


class _Method:
    """A compiled method of an object: calls, and `scan`, have the object in front."""

    def __init__(self, compiled: Compiled[..., Any], instance: object) -> None:
        self.__self__, self.__func__ = instance, compiled

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__func__(self.__self__, *args, **kwargs)

    def scan(self, *args: Any, **kwargs: Any) -> Any:
        """Run over the leading axis of the arguments' tensors; see `Compiled.scan`."""
        return self.__func__.scan(self.__self__, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__func__, name)


class _Entry:
    """A traced signature and the program that serves it."""

    def __init__(self, trace: Trace, text: str, bound: Bound, surroundings: Surroundings) -> None:
        self.trace, self.text, self.bound = trace, text, bound
        self.surroundings = surroundings
        self.guards: list[Guard] = trace.guards
        # Whether .grad was there decides if a backward pass sets it or adds to it.
        slots = [slot for slot in trace.slots if slot.owner is None]
        self.had = [(slot.tensor, slot.grad is None, slot.requires_grad) for slot in slots]

    def fits(self) -> bool:
        """Whether what the trace depended on, beside its arguments, is as it was."""
        for x, none, r in self.had:  # no generators: this runs at every call
            if (x._grad is None) != none or x._requires_grad != r:
                return False
        for guard in self.guards:
            if not guard.holds():
                return False
        return self.bound.fits() and (self.surroundings.is_empty or self.surroundings.hold())

    def goes_on(self) -> bool:
        """Whether it serves the next call too: that is not so where it makes the first gradients,
        to which later ones are added, or where the function has changed what it reads."""
        first = {id(x): none for x, none, _ in self.had}
        last = {id(x): number is None for x, number in self.trace.gradients}
        return all(last.get(x, none) == none for x, none in first.items()) and self.fits()

    def is_same(self, trace: Trace, text: str) -> bool:
        """Whether another trace is the same program over the same tensors."""
        return self.text == text and self.bound.serves(trace)

    def result(self, arrays: list[np.ndarray[Any, Any]]) -> Any:
        """The function's result, with these arrays in its tensors."""
        return self._built([wrap(array) for array in arrays])

    def recorded(
        self, compiled: Compiled[..., Any], leaves: Sequence[Any], structure: Structure
    ) -> Any:
        """Run, and put the results on the tape."""
        from thalweg.compiler.within import Derivative, Nested, connected

        pullback = self.trace.pullback
        assert pullback is not None
        given = [x for x in leaves if isinstance(x, Tensor)]
        captured = [x for slot in self.trace.slots if (x := slot.current()) is not None]
        inputs = [*given, *captured]
        with tracing:
            before = dict(zip(self.trace.graph.inputs, [x._value for x in inputs], strict=True))
        arrays = self.bound.call(given)
        after = dict(zip(self.trace.graph.outputs, arrays, strict=False))
        saved = [before[v] if v in before else after[v] for v in pullback.saved]
        results = [wrap(array) for array in arrays[: self.trace.constants.count(Variable)]]
        arguments = Nested.of(leaves, structure)

        def again() -> Derivative:
            outputs = self.trace.graph.outputs
            live = {k: (outputs[k].shape, as_dtype(outputs[k].dtype)) for k in pullback.results}
            return Derivative.of(compiled, arguments, captured, pullback.inputs, live)

        values = [wrap(array) for array in before.values()]
        operands = [
            connected(y, inputs[k]) if k in pullback.inputs else y for k, y in enumerate(values)
        ]
        return self._built(pullback.attach(compiled._name, again, operands, saved, results))

    def _built(self, results: Sequence[Tensor]) -> Any:
        values = iter(results)
        leaves = [next(values) if x is Variable else x for x in self.trace.constants]
        return self.trace.structure.build(leaves)


def _one_after_another(parts: Sequence[Any]) -> Any:
    """The stacked results of a scan that was run in parts."""
    from thalweg.ops.joining import cat

    flat = [flatten(part) for part in parts]
    columns = zip(*(leaves for leaves, _ in flat), strict=True)
    joined = [cat(c) if isinstance(c[0], Tensor) else c[-1] for c in map(list, columns)]
    return flat[0][1].build(joined)


def _iterations(tensors: Sequence[Tensor]) -> int:
    if not tensors:
        raise ShapeError("scan: at least one tensor expected, whose leading axis is run over")
    sizes = {x._value.shape[:1] for x in tensors}
    if len(sizes) != 1 or sizes == {()}:
        given = ", ".join(str(tuple(x._value.shape)) for x in tensors)
        raise ShapeError(f"scan: tensors of one leading size expected, got shapes {given}")
    return int(tensors[0]._value.shape[0])


def compile(fn: Callable[P, R] | None = None, *, fallback: Literal["eager"] | None = None) -> Any:
    """Compile a function of tensors to one native program; usable as a decorator.

    The function is ordinary code: modules, `backward()`, optimizers, schedules, randomness. It is
    traced once for each signature (shapes, dtypes, other arguments, train or eval mode); afterwards
    its program runs, reads the tensors it captured as they are then, and gives those that it
    changed their new values. What cannot be traced raises `TraceError`; with `fallback="eager"` it
    warns once and runs as it is.

    A result is on the tape, as the function's own would be, unless it was differentiated inside: a
    compiled model trains in an eager loop, and its backward pass is a compiled program too. The
    results of `scan` are not.

    What the function reads besides, numbers of its closure, globals, attributes of modules and of
    other objects, is part of the program; where one is another at a later call, it is traced again.

    A module stays a module, with its parameters, mode and state dictionary, whose calls are
    compiled; a method that is decorated is compiled for each object.

    >>> import thalweg as tw
    >>> w = tw.ones(3, requires_grad=True)
    >>> optimizer = tw.optim.SGD([w], lr=0.25)
    >>> @tw.compile
    ... def step(x):
    ...     loss = (w * x).sum()
    ...     optimizer.zero_grad(); loss.backward(); optimizer.step()
    ...     return loss
    >>> step(tw.tensor([1.0, 2.0, 4.0])), w
    (tensor(7.), tensor([0.7500, 0.5000, 0.0000], requires_grad=True))
    """
    if fn is None:
        return lambda function: compile(function, fallback=fallback)
    if hasattr(type(fn), "_compiled"):  # a module stays one
        module: Any = fn
        return module._compiled(fallback)
    if not callable(fn):
        raise ConfigError(f"compile: a function or a module expected, got {type(fn).__name__}")
    return Compiled(fn, fallback)
