"""Seeing what was computed, and how: `graph` prints and draws the recorded operations."""

from thalweg.inspect import graph

__all__ = ["graph"]
