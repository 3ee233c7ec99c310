"""Calls that must be refused: the right error, whose message says what was given."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from tests.table.cases import TABLE
from tests.table.row import Bad, Row

BAD = [(row, bad) for row in TABLE for bad in row.bad]


@pytest.mark.parametrize(("row", "bad"), BAD, ids=[row.name for row, _ in BAD])
def test_bad_calls(row: Row, bad: Bad) -> None:
    tensors = [
        tw.tensor(a, dtype=tw.float32 if a.dtype == np.float64 else None) for a in bad.arrays
    ]
    with pytest.raises(bad.error) as caught:
        row.call(*tensors, *bad.args, **bad.kwargs)
    mentions = bad.mentions
    if mentions is None:
        mentions = tuple(str(a.shape) for a in bad.arrays)
    for words in mentions:
        assert words in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
