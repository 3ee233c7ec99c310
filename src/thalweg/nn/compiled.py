"""A network whose calls run compiled, and which is the network in all else."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from thalweg.nn.module import Module

__all__ = ["compiled_module"]

M = TypeVar("M", bound=Module)


def compiled_module(module: M, fallback: Literal["eager"] | None = None, inside: bool = False) -> M:
    """`module` with calls that are compiled: what `tw.compile(module)` gives.

    It shares all attributes with `module`: parameters, mode, hooks; what is set on one is set on
    both, and a state dictionary of one fits the other. It is of the module's class too, so that it
    may stand in a container. `graph()`, `scan` and the like are those of a compiled function,
    unless the class has its own. With `inside`, `module` itself becomes it.
    """
    from thalweg.compiler.function import Compiled

    kind: Any = type(module)
    made: Any = module if inside else _sharing(kind, module)

    def call(*args: Any, **kwargs: Any) -> Any:
        return kind.__call__(made, *args, **kwargs) if inside else module(*args, **kwargs)

    call.__name__, call.__doc__ = kind.__name__, kind.__doc__
    program: Compiled[..., Any] = Compiled(call, fallback)
    members: dict[str, Any] = {
        "__module__": kind.__module__,
        "__doc__": kind.__doc__,
        "__call__": lambda self, *args, **kwargs: program(*args, **kwargs),
        "__reduce__": lambda self: (compiled_module, (_sharing(kind, self), fallback, inside)),
    }
    if not hasattr(kind, "__getattr__"):
        members["__getattr__"] = lambda self, name: _other(module, program, name)
    made.__class__ = type(kind.__name__, (kind,), members)
    return made  # type: ignore[no-any-return]  # of a class that is derived from M


def _sharing(kind: type[M], module: Module) -> M:
    """Another object with the attributes of `module`, not copies of them."""
    made = object.__new__(kind)
    made.__dict__ = module.__dict__
    return made


def _other(module: Module, program: Any, name: str) -> Any:
    """What is no attribute: `scan`, `graph` and the like of the program; a parametrized tensor."""
    if hasattr(program, name) and not name.startswith("_"):
        return getattr(program, name)
    if isinstance(found := getattr(type(module), name, None), property):
        return found.__get__(module)
    raise AttributeError(f"{type(module).__name__!r} object has no attribute {name!r}")
