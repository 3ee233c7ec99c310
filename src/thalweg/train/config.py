"""The options of a training run: one table for flags, TOML files and run folders."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self, get_type_hints

from thalweg.errors import ConfigError, nearest

__all__ = ["Config", "STEP_SIZES"]

# The step size each optimizer begins with unless told otherwise: its own default but for sgd, which
# has momentum here.
STEP_SIZES: dict[str, float] = {
    "adadelta": 1.0,
    "adafactor": 1e-2,
    "adagrad": 1e-2,
    "adam": 1e-3,
    "adamax": 2e-3,
    "adamw": 1e-3,
    "asgd": 1e-2,
    "lamb": 1e-3,
    "lbfgs": 1.0,
    "line-search": 1.0,
    "lion": 1e-4,
    "muon": 1e-3,
    "nadam": 2e-3,
    "normalized": 1e-2,
    "radam": 1e-3,
    "rmsprop": 1e-2,
    "rprop": 1e-2,
    "sgd": 0.1,
}


def _option(default: Any, about: str) -> Any:
    return field(default=default, metadata={"about": about})


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that decides what `thalweg train` does; the same keys as flags and in TOML.

    >>> Config().hidden, Config.from_dict({"lr": 1}).lr
    ((30, 30), 1.0)
    """

    dataset: str = _option(
        "digits",
        "digits, mnist, fashion-mnist, mnist1d, a CSV file, a folder with a folder of pictures for "
        "each class, or a .txt file, of which a small GPT learns what comes next",
    )
    stream: bool = _option(
        False,
        "read a CSV file or pictures in pieces while training; from 500 MB of either on, that is "
        "done unasked",
    )
    size: int = _option(0, "bring pictures to SIZE x SIZE pixels; 0: they all have one size")
    gray: bool = _option(False, "pictures without their colours")
    target: str = _option("", "the column of a CSV file to predict")
    task: str = _option("auto", "auto (look at the target), classification or regression")
    drop: tuple[str, ...] = _option((), "columns of a CSV file to leave out, A,B")
    missing: str = _option("error", "CSV rows with missing cells: error, or drop them")
    context: int = _option(64, "of a text: how many tokens the network looks back on")
    tokenizer: str = _option("characters", "of a text: characters, words or byte-pairs")
    hidden: tuple[int, ...] = _option(
        (30, 30), "sizes of the hidden layers, or none; for a text the width of each block, 64,64"
    )
    activation: str = _option("sigmoid", "of the hidden layers: sigmoid, tanh, relu, ...")
    init: str = _option("auto", "auto (Glorot for sigmoid-like, He for ReLU-like) or a scheme")
    dropout: float = _option(0.0, "probability of dropping a hidden unit while training")
    augment: tuple[str, ...] = _option(
        (), "changes of the training pictures: flip, crop:4, rotate:10, noise:0.1, erase, mixup:0.2"
    )
    loss: str = _option("auto", "auto, cross-entropy, mse, l1 or huber")
    optimizer: str = _option("sgd", ", ".join(STEP_SIZES))
    lr: float = _option(STEP_SIZES["sgd"], "step size; of another optimizer its own default")
    momentum: float = _option(0.9, "of sgd")
    nesterov: bool = _option(False, "Nesterov's form of sgd's momentum")
    optimizer_options: tuple[str, ...] = _option(
        (), "other parameters of the optimizer: eps=1e-6,betas=0.9/0.99"
    )
    weight_decay: float = _option(0.0, "L2 penalty; with adamw, lion, muon decoupled decay")
    l1: float = _option(0.0, "L1 penalty, as decay after each step")
    ema: float = _option(0.0, "decay of an average of the parameters to evaluate and keep, 0: none")
    clip_norm: float = _option(0.0, "largest norm of the gradient, 0 for no limit")
    batch_size: int = _option(10, "examples in a batch")
    accumulate: int = _option(1, "batches whose gradients make one update")
    epochs: int = _option(30, "passes over the training set")
    schedule: str = _option(
        "plateau",
        "of the step size: constant, plateau, step, exponential, exp, inverse, diminishing, "
        "linear, polynomial, cosine, restarts, cyclic, one-cycle",
    )
    schedule_unit: str = _option(
        "auto",
        "when the step size changes: step (with every update), epoch, or auto (step for warm-up, "
        "linear, polynomial, cosine, restarts, cyclic and one-cycle)",
    )
    patience: int = _option(5, "plateau: epochs without improvement before the step size decays")
    decay: float = _option(
        0.5, "plateau, step, exponential: the factor; exp, inverse: the rate alpha"
    )
    step_epochs: int = _option(10, "step, restarts: epochs between two; cyclic: on the way up")
    warmup: int = _option(0, "epochs over which the step size grows to lr")
    early_stop: int = _option(0, "epochs without improvement before training ends, 0 for never")
    seed: int = _option(0, "of initialization, shuffling and dropout")
    compile: bool = _option(True, "whether the training steps run as one native program")

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not (low <= value <= high) or math.isnan(value):
                limit = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
                raise ConfigError(f"{name} = {value!r}: expected {limit}")
        if any(size < 1 for size in self.hidden):
            raise ConfigError(f"hidden = {list(self.hidden)}: each layer has at least 1 unit")
        if self.lr == 0:
            raise ConfigError("lr = 0: nothing would be learned; expected a positive step size")

    @classmethod
    def from_dict(cls, given: Mapping[str, Any], where: str = "options") -> Self:
        """The config with the options `given`, by name; `where` says in messages whose they are."""
        return cls().updated(given, where)

    def updated(self, given: Mapping[str, Any], where: str = "options") -> Self:
        """A copy with some options replaced. Raises `ConfigError` for unknown names and types."""
        types = get_type_hints(type(self))
        known = {f.name for f in fields(self)}
        changes = {}
        for key, value in given.items():
            name = key.replace("-", "_")
            if name not in known:
                raise ConfigError(f"{where}: unknown option {key!r}: {nearest(name, known)}")
            changes[name] = _typed(name, value, types[name], where)
        if "lr" not in changes and self.lr == STEP_SIZES.get(self.optimizer):
            changes["lr"] = STEP_SIZES.get(changes.get("optimizer", self.optimizer), self.lr)
        return replace(self, **changes)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """The options of a TOML file."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read as a TOML file ({error})") from error
        try:
            given = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path} is not valid TOML: {error}") from error
        return cls.from_dict(given, str(path))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a TOML file."""
        plain = asdict(self)
        return {key: list(x) if isinstance(x, tuple) else x for key, x in plain.items()}


_RANGES: dict[str, tuple[float, float]] = {
    "size": (0, 4096),
    "context": (1, 65536),
    "dropout": (0, 0.999),
    "lr": (0, math.inf),
    "momentum": (0, 0.9999),
    "weight_decay": (0, math.inf),
    "l1": (0, math.inf),
    "ema": (0, 0.999999),
    "clip_norm": (0, math.inf),
    "batch_size": (1, math.inf),
    "accumulate": (1, math.inf),
    "epochs": (1, math.inf),
    "patience": (0, math.inf),
    "decay": (0, math.inf),
    "step_epochs": (1, math.inf),
    "warmup": (0, math.inf),
    "early_stop": (0, math.inf),
    "seed": (0, 2**63 - 1),
}


def _typed(name: str, value: Any, kind: Any, where: str) -> Any:
    """`value` as an option's type, or a `ConfigError` that says what was expected."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind == tuple[int, ...]:
        sizes = _sizes(value) if isinstance(value, str) else value
        sizes = [sizes] if isinstance(sizes, int) else sizes
        if isinstance(sizes, list | tuple) and all(type(size) is int for size in sizes):
            return tuple(sizes)
        raise ConfigError(f"{where}: {name} = {value!r}; expected layer sizes, such as 30,30")
    if kind == tuple[str, ...]:
        names = value.split(",") if isinstance(value, str) else value
        if isinstance(names, list | tuple) and all(isinstance(n, str) for n in names):
            return tuple(n.strip() for n in names if n.strip())
        raise ConfigError(f"{where}: {name} = {value!r}; expected names, such as A,B")
    if type(value) is kind:
        return value
    raise ConfigError(f"{where}: {name} = {value!r}; expected {_SPOKEN[kind]}")


_SPOKEN = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _sizes(text: str) -> Any:
    """ "30,30" as [30, 30]; "" and "none" as []."""
    if text.strip().lower() in ("", "none", "0"):
        return []
    try:
        return [int(part) for part in text.replace("x", ",").split(",")]
    except ValueError:
        return text
