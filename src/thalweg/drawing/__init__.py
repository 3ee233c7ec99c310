"""What every picture is made of: scales, numbers, colours, SVG elements, and charts of them.

A picture says what it shows; where that goes, `Chart` works out: no label lies on another.
"""

from __future__ import annotations

from thalweg.drawing.axis import Axis
from thalweg.drawing.chart import Chart
from thalweg.drawing.frame import Frame
from thalweg.drawing.picture import Picture

__all__ = ["Axis", "Chart", "Frame", "Picture"]
