from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import settings
from thalweg.errors import ConfigError


@pytest.mark.parametrize(
    ("rule", "given", "kept"),
    [
        (settings.real, -2, -2.0),
        (settings.real, np.float32(0.5), 0.5),
        (settings.nonnegative, 0, 0.0),
        (settings.positive, 1e-300, 1e-300),
        (settings.fraction, 1, 1.0),
        (settings.fractions, [0, 0.5], (0.0, 0.5)),
        (settings.flag, True, True),
        (settings.whole, np.int64(3), 3),
        (settings.choice("a", "b"), "b", "b"),
    ],
)
def test_what_fits_becomes_plain(rule: settings.Rule, given: object, kept: object) -> None:
    value = rule("setting", given)
    assert (value, type(value)) == (kept, type(kept))


@pytest.mark.parametrize(
    ("rule", "given"),
    [
        (settings.real, float("nan")),
        (settings.real, float("inf")),
        (settings.real, "1"),
        (settings.real, True),
        (settings.real, tw.tensor(1.0)),
        (settings.nonnegative, -1e-9),
        (settings.positive, 0),
        (settings.fraction, 1.5),
        (settings.fractions, 0.9),
        (settings.fractions, (0.9,)),
        (settings.fractions, (0.9, 1.0)),
        (settings.fractions, (-0.1, 0.5)),
        (settings.flag, 1),
        (settings.whole, 2.0),
        (settings.whole, -1),
        (settings.whole, True),
        (settings.choice("a", "b"), "c"),
    ],
)
def test_what_does_not_fit_is_named(rule: settings.Rule, given: object) -> None:
    with pytest.raises(ConfigError, match=r"^the setting="):
        rule("the setting", given)


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (lambda p: tw.optim.SGD(p, momentun=0.9), "SGD has no 'momentun'; did you mean 'momentum'"),
        (lambda p: tw.optim.Adam(p, beta=(0.9, 0.9)), "did you mean 'betas'"),
        (lambda p: tw.optim.AdamW(p, foreach=True), "AdamW has no 'foreach'"),
        (
            lambda p: tw.optim.lr_scheduler.StepLR(tw.optim.SGD(p), step=3),
            "StepLR has no 'step'; did you mean 'step_size'",
        ),
    ],
)
def test_an_unknown_keyword_names_the_nearest(make: Callable[[Any], object], hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        make([tw.zeros(1, requires_grad=True)])


def test_a_constructor_that_takes_any_keyword_gets_it() -> None:
    class Free(tw.optim.SGD):
        def __init__(self, params: Any, **options: Any) -> None:
            self.options = options
            super().__init__(params)

    assert Free([tw.zeros(1, requires_grad=True)], anything=1).options == {"anything": 1}
