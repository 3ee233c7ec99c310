"""Every operation that both frameworks have: values, gradients and their derivatives."""

from __future__ import annotations

import pytest

from tests.reference import (
    cases_creation,
    cases_elementwise,
    cases_indexing,
    cases_inplace,
    cases_rarer,
    cases_reductions,
    cases_shape,
)
from tests.reference.both import DTYPES, Case, compare

CASES = [
    *cases_elementwise.CASES,
    *cases_reductions.CASES,
    *cases_shape.CASES,
    *cases_indexing.CASES,
    *cases_creation.CASES,
    *cases_inplace.CASES,
    *cases_rarer.CASES,
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("this", CASES, ids=repr)
def test_like_torch(this: Case, dtype: str) -> None:
    compare(this, dtype)
