"""Differentiation: the backward pass, gradients of gradients, and their numerical check."""

from __future__ import annotations

from thalweg.autodiff.backward import Step, backward_steps, grad
from thalweg.autodiff.gradcheck import gradcheck, gradgradcheck

__all__ = ["Step", "backward_steps", "grad", "gradcheck", "gradgradcheck"]
