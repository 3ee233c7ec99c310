"""From a plan to a program that runs: what each thread does, as LLVM IR, compiled, kept, run."""

from __future__ import annotations

__all__: list[str] = []
