"""`nn.functional`: activations, losses and the rest; values, gradients and their derivatives."""

from __future__ import annotations

import pytest

from tests.reference import (
    cases_activations,
    cases_attention,
    cases_layers,
    cases_losses,
    cases_sliding,
)
from tests.reference.both import DTYPES, Case, compare


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("this", cases_activations.CASES, ids=repr)
def test_activations_and_layers(this: Case, dtype: str) -> None:
    compare(this, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("this", cases_attention.CASES, ids=repr)
def test_attention(this: Case, dtype: str) -> None:
    compare(this, dtype)


@pytest.mark.filterwarnings("ignore:Default grid_sample and affine_grid behavior:UserWarning")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("this", cases_layers.CASES, ids=repr)
def test_layers_with_a_state(this: Case, dtype: str) -> None:
    compare(this, dtype)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("this", cases_sliding.CASES, ids=repr)
def test_convolution_and_pooling(this: Case, dtype: str) -> None:
    compare(this, dtype)


@pytest.mark.parametrize("this", cases_activations.HARDSIGMOID, ids=repr)
def test_derivative_of_hardsigmoid(this: Case) -> None:
    compare(this, "float32")


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss:UserWarning")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("this", cases_losses.CASES, ids=repr)
def test_losses(this: Case, dtype: str) -> None:
    compare(this, dtype)
