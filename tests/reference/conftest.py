"""PyTorch as a quiet, deterministic reference: one thread, fixed seeds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import thalweg


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
