"""What a traced function reads beside its tensors: the Python values that its names stand for.

A number from a closure, a global setting, an attribute of a module, an entry of a list: in a traced
program all of these are constants, and which tensor a name stands for is one too. Before a trace
the code is looked through, that of the function and of all users' code it names, for the names that
it reads; what they stand for is noted. A program is used while they stand for the same. Otherwise
the function is traced again, so that it never computes with a value of the past.

    a variable of an enclosing function, a global    which object it is, or an equal number
    an attribute that the code names                 the same; of a layer, every attribute
    a list, tuple, set, dictionary                   its items
    a NumPy array                                    its elements, bit by bit
    a clock, a random generator, an iterator         nothing: that they are asked is warned of

What the function itself appends to a list, or enters into a dictionary, is not held against it.
Not looked at: code of the standard library, of installed packages but for those that the roots are
of, and of Thalweg but for what users give it.
"""

from __future__ import annotations

import dis
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from operator import attrgetter, is_
from types import BuiltinMethodType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from thalweg.compiler.graph import Variable
from thalweg.compiler.tracing.asked import LIBRARIES, answers_anew
from thalweg.dtypes import DType
from thalweg.tape import TensorBase

__all__ = ["Surroundings"]

_PLAIN: Final = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype, DType)
_SEQUENCES: Final = (list, tuple, set, frozenset, deque)
_LONGEST: Final = 10_000  # items of a list that is looked into
_LARGE: Final = 1 << 20  # bytes of an array that takes about 0.1 ms
_MOST: Final = 20_000  # objects that are looked into
_OTHERS: Final = LIBRARIES | {"thalweg"}
_INSTALLED: Final = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
_CALLED: Final = ("__call__", "__init__", "forward")  # what the code runs without its name
_ALL: Final = frozenset({"getattr", "hasattr", "vars", "__dict__", "children", "named_children"})


class Surroundings:
    """What the names read by `roots`, functions and objects given to them, stand for now.

    anew  what may answer otherwise each time it is asked, such as a clock (see `asked`)
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        self.anew: list[Any] = []
        self._cells: list[tuple[CellType, str, Any]] = []
        self._tables: list[_Table] = []
        self._lists: list[tuple[Any, tuple[Any, ...]]] = []
        self._dicts: list[tuple[Mapping[Any, Any], int]] = []
        self._values: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
        self._arrays: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = []
        _Walk(self).run(roots)
        self._held = [c for c, _, _ in self._cells], [value for _, _, value in self._cells]
        noted = self._cells, self._tables, self._lists, self._dicts, self._arrays
        self.is_empty = not any(noted)

    def hold(self) -> bool:
        """Whether all is as it was."""
        cells, contents = self._held  # no Python for each of them: this runs at every call
        try:
            are_held = all(map(is_, map(_CONTENTS, cells), contents))
        except ValueError:
            are_held = False
        if not are_held and not all(_same(_content(cell), value) for cell, _, value in self._cells):
            return False
        for get, names, values in self._tables:
            if not all(map(is_, map(get, names), values)) and _difference(get, names, values):
                return False
        for items, before in self._lists:
            if not _equal_items(items, before):
                return False
        for entries, count in self._dicts:
            if len(entries) != count:
                return False
        return not self._arrays or all(_same_bits(x, y) for x, y in self._arrays)

    def changed(self) -> str:
        """What is not as it was, in words."""
        for cell, name, value in self._cells:
            if not _same(_content(cell), value):
                return _words(name, value, _content(cell))
        for get, names, values in self._tables:
            if found := _difference(get, names, values):
                return found
        return "what it reads from a list, a dictionary or a NumPy array has changed"

    def large(self) -> list[np.ndarray[Any, Any]]:
        """The NumPy arrays whose comparison takes time at each call."""
        return [x for x, _ in self._arrays if x.nbytes > _LARGE]

    def escaped(self) -> Any:
        """A value of the trace that the function put into a list or a dictionary; None if none.

        It is taken out again.
        """
        for items, before in self._lists:
            new = [x for x in items if _is_traced(x) and not any(map(partial(is_, x), before))]
            if new and isinstance(items, list):
                items[:] = before
                return new[0]._value
        for entries, former in self._values:
            known = former.values()
            new = [x for x in entries.values() if _is_traced(x) and not any(x is y for y in known)]
            if new:
                entries.clear()
                entries.update(former)
                return new[0]._value
        return None

    def settle(self) -> None:
        """Take what the function itself has appended and entered as having been there."""
        self._lists = [
            (items, tuple(items) if _equal_items(tuple(items)[: len(before)], before) else before)
            for items, before in self._lists
        ]
        self._dicts = [(entries, max(count, len(entries))) for entries, count in self._dicts]


class _Table(NamedTuple):
    """Some of the entries of a dictionary, mostly of an object's attributes."""

    get: Callable[[Any], Any]  # an entry that is not there counts as None
    names: list[Any]
    values: list[Any]


_CONTENTS: Final = attrgetter("cell_contents")


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing has been assigned
        return None


def _same(now: Any, then: Any) -> bool:
    """Whether a trace would not tell them apart."""
    if now is then:
        return True
    if isinstance(now, _PLAIN):
        return type(now) is type(then) and (now == then or (now != now and then != then))
    if isinstance(now, tuple) and isinstance(then, tuple):
        return _equal_items(now, then)
    return _is_traced(now) and _is_traced(then)  # the trace went well: it was not read


def _same_bits(now: np.ndarray[Any, Any], then: np.ndarray[Any, Any]) -> bool:
    if (now.shape, now.dtype) != (then.shape, then.dtype):
        return False
    if now.dtype.hasobject:
        return np.array_equal(now, then)
    words = f"V{now.itemsize}" if now.itemsize not in (1, 2, 4, 8) else f"u{now.itemsize}"
    return np.array_equal(now.view(words), then.view(words))


def _is_traced(x: Any) -> bool:
    return isinstance(x, TensorBase) and x._value.__class__ is Variable


def _equal_items(now: Any, then: tuple[Any, ...]) -> bool:
    if len(now) != len(then):
        return False
    return all(map(is_, now, then)) or all(map(_same, now, then))


def _difference(get: Callable[[Any], Any], names: list[Any], values: list[Any]) -> str:
    """The first entry that is another than it was, in words; "" where there is none."""
    for name, value in zip(names, values, strict=True):
        if not _same(get(name), value):
            return _words(str(name), value, get(name))
    return ""


def _words(name: str, then: Any, now: Any) -> str:
    if isinstance(then, _PLAIN) and isinstance(now, _PLAIN):
        return f"{name} was {str(then)[:40]} and is {str(now)[:40]}"
    return f"{name} is another {type(now).__name__} than it was"


# -- the search ------------------------------------------------------------------------------------


class _Reads(NamedTuple):
    """The names that a piece of code reads, the functions defined in it included."""

    variables: frozenset[str]
    attributes: frozenset[str]
    imports: frozenset[str]


@lru_cache(maxsize=4096)
def _reads(code: CodeType) -> _Reads:
    variables, attributes, imports = set(), set(), set()
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            variables.add(step.argval)
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "IMPORT_FROM"):
            attributes.add(step.argval)
        elif step.opname == "IMPORT_NAME":
            imports.add(step.argval)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            below = _reads(inner)
            variables |= below.variables
            attributes |= below.attributes
            imports |= below.imports
    return _Reads(frozenset(variables), frozenset(attributes), frozenset(imports))


class _Walk:
    """Goes through all that can be reached by the names that are read, and notes it."""

    def __init__(self, found: Surroundings) -> None:
        self.found = found
        self.names: set[str] = set(_CALLED)
        self.own: frozenset[str] = frozenset()  # packages of the roots
        self.todo: list[Any] = []
        self.seen: dict[int, Any] = {}
        self.owners: list[_Owner] = []
        self.tables: dict[int, tuple[Mapping[Any, Any], dict[Any, Any]]] = {}
        self.numpy: Any = None  # where the code names it

    def run(self, roots: Iterable[Any]) -> None:
        self.todo.extend(roots)
        self.own = frozenset(map(_package_of, self.todo))
        known = -1
        while self.todo or known < len(self.names):
            while self.todo and len(self.seen) < _MOST:
                self._look(self.todo.pop())
            self.todo.clear()
            known = len(self.names)
            for owner in self.owners:  # new names may be of objects that are known
                self._attributes(owner)
        if self.numpy is not None and not self.names.isdisjoint(("random", "default_rng")):
            self.found.anew.append(self.numpy.random)
        for table, noted in self.tables.values():
            row = _Table(table.get, list(noted), list(noted.values()))
            self.found._tables.append(row)

    def _look(self, x: Any) -> None:
        if isinstance(x, (*_PLAIN, TensorBase)) or id(x) in self.seen:
            return
        self.seen[id(x)] = x
        if answers_anew(x):
            self.found.anew.append(x)
        if x is np:
            self.numpy = x
        self._look_into(x)

    def _look_into(self, x: Any) -> None:
        if isinstance(x, FunctionType):
            self._function(x)
        elif isinstance(x, MethodType):
            self.todo += [x.__func__, x.__self__]
        elif isinstance(x, BuiltinMethodType):  # such as get of a dictionary
            if not isinstance(x.__self__, ModuleType):  # whose function it is
                self.todo.append(x.__self__)
        elif isinstance(x, partial):
            self.todo += [x.func, x.args, x.keywords]
        elif isinstance(x, (property, staticmethod, classmethod)):
            self.todo.append(x.fget if isinstance(x, property) else x.__func__)
        elif isinstance(x, np.ndarray):
            self.found._arrays.append((x, x.copy()))
        elif isinstance(x, (dict, *_SEQUENCES)):
            self._items(x)
        else:
            self._object(x)

    def _function(self, function: FunctionType) -> None:
        pairs = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        cells = [(cell, name, _content(cell)) for name, cell in pairs]
        self.todo += [content for _, _, content in cells]
        self.todo += [function.__defaults__, function.__kwdefaults__]
        known = function.__globals__
        # Where its code is: `__module__` is that of what it wraps, for a `vmap`, say, users'.
        # What ours enclose, such as what a `vmap` is of, is never another.
        if self._is_users(known.get("__name__")):
            self.found._cells += cells
            reads = _reads(function.__code__)
            self.names |= reads.attributes
            self._note(known, [name for name in reads.variables if name in known])
            self.todo += [sys.modules.get(name) for name in reads.imports]
            if "open" in reads.variables and "open" not in known:
                self.found.anew.append(open)

    def _is_users(self, name: str | None) -> bool:
        """Whether users wrote what is in a module."""
        module = name or ""
        package = module.partition(".")[0]
        if package in _OTHERS:
            return _is_training(module)
        return package in self.own or not _is_installed(package)

    def _items(self, x: Any) -> None:
        if len(x) > _LONGEST:
            return
        if isinstance(x, dict):
            self.found._dicts.append((x, len(x)))
            self.found._values.append((x, dict(x)))
            self._note(x, list(x))
            return
        if not isinstance(x, (tuple, frozenset)):
            self.found._lists.append((x, tuple(x)))
        self.todo.extend(x)

    def _object(self, x: Any) -> None:
        kind = x if isinstance(x, type) else type(x)
        inside = getattr(x, "__dict__", None)
        if isinstance(x, ModuleType):
            if x.__name__.partition(".")[0] not in _OTHERS:
                self.owners.append(_Owner(x, vars(x), [], set()))
        elif inside is None:
            if _is_ours(kind):
                self.todo += [getattr(x, name, None) for name in getattr(kind, "__slots__", ())]
        elif "__wrapped__" in inside:
            self.todo.append(inside["__wrapped__"])
        elif not _is_ours(kind) or callable(x):
            classes = [vars(c) for c in kind.__mro__ if self._is_users(c.__module__)]
            self.owners.append(_Owner(x, {} if x is kind else inside, classes, set()))

    def _attributes(self, owner: _Owner) -> None:
        """Note the attributes of an object that are read by name, or that its class reads."""
        wanted = self.names - owner.done
        if self._is_layer(owner.x) and not owner.done:
            self._note(owner.inside, ["forward", "_hooks"])
            owner.done.add("forward")
        if self._is_read_whole(owner.x) and "" not in owner.done:
            self.found._dicts.append((owner.inside, len(owner.inside)))
            owner.done.add("")
            wanted.update(owner.inside)
        owner.done.update(wanted)
        here = [name for name in wanted if name in owner.inside]
        for members in owner.classes:
            for name in wanted:
                if name in members:
                    self.todo.append(members[name])
                    if isinstance(members[name], (*_PLAIN, TensorBase)):
                        self._note(members, [name])
                    if name not in owner.inside:  # until the object is given one of its own
                        here.append(name)
        self._note(owner.inside, here)

    def _is_layer(self, x: Any) -> bool:
        """Whether it is called by its `forward`."""
        return callable(x) and not isinstance(x, type) and any(map(_is_ours, type(x).__mro__))

    def _is_read_whole(self, x: Any) -> bool:
        """Whether its attributes are read by code that is not looked at: ours, or by `getattr`."""
        if not self._is_layer(x):
            return False
        own = [c for c in type(x).__mro__ if _is_ours(c) and "__call__" not in vars(c)]
        written = any("forward" in vars(c) for c in own)  # a layer of ours, or made from one
        return written or _is_ours(type(x)) or not self.names.isdisjoint(_ALL)

    def _note(self, table: Mapping[Any, Any], names: list[Any]) -> None:
        if names:
            values = [table.get(name) for name in names]
            _, noted = self.tables.setdefault(id(table), (table, {}))
            noted.update(zip(names, values, strict=True))
            self.todo.extend(values)


class _Owner(NamedTuple):
    """An object whose attributes count: its own, its users' classes', and the names looked up."""

    x: Any
    inside: Mapping[str, Any]
    classes: list[Any]
    done: set[str]


def _package_of(root: Any) -> str:
    """The package whose code a function or an object runs."""
    while isinstance(root, MethodType | partial):
        root = root.__func__ if isinstance(root, MethodType) else root.func
    in_globals = getattr(root, "__globals__", {}).get("__name__")
    return str(in_globals or type(root).__module__).partition(".")[0]


@lru_cache(maxsize=4096)
def _is_installed(package: str) -> bool:
    """Whether it lies where packages are installed, and is no project that is worked on."""
    spec = getattr(sys.modules.get(package), "__spec__", None)
    return str(getattr(spec, "origin", None) or "").startswith(_INSTALLED)


def _is_training(module: str) -> bool:
    """Thalweg's training is written as users write."""
    return module.startswith("thalweg.train.")


def _is_ours(kind: type) -> bool:
    return kind.__module__.startswith("thalweg.") and not _is_training(kind.__module__)
