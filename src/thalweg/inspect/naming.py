"""Names for what a graph shows: those the user gives, and numbers for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from thalweg.errors import ConfigError
from thalweg.tape import Node, TensorBase

__all__ = ["Names"]


class Names:
    """Which name belongs to which node, leaf or constant.

    `named` is a module (its `named_parameters`), a mapping, such as `locals()`, or pairs; what is
    no tensor in it is passed over. `given` are the keyword names, all of them tensors.
    A constant is known by its value: two tensors that share it are one and the same.
    """

    def __init__(self, named: Any, given: Mapping[str, Any]) -> None:
        for name, tensor in given.items():
            if not isinstance(tensor, TensorBase):
                raise ConfigError(
                    f"graph: {name}={tensor!r} names a {type(tensor).__name__}, expected a tensor"
                )
        self._nodes: dict[Node, str] = {}
        self._leaves: dict[int, str] = {}
        self._values: dict[int, str] = {}
        self._taken: set[str] = set()
        self._asked = set(given)
        # The keywords first: the first name of a tensor stays. Jupyter's own (_, _3) come last.
        found = [(n, t) for n, t in _pairs(named) if isinstance(t, TensorBase)]
        found.sort(key=lambda pair: pair[0].startswith("_"))
        for name, tensor in (*given.items(), *found):
            self._enter(name, tensor)

    def _enter(self, name: str, tensor: Any) -> None:
        if isinstance(tensor._node, Node):
            self._nodes.setdefault(tensor._node, name)
        else:
            self._leaves.setdefault(id(tensor), name)
            self._values.setdefault(id(tensor._value), name)
        self._taken.add(name)

    def of_node(self, node: Node) -> str | None:
        """The name the user gave to an operation's result, or None."""
        return self._used(self._nodes.get(node))

    def of_leaf(self, leaf: TensorBase) -> str | None:
        """The name the user gave to a leaf that requires a gradient, or None."""
        return self._used(self._leaves.get(id(leaf)))

    def of_value(self, value: Any) -> str | None:
        """The name the user gave to a constant, or None."""
        return self._used(self._values.get(id(value)))

    def free(self, letter: str, number: int) -> str:
        """A name for what has none: the letter and the number, and primes until nobody has it."""
        name = f"{letter}{number}"
        while name in self._taken:
            name += "'"
        self._taken.add(name)
        return name

    def _used(self, name: str | None) -> str | None:
        self._asked.discard(name or "")
        return name

    @property
    def absent(self) -> list[str]:
        """The keyword names whose tensors were not met."""
        return sorted(self._asked)


def _pairs(named: Any) -> Iterable[tuple[str, Any]]:
    if named is None:
        return ()
    if hasattr(named, "named_parameters"):
        found: Iterable[tuple[str, Any]] = named.named_parameters()
        return found
    if isinstance(named, Mapping):
        return named.items()
    try:
        return [(str(name), tensor) for name, tensor in named]
    except TypeError:
        raise ConfigError(
            f"graph: names come from a module, a mapping or pairs, got {type(named).__name__}; "
            "to name a tensor write graph(loss, w=w)"
        ) from None
