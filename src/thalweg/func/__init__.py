"""`tw.func`: functions made of functions, with the names of `torch.func`.

They take a function of tensors and give another: its gradient, its Jacobian, its value for many
cases. They nest in any order, and run inside a compiled function.
"""

from __future__ import annotations

from thalweg.autodiff.batching import vmap
from thalweg.autodiff.forward import jvp
from thalweg.autodiff.jacobians import hessian, hvp, jacfwd, jacrev, linearize
from thalweg.autodiff.modules import functional_call, stack_module_state
from thalweg.autodiff.reverse import grad, grad_and_value, vjp
from thalweg.autodiff.taylor import taylor

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "hvp",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "stack_module_state",
    "taylor",
    "vjp",
    "vmap",
]
