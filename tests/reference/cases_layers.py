"""Layers: normalization, transposed convolution, other sizes; the modules of all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.reference.both import Case, Fixed, case
from tests.reference.cases_modules import Built, named
from tests.reference.spelling import Samples, call, first, functional

__all__ = ["CASES", "MODULES", "NORMALIZATIONS", "SIZES"]

_samples = Samples(22)
normal, positive, integers = _samples.normal, _samples.positive, _samples.integers

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
SIZES = {
    "conv_transpose1d": [call(_LINES, normal(6, 4, 3)), call(_LINES, normal(6, 4, 3), _W4, 2, 1, 1),
                         call(_LINES, normal(6, 2, 3), stride=3, groups=2, dilation=2),
                         call(_LINES[0].copy(), normal(6, 4, 2), stride=2)],
    "conv_transpose2d": [call(_IMAGES, normal(4, 3, 3, 2)),
                         call(_IMAGES, normal(4, 3, 3, 2), _W3, (2, 1), 1, (1, 0)),
                         call(_IMAGES, normal(4, 3, 2, 2), stride=2),
                         call(_IMAGES, normal(4, 3, 2, 2), stride=3, padding=1, output_padding=2),
                         call(_IMAGES, normal(4, 2, 3, 3), dilation=(2, 3), output_padding=(1, 2)),
                         call(_IMAGES, normal(4, 1, 3, 3), groups=4, stride=2, padding=1),
                         call(_IMAGES[0].copy(), normal(4, 2, 1, 1), stride=2, padding=1)],
    "adaptive_avg_pool1d": [call(_LINES, 2), call(_LINES, 5), call(_LINES[0].copy(), 7)],
    "adaptive_avg_pool2d": [call(_IMAGES, 1), call(_IMAGES, (2, None)), call(_IMAGES, (7, 2)),
                            call(_IMAGES[0].copy(), 4)],
    "adaptive_max_pool1d": [call(_LINES, 2), call(_LINES, 5, True), call(_LINES[0].copy(), 7)],
    "adaptive_max_pool2d": [call(_IMAGES, 1, True), call(_IMAGES, (2, None)),
                            call(_IMAGES, (7, 2), return_indices=True)],
    "lp_pool1d":     [call(abs(_LINES), 2, 2), call(abs(_LINES), 3.0, 3, 1, True)],
    "lp_pool2d":     [call(abs(_IMAGES), 2, 2), call(_IMAGES, 2, (3, 2), 1)],
    "interpolate":   [call(_IMAGES, scale_factor=2), call(_IMAGES, (7, 4)), call(_LINES, 3),
                      call(_LINES, scale_factor=1.7), call(_IMAGES, (4, 4), mode="nearest-exact"),
                      call(_IMAGES, scale_factor=(2.5, 0.5), recompute_scale_factor=True),
                      call(_LINES, 8, mode="linear"), call(_LINES, 3, mode="linear",
                      align_corners=True), call(_IMAGES, scale_factor=2, mode="bilinear"),
                      call(_IMAGES, (3, 7), mode="bilinear", align_corners=True),
                      call(_IMAGES, scale_factor=(1.7, 0.7), mode="bilinear"),
                      call(_IMAGES, (7, 4), mode="bicubic"), call(_IMAGES, 2, mode="area"),
                      call(_IMAGES, scale_factor=1.7, mode="bicubic", align_corners=True)],
    "affine_grid":   [call(normal(2, 2, 3), (2, 3, 4, 5)),
                      call(normal(1, 2, 3), (1, 1, 3, 2), True)],
    "grid_sample":   [*(call(_IMAGES, normal(3, 2, 4, 2), "bilinear", padding, corners)
                        for padding in ("zeros", "border", "reflection")
                        for corners in (False, True)),
                      *(first(_IMAGES, Fixed(normal(3, 2, 4, 2)), "bicubic", padding, corners)
                        for padding in ("zeros", "border", "reflection")
                        for corners in (False, True)),
                      first(_IMAGES, normal(3, 2, 4, 2), "nearest", "reflection", False),
                      first(_IMAGES, normal(3, 2, 4, 2), "nearest", "zeros", True)],
    "pixel_shuffle":   [call(_IMAGES, 2), call(normal(9, 2, 1), 3)],
    "pixel_unshuffle": [call(normal(2, 3, 4, 6), 2)],
    "channel_shuffle": [call(_IMAGES, 2)],
    "fold":            [call(normal(2, 12, 12), (4, 5), 2), call(normal(12, 12), (4, 5), (2, 2)),
                        call(normal(2, 12, 12), (5, 4), (2, 3), 2, (1, 2), (2, 1))],
    "unfold":          [call(_IMAGES, 2), call(normal(3, 5, 4), (3, 2)),
                        call(_IMAGES, (2, 3), 2, (1, 2), (2, 1))],
    "bilinear":      [call(normal(5, 3), normal(5, 4), normal(2, 3, 4), normal(2)),
                      call(normal(2, 3, 3), normal(2, 3, 4), normal(2, 3, 4))],
    "dropout1d":     [call(_LINES, 0.5, False), call(_LINES, 0.0, True)],
    "dropout2d":     [call(_IMAGES, 0.5, False), call(_IMAGES, 1.0, True)],
    "alpha_dropout": [call(_LINES), call(_LINES, 0.0, True), call(_LINES, 1.0, True)],
    "feature_alpha_dropout": [call(_LINES), call(_LINES, 0.0, True)],
    "embedding_bag": [first(integers(3, 4, low=0, high=5), normal(5, 2)),
                      first(integers(7, low=0, high=5), normal(5, 2), np.array([0, 3, 3]),
                           mode="sum"),
                      first(integers(7, low=0, high=5), normal(5, 2), np.array([0, 3, 7]),
                           include_last_offset=True, padding_idx=2),
                      first(integers(3, 4, low=0, high=5), normal(5, 2), mode="max"),
                      first(integers(7, low=0, high=5), normal(5, 2), np.array([0, 0, 3]),
                           mode="max")],
}
# fmt: on


def batch_norm_moves_its_statistics(tw: Any, x: Any, w: Any, b: Any, mean: Any, var: Any) -> Any:
    norm = tw.nn.functional.batch_norm
    y = norm(x, mean, var, w, b, True, 0.3)
    return y, norm(x + 1, mean, var, momentum=0.5, training=True, eps=0.1), mean, var


def instance_norm_moves_its_statistics(tw: Any, x: Any, mean: Any, var: Any) -> Any:
    return tw.nn.functional.instance_norm(x, mean, var, momentum=0.3), mean, var


def rows_of_an_embedding_are_shortened(tw: Any, index: Any, weight: Any) -> Any:
    table = weight.detach().clone()
    y = tw.nn.functional.embedding(index, table, max_norm=0.7, norm_type=1.0)
    return y, table


def embedding_shares_its_gradient(tw: Any, index: Any, weight: Any) -> Any:
    return tw.nn.functional.embedding(index, weight, 1, scale_grad_by_freq=True)


def weighed_bags(tw: Any, index: Any, weight: Any, starts: Any, shares: Any) -> Any:
    bag = tw.nn.functional.embedding_bag
    return bag(index, weight, starts, mode="sum", per_sample_weights=shares)


_INDEX = integers(9, low=0, high=4)

CASES: list[Case] = [
    *functional(NORMALIZATIONS),
    *functional(SIZES),
    case(rows_of_an_embedding_are_shortened, _INDEX, Fixed(normal(5, 3))),
    case(embedding_shares_its_gradient, _INDEX, normal(5, 3), second=False),
    case(weighed_bags, _INDEX, normal(5, 3), np.array([0, 4]), normal(9), second=False),
    case(batch_norm_moves_its_statistics, _IMAGES, _W4, _B4, _M4, _V4),
    case(instance_norm_moves_its_statistics, _IMAGES, _M4, _V4),
]


def parametrized(kind: str, name: str, *arguments: Any, **options: Any) -> Any:
    """Builds the layer with its weight, or `tensor`, parametrized."""

    def build(tw: Any) -> Any:
        chosen = dict(options)
        given = {key: chosen.pop(key) for key in ("dim", "n_power_iterations") if key in options}
        tensor = chosen.pop("tensor", "weight")
        layer = getattr(tw.nn, name)(*arguments, **chosen)
        return getattr(tw.nn.utils.parametrizations, kind)(layer, tensor, **given)

    return build


def twice_parametrized(tw: Any) -> Any:
    """A norm of 1, and its square."""

    class Squared(tw.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return x * x

    layer = tw.nn.utils.parametrizations.spectral_norm(tw.nn.Linear(3, 4), n_power_iterations=2)
    return tw.nn.utils.parametrize.register_parametrization(layer, "weight", Squared())


def no_longer_parametrized(tw: Any) -> Any:
    layer = tw.nn.utils.parametrizations.weight_norm(tw.nn.Conv2d(4, 2, 3))
    tw.nn.utils.parametrize.remove_parametrizations(layer, "weight")
    return tw.nn.utils.parametrizations.weight_norm(layer, "bias", dim=None)


# fmt: off
MODULES: dict[str, Built] = {
    "Conv1d circular":     Built(named("Conv1d", 6, 2, 3, padding=2, padding_mode="circular"),
                                 (_LINES,)),
    "Conv2d reflect":      Built(named("Conv2d", 4, 2, (5, 3), padding="same",
                                 padding_mode="reflect"), (_IMAGES,)),
    "Conv2d replicate":    Built(named("Conv2d", 4, 2, 3, 2, (1, 2), bias=False,
                                 padding_mode="replicate"), (_IMAGES,)),
    "weight_norm":         Built(parametrized("weight_norm", "Linear", 3, 4), (_ROWS,)),
    "weight_norm 1":       Built(parametrized("weight_norm", "Conv2d", 4, 2, 3, dim=1), (_IMAGES,)),
    "weight_norm None":    Built(parametrized("weight_norm", "Conv1d", 6, 2, 3, dim=None),
                                 (_LINES,)),
    "weight_norm of LSTM": Built(parametrized("weight_norm", "LSTM", 6, 3, tensor="weight_hh_l0"),
                                 (normal(4, 2, 6),)),
    "spectral_norm":       Built(parametrized("spectral_norm", "Linear", 3, 4), (_ROWS,)),
    "spectral_norm conv":  Built(parametrized("spectral_norm", "Conv2d", 4, 2, 3,
                                 n_power_iterations=3), (_IMAGES,)),
    "spectral_norm transposed": Built(parametrized("spectral_norm", "ConvTranspose2d", 4, 2, 3),
                                      (_IMAGES,)),
    "spectral_norm bias":  Built(parametrized("spectral_norm", "Linear", 3, 4, tensor="bias"),
                                 (_ROWS,)),
    "twice parametrized":  Built(twice_parametrized, (_ROWS,)),
    "no longer":           Built(no_longer_parametrized, (_IMAGES,)),
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
    "ConvTranspose1d":     Built(named("ConvTranspose1d", 6, 4, 3), (_LINES,)),
    "ConvTranspose1d +":   Built(named("ConvTranspose1d", 6, 4, 3, 2, 1, 1, 2, False, 2),
                                 (_LINES,)),
    "ConvTranspose2d":     Built(named("ConvTranspose2d", 4, 3, (3, 2)), (_IMAGES,)),
    "ConvTranspose2d +":   Built(named("ConvTranspose2d", 4, 6, 3, stride=2, padding=1, groups=2,
                                 output_padding=(1, 0), dilation=(1, 2)), (_IMAGES,)),
    "AdaptiveAvgPool1d":   Built(named("AdaptiveAvgPool1d", 2), (_LINES,)),
    "AdaptiveAvgPool2d":   Built(named("AdaptiveAvgPool2d", (2, None)), (_IMAGES,)),
    "AdaptiveMaxPool1d":   Built(named("AdaptiveMaxPool1d", 2, return_indices=True), (_LINES,)),
    "AdaptiveMaxPool2d":   Built(named("AdaptiveMaxPool2d", 2), (_IMAGES,)),
    "LPPool1d":            Built(named("LPPool1d", 2, 2), (_LINES,)),
    "LPPool2d":            Built(named("LPPool2d", 2, (3, 2), stride=1), (_IMAGES,)),
    "Upsample":            Built(named("Upsample", scale_factor=2), (_IMAGES,)),
    "Upsample bilinear":   Built(named("Upsample", (7, 4), mode="bilinear", align_corners=True),
                                 (_IMAGES,)),
    "Unfold":              Built(named("Unfold", (2, 3), padding=1, stride=2), (_IMAGES,)),
    "Fold":                Built(named("Fold", (4, 5), 2, padding=1, stride=(1, 2)),
                                 (normal(2, 12, 15),)),
    "Softmax2d":           Built(named("Softmax2d"), (_IMAGES,)),
    "MultiLabelSoftMarginLoss": Built(named("MultiLabelSoftMarginLoss",
                                            weight=Fixed(positive(4))),
                                      (normal(3, 4), Fixed(1.0 * (normal(3, 4) > 0)))),
    "PixelShuffle":        Built(named("PixelShuffle", 2), (_IMAGES,)),
    "PixelUnshuffle":      Built(named("PixelUnshuffle", 2), (normal(2, 3, 4, 6),)),
    "ChannelShuffle":      Built(named("ChannelShuffle", 2), (_IMAGES,)),
    "ConstantPad1d":       Built(named("ConstantPad1d", (1, 2), 0.5), (_LINES,)),
    "ConstantPad2d":       Built(named("ConstantPad2d", (1, 0, 2, -1), 0.5), (_IMAGES,)),
    "ZeroPad1d":           Built(named("ZeroPad1d", 2), (_LINES,)),
    "ZeroPad2d":           Built(named("ZeroPad2d", (1, 2, 3, 0)), (_IMAGES,)),
    "ReflectionPad1d":     Built(named("ReflectionPad1d", (1, 2)), (_LINES,)),
    "ReflectionPad2d":     Built(named("ReflectionPad2d", (1, 2, 3, 0)), (_IMAGES,)),
    "ReplicationPad1d":    Built(named("ReplicationPad1d", 2), (_LINES,)),
    "ReplicationPad2d":    Built(named("ReplicationPad2d", (1, 2, 3, 0)), (_IMAGES,)),
    "CircularPad1d":       Built(named("CircularPad1d", 2), (_LINES,)),
    "CircularPad2d":       Built(named("CircularPad2d", (1, 2, 3, 0)), (_IMAGES,)),
    "Bilinear":            Built(named("Bilinear", 3, 4, 2), (normal(5, 3), normal(5, 4))),
    "Bilinear bias=False": Built(named("Bilinear", 3, 4, 2, False), (normal(5, 3), normal(5, 4))),
    "Dropout1d":           Built(named("Dropout1d", 0.0), (_LINES,)),
    "Dropout2d":           Built(named("Dropout2d", 1.0), (_IMAGES,)),
    "AlphaDropout":        Built(lambda tw: tw.nn.AlphaDropout(0.3).eval(), (_LINES,)),
    "FeatureAlphaDropout": Built(named("FeatureAlphaDropout", 0.0), (_LINES,)),
    "Embedding +":         Built(named("Embedding", 4, 3, 1, 0.5, 1.0, True), (_INDEX,)),
    "EmbeddingBag":        Built(named("EmbeddingBag", 4, 3), (_INDEX, np.array([0, 2, 5]))),
    "EmbeddingBag +":      Built(named("EmbeddingBag", 4, 3, 0.5, mode="sum"),
                                 (_INDEX, np.array([0, 2, 5]))),
    "EmbeddingBag max":    Built(named("EmbeddingBag", 4, 3, mode="max", padding_idx=0),
                                 (integers(5, 3, low=0, high=4),)),
}
# fmt: on
