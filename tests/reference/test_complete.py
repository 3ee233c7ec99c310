"""Nothing that both frameworks have is left out: every common name stands in a table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

import thalweg
from tests.reference import (
    cases_activations,
    cases_attention,
    cases_creation,
    cases_elementwise,
    cases_indexing,
    cases_inplace,
    cases_layers,
    cases_losses,
    cases_rarer,
    cases_reductions,
    cases_shape,
    cases_sliding,
    test_init,
    test_training,
)

OPERATIONS = (
    cases_creation.LIKES,
    cases_creation.MADE,
    cases_elementwise.ELEMENTWISE,
    cases_indexing.GATHERS,
    cases_inplace.FILLED,
    cases_inplace.IN_PLACE,
    cases_rarer.RARER,
    cases_reductions.PRODUCTS,
    cases_reductions.REDUCTIONS,
    cases_shape.MOVEMENT,
)
FUNCTIONS = (
    cases_activations.ACTIVATIONS,
    cases_activations.LAYERS,
    cases_attention.ATTENTION,
    cases_layers.NORMALIZATIONS,
    cases_layers.SIZES,
    cases_losses.LOSSES,
    cases_sliding.CONVOLUTIONS,
    cases_sliding.POOLS,
)

# fmt: off
# Names that are compared in code rather than by a row of their own, by the file it stands in.
ELSEWHERE = {
    "cases_creation": {
        "bfloat16", "cpu", "empty_like", "get_default_dtype", "half", "set_default_dtype",
        "to", "type",
    },
    "cases_elementwise": {"where"},
    "cases_inplace": {"data", "detach_"},
    "cases_rarer": {"vmap"},
    "cases_reductions": {"einsum"},
    "cases_shape": {
        "T", "broadcast_shapes", "device", "dim", "element_size", "is_contiguous",
        "is_floating_point", "is_tensor",
        "item", "mT", "nbytes", "ndim", "nelement", "numel", "shape", "size", "tolist",
    },
    "test_autograd": {
        "backward", "enable_grad", "grad", "grad_fn", "inference_mode", "is_grad_enabled",
        "is_leaf", "no_grad", "numpy",
        "register_hook", "requires_grad", "requires_grad_", "retain_grad", "set_grad_enabled",
    },
    "test_promotion": {"dtype", "promote_types"},
    "test_random": {
        "Generator", "bernoulli", "bernoulli_", "default_generator", "get_rng_state",
        "initial_seed", "manual_seed", "set_rng_state",
        "multinomial", "normal", "normal_", "rand", "rand_like", "randint", "randint_like", "randn",
        "randn_like", "randperm", "seed", "uniform_",
    },
    "test_files": {"load", "save"},
    "test_modules": {"parameters_to_vector", "vector_to_parameters"},
    "test_optimizers": {"LBFGS", "Muon"},
    "test_training": {"clip_grad_norm_", "clip_grad_value_"},
    "test_threads": {"get_num_threads", "set_num_threads"},
    "test_normalized": {
        "remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm",
    },
    "test_utils": {"clip_grads_with_norm_", "get_total_norm"},
}
# fmt: on
# `Size` is seen wherever shapes are compared; what is compiled is compared with what is eager;
# PyTorch compiles what stands in a `cond`, also to run it once.
BESIDE = {"Size", "compile", "cond", "set_printoptions"} | {"e", "inf", "nan", "newaxis", "pi"}


def common(ours: Any, theirs: Any, names: Iterable[str]) -> set[str]:
    """The public names of both that are no modules and no dtypes."""
    shared = {n for n in names if n[0] != "_" and hasattr(ours, n) and hasattr(theirs, n)}
    return {n for n in shared if not isinstance(getattr(theirs, n), torch.dtype | type(torch))}


def named(tables: Iterable[Iterable[str]]) -> set[str]:
    return {name for table in tables for name in table}


def test_every_operation() -> None:
    ours = common(thalweg, torch, set(thalweg.__all__) - BESIDE)
    methods = common(thalweg.Tensor, torch.Tensor, dir(thalweg.Tensor))
    assert (ours | methods) - named(OPERATIONS) - named(ELSEWHERE.values()) == set()


def test_every_function() -> None:
    both = common(thalweg.nn.functional, torch.nn.functional, thalweg.nn.functional.__all__)
    elsewhere = {"ctc_loss", "gumbel_softmax"}  # in test_ctc, and by chance alone
    assert both - named(FUNCTIONS) - elsewhere == set()


def test_every_initialization() -> None:
    both = common(thalweg.nn.init, torch.nn.init, thalweg.nn.init.__all__)
    drawn = {name for name, *_ in (*test_init.DRAWN.values(), *test_init.FIXED.values())}
    assert both - drawn == {"calculate_gain", "dirac_"}


def test_every_optimizer() -> None:
    both = common(thalweg.optim, torch.optim, thalweg.optim.__all__)
    trained = {kind for kind, _ in test_training.OPTIMIZERS.values()}
    assert both - trained - ELSEWHERE["test_optimizers"] == {"Optimizer"}


def test_every_utility() -> None:
    both = common(thalweg.nn.utils, torch.nn.utils, thalweg.nn.utils.__all__)
    assert both - named(ELSEWHERE.values()) == set()


@pytest.mark.parametrize("module", ELSEWHERE)
def test_elsewhere_is_there(module: str) -> None:
    text = Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
    assert {name for name in ELSEWHERE[module] if name not in text} == set()
