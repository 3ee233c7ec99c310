"""A compiled update is one pass over memory, but where a norm must be known first."""

from __future__ import annotations

import pytest

from benchmarks.optimizers import UPDATES, measure

# At most, of those that need norms: a sum over all elements is a kernel of its own.
NORMS = {"by tensor": 2, "lamb": 2, "adafactor": 5}


@pytest.mark.parametrize("name", UPDATES)
def test_kernels_over_all_elements(name: str) -> None:
    kernels = measure(UPDATES[name], parameters=4096, rounds=1).kernels
    assert UPDATES[name].passes <= kernels <= NORMS.get(name, 1)
