"""Passes over the equations of a graph: each gives a graph that computes the same."""

from __future__ import annotations

__all__: list[str] = []
