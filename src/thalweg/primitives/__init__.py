"""The op table: every primitive, a file a family, a row each."""

from thalweg.primitives import (
    contraction,
    elementwise,
    indexing,
    linalg,
    loops,
    movement,
    reductions,
    sources,
    windows,
)
from thalweg.primitives.core import REGISTRY, Primitive

__all__ = [
    "Primitive",
    "REGISTRY",
    "contraction",
    "elementwise",
    "indexing",
    "linalg",
    "loops",
    "movement",
    "reductions",
    "sources",
    "windows",
]
