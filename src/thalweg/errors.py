"""Every error Thalweg raises on purpose, as one tree.

    ThalwegError
    |-- ShapeError       (ValueError)    shapes that do not fit
    |-- DTypeError       (TypeError)     element types that do not fit
    |-- OutOfRangeError  (IndexError)    indices and labels outside what there is
    |-- GradientError    (RuntimeError)  a backward pass that cannot run
    |-- LinAlgError      (RuntimeError)  matrices that a decomposition or a solution asks more of
    |-- ObjectiveError   (ValueError)    functions to minimize that give no number
    |-- DataError        (ValueError)    data sets, splits, labels, files of data
    |-- CheckpointError  (RuntimeError)  files of parameters and run folders
    |-- ConfigError      (ValueError)    options, names and settings
    |   `-- ConfigTypeError  (TypeError) options of a type that they never have
    |-- OutOfMemoryError (MemoryError)   memory a compiled program needs and cannot have
    |-- TraceError       (RuntimeError)  what cannot be traced to a graph
    |-- TransformError   (RuntimeError)  what a function transform, such as vmap, cannot do
    `-- AnomalyError     (RuntimeError)  the operation that made a NaN, where that is looked for

Each class also derives from the built-in error PyTorch users would catch.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

__all__ = [
    "AnomalyError",
    "CheckpointError",
    "ConfigError",
    "ConfigTypeError",
    "DTypeError",
    "DataError",
    "GradientError",
    "LinAlgError",
    "ObjectiveError",
    "OutOfMemoryError",
    "OutOfRangeError",
    "ShapeError",
    "ThalwegError",
    "TraceError",
    "TransformError",
    "nearest",
]


class ThalwegError(Exception):
    """The root of the tree.

    A module adds where it stands as the error passes it: `layers` collects the
    names from the innermost layer outwards, `layer` describes the innermost one,
    `module` is the last one passed.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.layer: str | None = None
        self.layers: list[str] = []
        self.module: object | None = None

    def __str__(self) -> str:
        if self.layer is None:
            return self.message
        if len(self.layers) == 1:
            return f"{self.layer}: {self.message}"
        return f"{'.'.join(reversed(self.layers))} ({self.layer}): {self.message}"


class ShapeError(ThalwegError, ValueError):
    """Shapes that do not fit."""


class DTypeError(ThalwegError, TypeError):
    """Element types that do not fit."""


class OutOfRangeError(ThalwegError, IndexError):
    """An index, a place or a label outside what there is."""


class GradientError(ThalwegError, RuntimeError):
    """A backward pass that cannot run."""


class LinAlgError(ThalwegError, RuntimeError):
    """A matrix that is singular, or not positive definite, where that is asked for."""


class ObjectiveError(ThalwegError, ValueError):
    """A function that is to be minimized and gives NaN, or no number, at a point."""


class DataError(ThalwegError, ValueError):
    """A data set, a split, a label or a file of data that cannot be used."""


class CheckpointError(ThalwegError, RuntimeError):
    """A file of parameters or a run folder that cannot be read or written."""


class ConfigError(ThalwegError, ValueError):
    """An option, a name or a setting that does not exist or does not fit."""


class ConfigTypeError(ConfigError, TypeError):
    """An option of a type that it never has, such as a str where a number is expected."""


class OutOfMemoryError(ThalwegError, MemoryError):
    """The memory a compiled program needs is not there."""


class AnomalyError(ThalwegError, RuntimeError):
    """An operation made a NaN or an infinity while `detect_anomaly` looked for it.

    `line_of` tells of a value which of the user's lines computed it, where that is known.
    """

    def __init__(self, message: str, line_of: Callable[[object], object] | None = None) -> None:
        super().__init__(message)
        self._line_of = line_of

    def in_derivative(self, operation: str, output: object) -> None:
        """Add that it happened in the derivative of the operation that computed `output`."""
        if self._line_of is not None:
            line = self._line_of(output)
            self.message += f". It is in the derivative of {operation}"
            self.message += f", computed at {line}" if line is not None else ""
            self._line_of = None  # an operation further out is not the one


class TraceError(ThalwegError, RuntimeError):
    """An operation that cannot be traced to a graph."""


class TransformError(ThalwegError, RuntimeError):
    """An operation that a function transform such as `vmap` cannot do."""


def nearest(given: str, known: Iterable[str]) -> str:
    """Text that lists the `known` names and the one nearest to `given`, for an error message.

    >>> nearest("fasion-mnist", ["mnist", "fashion-mnist"])
    "did you mean 'fashion-mnist'? Known: fashion-mnist, mnist"
    """
    names = sorted(known)
    close = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(names)}"
