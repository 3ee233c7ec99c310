"""The one table: every primitive and every functional, with its oracle and its samples.

The rows stand in files by family; the tests here draw everything from `TABLE`, with no line for
any one operation. A row is missing where `test_complete.py` fails.
"""

from __future__ import annotations

from tests.table import (
    arrangement,
    attending,
    elementwise,
    images,
    linear,
    networks,
    normalizing,
    products,
    rarer,
    reductions,
    resizing,
    sampling,
    sliding,
)
from tests.table.row import Row

__all__ = ["TABLE"]

TABLE: list[Row] = [
    *elementwise.ROWS,
    *reductions.ROWS,
    *arrangement.ROWS,
    *products.ROWS,
    *rarer.ROWS,
    *linear.ROWS,
    *networks.ROWS,
    *images.ROWS,
    *sliding.ROWS,
    *attending.ROWS,
    *normalizing.ROWS,
    *resizing.ROWS,
    *sampling.ROWS,
]
