"""Thalweg: deep learning in pure Python, with PyTorch's names.

    import thalweg as tw

    model = tw.nn.Sequential(tw.nn.Linear(64, 30), tw.nn.Sigmoid(), tw.nn.Linear(30, 10))
    splits = tw.data.load("digits")

`import thalweg` loads NumPy and the core; `nn`, `optim`, `data`, `train` and the rest are loaded
when they are first used.
"""

from __future__ import annotations

import importlib
from math import e, inf, nan, pi
from typing import TYPE_CHECKING, Any

from thalweg._format import (
    set_printoptions,
)
from thalweg._tensor import (
    Size,
    Tensor,
)
from thalweg.autodiff.backward import (
    backward_steps,
)
from thalweg.devices import (
    device,
)
from thalweg.dtypes import (
    DType,
    bfloat16,
    bool,
    double,
    finfo,
    float,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    iinfo,
    int,
    int32,
    int64,
    long,
    promote_types,
    set_default_dtype,
    uint8,
)
from thalweg.memory import (
    keep_freed_memory,
)
from thalweg.ops import functions, rarer_functions
from thalweg.ops.activations import (
    log_softmax,
    relu,
    softmax,
)
from thalweg.ops.algebra import (
    block_diag,
)
from thalweg.ops.arranging import (
    atleast_2d,
    atleast_3d,
    cartesian_prod,
    combinations,
    dstack,
    unravel_index,
    vander,
)
from thalweg.ops.creation import (
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    logspace,
    meshgrid,
    ones,
    ones_like,
    tensor,
    tril_indices,
    triu_indices,
    zeros,
    zeros_like,
)
from thalweg.ops.functions import *  # noqa: F403  # each method's functional spelling
from thalweg.ops.joining import (
    broadcast_shapes,
    broadcast_tensors,
    cat,
    column_stack,
    concat,
    concatenate,
    hstack,
    stack,
    vstack,
)
from thalweg.ops.products import (
    einsum,
)
from thalweg.ops.random import (
    Generator,
    bernoulli,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    multinomial,
    normal,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    seed,
    set_rng_state,
)
from thalweg.ops.rarer_functions import *  # noqa: F403  # likewise
from thalweg.ops.running import (
    cumulative_trapezoid,
    trapezoid,
    trapz,
)
from thalweg.ops.searching import (
    bucketize,
    searchsorted,
)
from thalweg.tape import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)

if TYPE_CHECKING:
    from thalweg import (
        autograd,
        cuda,
        data,
        distributions,
        func,
        inspect,
        interop,
        linalg,
        models,
        nn,
        optim,
        search,
        testing,
        train,
        utils,
    )
    from thalweg.compiler.function import compile
    from thalweg.compiler.native.runtime import get_num_threads, set_num_threads
    from thalweg.compiler.tracing.trace import trace
    from thalweg.func import vmap
    from thalweg.inspect.anomaly import detect_anomaly
    from thalweg.inspect.graph import graph
    from thalweg.interop.saving import load, save
    from thalweg.ops.loops import cond, scan

    minimize: Any  # a module that is called, which types cannot say

newaxis = None

__version__ = "0.1.0"

__all__ = [
    "vmap",
    "searchsorted",
    "bucketize",
    "trapz",
    "trapezoid",
    "cumulative_trapezoid",
    "vander",
    "unravel_index",
    "dstack",
    "combinations",
    "cartesian_prod",
    "atleast_3d",
    "atleast_2d",
    "block_diag",
    "DType",
    "Generator",
    "Size",
    "Tensor",
    "arange",
    "as_tensor",
    "autograd",
    "backward_steps",
    "bernoulli",
    "bfloat16",
    "bool",
    "broadcast_shapes",
    "broadcast_tensors",
    "cat",
    "column_stack",
    "compile",
    "concat",
    "concatenate",
    "cond",
    "data",
    "cuda",
    "distributions",
    "default_generator",
    "detect_anomaly",
    "device",
    "double",
    "e",
    "einsum",
    "empty",
    "empty_like",
    "enable_grad",
    "eye",
    "finfo",
    "float",
    "float16",
    "float32",
    "float64",
    "from_numpy",
    "full",
    "full_like",
    "func",
    "get_default_dtype",
    "get_num_threads",
    "get_rng_state",
    "graph",
    "half",
    "hstack",
    "iinfo",
    "inf",
    "inference_mode",
    "initial_seed",
    "inspect",
    "int",
    "int32",
    "int64",
    "interop",
    "is_grad_enabled",
    "keep_freed_memory",
    "linalg",
    "linspace",
    "load",
    "log_softmax",
    "logspace",
    "long",
    "manual_seed",
    "meshgrid",
    "minimize",
    "models",
    "multinomial",
    "nan",
    "newaxis",
    "nn",
    "no_grad",
    "normal",
    "ones",
    "ones_like",
    "optim",
    "pi",
    "promote_types",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "relu",
    "save",
    "scan",
    "search",
    "seed",
    "set_default_dtype",
    "set_grad_enabled",
    "set_num_threads",
    "set_printoptions",
    "set_rng_state",
    "softmax",
    "stack",
    "tensor",
    "testing",
    "trace",
    "train",
    "tril_indices",
    "triu_indices",
    "uint8",
    "utils",
    "vstack",
    "zeros",
    "zeros_like",
]
__all__ += functions.__all__ + rarer_functions.__all__
__all__.sort()

# Loaded when first used: subpackages, and functions by the module they stand in.
_LAZY = dict.fromkeys(
    (
        "autograd",
        "cuda",
        "data",
        "distributions",
        "func",
        "inspect",
        "interop",
        "linalg",
        "minimize",
        "models",
        "nn",
        "optim",
        "search",
        "testing",
        "train",
        "utils",
    )
) | {
    "compile": "compiler.function",
    "get_num_threads": "compiler.native.runtime",
    "cond": "ops.loops",
    "detect_anomaly": "inspect.anomaly",
    "graph": "inspect.graph",
    "load": "interop.saving",
    "save": "interop.saving",
    "scan": "ops.loops",
    "set_num_threads": "compiler.native.runtime",
    "trace": "compiler.tracing.trace",
    "vmap": "func",
}

keep_freed_memory()


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'thalweg' has no attribute {name!r}")
    home = _LAZY[name]
    module = importlib.import_module(f"thalweg.{home or name}")
    return getattr(module, name) if home else module
