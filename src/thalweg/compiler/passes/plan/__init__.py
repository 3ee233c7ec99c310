"""From fused equations to kernels in order: emitted, chained, split, and their memory."""

from __future__ import annotations

__all__: list[str] = []
