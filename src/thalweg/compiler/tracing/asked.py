"""What a traced function asks of the world that has another answer each time.

The time, numbers drawn elsewhere, files, the next item of an iterator: a trace takes the answer
once, and a compiled function has it at every call. That is warned of, with the line and what to
write instead. Calls are listened to only where the search of `surroundings` has met something that
could answer so; most functions are traced without.
"""

from __future__ import annotations

import datetime
import operator
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import BuiltinMethodType, FrameType, FunctionType, GeneratorType, ModuleType
from typing import Any, Final

import numpy as np

from thalweg.compiler.graph import Origin

__all__ = ["Asked", "LIBRARIES", "answers_anew", "listening"]

LIBRARIES: Final = frozenset({"numpy", *sys.stdlib_module_names})
SOURCES: Final = frozenset({"time", "random", "datetime", "uuid", "secrets", "numpy.random"})
_CYTHON: Final = "cython_function_or_method"  # what NumPy's own functions are
_ITERATED: Final = (enumerate, zip, map, filter)  # their __reduce__ gives what they iterate over

_CLOCKS: Final = ("time", "perf_counter", "monotonic", "process_time", "localtime", "gmtime")
_KINDS: Final[dict[Any, str]] = {
    **{getattr(time, name): "time" for name in _CLOCKS},
    **{getattr(time, f"{name}_ns"): "time" for name in _CLOCKS[:4]},
    datetime.datetime.now: "time",
    datetime.datetime.utcnow: "time",
    datetime.date.today: "time",
    os.urandom: "numbers",
    open: "file",
}
_WORDS: Final = {
    "time": "asked for the time while it was traced: in a compiled function the answer is the same "
    "at every call. Measure around the call, or pass the time as a tensor",
    "numbers": "was traced while numbers were drawn from Python's or NumPy's generator: in a "
    "compiled function they are the same at every call. Draw with tw.rand, tw.randn, ..., or pass "
    "them as tensors",
    "file": "opened a file while it was traced: a compiled function does so once, not at every "
    "call. Read before the call and pass tensors; write what the call returns",
    "next": "took the next item of an iterator while it was traced: a compiled function has the "
    "same item at every call. Take it outside, and pass it as an argument",
}


def answers_anew(x: Any) -> bool:
    """Whether calls of `x`, or of what it holds, may be answered otherwise each time."""
    if isinstance(x, ModuleType):
        return x.__name__ in SOURCES
    kind = x if isinstance(x, type) else type(x)
    if hasattr(type(x), "__next__") or _is_source(kind):
        return True
    if not isinstance(x, (FunctionType, BuiltinMethodType)) and kind.__name__ != _CYTHON:
        return False
    return _is_source(x) or _is_source(type(getattr(x, "__self__", None)))


def _is_source(x: Any) -> bool:
    module = getattr(x, "__module__", None) or ""
    return module in SOURCES or module.startswith("numpy.random.")


class Asked:
    """What was asked for while a function was traced: each kind once, with its line if known."""

    def __init__(self, anew: Sequence[Any]) -> None:
        self.found: dict[str, Origin | None] = {}
        self._generators = [x for x in anew if isinstance(x, GeneratorType)]
        self._frames = {id(x.gi_frame) for x in self._generators}
        self._others = [x for x in anew if not isinstance(x, GeneratorType)]
        self._before = [_place(x) for x in self._others], _drawn()

    def listen(self, frame: FrameType, event: str, call: Any) -> None:
        """A profiler, as `sys.setprofile` takes it."""
        if event == "c_call":
            kind = _KINDS.get(call)
            if kind is None and type(getattr(call, "__self__", None)).__module__ == "random":
                kind = "numbers"
            if kind is not None:
                self._note(kind, frame)
        elif event == "call" and id(frame) in self._frames and frame.f_back is not None:
            self._note("next", frame.f_back)

    def _note(self, kind: str, frame: FrameType) -> None:
        line = _line(frame)
        if line is not None:  # else it was Thalweg that asked
            self.found.setdefault(kind, line)

    def settle(self) -> None:
        """Add what nobody heard, and can be told from what has changed."""
        for x, place in zip(self._others, self._before[0], strict=True):
            if _place(x) != place:
                self.found.setdefault("next" if hasattr(x, "__next__") else "numbers", None)
        if _drawn() != self._before[1]:
            self.found.setdefault("numbers", None)

    def warn(self, name: str, stacklevel: int) -> None:
        """Warn of all of it."""
        for kind, line in self.found.items():
            where = f"\n  at {line}" if line else ""
            warnings.warn(f"{name} {_WORDS[kind]}{where}", stacklevel=stacklevel + 1)


def _line(frame: FrameType | None) -> Origin | None:
    """The line that had `frame` run, those of libraries left out; None where Thalweg had."""
    while frame is not None:
        module = frame.f_globals.get("__name__") or ""
        library = module.partition(".")[0]
        if library == "thalweg" and not module.startswith("thalweg.train."):
            return None
        if library not in LIBRARIES:
            return Origin(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
        frame = frame.f_back
    return None


@contextmanager
def listening(anew: Sequence[Any]) -> Iterator[Asked]:
    """Hear what is asked for in this block, if there is something in `anew`."""
    asked = Asked([y for x in anew for y in _inside(x)])
    listen: Callable[..., Any] | None = asked.listen if anew and not sys.getprofile() else None
    if listen is not None:
        sys.setprofile(listen)
    try:
        yield asked
    finally:
        if listen is not None:
            sys.setprofile(None)
    asked.settle()


def _inside(x: Any) -> Iterator[Any]:
    """An iterator, and those that it goes through."""
    yield x
    if isinstance(x, _ITERATED):
        given: Any = x.__reduce__()[1]
        for y in given:
            if hasattr(y, "__next__"):
                yield from _inside(y)


def _place(x: Any) -> Any:
    """Where an iterator or a random generator stands, as far as it tells."""
    if isinstance(x, np.random.Generator):
        return str(x.bit_generator.state)
    if isinstance(x, np.random.RandomState):
        return str(x.get_state(legacy=False))
    return operator.length_hint(x, -1) if hasattr(x, "__next__") else None


def _drawn() -> list[Any]:
    """Where the random generators stand that everybody shares."""
    generator = np.random.get_state(legacy=False)["state"]  # noqa: NPY002 -- to notice its use
    python = sys.modules.get("random")
    return [python and python.getstate(), generator["pos"], generator["key"][0].item()]
