"""What the arguments of layers and of their functions may be: said once, for all of them.

The kind of an argument is read from its annotation, its range from its name, which means the same
wherever it stands: `eps` is a number of 0 or more, `groups` a whole number of 1 or more. What one
function asks besides, it says to `checked`.
"""

from __future__ import annotations

import functools
import inspect
import math
import numbers
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, ParamSpec, TypeGuard, TypeVar

import numpy as np

from thalweg._tensor import Tensor
from thalweg.devices import check_device, device
from thalweg.dtypes import as_dtype, float32, float64
from thalweg.errors import ConfigError, ConfigTypeError, DTypeError, nearest
from thalweg.ops.random import Generator
from thalweg.tape import not_a_tensor

__all__ = [
    "ANY",
    "Argument",
    "FINITE_NORM",
    "KL_REDUCTIONS",
    "Limit",
    "above",
    "arguments",
    "between",
    "checked",
    "is_listed",
    "is_whole",
    "least",
    "nonzero",
    "one_of",
]

P = ParamSpec("P")
R = TypeVar("R")


class Limit(NamedTuple):
    """Which numbers an argument takes, in words that follow "a number", or which names."""

    fits: Callable[[float], bool]
    words: str = ""
    names: tuple[str, ...] = ()


def least(bound: float) -> Limit:
    """Finite numbers, `bound` or more."""
    return Limit(lambda value: bound <= value < math.inf, f" of {bound} or more")


def above(bound: float) -> Limit:
    """Numbers above `bound`, infinity too."""
    return Limit(lambda value: value > bound, f" above {bound}")


def between(low: float, high: float) -> Limit:
    """Numbers from `low` to `high`, both included."""
    return Limit(lambda value: low <= value <= high, f" from {low} to {high}")


def nonzero() -> Limit:
    """Any number but 0, by which something is divided."""
    return Limit(lambda value: value != 0 and math.isfinite(value), " other than 0")


def one_of(*names: str) -> Limit:
    """One of `names`; numbers where the annotation allows them."""
    return Limit(ANY.fits, names=names)


ANY = Limit(lambda value: True)
_REDUCTIONS = ("mean", "sum", "none")
KL_REDUCTIONS = ("batchmean", *_REDUCTIONS)
_NUMBER = Limit(lambda value: not math.isnan(value))
_FINITE = Limit(math.isfinite, " that is finite")
_SCALE = Limit(lambda value: 0 < value < math.inf, " above 0 and below infinity")
FINITE_NORM = Limit(_SCALE.fits, _SCALE.words + ": for that one there is max_pool")

# fmt: off
LIMITS: Mapping[str, Limit] = {
    **dict.fromkeys((
        "dim_feedforward", "embedding_dim", "eps", "in1_features", "in2_features", "in_channels",
        "in_features", "lambd", "layer_norm_eps", "num_channels",
        "num_decoder_layers", "num_embeddings", "num_encoder_layers", "num_features", "num_layers",
        "out_channels", "out_features", "output_padding", "proj_size", "std",
    ), least(0)),
    **dict.fromkeys((
        "d_model", "dilation", "downscale_factor", "embed_dim", "embed_dim_to_check", "groups",
        "hidden_size", "input_size", "kdim", "kernel_size", "max_len", "nhead", "num_groups",
        "num_heads", "num_parameters", "stride", "upscale_factor", "vdim",
    ), least(1)),
    **dict.fromkeys((
        "dropout", "dropout_p", "label_smoothing", "momentum", "sparsity",
    ), between(0, 1)),
    **dict.fromkeys(("delta", "max_norm", "norm_type"), above(0)),
    **dict.fromkeys((
        "a", "alpha", "b", "beta", "gain", "k", "margin", "mean", "negative_slope", "init",
        "scale",
    ), _FINITE),
    **dict.fromkeys(("base", "scale_factor"), _SCALE),
    **dict.fromkeys(("val", "value"), ANY),
    "activation": one_of("relu", "gelu"),
    "padding": Limit(least(0).fits, " of 0 or more", ("valid", "same")),
    "reduction": one_of(*_REDUCTIONS),
}
# fmt: on


# --- kinds ---------------------------------------------------------------------------------------


def _is_number(value: Any, kind: type = numbers.Real) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Whether that is an integer, Python's or NumPy's; True and False are none."""
    return _is_number(value, numbers.Integral)


def is_listed(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether that is a sequence, such as a list of sizes; a str is none."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_module(value: Any) -> bool:
    from thalweg.nn.module import Module

    return isinstance(value, Module)


# What each alternative of an annotation takes, and how an error calls it.
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "Callable": (lambda value: callable(value), "a function"),
    "Generator": (lambda value: isinstance(value, Generator), "a tw.Generator"),
    "Module": (_is_module, "a module"),
    "None": (lambda value: value is None, "None"),
    "Sequence[float]": (
        lambda value: is_listed(value) and all(map(_is_number, value)),
        "a sequence of numbers",
    ),
    "Sequence[int]": (
        lambda value: is_listed(value) and all(map(is_whole, value)),
        "a sequence of whole numbers",
    ),
    "Tensor": (lambda value: isinstance(value, Tensor), "a tensor"),
    "bool": (lambda value: isinstance(value, bool | np.bool_), "True or False"),
    "float": (_is_number, "a number"),
    "int": (is_whole, "a whole number"),
    "str": (lambda value: isinstance(value, str), "a str"),
}
_ALIASES = {
    "Activation": "str | Callable",
    "Distance": "Callable | None",
    "Factors": "float | Sequence[float] | None",
    "Sizes": "int | Sequence[int]",
    "nn.Module": "Module",
}
# The usual types of a kind; of these a number only has to be in range, and the rest is right.
_USUAL = {"None": type(None), "Tensor": Tensor, "bool": bool, "float": float, "int": int}


def _alternatives(annotation: str) -> tuple[str, ...]:
    """The kinds an annotation allows; () if one of them is not in the table."""
    for alias, meaning in _ALIASES.items():
        annotation = " | ".join(
            meaning if part == alias else part for part in annotation.split(" | ")
        )
    found = tuple(dict.fromkeys(annotation.split(" | ")))
    return found if all(kind in _KINDS for kind in found) else ()


# --- arguments -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a function: its name, its kinds and its limit."""

    name: str
    kinds: tuple[str, ...]
    limit: Limit

    def at_sight(self) -> dict[type, Callable[[Any], bool] | None]:
        """For the usual types, what tells a value that is right: None if each of them is."""
        found: dict[type, Callable[[Any], bool] | None] = {
            _USUAL[kind]: self.limit.fits if kind in ("float", "int") else None
            for kind in self.kinds
            if kind in _USUAL
        }
        return {int: self.limit.fits, **found} if float in found else found

    def check(self, owner: str, value: Any) -> None:
        """An error of `owner` that names the argument unless `value` is what it may be."""
        if not any(_KINDS[kind][0](value) for kind in self.kinds):
            if "Tensor" in self.kinds and not _is_number(value):
                raise not_a_tensor(f"{owner}{self.name}", value)
            raise ConfigTypeError(self._refusal(owner, value))
        if isinstance(value, str):
            if self.limit.names and value not in self.limit.names:
                hint = nearest(value, self.limit.names)
                raise ConfigError(f"{owner}no {self.name} {value!r}: {hint}")
        elif not all(map(self.limit.fits, _numbers(value))):
            raise ConfigError(self._refusal(owner, value))

    def _refusal(self, owner: str, value: Any) -> str:
        numeric = ("int", "float", "Sequence[int]", "Sequence[float]")
        words = [
            _KINDS[kind][1] + (self.limit.words if kind in numeric else "") for kind in self.kinds
        ]
        for one, many in (("int", "Sequence[int]"), ("float", "Sequence[float]")):
            if one in self.kinds and many in self.kinds:
                words[self.kinds.index(many)] = "a sequence of them"
        if self.limit.names and "str" in self.kinds:
            words[self.kinds.index("str")] = " or ".join(map(repr, self.limit.names))
        given = (
            f" is a tensor of shape {tuple(value.shape)}"
            if isinstance(value, Tensor)
            else f"={value!r:.60}"
        )
        return f"{owner}{self.name}{given}; expected {' or '.join(words)}"


def _numbers(value: Any) -> Iterator[float]:
    for part in value if is_listed(value) else (value,):
        if _is_number(part):
            yield part


@dataclass(frozen=True, slots=True)
class _Dtype(Argument):
    """The dtype of parameters, or of a result."""

    trained: bool

    def at_sight(self) -> dict[type, Callable[[Any], bool] | None]:
        return {type(None): None}

    def check(self, owner: str, value: Any) -> None:
        try:
            dtype = as_dtype(value)
        except DTypeError as error:
            raise DTypeError(f"{owner}dtype: {error.message}") from None
        if self.trained and dtype not in (float32, float64):
            raise DTypeError(
                f"{owner}dtype={dtype!r}; expected float32 or float64, or None for the default "
                "one: parameters are trained in these"
            )


@dataclass(frozen=True, slots=True)
class _Device(Argument):
    """Where parameters are to live: what is checked is all that there is to it."""

    def at_sight(self) -> dict[type, Callable[[Any], bool] | None]:
        return {type(None): None, device: None}

    def check(self, owner: str, value: Any) -> None:
        try:
            check_device(value)
        except ConfigError as error:
            raise ConfigError(f"{owner}{error.message}") from None


def arguments(function: Callable[..., Any], limits: Mapping[str, Limit]) -> dict[int, Argument]:
    """What can be checked of the arguments of `function`, by position."""
    found: dict[int, Argument] = {}
    for place, parameter in enumerate(inspect.signature(function).parameters.values()):
        name, annotation = parameter.name, str(parameter.annotation)
        if name == "dtype":
            found[place] = _Dtype(name, (), ANY, function.__name__ == "__init__")
        elif name == "device":
            found[place] = _Device(name, (), ANY)
        elif kinds := _alternatives(annotation):
            usual = LIMITS.get(name, _NUMBER)
            found[place] = Argument(name, kinds, limits.get(name, usual))
    return found


def _owner(function: str, given: tuple[Any, ...]) -> str:
    """Who an error begins with: a module adds its name itself to what its `forward` raises."""
    if function == "forward":
        return ""
    return f"{type(given[0]).__name__ if function == '__init__' else function}: "


def checked(**limits: Limit) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A function whose arguments are checked before it begins; `limits` are what it asks besides.

    Raises `ConfigError` for a number or a name that is out of range, `ConfigTypeError` for a value
    of another kind, for an argument that is missing or does not exist, `DTypeError` for what is no
    tensor or no element type.

    >>> @checked(p=between(0, 1))
    ... def off(p: float, inplace: bool = False) -> None: ...
    >>> off(1.5)
    Traceback (most recent call last):
    thalweg.errors.ConfigError: off: p=1.5; expected a number from 0 to 1
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        checks = _Checks(function, limits)
        right = checks.right

        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            kinds = tuple(map(type, args))
            if kinds not in right:
                checks.by_place(args, kinds)
            if kwargs:
                checks.by_name(kwargs, args)
            try:
                return function(*args, **kwargs)
            except TypeError:
                checks.require_fit(args, kwargs)
                raise

        return wrapper

    return decorate


class _Checks:
    """What the arguments of a function are held against.

    right  the types of arguments by place that need no second look
    """

    def __init__(self, function: Callable[..., Any], limits: Mapping[str, Limit]) -> None:
        known = arguments(function, limits)
        self.function, self.called = function, function.__name__
        self.places = [(place, known[place].at_sight(), known[place]) for place in sorted(known)]
        self.names = {argument.name: (sight, argument) for _, sight, argument in self.places}
        self.right: set[tuple[type, ...]] = set()

    def by_place(self, args: tuple[Any, ...], kinds: tuple[type, ...]) -> None:
        """Check all of them; note their types, if any values of these are right."""
        are_right = True
        for place, sight, argument in self.places:
            if place < len(args):
                are_right &= self._check(sight, argument, args[place], args)
        if are_right:
            self.right.add(kinds)

    def by_name(self, kwargs: Mapping[str, Any], args: tuple[Any, ...]) -> None:
        """Check those that were given by name."""
        for name, value in kwargs.items():
            if name in self.names:
                self._check(*self.names[name], value, args)

    def require_fit(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """A `ConfigTypeError` for a name that the function does not have, or an argument short."""
        signature = inspect.signature(self.function)
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            names = [name for name in signature.parameters if name != "self"]
            unknown = next((name for name in kwargs if name not in signature.parameters), None)
            hint = f"takes {', '.join(names)}" if unknown is None else nearest(unknown, names)
            raise ConfigTypeError(f"{_owner(self.called, args)}{error}: {hint}") from None

    def _check(
        self, sight: dict[type, Any], argument: Argument, value: Any, args: tuple[Any, ...]
    ) -> bool:
        """Check one; gives whether every value of its type is right."""
        kind = type(value)
        fits = sight.get(kind, argument)
        if fits is not None and (fits is argument or not fits(value)):
            argument.check(_owner(self.called, args), value)
            if isinstance(value, Tensor):  # a parameter, say
                fits = sight[kind] = None
        return fits is None
