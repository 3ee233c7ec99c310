"""The parser of a printed graph: what `str(graph)` gives, back as a Graph. For tests.

A literal's dtype is not printed. It is that of the other operands, of the result where there are
none, and int64 where the primitive wants an index.
"""

from __future__ import annotations

import ast
import itertools
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.compiler.graph import _SHORT, Atom, Equation, Graph, Literal, Variable
from thalweg.compiler.subgraph import Subgraph
from thalweg.dtypes import as_dtype
from thalweg.errors import TraceError
from thalweg.primitives import REGISTRY
from thalweg.primitives.loops import Bundle
from thalweg.primitives.notation import INFIX

__all__ = ["parse"]

_LONG = {short: name for name, short in _SHORT.items()}
_LINE = re.compile(r"(\w+)\s*:\s*(\S+)\s*=\s*(.+)$")
_CALL = re.compile(r"(\w+)(?:\[(.*)\])?\((.*)\)$")
_INFIX = re.compile(r"(\S+) (\S+) (\S+)$")
_ROWS = {symbol: name for name, symbol in INFIX.items()}
_GRAPHS = {"scan": ("body",), "cond": ("true", "false")}
_WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def parse(text: str) -> Graph:
    """The graph that `text` prints; inputs keep their names.

    >>> print(parse('''inputs x: f32[3]
    ... y : f32[3] = exp(x)
    ... outputs y'''))
    inputs x: f32[3]
    t1 : f32[3] = exp(x)
    outputs t1

    Raises `TraceError` for a line that is no equation.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    return _graph(lines)


def _graph(lines: Sequence[str]) -> Graph:
    """The graph of these lines; those that stand further in belong to the equation above them."""
    known: dict[str, Variable] = {}
    graph = Graph([], [], [])
    margin = min(map(_margin, lines), default=0)
    starts = [n for n, line in enumerate(lines) if _margin(line) == margin]
    for start, stop in itertools.pairwise([*starts, len(lines)]):
        line, inner = lines[start].strip(), lines[start + 1 : stop]
        word, _, rest = line.partition(" ")
        if word == "inputs":
            for name, kind in re.findall(r"(\w+): ([^ ,]+\[[^\]]*\]|\w+)", rest):
                known[name] = _variable(kind)
                graph.inputs.append(known[name])
                graph.names[known[name]] = name
        elif word == "outputs":
            graph.outputs = [_output(name, known) for name in rest.split(", ") if name]
        else:
            graph.equations.append(_equation(line, known, inner))
    return graph


def _margin(line: str) -> int:
    return len(line) - len(line.lstrip())


def _variable(kind: str) -> Variable:
    if kind.startswith("("):
        parts = [_variable(part) for part in re.findall(r"\w+(?:\[[^\]]*\])?", kind)]
        bundle: Any = Bundle(tuple((part.shape, part.dtype) for part in parts))
        return Variable((), bundle)
    short, _, sizes = kind.partition("[")
    shape = tuple(int(size) for size in sizes.rstrip("]").split(",") if size)
    return Variable(shape, _dtype(short))


def _dtype(name: str) -> np.dtype[Any]:
    return as_dtype(_LONG.get(name, name)).numpy


def _output(name: str, known: dict[str, Variable]) -> Atom:
    if name in known:
        return known[name]
    value = _number(name)
    kinds = {bool: np.bool_, int: np.int64, float: np.float32}
    return Literal(value, np.dtype(kinds[type(value)]))


def _equation(line: str, known: dict[str, Variable], inner: Sequence[str]) -> Equation:
    found = _LINE.match(line)
    call = found and _call(found[3], known)
    if not found or not call or call[0] not in REGISTRY:
        raise TraceError(f"no equation: {line!r}")
    name, kind, _ = found.groups()
    op, attributes, names = call
    output = _variable(kind)
    beside = [known[n].dtype for n in names if n in known and known[n].dtype != np.bool_]
    default = beside[0] if beside else output.dtype
    inputs = tuple(_operand(n, i, op, default, known) for i, n in enumerate(names))
    known[name] = output
    starts = [n for n, text in enumerate(inner) if _margin(text) == _margin(inner[0])]
    starts = [n for n in starts if inner[n].split()[0] == "inputs"]
    parts = [inner[a:b] for a, b in itertools.pairwise([*starts, len(inner)])]
    graphs = zip(_GRAPHS.get(op, ()), parts, strict=True)
    inside = {attribute: Subgraph(_graph(part)) for attribute, part in graphs}
    return Equation(REGISTRY[op], inputs, output, _attributes(attributes) | inside)


def _call(text: str, known: dict[str, Variable]) -> tuple[str, str, list[str]] | None:
    """The row, its attributes and its operands: of `name[attributes](a, b)`, `a * b` or `-a`."""
    if found := _CALL.match(text):
        return found[1], found[2] or "", [name for name in found[3].split(", ") if name]
    if found := _INFIX.match(text):
        left, symbol, right = found.groups()
        if symbol == "**" and right not in known:
            return "scalar_power", f"exponent={right}", [left]
        return _ROWS.get(symbol, ""), "", [left, right]
    return ("negative", "", [text[1:]]) if text.startswith("-") else None


def _operand(
    name: str, position: int, op: str, default: np.dtype[Any], known: dict[str, Variable]
) -> Atom:
    if name in known:
        return known[name]
    value = _number(name)
    if isinstance(value, bool):
        return Literal(value, np.dtype(np.bool_))
    if op == "random_bits" or (op in ("gather", "scatter_add") and position):
        default = np.dtype(np.int64)
    return Literal(value, default)


def _number(text: str) -> Any:
    return _WORDS[text] if text in _WORDS else ast.literal_eval(text)


def _attributes(text: str) -> dict[str, Any]:
    return {name: _attribute(value) for name, value in re.findall(r"(\w+)=(\S+)", text)}


def _attribute(text: str) -> Any:
    if text.startswith("("):
        return tuple(_number(part) for part in text.strip("()").split(",") if part)
    if text in _LONG:
        return _dtype(text)
    if "->" in text:
        return text
    try:
        return _number(text)
    except (ValueError, SyntaxError):
        return _dtype(text)
