"""Modules that hold modules or parameters in order or by name."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

from thalweg._tensor import Parameter, Tensor
from thalweg.errors import ConfigError, nearest
from thalweg.nn.module import Module, tree_repr

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]

T = TypeVar("T", Module, Parameter)


class _Holder(Module, Generic[T]):
    """What the containers share: their items are attributes, in the order they are set."""

    _kind: ClassVar[type[Any]] = Module

    def _items(self) -> dict[str, T]:
        kind = self._kind
        return {name: value for name, value in self.__dict__.items() if isinstance(value, kind)}

    def _put(self, name: str, value: Any) -> None:
        if not isinstance(value, self._kind):
            value = self._converted(name, value)
        if isinstance(self.__dict__.get(name), self._kind):
            setattr(self, name, value)
        else:
            self._set_new(name, value)

    def _converted(self, name: str, value: Any) -> T:
        raise ConfigError(
            f"{type(self).__name__}: item {name!r} is to be a {self._kind.__name__}, "
            f"got {type(value).__name__}"
        )

    def _replace(self, items: Iterable[tuple[str, T]]) -> None:
        items = list(items)
        for name in self._items():
            delattr(self, name)
        for name, value in items:
            self._put(name, value)

    def __len__(self) -> int:
        return len(self._items())


class _Parameters(_Holder[Parameter]):
    """Holders of parameters: a tensor that is put in becomes one, and prints by its shape."""

    _kind = Parameter

    def _converted(self, name: str, value: Any) -> Parameter:
        return Parameter(value) if isinstance(value, Tensor) else super()._converted(name, value)

    def __repr__(self) -> str:
        items = self._items().items()
        rows = [(f"({name})", f"Parameter of {p.dtype!r}, {tuple(p.shape)}") for name, p in items]
        return tree_repr(type(self).__name__, "", rows)


class _Indexed(_Holder[T]):
    """A list of items. They are named "0", "1", ... unless the constructor named them."""

    def _names(self) -> list[str]:
        return list(self._items())

    def _name(self, index: int | str) -> str:
        names = self._names()
        if isinstance(index, str) and index in names:
            return index
        if isinstance(index, str) or not -len(names) <= index < len(names):
            raise IndexError(f"{type(self).__name__} of {len(names)} items has no item {index!r}")
        return names[index]

    def _renumber(self, values: list[T]) -> None:
        self._replace((str(i), value) for i, value in enumerate(values))

    def _part(self, names: list[str]) -> Self:
        return self._of([self[name] for name in names])

    def _of(self, values: list[T]) -> Self:
        """A container of the same kind."""
        return type(self)(values)  # type: ignore[call-arg]  # each kind's constructor takes them

    @overload
    def __getitem__(self, index: int | str) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | str | slice) -> T | Self:
        if isinstance(index, slice):
            return self._part(self._names()[index])
        item: T = self.__dict__[self._name(index)]
        return item

    def __setitem__(self, index: int, item: T) -> None:
        self._put(self._name(index), item)

    def __delitem__(self, index: int | slice) -> None:
        chosen = self._names()[index] if isinstance(index, slice) else [self._name(index)]
        names = self._names()
        numbered = names == [str(i) for i in range(len(names))]
        for name in chosen:
            delattr(self, name)
        if numbered:
            self._renumber(list(self))

    def __iter__(self) -> Iterator[T]:
        return iter(self._items().values())

    def append(self, item: T) -> Self:
        """Add an item at the end, under the next number that no item has for a name."""
        numbers = itertools.count(len(self))
        self._put(next(name for name in map(str, numbers) if name not in self.__dict__), item)
        return self

    def extend(self, items: Iterable[T]) -> Self:
        """Add several items at the end."""
        for item in list(items):
            self.append(item)
        return self

    def insert(self, index: int, item: T) -> Self:
        """Put an item in before the one at `index`; those behind it move up."""
        values = list(self)
        values.insert(index, item)
        self._renumber(values)
        return self

    def pop(self, index: int = -1) -> T:
        """Take an item out and give it."""
        item = self[index]
        del self[index]
        return item

    def __add__(self, other: Iterable[T]) -> Self:
        return self._of(list(self) + list(other))

    def __iadd__(self, other: Iterable[T]) -> Self:
        return self.extend(other)


class _Named(_Holder[T]):
    """A dictionary of items by name."""

    def __init__(self, items: Mapping[str, T] | Iterable[tuple[str, T]] = ()) -> None:
        self.update(items)

    def __getitem__(self, name: str) -> T:
        items = self._items()
        if name not in items:
            raise ConfigError(f"{type(self).__name__} has no {name!r}; {nearest(name, items)}")
        return items[name]

    def __setitem__(self, name: str, item: T) -> None:
        self._put(name, item)

    def __delitem__(self, name: str) -> None:
        self.pop(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items())

    def __contains__(self, name: object) -> bool:
        return name in self._items()

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._items().keys()

    def values(self) -> Iterable[T]:
        """The items."""
        return self._items().values()

    def items(self) -> Iterable[tuple[str, T]]:
        """(name, item) pairs."""
        return self._items().items()

    def update(self, items: Mapping[str, T] | Iterable[tuple[str, T]]) -> None:
        """Add items, or replace those of the same name."""
        for name, item in dict(items).items():
            self._put(name, item)

    def pop(self, name: str) -> T:
        """Take an item out and give it."""
        item = self[name]
        delattr(self, name)
        return item

    def clear(self) -> None:
        """Take all items out."""
        self._replace(())


class Sequential(_Indexed[Module]):
    """Modules applied one after the other: y = f_n(... f_2(f_1(x))).

    Takes modules, or one dictionary of modules by name. `model[2]`, `model["2"]` and `model[:2]`
    are a layer, the same, and a network that shares the first two.

    >>> import thalweg as tw
    >>> model = tw.nn.Sequential(tw.nn.Linear(3, 4), tw.nn.ReLU(), tw.nn.Linear(4, 2))
    >>> model(tw.ones(5, 3)).shape
    Size([5, 2])
    >>> model
    Sequential(
      (0): Linear(in_features=3, out_features=4, bias=True)
      (1): ReLU()
      (2): Linear(in_features=4, out_features=2, bias=True)
    )
    """

    def __init__(self, *modules: Any) -> None:
        if len(modules) == 1 and isinstance(modules[0], dict):
            named = list(modules[0].items())
        else:
            named = [(str(i), module) for i, module in enumerate(modules)]
        for name, module in named:
            self._put(name, module)

    def _part(self, names: list[str]) -> Self:
        return type(self)({name: self[name] for name in names})

    def _of(self, values: list[Module]) -> Self:
        return type(self)(*values)

    def _converted(self, name: str, value: Any) -> Module:
        if isinstance(value, list | tuple):
            raise ConfigError("Sequential takes modules, not a list: write Sequential(*layers)")
        return super()._converted(name, value)

    def forward(self, input: Any) -> Any:
        """f_n(... f_1(x))."""
        for module in self.__dict__.values():
            if isinstance(module, Module):
                input = module(input)
        return input


class ModuleList(_Indexed[Module]):
    """A list of modules. It has no forward of its own: index it, or iterate over it.

    A plain list as an attribute trains just as well; see `Module`.

    >>> import thalweg as tw
    >>> layers = tw.nn.ModuleList(tw.nn.Linear(n, n) for n in (2, 3))
    >>> len(layers.append(tw.nn.Linear(4, 4))), layers[-1].in_features
    (3, 4)
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self.extend(modules)

    def __repr__(self) -> str:
        rows = []  # equal neighbours share one
        for text, group in itertools.groupby(enumerate(self), key=lambda pair: repr(pair[1])):
            first, *others = [i for i, _ in group]
            label = f"({first}-{others[-1]})" if others else f"({first})"
            rows.append((label, f"{len(others) + 1} x {text}" if others else text))
        return tree_repr(type(self).__name__, "", rows)


class ModuleDict(_Named[Module]):
    """Modules by name.

    >>> import thalweg as tw
    >>> heads = tw.nn.ModuleDict({"price": tw.nn.Linear(4, 1), "class": tw.nn.Linear(4, 3)})
    >>> list(heads), heads["class"](tw.ones(4)).shape
    (['price', 'class'], Size([3]))
    """


class ParameterList(_Parameters, _Indexed[Parameter]):
    """A list of parameters; tensors put in become parameters.

    >>> import thalweg as tw
    >>> weights = tw.nn.ParameterList([tw.ones(2), tw.zeros(3)])
    >>> [tuple(w.shape) for w in weights]
    [(2,), (3,)]
    """

    def __init__(self, parameters: Iterable[Any] = ()) -> None:
        self.extend(parameters)


class ParameterDict(_Parameters, _Named[Parameter]):
    """Parameters by name; tensors put in become parameters.

    >>> import thalweg as tw
    >>> scales = tw.nn.ParameterDict({"left": tw.ones(2)})
    >>> scales["left"].requires_grad
    True
    """
