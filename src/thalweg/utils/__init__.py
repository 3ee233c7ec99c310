"""`tw.utils`: PyTorch's name for what stands beside tensors and networks."""

from __future__ import annotations

from thalweg.utils import checkpoint, data

__all__ = ["checkpoint", "data"]
