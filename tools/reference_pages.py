"""The reference: a page for each public module, made of its names' docstrings.

python -m tools.reference_pages            write docs/reference/
python -m tools.reference_pages --check    fail where a page is not what the docstrings say
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from tools.examples import EXAMPLES, PREAMBLE

__all__ = ["MODULES", "main", "page", "pages"]

ROOT = Path(__file__).parent.parent
OUT = ROOT / "docs" / "reference"
_WIDTH = 100

# Each public module, in the order of the index, and what it is called there.
MODULES = {
    "thalweg": "tensors and the operations on them",
    "thalweg.nn": "modules",
    "thalweg.nn.functional": "functions of networks",
    "thalweg.nn.init": "initial values",
    "thalweg.nn.utils": "what is done to modules and gradients",
    "thalweg.nn.utils.rnn": "sequences of different lengths",
    "thalweg.nn.utils.parametrizations": "weights computed from others",
    "thalweg.optim": "optimizers",
    "thalweg.optim.lr_scheduler": "schedules of the step size",
    "thalweg.optim.swa_utils": "averages of parameters",
    "thalweg.func": "transforms of functions",
    "thalweg.autograd": "differentiation",
    "thalweg.linalg": "linear algebra",
    "thalweg.distributions": "probability distributions",
    "thalweg.data": "data sets and loaders",
    "thalweg.data.transforms": "augmentation",
    "thalweg.train": "training",
    "thalweg.models": "networks that are known by name",
    "thalweg.minimize": "minimizing any function",
    "thalweg.search": "hyperparameter search",
    "thalweg.testing": "comparing in tests",
    "thalweg.utils.checkpoint": "values computed again instead of kept",
    "thalweg.utils.data": "data sets and loaders as PyTorch has them",
    "thalweg.cuda": "what is asked before a device is chosen",
    "thalweg.inspect": "looking inside",
    "thalweg.interop": "files of other libraries",
}


@cache
def pages() -> dict[Path, str]:
    """Every page's text, by its path; the index too."""
    found = {OUT / f"{name}.md": page(name) for name in MODULES}
    found[OUT / "index.md"] = _index()
    return found


def _index() -> str:
    about_it = "Every public name, with its docstring. Made by `make pages`."
    lines = ["# Reference", "", about_it, ""]
    for name, about in MODULES.items():
        count = len(list(_names(_module(name))))
        lines.append(f"- [{name}]({name}.md): {about}; {count} names")
    return "\n".join(lines) + "\n"


def _module(name: str) -> ModuleType:
    found: Any = importlib.import_module(name)
    if not isinstance(found, ModuleType):  # pragma: no cover
        raise TypeError(name)
    return found


def page(name: str) -> str:
    """The page of a module."""
    module = _module(name)
    parts = [f"# {name}", _fenced(inspect.getdoc(module) or "")]
    names = list(_names(module))
    parts.append(" · ".join(f"[{n}](#{_anchor(name, n)})" for n, _ in names))
    parts += [_entry(name, n, value) for n, value in names]
    return "\n\n".join(parts) + "\n"


def _names(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The module's public classes and functions, in alphabetical order."""
    for name in sorted(module.__all__, key=lambda n: (n.lower(), n)):
        value = getattr(module, name)
        if callable(value) and not isinstance(value, ModuleType):
            yield name, value


def _anchor(module: str, name: str) -> str:
    return re.sub(r"[^\w-]", "", f"{module}{name}".lower())


def _entry(module: str, name: str, value: Any) -> str:
    parts = [f"## {module}.{name}", _signature(name, value)]
    parts.append(_fenced(_with_example(f"{module}.{name}", inspect.getdoc(value) or "")))
    if inspect.isclass(value):
        parts += _methods(value)
    return "\n\n".join(filter(None, parts))


def _with_example(name: str, about: str) -> str:
    """A docstring of a line, and what an expression gives."""
    if ">>>" in about or name not in EXAMPLES:
        return about
    expression = EXAMPLES[name]
    names: dict[str, Any] = {"tw": importlib.import_module("thalweg")}
    exec(PREAMBLE, names)  # the lines and the expressions are ours
    given = [line for line in PREAMBLE.strip().split("; ") if _uses(expression, line[0])]
    shown = repr(eval(expression, names))
    lines = [">>> import thalweg as tw", *(f">>> {line}" for line in given), f">>> {expression}"]
    return "\n".join([about, "", *lines, *([] if shown == "None" else [shown])])


def _uses(expression: str, name: str) -> bool:
    return re.search(rf"(?<![\w.'\"]){name}(?![\w'\"=])", expression) is not None


def _methods(kind: type) -> Iterator[str]:
    """The methods and properties of a class, and of bases that have no entry of their own."""
    bases = inspect.getmro(kind)
    shown = [base for base in bases[1:] if base in _listed()]
    for owner in bases:
        elsewhere = owner is not kind and any(issubclass(base, owner) for base in shown)
        if elsewhere or not owner.__module__.startswith("thalweg"):
            continue
        for name, member in vars(owner).items():
            function = member.fget if isinstance(member, property) else member
            function = getattr(function, "__func__", function)
            if name.startswith("_") or not inspect.isfunction(function):
                continue
            about = inspect.getdoc(function)
            if about and getattr(kind, name) is getattr(owner, name):
                spelled = name if isinstance(member, property) else f"{name}(..)"
                yield f"### {kind.__name__}.{spelled}\n\n{_fenced(about)}"


@cache
def _listed() -> frozenset[Any]:
    """The classes that have an entry."""
    values = (value for name in MODULES for _, value in _names(_module(name)))
    return frozenset(value for value in values if inspect.isclass(value))


def _signature(name: str, value: Any) -> str:
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    bare = signature.replace(
        parameters=[
            p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()
        ],
        return_annotation=inspect.Signature.empty,
    )
    text = re.sub(r"<function (\w+) at 0x\w+>|<class '([\w.]+)'>", r"\1\2", f"{name}{bare}")
    text = re.sub(r" at 0x\w+", "", text)
    return f"```py\n{text}\n```"


def _fenced(text: str) -> str:
    """A docstring as it stands: its layout is made for reading."""
    return f"````text\n{text}\n````" if text else ""


def main() -> int:
    """Write the pages, or check them."""
    wanted = pages()
    if "--check" in sys.argv[1:]:
        stale = [p for p, text in wanted.items() if not p.exists() or p.read_text("utf-8") != text]
        stale += [p for p in OUT.glob("*.md") if p not in wanted]
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what the docstrings say")
        return 1 if stale else 0
    OUT.mkdir(exist_ok=True)
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
