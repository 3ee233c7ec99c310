"""Tracing: from a Python function to a graph."""

from __future__ import annotations

__all__: list[str] = []
