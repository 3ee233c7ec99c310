"""`tw.autograd`: PyTorch's names for differentiation."""

from __future__ import annotations

from thalweg._tensor import Tensor
from thalweg.autodiff.backward import grad
from thalweg.autodiff.function import Function
from thalweg.autodiff.gradcheck import gradcheck, gradgradcheck
from thalweg.tape import enable_grad, no_grad, set_grad_enabled

__all__ = [
    "Function",
    "Variable",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "no_grad",
    "set_grad_enabled",
]


def Variable(data: Tensor, requires_grad: bool = False) -> Tensor:
    """The tensor itself, as a leaf: what older PyTorch code wraps its tensors in."""
    return data.detach().requires_grad_() if requires_grad else data
