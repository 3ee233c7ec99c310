"""`tw.utils`: PyTorch's name for what stands beside tensors and networks."""

from __future__ import annotations

from thalweg.utils import checkpoint

__all__ = ["checkpoint"]
