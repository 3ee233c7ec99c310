"""Convolution and pooling: every option, and sizes that do not divide evenly."""

from __future__ import annotations

import numpy as np

from tests.reference.both import Case
from tests.reference.spelling import Samples, call, first, functional

__all__ = ["CASES", "CONVOLUTIONS", "POOLS"]

_samples = Samples(9)
normal, integers = _samples.normal, _samples.integers

_LINE, _IMAGES = normal(2, 4, 9), normal(2, 4, 8, 7)
_W1, _W2, _BIAS = normal(6, 4, 3), normal(6, 4, 3, 2), normal(6)
_TIES = np.round(normal(2, 3, 6, 6))

# fmt: off
CONVOLUTIONS = {
    "conv1d": [call(_LINE, _W1), call(_LINE, _W1, _BIAS), call(_LINE, _W1, _BIAS, 2, 1),
               call(_LINE, _W1, stride=3, padding=2), call(_LINE, _W1, dilation=2, stride=2),
               call(_LINE, normal(4, 2, 3), groups=2), call(_LINE, normal(8, 1, 3), groups=4),
               call(_LINE, _W1, padding="same"), call(_LINE, normal(2, 4, 4), padding="valid"),
               call(_LINE, normal(2, 4, 1), stride=2), call(_LINE, normal(2, 4, 9)),
               call(_LINE, normal(2, 4, 2), stride=2), call(normal(4, 9), _W1, _BIAS)],
    "conv2d": [call(_IMAGES, _W2), call(_IMAGES, _W2, _BIAS), call(_IMAGES, _W2, _BIAS, 2, 1),
               call(_IMAGES, _W2, stride=(1, 2), padding=(2, 1)),
               call(_IMAGES, _W2, stride=(3, 2), dilation=(2, 1)), call(_IMAGES, _W2, padding=4),
               call(_IMAGES, _W2, dilation=(1, 3), padding=(0, 2)),
               call(_IMAGES, normal(4, 2, 3, 3), _BIAS[:4].copy(), groups=2, stride=2, padding=1),
               call(_IMAGES, normal(4, 1, 2, 2), groups=4, dilation=2),
               call(_IMAGES, normal(5, 4, 3, 3), padding="same"),
               call(_IMAGES, normal(5, 4, 3, 1), padding="same", dilation=2),
               call(_IMAGES, normal(5, 4, 3, 3), padding="valid", stride=2),
               call(_IMAGES, normal(5, 4, 1, 1)), call(_IMAGES, normal(5, 4, 1, 1), stride=2),
               call(_IMAGES, normal(5, 4, 2, 2), stride=2, padding=1),
               call(_IMAGES, normal(5, 4, 2, 2), stride=3), call(_IMAGES, normal(5, 4, 8, 7)),
               call(normal(4, 8, 7), _W2, _BIAS), call(normal(1, 1, 6, 6), normal(8, 1, 3, 3))],
}

POOLS = {
    "max_pool1d": [call(_LINE, 2), call(_LINE, 3, 2, 1), call(_LINE, 3, 1, dilation=2),
                   call(_LINE, 2, 2, ceil_mode=True), call(_LINE, (4,), (3,), (2,)),
                   call(_LINE, 3, 2, return_indices=True), call(_LINE[0].copy(), 2),
                   first(_TIES[0].copy(), 3, 1, 1, return_indices=True)],
    "max_pool2d": [call(_IMAGES, 2), call(_IMAGES, 3, 2, 1), call(_IMAGES, (3, 2), (1, 2)),
                   call(_IMAGES, 2, 1, dilation=(3, 2)), call(_IMAGES, 3, 3, 1, ceil_mode=True),
                   call(_IMAGES, 3, 2, ceil_mode=True),
                   call(_IMAGES[0].copy(), 2, return_indices=True),
                   call(_IMAGES, 4, 3, 2, 2, True, True), first(_TIES, 2), first(_TIES, 3, 1, 1),
                   first(_TIES, 3, 2, 1, return_indices=True)],
    "avg_pool1d": [call(_LINE, 2), call(_LINE, 3, 2, 1), call(_LINE, 3, 2, 1, True),
                   call(_LINE, 3, 2, 1, count_include_pad=False), call(_LINE[0].copy(), 4, 3),
                   call(_LINE, 4, 3, 2, True, False)],
    "avg_pool2d": [call(_IMAGES, 2), call(_IMAGES, 3, 2, 1), call(_IMAGES, (3, 2), (1, 2), (1, 0)),
                   call(_IMAGES, 3, 2, 1, True), call(_IMAGES, 3, 3, 1, True, False),
                   call(_IMAGES, 3, 2, 1, False, False), call(_IMAGES, 2, divisor_override=3),
                   call(_IMAGES[0].copy(), 4, 3, 2, ceil_mode=True)],
}
# fmt: on

CASES: list[Case] = [*functional(CONVOLUTIONS), *functional(POOLS)]
