"""How the house is kept: imports point down, `__all__` is true, files short, the import light."""

from __future__ import annotations

import ast
import graphlib
import importlib
import inspect
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"

# From the face down: a part may import those of its own row and of the rows below it.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"__main__"}),
    frozenset({"cli", "lab"}),
    frozenset({"__init__"}),
    frozenset({"train", "inspect", "lectures", "minimize", "search"}),
    frozenset({"models"}),
    frozenset({"nn", "optim", "data", "interop", "distributions"}),
    frozenset(
        {"_tensor", "_format", "ops", "linalg", "autodiff", "autograd", "func", "compiler", "tape"}
        | {"cuda", "testing", "utils"}
    ),
    frozenset({"primitives"}),
    frozenset({"devices", "drawing", "dtypes", "errors", "files", "memory", "settings"}),
)
HEIGHT = {part: -depth for depth, parts in enumerate(LAYERS) for part in parts}

# The rooms of the compiler, from the user's line down to the machine's instruction.
ROOMS = (
    ("tracing", "native", "passes", "lower"),
    ("passes.plan", "passes.fusion", "passes.equations"),
)

# PyTorch has these names a second time, such as torch.no_grad and torch.autograd.no_grad.
SECOND_FACES = {"thalweg.autograd", "thalweg.nn.functional"}

LOADED_LATER = (
    "thalweg.cli",
    "thalweg.compiler",
    "thalweg.distributions",
    "thalweg.drawing",
    "thalweg.inspect",
    "thalweg.lab",
    "thalweg.lectures",
    "thalweg.minimize",
    "thalweg.models",
    "thalweg.testing",
    "thalweg.train",
)
LONGEST = 500


class Import(NamedTuple):
    """One import statement's target: the module, and the name it binds where there is one."""

    module: str
    name: str | None
    bound: str
    line: int
    at_top: bool


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}
MODULES = [name for name in FILES if not name.endswith("__main__")]


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def is_type_checking(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in {getattr(test, "id", ""), getattr(test, "attr", "")}


def running(node: ast.AST, at_top: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """Every node below `node` that is there when the code runs, and whether importing runs it."""
    hidden = isinstance(node, ast.If) and is_type_checking(node.test)
    for child in node.orelse if hidden else ast.iter_child_nodes(node):
        inside = at_top and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield child, inside
        yield from running(child, inside)


@cache
def imports(module: str) -> tuple[Import, ...]:
    """What `module` imports from the package, lazily or not; `if TYPE_CHECKING` does not count."""
    found: list[Import] = []
    for node, at_top in running(tree(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name
                found.append(Import(alias.name, None, bound, node.lineno, at_top))
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                target = (submodule, None) if submodule in FILES else (node.module, alias.name)
                found.append(Import(*target, alias.asname or alias.name, node.lineno, at_top))
    return tuple(i for i in found if i.module.split(".")[0] == "thalweg")


def part(module: str) -> str:
    """The layer table's word for a module: its first name below the package."""
    return [*module.split("."), "__init__"][1]


def public_definitions(module: str) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    defined = {node.name for node in tree(module).body if isinstance(node, kinds)}
    return {name for name in defined if not name.startswith("_")}


def public_names(module: ModuleType) -> list[str]:
    assert hasattr(module, "__all__"), f"{module.__name__} has no __all__"
    return list(module.__all__)


# -- imports ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", FILES)
def test_part_has_a_layer(module: str) -> None:
    assert part(module) in HEIGHT, f"give {part(module)!r} a row in LAYERS"


@pytest.mark.parametrize("module", FILES)
def test_imports_point_down(module: str) -> None:
    own = HEIGHT[part(module)]
    upward = [
        f"{FILES[module].relative_to(ROOT)}:{i.line} imports {i.module}"
        for i in imports(module)
        if HEIGHT[part(i.module)] > own
    ]
    assert not upward


def inside(module: str, room: str) -> bool:
    return f"{module}.".startswith(f"thalweg.compiler.{room}.")


@pytest.mark.parametrize(("row", "n"), [(row, n) for row in ROOMS for n in range(len(row))])
def test_imports_between_the_rooms_of_the_compiler_point_down(row: tuple[str, ...], n: int) -> None:
    members = [m for m in FILES if inside(m, row[n])]
    assert members, f"there is no room {row[n]!r}"
    upward = [
        f"{m} imports {i.module}"
        for m in members
        for i in imports(m)
        for above in row[:n]
        if inside(i.module, above)
    ]
    assert not upward


def test_no_circle_of_imports() -> None:
    needs = {m: {i.module for i in imports(m) if i.at_top and i.module in FILES} for m in FILES}
    graphlib.TopologicalSorter(needs).prepare()  # a CycleError lists the modules in the circle


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import thalweg.nn", [("thalweg.nn", True)]),
        ("def f():\n    from thalweg.train import Trainer", [("thalweg.train", False)]),
        ("if TYPE_CHECKING:\n    import thalweg.cli", []),
        (
            "if typing.TYPE_CHECKING:\n    import a\nelse:\n    import thalweg.nn",
            [("thalweg.nn", True)],
        ),
        ("class A:\n    from thalweg import nn", [("thalweg.nn", True)]),
    ],
)
def test_the_reader_of_imports(
    source: str, expected: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FILES, "thalweg.nn", SOURCE / "thalweg" / "nn" / "__init__.py")
    monkeypatch.setattr(f"{__name__}.tree", lambda module: ast.parse(source))
    assert [(i.module, i.at_top) for i in imports.__wrapped__("any")] == expected


def test_every_folder_is_a_package() -> None:
    folders = {path.parent for path in FILES.values()}
    assert {folder.name for folder in folders if not (folder / "__init__.py").exists()} == set()


# -- public names ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_all_is_sorted_and_true(name: str) -> None:
    module = importlib.import_module(name)
    names = public_names(module)
    assert names == sorted(set(names))
    assert [n for n in names if not hasattr(module, n)] == []


@pytest.mark.parametrize("name", MODULES)
def test_all_is_complete(name: str) -> None:
    missing = public_definitions(name) - set(public_names(importlib.import_module(name)))
    assert not missing, "list them in __all__, or give them a leading underscore"


def test_nothing_is_exported_twice() -> None:
    faces: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for name in set(MODULES) - SECOND_FACES:
        public = set(getattr(importlib.import_module(name), "__all__", ()))
        for i in imports(name):
            if i.at_top and i.name and i.bound in public:
                faces[home(i.module, i.name)].append(name)
    assert {origin: names for origin, names in faces.items() if len(names) > 1} == {}


def home(module: str, name: str) -> tuple[str, str]:
    """Where `name` is defined, following the imports of the modules that pass it on."""
    for i in imports(module):
        if i.bound == name and i.name:
            return home(i.module, i.name)
    return module, name


@pytest.mark.parametrize("name", MODULES)
def test_public_names_have_docstrings(name: str) -> None:
    module = importlib.import_module(name)
    assert inspect.getdoc(module), "the module has no docstring"
    silent = [
        label
        for public in public_names(module)
        for label, value in described(public, getattr(module, public))
        if getattr(value, "__module__", name) == name and not inspect.getdoc(value)
    ]
    assert not silent


def described(name: str, value: object) -> Iterator[tuple[str, object]]:
    """A public function, or a public class with its public methods, that wants a docstring."""
    if inspect.isfunction(value) or inspect.isclass(value):
        yield name, value
    if inspect.isclass(value):
        for attribute in vars(value):
            method = getattr(value, attribute)
            if attribute[0] != "_" and (inspect.isroutine(method) or isinstance(method, property)):
                yield f"{name}.{attribute}", method


# -- weight ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [p for folder in ("src", "tests", "benchmarks") for p in sorted((ROOT / folder).rglob("*.py"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_file_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@cache
def loaded_by_import() -> frozenset[str]:
    """What `import thalweg` adds to what `import numpy` loads, in a fresh interpreter."""
    script = (
        "import json, sys, numpy; before = set(sys.modules); import thalweg; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return frozenset(json.loads(done.stdout))


def test_import_loads_no_library_but_numpy() -> None:
    known = {"thalweg", "numpy"} | set(sys.stdlib_module_names)
    assert sorted({name for name in loaded_by_import() if name.split(".")[0] not in known}) == []


def test_import_loads_only_the_core() -> None:
    loaded = loaded_by_import()
    assert "thalweg" in loaded
    assert (
        sorted(n for n in loaded if f"{n}.".startswith(tuple(f"{m}." for m in LOADED_LATER))) == []
    )
