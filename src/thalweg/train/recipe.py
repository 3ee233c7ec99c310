"""From the names in a `Config` to a data set, a network, a loss, an optimizer and a schedule.

Each choice is a row of a table: a new activation or schedule is one line, a new optimizer one in
`train.optimizers`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from thalweg import nn
from thalweg._tensor import Tensor
from thalweg.data import CATALOG, Encoding, Sources, load, load_csv, load_images, load_text
from thalweg.data.image_folder import picture_bytes
from thalweg.errors import ConfigError, DataError, nearest
from thalweg.nn import functional as F
from thalweg.nn import init
from thalweg.nn.module import Module
from thalweg.ops.random import manual_seed
from thalweg.optim import lr_scheduler as schedules
from thalweg.optim.lr_scheduler import LRScheduler, Scheduler
from thalweg.optim.optimizer import Optimizer
from thalweg.train.augmenting import check_augment, make_augment
from thalweg.train.config import Config
from thalweg.train.metrics import measures_for, next_token_loss
from thalweg.train.optimizers import check_optimizer, make_optimizer
from thalweg.train.trainer import Trainer

__all__ = ["check_names", "load_splits", "make_loss", "make_model", "make_trainer"]

# fmt: off
# name: (module, whether it is bounded like a sigmoid, so that Glorot's scale fits and not He's)
ACTIVATIONS: dict[str, tuple[Callable[[], Module], bool]] = {
    "sigmoid":    (nn.Sigmoid,   True),
    "tanh":       (nn.Tanh,      True),
    "softsign":   (nn.Softsign,  True),
    "relu":       (nn.ReLU,      False),
    "leaky-relu": (nn.LeakyReLU, False),
    "elu":        (nn.ELU,       False),
    "selu":       (nn.SELU,      False),
    "gelu":       (nn.GELU,      False),
    "silu":       (nn.SiLU,      False),
    "softplus":   (nn.Softplus,  False),
}

INITS: dict[str, Callable[[Tensor], Any]] = {
    "glorot-uniform": init.xavier_uniform_,
    "glorot-normal":  init.xavier_normal_,
    "he-uniform":     lambda w: init.kaiming_uniform_(w, nonlinearity="relu"),
    "he-normal":      lambda w: init.kaiming_normal_(w, nonlinearity="relu"),
    "orthogonal":     init.orthogonal_,
    "torch":          lambda w: init.kaiming_uniform_(w, a=math.sqrt(5)),
}

LOSSES: dict[str, tuple[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "next-token":    ("text",           next_token_loss),
    "cross-entropy": ("classification", F.cross_entropy),
    "mse":           ("regression",     F.mse_loss),
    "l1":            ("regression",     F.l1_loss),
    "huber":         ("regression",     F.huber_loss),
}

SCHEDULES: dict[str, Callable[[Optimizer, Config, bool], Any]] = {
    "constant":    lambda o, c, up: None,
    "plateau":     lambda o, c, up: schedules.ReduceLROnPlateau(
                       o, mode="max" if up else "min", factor=c.decay, patience=c.patience),
    "step":        lambda o, c, up: schedules.StepLR(o, c.step_epochs, gamma=c.decay),
    "exponential": lambda o, c, up: schedules.ExponentialLR(o, gamma=c.decay),
    "exp":         lambda o, c, up: schedules.ExponentialDecayLR(o, alpha=c.decay),
    "inverse":     lambda o, c, up: schedules.InverseTimeLR(o, alpha=c.decay),
    "diminishing": lambda o, c, up: schedules.DiminishingLR(o),
    "linear":      lambda o, c, up: schedules.LinearLR(o, 1.0, 0.0, total_iters=c.epochs),
    "polynomial":  lambda o, c, up: schedules.PolynomialLR(o, total_iters=c.epochs, power=2.0),
    "cosine":      lambda o, c, up: schedules.CosineAnnealingLR(o, T_max=c.epochs),
    "restarts":    lambda o, c, up: schedules.CosineAnnealingWarmRestarts(
                       o, c.step_epochs, T_mult=2),
    "cyclic":      lambda o, c, up: schedules.CyclicLR(
                       o, 0.1 * c.lr, c.lr, c.step_epochs, cycle_momentum=False),
    "one-cycle":   lambda o, c, up: schedules.OneCycleLR(  # t from 0 to the number of epochs
                       o, c.lr, c.epochs + 1, pct_start=(0.3 * c.epochs + 1) / (c.epochs + 1),
                       cycle_momentum=_has_momentum(o)),
}
# fmt: on
_LEAST_HEAD = 16  # the width of a head of attention, at least
_MUCH = 500_000_000  # bytes, from which on data are streamed
# Curves: unless told otherwise, the step size changes with every update along them.
_SMOOTH = frozenset({"linear", "polynomial", "cosine", "restarts", "cyclic", "one-cycle"})


def _has_momentum(optimizer: Optimizer) -> bool:
    return all(group.momentum_key is not None for group in optimizer.param_groups)


def _choose(kind: str, name: str, table: dict[str, Any]) -> Any:
    if name not in table:
        raise ConfigError(f"unknown {kind} {name!r}: {nearest(name, table)}")
    return table[name]


def check_names(config: Config) -> None:
    """Raise `ConfigError` for a name that stands in no table, before anything is loaded."""
    _choose("activation", config.activation, ACTIVATIONS)
    check_optimizer(config)
    check_augment(config.augment)
    _choose("schedule", config.schedule, SCHEDULES)
    if config.init != "auto":
        _choose("init", config.init, {**INITS, "auto": None})
    if config.loss != "auto":
        _choose("loss", config.loss, {**LOSSES, "auto": None})
    _choose("schedule unit", config.schedule_unit, dict.fromkeys(("auto", "step", "epoch")))
    if config.task not in ("auto", "classification", "regression"):
        known = ("auto", "classification", "regression")
        raise ConfigError(f"unknown task {config.task!r}: {nearest(config.task, known)}")


def load_splits(config: Config) -> Sources:
    """The data set a config names: one of the catalogue, a CSV file, or a folder of pictures."""
    name = config.dataset
    if name in CATALOG:
        if config.target:
            raise ConfigError(f"target = {config.target!r} is for CSV files; {name} has its labels")
        if config.stream:
            raise ConfigError(f"stream is for CSV files and folders of pictures; {name} is small")
        return load(name)
    path = Path(name)
    if path.is_dir():
        return _pictures(path, config)
    if path.suffix == ".txt":
        return _text(path, config)
    if not name.endswith(".csv") and not path.exists():
        known = (*CATALOG, "a path ending in .csv or .txt", "a folder of pictures")
        raise ConfigError(
            f"unknown data set {name!r}, and nothing of that name in {Path.cwd()}: "
            f"{nearest(name, known)}"
        )
    if not config.target:
        raise ConfigError(f"{name}: say which column to predict: --target COLUMN")
    task: Any = None if config.task == "auto" else config.task
    targets = [column.strip() for column in config.target.split(",")]
    missing: Any = config.missing
    return load_csv(
        name,
        targets[0] if len(targets) == 1 else targets,
        task=task,
        drop=config.drop,
        missing=missing,
        seed=config.seed,
        stream=config.stream or (path.is_file() and path.stat().st_size > _MUCH),
    )


def _text(path: Path, config: Config) -> Sources:
    if config.target or config.stream:
        raise ConfigError(f"target and stream are not for a text, such as {path}")
    return load_text(path, config.tokenizer).windows(config.context)


def _pictures(folder: Path, config: Config) -> Sources:
    if config.target:
        raise ConfigError(f"target = {config.target!r} is for CSV files; {folder} is a folder")
    return load_images(
        folder,
        config.size or None,
        "gray" if config.gray else "rgb",
        seed=config.seed,
        stream=config.stream or picture_bytes(folder, config.size, config.gray) > _MUCH,
    )


def make_model(config: Config, encoding: Encoding) -> Module:
    """A network for the data set, initialized with the current random stream: fully connected, for
    a text a GPT with a block for each hidden layer."""
    if encoding.task == "text":
        return _gpt(config, encoding)
    activation, is_bounded = _choose("activation", config.activation, ACTIVATIONS)
    scheme = config.init
    if scheme == "auto":
        scheme = "glorot-uniform" if is_bounded else "he-uniform"
    initialize = _choose("init", scheme, INITS)
    sizes = [math.prod(encoding.input_shape), *config.hidden, encoding.output_size]
    layers: list[Module] = [nn.Flatten()] if len(encoding.input_shape) != 1 else []
    for position, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        layer = nn.Linear(fan_in, fan_out)
        initialize(layer.weight)
        assert layer.bias is not None
        init.zeros_(layer.bias)
        layers.append(layer)
        if position < len(config.hidden):
            layers.append(activation())
            if config.dropout:
                layers.append(nn.Dropout(config.dropout))
    return nn.Sequential(*layers)


def _gpt(config: Config, encoding: Encoding) -> Module:
    from thalweg.models import char_gpt

    if len(set(config.hidden)) != 1:
        raise ConfigError(
            f"hidden = {list(config.hidden)}: the blocks of a text's network are alike; expected "
            "the same width for each, such as 64,64"
        )
    width = config.hidden[0]
    heads = max(n for n in range(1, width // _LEAST_HEAD + 2) if width % n == 0)
    return char_gpt(
        encoding.output_size,
        block_size=encoding.input_shape[0],
        n_layer=len(config.hidden),
        n_head=heads,
        n_embd=width,
        dropout=config.dropout,
    )


def make_loss(config: Config, encoding: Encoding) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of a config, checked against the task."""
    name = config.loss
    if name == "auto":
        name = {"classification": "cross-entropy", "text": "next-token"}.get(encoding.task, "mse")
    task, loss = _choose("loss", name, LOSSES)
    if task != encoding.task:
        raise DataError(f"loss {name!r} is for {task}, but {encoding.name} is a {encoding.task}")
    result: Callable[[Tensor, Tensor], Tensor] = loss
    return result


def make_trainer(config: Config, encoding: Encoding) -> Trainer:
    """Seed, then make network, optimizer and schedule: the same bits for the same config."""
    manual_seed(config.seed)
    model = make_model(config, encoding)
    optimizer = make_optimizer(config, model)
    measures = measures_for(encoding)
    return Trainer(
        model,
        make_loss(config, encoding),
        optimizer,
        schedule=_schedules(optimizer, config, measures.larger_is_better),
        batch_size=config.batch_size,
        accumulate=config.accumulate,
        clip_norm=config.clip_norm or None,
        l1=config.l1,
        ema=config.ema or None,
        patience=config.early_stop or None,
        augment=make_augment(config.augment, encoding),
        measures=measures,
        compile=config.compile,
    )


def _schedules(optimizer: Optimizer, config: Config, larger_is_better: bool) -> list[Scheduler]:
    """The schedules of a config; each multiplies the step size. All count epochs, or fractions."""
    smooth = config.schedule_unit == "step"
    made = _choose("schedule", config.schedule, SCHEDULES)(optimizer, config, larger_is_better)
    found: list[Scheduler] = []
    if made is not None:
        is_curve = config.schedule in _SMOOTH if config.schedule_unit == "auto" else smooth
        is_function = isinstance(made, LRScheduler)
        found.append(made.per("fraction" if is_curve and is_function else "epoch"))
    if config.warmup:
        start = 1 / (config.warmup + 1)
        warm_up = schedules.LinearLR(optimizer, start, total_iters=config.warmup)
        found.append(warm_up.per("epoch" if config.schedule_unit == "epoch" else "fraction"))
    return found
