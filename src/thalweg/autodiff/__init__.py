"""Differentiation: the backward pass, gradients of gradients, and their numerical check."""

__all__: list[str] = []
