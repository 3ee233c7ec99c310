"""Chains of loops however small they are, for a machine whose caches hold a few rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from thalweg.compiler import lower
from thalweg.compiler.machine import Machine, host
from thalweg.compiler.passes.plan import chains, parts, tails

__all__ = ["any_chain"]

BLOCKS = 5  # of each chain, for threads to share


@contextmanager
def any_chain(machine: Machine | None = None, short: int = 0) -> Iterator[Machine]:
    """Within, all loops over the same rows become chains; gives the machine to compile for.

    Rows of fewer points than `short` are taken together until they have 20.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chains, "_LEAST", 1)
        patch.setattr(chains, "_FEWEST", 2)
        patch.setattr(chains, "_SHORT", short)
        patch.setattr(chains, "_TOGETHER", 20)
        patch.setattr(tails, "_ROWS", 2)
        patch.setattr(tails, "_WORTH", 0)
        patch.setattr(parts, "_FEWEST_PARTS", 2)
        patch.setattr(parts, "_FEWEST_ROWS", 2)
        patch.setattr(lower.chains, "blocks_for", lambda *work: BLOCKS)
        patch.setattr(lower.past, "_CACHES", 0)
        patch.setattr(lower.next_rows, "_LARGE", 0)
        patch.setattr(lower.next_rows, "_LONG", 5)
        yield replace(machine or host(), l1=1024, l2=8192)
