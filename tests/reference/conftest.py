"""PyTorch as a quiet, deterministic reference: one thread, fixed seeds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

import thalweg
from tests.reference.both import BOTH


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """What is compared is small: threads would cost more than they do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _seeds() -> None:
    torch.manual_seed(0)
    thalweg.manual_seed(0)


@pytest.fixture(params=BOTH, ids=lambda tw: tw.__name__)
def tw(request: pytest.FixtureRequest) -> Any:
    """Each framework in turn: for what both must do in the same words."""
    return request.param
