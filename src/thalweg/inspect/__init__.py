"""Seeing what was computed, and how: `graph` prints and draws the recorded operations.

`tangent` draws a function of one number beside its first-order approximation.
"""

from __future__ import annotations

from thalweg.inspect import graph
from thalweg.inspect.tangents import tangent

__all__ = ["graph", "tangent"]
