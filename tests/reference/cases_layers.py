"""Layers: normalization and their functions, and the modules of all layers that keep a state."""

from __future__ import annotations

from typing import Any

from tests.reference.both import Case, Fixed, case
from tests.reference.cases_modules import Built, named
from tests.reference.spelling import Samples, call, functional

__all__ = ["CASES", "MODULES", "NORMALIZATIONS"]

_samples = Samples(22)
normal, positive = _samples.normal, _samples.positive

_ROWS, _LINES, _IMAGES = normal(5, 3), normal(4, 6, 5), normal(3, 4, 5, 3)
_W3, _B3, _W4, _B4, _W6, _B6 = (normal(n) for n in (3, 3, 4, 4, 6, 6))
_M4, _V4 = Fixed(normal(4)), Fixed(positive(4))

# fmt: off
NORMALIZATIONS = {
    "batch_norm":    [call(_ROWS, None, None, _W3, _B3, True), call(_IMAGES, None, None, None, None,
                      True), call(_IMAGES, _M4, _V4, _W4, _B4), call(_IMAGES, _M4, _V4, eps=0.1),
                      call(_LINES + 3, None, None, training=True)],
    "instance_norm": [call(_IMAGES), call(_LINES, eps=0.1), call(_IMAGES, None, None, _W4, _B4),
                      call(_IMAGES, _M4, _V4, _W4, _B4, False)],
    "layer_norm":    [call(_LINES, (5,)), call(_LINES, (6, 5), normal(6, 5), normal(6, 5)),
                      call(_LINES, (4, 6, 5), eps=0.1), call(_ROWS, (3,), _W3),
                      call(normal(2, 7) - 4, (7,))],
    "group_norm":    [call(_LINES, 2), call(_LINES, 3, _W6, _B6), call(_IMAGES, 1, _W4, _B4, 0.1),
                      call(normal(4, 6), 2, _W6)],
    "rms_norm":      [call(_LINES, (5,)), call(_LINES, (6, 5), normal(6, 5)),
                      call(_ROWS, (3,), _W3, 0.1)],
    "local_response_norm": [call(_LINES, 2), call(_IMAGES, 3, 0.5, 0.5, 2.0), call(_IMAGES, 1)],
}
# fmt: on


def batch_norm_moves_its_statistics(tw: Any, x: Any, w: Any, b: Any, mean: Any, var: Any) -> Any:
    norm = tw.nn.functional.batch_norm
    y = norm(x, mean, var, w, b, True, 0.3)
    return y, norm(x + 1, mean, var, momentum=0.5, training=True, eps=0.1), mean, var


def instance_norm_moves_its_statistics(tw: Any, x: Any, mean: Any, var: Any) -> Any:
    return tw.nn.functional.instance_norm(x, mean, var, momentum=0.3), mean, var


CASES: list[Case] = [
    *functional(NORMALIZATIONS),
    case(batch_norm_moves_its_statistics, _IMAGES, _W4, _B4, _M4, _V4),
    case(instance_norm_moves_its_statistics, _IMAGES, _M4, _V4),
]

# fmt: off
MODULES: dict[str, Built] = {
    "BatchNorm1d":         Built(named("BatchNorm1d", 3), (_ROWS,)),
    "BatchNorm1d lines":   Built(named("BatchNorm1d", 6, 0.1, None), (_LINES,)),
    "BatchNorm2d":         Built(named("BatchNorm2d", 4), (_IMAGES,)),
    "BatchNorm2d plain":   Built(named("BatchNorm2d", 4, momentum=0.5, affine=False), (_IMAGES,)),
    "BatchNorm2d alone":   Built(named("BatchNorm2d", 4, track_running_stats=False), (_IMAGES,)),
    "BatchNorm2d None":    Built(named("BatchNorm2d", 4, momentum=None), (_IMAGES,)),
    "InstanceNorm1d":      Built(named("InstanceNorm1d", 6), (_LINES,)),
    "InstanceNorm1d one":  Built(named("InstanceNorm1d", 6, affine=True), (_LINES[0].copy(),)),
    "InstanceNorm2d":      Built(named("InstanceNorm2d", 4, eps=0.1), (_IMAGES,)),
    "InstanceNorm2d kept": Built(named("InstanceNorm2d", 4, affine=True, track_running_stats=True),
                                 (_IMAGES,)),
    "LayerNorm":           Built(named("LayerNorm", 5), (_LINES,)),
    "LayerNorm +":         Built(named("LayerNorm", (6, 5), eps=0.1, bias=False), (_LINES,)),
    "LayerNorm plain":     Built(named("LayerNorm", (5,), elementwise_affine=False), (_LINES,)),
    "GroupNorm":           Built(named("GroupNorm", 2, 6), (_LINES,)),
    "BatchNorm2d bias=False": Built(named("BatchNorm2d", 4, bias=False), (_IMAGES,)),
    "GroupNorm bias=False": Built(named("GroupNorm", 2, 6, bias=False), (_LINES,)),
    "GroupNorm plain":     Built(named("GroupNorm", 4, 4, affine=False), (_IMAGES,)),
    "RMSNorm":             Built(named("RMSNorm", 5), (_LINES,)),
    "RMSNorm +":           Built(named("RMSNorm", (6, 5), 0.1, False), (_LINES,)),
    "LocalResponseNorm":   Built(named("LocalResponseNorm", 2), (_LINES,)),
}
# fmt: on
