"""Attributes of one module that are computed whenever they are read.

The module becomes one of a class of its own, which has a property for each of them. A class is
never changed, so that copies of a module stay apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thalweg.nn.module import Module

__all__ = ["compute", "computed", "stop_computing"]

Reader = Callable[[Module], Any]
Writer = Callable[[Module, Any], None]
_Entry = tuple[Reader, Writer, str]


def computed(module: Module) -> dict[str, _Entry]:
    """What reads and what writes each computed attribute, and what its class is called for it."""
    found: dict[str, _Entry] = getattr(type(module), "_computed", {})
    return dict(found)


def compute(module: Module, name: str, read: Reader, write: Writer, label: str = "") -> None:
    """Let module.name be read(module), and setting it write(module, value).

    `label` stands before the name of the module's class from then on.
    """
    _set(module, {**computed(module), name: (read, write, label)})


def stop_computing(module: Module, name: str) -> None:
    """Let module.name be a plain attribute again, which is not there yet."""
    _set(module, {label: entry for label, entry in computed(module).items() if label != name})


def _set(module: Module, entries: dict[str, _Entry]) -> None:
    kind = type(module).__bases__[0] if computed(module) else type(module)
    if entries:
        label = max(label for _, _, label in entries.values())
        made = {name: property(read, write) for name, (read, write, _) in entries.items()}
        body = {"__module__": __name__, "_computed": entries, **made}
        kind = type(f"{label}{kind.__name__}", (kind,), body)
    module.__class__ = kind
