"""Seeing what was computed, and how: `graph` prints and draws the recorded operations.

`tangent` draws a function of one number beside its first-order approximation; `schedule` the step
sizes of a schedule before training; `Lines` any curves.
"""

from __future__ import annotations

from thalweg.inspect import graph
from thalweg.inspect.lines import Lines
from thalweg.inspect.schedules import schedule
from thalweg.inspect.tangents import tangent

__all__ = ["Lines", "graph", "schedule", "tangent"]
