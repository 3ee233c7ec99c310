"""Wrong arguments of every layer, function and initializer: an error says which, and what is right.

Kinds are read from the annotations, ranges from a table of their own below, by the argument's name;
that no argument is left out of it is a test too.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import thalweg as tw
from tests.nn.built import FUNCTIONS, INITIALIZERS, MODULES, UNCHECKED
from thalweg import nn
from thalweg.errors import (
    ConfigError,
    ConfigTypeError,
    DTypeError,
    OutOfRangeError,
    ShapeError,
    ThalwegError,
)

F = nn.functional

# What stands for a kind of value, and the kinds that the alternatives of an annotation take.
VALUES: dict[str, Any] = {
    "str": "three",
    "float": 1.5,
    "bool": True,
    "None": None,
    "object": object(),
    "list": [object()],
}
TAKES = {
    "str": {"str"},
    "float": {"float"},
    "bool": {"bool"},
    "None": {"None"},
    "Factors": {"float", "None"},
    "Wanted": {"None"},
    "Activation": {"str"},
    "Distance": {"None"},
    "Any": {"None"},  # of the arguments that are named dtype and device
}

# --- ranges --------------------------------------------------------------------------------------

LEAST_1, LEAST_0, ABOVE_0 = (0, -1), (-1,), (0.0, -1.0)
SHARE, FINITE, NOT_NAN = (-0.1, 1.1), (math.inf, math.nan), (math.nan,)
NAME = ("bogus",)
NOTHING = ()  # any whole number, or any number at all

RANGES: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(
        (
            *("embed_dim", "num_heads", "kdim", "vdim", "d_model", "nhead", "hidden_size"),
            *("max_len", "groups", "num_groups", "num_parameters", "kernel_size", "stride"),
            *("dilation", "upscale_factor", "downscale_factor", "input_size", "output_size"),
            *("normalized_shape", "embed_dim_to_check"),
        ),
        LEAST_1,
    ),
    **dict.fromkeys(
        (
            *("in_features", "in1_features", "in2_features", "out_features", "in_channels"),
            *("out_channels", "num_features", "num_channels", "num_embeddings", "embedding_dim"),
            *("proj_size", "dim_feedforward", "num_layers", "num_encoder_layers"),
            *("num_decoder_layers", "output_padding", "eps", "layer_norm_eps", "lambd", "std"),
        ),
        LEAST_0,
    ),
    **dict.fromkeys(("dropout", "dropout_p", "label_smoothing", "sparsity", "momentum"), SHARE),
    **dict.fromkeys(("delta", "norm_type", "max_norm"), ABOVE_0),
    **dict.fromkeys(("base", "scale_factor"), (*ABOVE_0, math.inf)),
    **dict.fromkeys(
        (
            *("alpha", "negative_slope", "margin", "init", "gain", "a", "b", "mean", "k", "beta"),
            "scale",
        ),
        FINITE,
    ),
    **dict.fromkeys(("min_val", "max_val", "threshold", "p", "param"), NOT_NAN),
    **dict.fromkeys(
        ("reduction", "approximate", "mode", "nonlinearity", "padding_mode", "activation"), NAME
    ),
    **dict.fromkeys(
        (
            *("dim", "start_dim", "end_dim", "ignore_index", "padding_idx", "value", "val"),
            *("unflattened_size", "pad", "theta", "var"),
        ),
        NOTHING,
    ),
    "padding": (-1, "bogus"),
    "size": LEAST_1,
    "divisor_override": (0,),
    "num_classes": (-2,),
    "tau": ABOVE_0,
    "blank": LEAST_0,
    "input_lengths": NOTHING,
    "target_lengths": NOTHING,
}
# Where a name means something else than elsewhere.
OWN: dict[tuple[str, str], tuple[Any, ...]] = {
    **{(name, "p"): SHARE for name in (*MODULES, *FUNCTIONS) if "ropout" in name},
    **{(name, "padding"): NOTHING for name in MODULES if "Pad" in name},
    **{(name, "padding"): LEAST_0 for name in (*MODULES, *FUNCTIONS) if "ool" in name},
    **{(name, "padding"): (-1,) for name in (*MODULES, *FUNCTIONS) if "ranspose" in name},
    **{(name, "padding"): (-1,) for name in ("Unfold", "unfold", "Fold", "fold")},
    **{(name, "alpha"): (0.0, math.inf) for name in ("CELU", "celu")},
    **{(name, "beta"): (0.0, math.inf) for name in ("Softplus", "softplus")},
    **{(name, "beta"): (-1.0, math.inf) for name in ("SmoothL1Loss", "smooth_l1_loss")},
    **{(name, "p"): (0, 3) for name in ("MultiMarginLoss", "multi_margin_loss")},
    **{(name, "p"): ABOVE_0 for name in ("TripletMarginLoss", "triplet_margin_loss")},
    **{(name, "norm_type"): (*ABOVE_0, math.inf) for name in ("LPPool1d", "LPPool2d")},
    **{(name, "num_layers"): LEAST_1 for name in ("RNN", "GRU", "LSTM")},
    ("RotaryEncoding", "dim"): (1, 0),
    ("affine_grid", "size"): NOTHING,
    ("trunc_normal_", "std"): (0.0, -1.0),
}
RANGED = ("int", "float", "str", "Sizes", "Factors", "Wanted", "Activation", "Sequence[int]")


def functions() -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """(name, what is called, right arguments) for all there is."""
    for name, built in MODULES.items():
        yield name, getattr(nn, name), built.options
    for name, options in FUNCTIONS.items():
        yield name, getattr(F, name), options
    for name, options in INITIALIZERS.items():
        yield name, getattr(nn.init, name), options


ALL = {name: (call, options) for name, call, options in functions()}


def parameters(name: str) -> dict[str, str]:
    """The arguments of a constructor or a function by name, with their annotations."""
    call = ALL[name][0]
    called = call.__init__ if inspect.isclass(call) else call  # type: ignore[misc]
    given = inspect.signature(called).parameters.values()
    skipped = ("self", "args", "kwargs", "generator")
    return {p.name: str(p.annotation) for p in given if p.name not in skipped}


def refused(name: str, argument: str, value: Any) -> ThalwegError:
    """The error of a call with that value of an argument; the random state is as before."""
    call, options = ALL[name]
    before = tw.default_generator.get_state().tolist()
    with pytest.raises(ThalwegError) as caught:
        call(**{**options, argument: value})
    assert tw.default_generator.get_state().tolist() == before
    text = str(caught.value)
    known = {name, call.__name__}  # he_normal_ is another name of kaiming_normal_
    assert text.split(":")[0] in known, text
    assert argument in text, text
    return caught.value


def test_everything_is_in_a_table() -> None:
    classes = {name for name in nn.__all__ if inspect.isclass(getattr(nn, name))}
    assert classes == {*MODULES, *UNCHECKED}
    assert {name for name in F.__all__ if inspect.isfunction(getattr(F, name))} - {
        "sigmoid", "tanh", "relu", "relu6", "softmax", "log_softmax",
    } <= set(FUNCTIONS)  # fmt: skip
    assert set(nn.init.__all__) == set(INITIALIZERS)


@pytest.mark.parametrize("name", ALL)
def test_a_value_of_the_wrong_kind(name: str) -> None:
    for argument, annotation in parameters(name).items():
        if annotation == "Any" and argument != "dtype":
            continue
        kinds = annotation.split(" | ")
        taken = set().union(*(TAKES.get(kind, set()) for kind in kinds))
        if argument == "unflattened_size":
            taken |= {"list"}
        for kind in VALUES.keys() - taken:
            error = refused(name, argument, VALUES[kind])
            assert isinstance(error, TypeError | ValueError)


@pytest.mark.parametrize("name", ALL)
def test_a_value_out_of_range(name: str) -> None:
    for argument, annotation in parameters(name).items():
        if not set(annotation.split(" | ")) & set(RANGED):
            continue
        own = OWN.get((name, argument))
        for value in RANGES[argument] if own is None else own:
            error = refused(name, argument, value)
            assert isinstance(error, ConfigError)


@pytest.mark.parametrize("name", [name for name in ALL if parameters(name)])
def test_a_name_that_does_not_exist(name: str) -> None:
    error = refused(name, "bogus", 1)
    assert isinstance(error, TypeError)
    assert "Known: " in str(error)


def test_an_argument_that_is_missing_or_misspelt() -> None:
    for call, words in (
        (lambda: nn.Conv2d(3, 4), "Conv2d: missing a required argument: 'kernel_size': takes in_"),
        (lambda: nn.Conv2d(3, 4, kernal_size=3), "did you mean 'kernel_size'"),
        (lambda: nn.ReLU(True, 2), "ReLU: too many positional arguments: takes inplace"),
        (lambda: F.pad(), "pad: missing a required argument"),
    ):
        with pytest.raises(ConfigTypeError, match=words):
            call()


# --- arguments that do not go together ------------------------------------------------------------

# fmt: off
PAIRS: dict[str, tuple[str, dict[str, Any], str]] = {
    "groups of inputs":    ("Conv2d", {"groups": 4, "out_channels": 6}, "out_channels=6; 1, 2"),
    "groups of channels":  ("Conv1d", {"groups": 3}, "groups=3 must divide in_channels=4"),
    "transposed groups":   ("ConvTranspose2d", {"groups": 3}, "groups=3 must divide"),
    "same with a stride":  ("Conv2d", {"padding": "same", "stride": 2}, 'padding="same"'),
    "sizes of a kernel":   ("Conv2d", {"kernel_size": (3, 3, 3)}, r"kernel_size=\(3, 3, 3\)"),
    "sizes of a window":   ("MaxPool2d", {"padding": (1, 1, 1)}, r"padding=\(1, 1, 1\)"),
    "wanted sizes":        ("AdaptiveAvgPool2d", {"output_size": (1, 2, 3)}, "output_size"),
    "wanted of no kind":   ("AdaptiveAvgPool1d", {"output_size": 1.5}, "output_size"),
    "sides":               ("ZeroPad2d", {"padding": (1, 2, 3)}, r"padding is .* \(1, 2, 3\)"),
    "groups to normalize": ("GroupNorm", {"num_groups": 3}, "num_groups=3 must divide"),
    "no shape":            ("LayerNorm", {"normalized_shape": ()}, r"normalized_shape=\(\)"),
    "heads":               ("MultiheadAttention", {"num_heads": 3}, "1, 2, 4 would"),
    "heads of layers":     ("TransformerEncoderLayer", {"nhead": 3}, "num_heads=3 must divide"),
    "heads of a model":    ("Transformer", {"nhead": 3}, "num_heads=3 must divide"),
    "a row of padding":    ("Embedding", {"padding_idx": 3}, "padding_idx 3 is not one of 3 rows"),
    "a row of a bag":      ("EmbeddingBag", {"padding_idx": -4}, "padding_idx -4"),
    "a projection":        ("LSTM", {"proj_size": 3}, "proj_size"),
    "odd features":        ("RotaryEncoding", {"dim": 5}, "dim"),
    "limits exchanged":    ("Hardtanh", {"min_val": 2.0}, "min_val=2.0 is above max_val=1.0"),
    "neither":             ("Upsample", {"scale_factor": None}, "either size or scale_factor"),
    "both":                ("Upsample", {"size": 3}, "either size or scale_factor"),
    "dtype of parameters": ("Linear", {"dtype": tw.int64}, "dtype=thalweg.int64; expected float32"),
    "not a dtype":         ("Conv2d", {"dtype": "float33"}, "dtype: 'float33'"),
    "uniform limits":      ("uniform_", {"a": 2.0}, "a=2.0 is above b=1.0"),
    "normal limits":       ("trunc_normal_", {"a": 2.0}, "expected a < b"),
    "probabilities":       ("cross_entropy", {"target": tw.ones(2, 4) / 4, "ignore_index": 1},
                            "ignore_index is a label"),
}
# fmt: on


@pytest.mark.parametrize("case", PAIRS)
def test_arguments_that_do_not_go_together(case: str) -> None:
    name, changed, words = PAIRS[case]
    call, options = ALL[name]
    before = tw.default_generator.get_state().tolist()
    with pytest.raises((ConfigError, DTypeError), match=words):
        call(**{**options, **changed})
    assert tw.default_generator.get_state().tolist() == before


# --- what a module is called with ----------------------------------------------------------------

# Any shape and any number of dimensions is right for these.
ANY_SHAPE = {
    *("CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU"),
    *("LogSigmoid", "Mish", "PReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus"),
    *("Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold", "Dropout", "AlphaDropout"),
    *("Embedding", "Flatten", "LogSoftmax", "Softmax", "Softmin"),
}


def floats(*shape: int) -> tw.Tensor:
    return tw.ones(shape)


_LINE, _IMAGES = floats(2, 5, 6), floats(2, 5, 6, 6)  # of one channel too many
_STEPS = floats(5, 2, 4)
_ROWS, _LABELS = floats(2, 4), tw.tensor([0, 1])
_FAR = tw.tensor([0, 7])


def _each(*names: str, calls: list[tuple[Any, ...]]) -> dict[str, list[tuple[Any, ...]]]:
    return dict.fromkeys(names, calls)


# Each call is refused, and the words stand in the error, or the shape of the first input does.
CALLS: dict[str, list[tuple[Any, ...]]] = {
    "GLU": [(floats(2, 3),)],
    "Linear": [(floats(2, 5),), (floats(),)],
    "Bilinear": [(floats(2, 4), floats(2, 5)), (floats(2, 4), floats(3, 4))],
    **_each("Conv1d", "ConvTranspose1d", calls=[(_LINE,), (_IMAGES,), (floats(4),)]),
    **_each("Conv2d", "ConvTranspose2d", calls=[(_IMAGES,), (floats(2, 4),)]),
    **_each("MaxPool1d", "AvgPool1d", "LPPool1d", calls=[(_IMAGES,), (floats(6),)]),
    **_each("MaxPool2d", "AvgPool2d", "LPPool2d", calls=[(floats(2, 6),), (floats(4, 1, 1),)]),
    **_each("AdaptiveAvgPool1d", "AdaptiveMaxPool1d", calls=[(_IMAGES,), (floats(6),)]),
    **_each("AdaptiveAvgPool2d", "AdaptiveMaxPool2d", calls=[(floats(2, 6),)]),
    **_each(
        *("CircularPad1d", "ReflectionPad1d", "ReplicationPad1d", "ZeroPad1d", "ConstantPad1d"),
        calls=[(_IMAGES,), (floats(6),)],
    ),
    **_each(
        *("CircularPad2d", "ReflectionPad2d", "ReplicationPad2d", "ZeroPad2d", "ConstantPad2d"),
        calls=[(floats(2, 6),), (floats(1, 1, 1, 2, 2),)],
    ),
    **_each("BatchNorm1d", "InstanceNorm1d", calls=[(_LINE,), (_IMAGES,), (floats(4),)]),
    **_each("BatchNorm2d", "InstanceNorm2d", calls=[(_IMAGES,), (floats(2, 4),)]),
    "GroupNorm": [(_IMAGES,), (floats(4),)],
    **_each("LayerNorm", "RMSNorm", calls=[(floats(2, 5),), (floats(),)]),
    "LocalResponseNorm": [(floats(2, 4),)],
    **_each("Dropout1d", calls=[(_IMAGES,), (floats(4),)]),
    "Dropout2d": [(floats(4),)],
    "FeatureAlphaDropout": [(floats(4),)],
    "VariationalDropout": [(floats(),)],
    "EmbeddingBag": [(tw.zeros(2, 3, 4, dtype=tw.int64),)],
    **_each("RNN", "GRU", "LSTM", calls=[(floats(5, 2, 3),), (floats(5, 2, 4, 1),), (floats(4),)]),
    **_each("RNNCell", "GRUCell", "LSTMCell", calls=[(floats(2, 5),), (floats(5, 2, 4),)]),
    "MultiheadAttention": [
        (floats(5, 2, 3), _STEPS, _STEPS),
        (_STEPS, _STEPS, floats(6, 2, 4)),
        (_STEPS, floats(5, 3, 4), floats(5, 3, 4)),
        (_STEPS, floats(5, 4), floats(5, 4)),
    ],
    **_each("TransformerEncoderLayer", "TransformerEncoder", calls=[(floats(5, 2, 3),)]),
    **_each(
        *("TransformerDecoderLayer", "TransformerDecoder", "Transformer"),
        calls=[(_STEPS, floats(5, 3, 4)), (floats(5, 2, 3), _STEPS), (_STEPS, floats(5, 2, 3))],
    ),
    **_each("SinusoidalEncoding", "LearnedEncoding", calls=[(floats(9, 6),), (floats(8, 5),)]),
    "RotaryEncoding": [(floats(9, 6),), (floats(8, 5),)],
    "Unflatten": [(floats(2, 5),)],
    "PixelShuffle": [(_IMAGES,), (floats(4, 4),)],
    "PixelUnshuffle": [(floats(2, 1, 5, 4),), (floats(4, 4),)],
    "Unfold": [(floats(4, 4),), (floats(2, 4, 1, 1),)],
    "Fold": [(floats(2, 15, 25),), (floats(2, 16, 24),), (floats(16),)],
    "Softmax2d": [(floats(2, 4),)],
    "ChannelShuffle": [(_IMAGES,), (floats(4),)],
    "Upsample": [(floats(2, 4),)],
    "Residual": [(floats(2, 5),)],
    **_each(
        *("MSELoss", "L1Loss", "HuberLoss", "SmoothL1Loss", "BCELoss", "BCEWithLogitsLoss"),
        *("KLDivLoss", "PoissonNLLLoss", "HingeEmbeddingLoss", "SoftMarginLoss"),
        "MultiLabelSoftMarginLoss",
        calls=[(_ROWS, floats(2, 1)), (_ROWS, floats(2, 5)), (_ROWS, floats(4))],
    ),
    "GaussianNLLLoss": [(_ROWS, floats(2, 1), _ROWS), (_ROWS, _ROWS, floats(3, 4))],
    **_each(
        *("CrossEntropyLoss", "NLLLoss", "MultiMarginLoss"),
        calls=[(_ROWS, _FAR), (_ROWS, tw.tensor([0, 1, 2])), (_ROWS, tw.tensor([0.0, 1.0]))],
    ),
    "CosineEmbeddingLoss": [(_ROWS, floats(2, 5), floats(2)), (_ROWS, _ROWS, floats(3))],
    "MarginRankingLoss": [(_ROWS, floats(2, 5), _ROWS)],
    **_each(
        *("TripletMarginLoss", "TripletMarginWithDistanceLoss"),
        calls=[(_ROWS, floats(2, 5), _ROWS)],
    ),
    **_each("CosineSimilarity", "PairwiseDistance", calls=[(_ROWS, floats(2, 5))]),
}


def test_every_module_is_called_wrongly() -> None:
    assert set(CALLS) | ANY_SHAPE == set(MODULES)


def held(module: Any) -> dict[str, Any]:
    return {name: x.tolist() for name, x in module.state_dict().items()}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_with_wrong_shapes(name: str) -> None:
    module = getattr(nn, name)(**MODULES[name].options)
    before = held(module)
    for inputs in CALLS[name]:
        with pytest.raises((ShapeError, DTypeError, OutOfRangeError)) as caught:
            module(*inputs)
        text = str(caught.value)
        assert text.startswith(name)
        given = [str(tuple(x.shape[from_:])) for x in inputs for from_ in (0, -2)]
        told = caught.type is not ShapeError or any(shape in text for shape in given)
        assert told or "of rank 0" in text, text
    assert held(module) == before


@pytest.mark.parametrize("name", MODULES)
def test_a_call_with_what_is_no_tensor(name: str) -> None:
    options, inputs = MODULES[name]
    module = getattr(nn, name)(**options)
    before = held(module)
    for place, right in enumerate(inputs):
        for wrong in (right.tolist(), right.numpy(), None, "x"):
            with pytest.raises(DTypeError, match=f"^{name}.*tensor"):
                module(*inputs[:place], wrong, *inputs[place + 1 :])
    assert held(module) == before


@pytest.mark.parametrize("name", MODULES)
def test_an_empty_batch(name: str) -> None:
    """Nothing in, nothing out; where statistics of a batch are needed, an error that says so."""
    options, inputs = MODULES[name]
    module = getattr(nn, name)(**options)
    before = held(module)
    in_time = name in ("RNN", "GRU", "LSTM", "MultiheadAttention") or "Transformer" in name
    empty = [x[:, :0] if in_time else x[:0] for x in inputs]
    if name.startswith("BatchNorm"):
        with pytest.raises(ShapeError, match=r"0 element\(s\) a channel"):
            module(*empty)
        assert held(module) == before
        return
    out = module(*empty)
    first = out[0] if isinstance(out, tuple) else out
    assert first.ndim == 0 or 0 in first.shape
