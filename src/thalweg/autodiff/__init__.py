"""Differentiation: the backward pass, its numerical check, and the transforms of `tw.func`."""

__all__: list[str] = []
