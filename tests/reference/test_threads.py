"""The number of threads, set and told alike."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference.both import BOTH


@pytest.mark.parametrize("tw", BOTH, ids=lambda tw: tw.__name__)
def test_the_number_that_was_set_is_told(tw: Any) -> None:
    before = tw.get_num_threads()
    try:
        for count in (1, 2):
            assert tw.set_num_threads(count) is None
            assert tw.get_num_threads() == count
    finally:
        tw.set_num_threads(before)


@pytest.mark.parametrize("tw", BOTH, ids=lambda tw: tw.__name__)
def test_no_threads_are_refused(tw: Any) -> None:
    with pytest.raises((ValueError, RuntimeError)):
        tw.set_num_threads(0)
