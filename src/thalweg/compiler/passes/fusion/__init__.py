"""What is stored, in which order of axes, what is computed on the spot, what goes together."""

from __future__ import annotations

__all__: list[str] = []
