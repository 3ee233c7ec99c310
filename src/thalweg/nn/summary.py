"""A table of a network's layers: output shapes, parameters, bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from thalweg._tensor import Tensor
from thalweg.nn.module import Module
from thalweg.nn.record import record
from thalweg.ops.creation import zeros
from thalweg.tape import no_grad

__all__ = ["Row", "Summary", "summary"]

_WIDTH = 80


@dataclass(frozen=True)
class Row:
    """One module: its path, what it is, the shape of its output (or ""), its own parameters.

    `parent` is the path of the module that holds it, None for the network itself.
    """

    path: str
    parent: str | None
    layer: str
    shape: str
    parameters: int
    is_shared: bool


@dataclass(frozen=True)
class Summary:
    """What `summary` gives: the rows and their totals; it prints as a table.

    Every parameter counts once, so the numbers of the rows add up to `total`. A layer with
    nothing but parameters that an earlier one has is marked as shared.
    """

    rows: tuple[Row, ...]
    total: int
    trainable: int
    buffers: int
    nbytes: int

    def __str__(self) -> str:
        depths: dict[str | None, int] = {None: -1}
        cells = []
        for row in self.rows:
            depths[row.path] = depths[row.parent] + 1
            cells.append(_cells(row, depths[row.path]))
        shapes = "output shape" if any(row.shape for row in self.rows) else ""
        head = ("layer", shapes, "parameters")
        widths = [max(len(line[i]) for line in [head, *cells]) for i in range(3)]
        widths[0] = min(widths[0], max(_WIDTH - widths[1] - widths[2] - 4, 20))
        lines = [_line(line, widths) for line in [head, *cells]]
        rule = "-" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:], rule, self._totals()])

    __repr__ = __str__

    def _totals(self) -> str:
        parts = [f"{self.total:,} parameters", f"{self.trainable:,} trainable"]
        parts += [f"{self.buffers:,} in buffers"] if self.buffers else []
        return ", ".join([*parts, _bytes(self.nbytes)])


def summary(model: Module, *inputs: Tensor | Sequence[int]) -> Summary:
    """The layers of `model` with their parameters and, for given `inputs`, their output shapes.

    `inputs` are what forward takes: example tensors, or shapes with the batch dimension, for which
    zeros in the dtype of the parameters are passed, in eval mode and without a gradient.

    >>> import thalweg as tw
    >>> net = tw.nn.Sequential(tw.nn.Linear(3, 3), tw.nn.ReLU(), tw.nn.Linear(3, 2))
    >>> tw.nn.summary(net, (1, 3))
    layer               output shape  parameters
    --------------------------------------------
    Sequential          (1, 2)                 0
      0: Linear 3 -> 3  (1, 3)                12
      1: ReLU           (1, 3)                 0
      2: Linear 3 -> 2  (1, 2)                 8
    --------------------------------------------
    20 parameters, 20 trainable, 80 bytes
    """
    shapes = _output_shapes(model, inputs) if inputs else {}
    parameters, buffers = list(model.parameters()), list(model.buffers())
    return Summary(
        rows=tuple(_rows(model, shapes)),
        total=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        buffers=sum(b.numel() for b in buffers),
        nbytes=sum(x.nbytes for x in (*parameters, *buffers)),
    )


def _rows(model: Module, shapes: dict[str, str]) -> Iterator[Row]:
    seen: set[int] = set()
    known: dict[str, None] = {}
    for path, module in model.named_modules():
        parent = next((p for p in reversed(known) if not p or path.startswith(f"{p}.")), None)
        known[path] = None
        own = list(module.parameters(recurse=False))
        new = [p for p in own if id(p) not in seen]
        seen.update(map(id, new))
        count = sum(p.numel() for p in new)
        is_shared = bool(own) and not new
        yield Row(path, parent, module.describe(), shapes.get(path, ""), count, is_shared)


def _output_shapes(model: Module, inputs: tuple[Any, ...]) -> dict[str, str]:
    dtype = next((p.dtype for p in model.parameters()), None)
    tensors = [x if isinstance(x, Tensor) else zeros(*x, dtype=dtype) for x in inputs]
    with no_grad(), _in_eval_mode(model), record(model) as outputs:
        model(*tensors)
    return {path: _shape(output) for path, output in outputs.items()}


@contextmanager
def _in_eval_mode(model: Module) -> Iterator[None]:
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode


def _shape(output: Any) -> str:
    """The shape of a tensor, or those in a tuple, list or dictionary of some."""
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    parts = output.values() if isinstance(output, dict) else output
    return ", ".join(map(_shape, parts)) if isinstance(output, dict | list | tuple) else ""


def _cells(row: Row, depth: int) -> tuple[str, str, str]:
    name = row.path.removeprefix(f"{row.parent}.")
    layer = f"{name}: {row.layer}" if name else row.layer
    return "  " * depth + layer, row.shape, "shared" if row.is_shared else f"{row.parameters:,}"


def _line(cells: tuple[str, str, str], widths: list[int]) -> str:
    layer, shape, count = cells
    if len(layer) > widths[0]:
        layer = layer[: widths[0] - 3] + "..."
    columns = [layer.ljust(widths[0]), shape.ljust(widths[1]), count.rjust(widths[2])]
    return "  ".join(column for column, width in zip(columns, widths, strict=True) if width)


def _bytes(count: int) -> str:
    """The number of bytes, from a thousand on in decimal units."""
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB"):
        if size >= 1000:
            size, unit = size / 1000, larger
    return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
