"""Optimizers by the names that `thalweg train --optimizer` takes, with their parameters as text."""

from __future__ import annotations

import inspect
from typing import Any

from thalweg import optim
from thalweg.errors import ConfigError, nearest
from thalweg.nn.linear import Linear
from thalweg.nn.module import Module
from thalweg.ops.creation import zeros
from thalweg.optim import Optimizer
from thalweg.settings import refuse_unknown
from thalweg.train.config import Config

__all__ = ["OPTIMIZERS", "check_optimizer", "make_optimizer"]

# fmt: off
OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adadelta":    optim.Adadelta,
    "adafactor":   optim.Adafactor,
    "adagrad":     optim.Adagrad,
    "adam":        optim.Adam,
    "adamax":      optim.Adamax,
    "adamw":       optim.AdamW,
    "asgd":        optim.ASGD,
    "lamb":        optim.LAMB,
    "lbfgs":       optim.LBFGS,
    "line-search": optim.LineSearchGD,
    "lion":        optim.Lion,
    "muon":        optim.Muon,
    "nadam":       optim.NAdam,
    "normalized":  optim.NormalizedSGD,
    "radam":       optim.RAdam,
    "rmsprop":     optim.RMSprop,
    "rprop":       optim.Rprop,
    "sgd":         optim.SGD,
}
# fmt: on
_OWN = ("lr", "momentum", "nesterov", "weight_decay")  # options with a flag of their own


def check_optimizer(config: Config) -> None:
    """Raise `ConfigError` for an unknown name, parameter or value, before anything is loaded."""
    if config.optimizer not in OPTIMIZERS:
        known = nearest(config.optimizer, OPTIMIZERS)
        raise ConfigError(f"unknown optimizer {config.optimizer!r}: {known}")
    _made(config, [zeros(1, 1, requires_grad=True)])


def make_optimizer(config: Config, model: Module) -> Optimizer:
    """The optimizer of a config for `model`.

    "muon" is for the matrices between the first input and the last layer; that layer and the
    biases are AdamW's, with the same step size. "lbfgs" searches for its steps, unless told
    "line_search_fn=none".
    """
    if config.optimizer != "muon":
        return _made(config, list(model.parameters()))
    *hidden, _ = (layer for layer in model.modules() if isinstance(layer, Linear))
    matrices = [layer.weight for layer in hidden]
    own = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in own]
    rest = optim.AdamW(others, lr=config.lr, weight_decay=config.weight_decay)
    return optim.Several(_made(config, matrices), rest) if matrices else rest


def _made(config: Config, params: list[Any]) -> Optimizer:
    kind = OPTIMIZERS[config.optimizer]
    known = list(inspect.signature(kind).parameters)[1:]
    options: dict[str, Any] = {"lr": config.lr}
    if config.optimizer == "sgd":
        options |= {"momentum": config.momentum, "nesterov": config.nesterov}
    if config.optimizer == "muon":
        options["adjust_lr_fn"] = "match_rms_adamw"
    if config.optimizer == "lbfgs":
        options["line_search_fn"] = "strong_wolfe"  # steps of 1 diverge on mini-batches
    if "weight_decay" in known:
        options["weight_decay"] = config.weight_decay
    elif config.weight_decay:
        raise ConfigError(
            f"weight_decay = {config.weight_decay:g}: {config.optimizer} has none; leave it out, "
            "or choose another optimizer"
        )
    given = _read(config.optimizer_options)
    refuse_unknown(f"optimizer_options: {config.optimizer}", given, set(known) - {"lr"})
    return kind(params, **{**options, **given})


def _read(pairs: tuple[str, ...]) -> dict[str, Any]:
    """ "betas=0.9/0.99" and the like as Python values by name."""
    found = {}
    for pair in pairs:
        name, is_given, text = (part.strip() for part in pair.partition("="))
        if not is_given or not name or not text:
            raise ConfigError(
                f"optimizer_options: {pair!r}; expected name=value, such as eps=1e-6, or with / "
                "between several values: betas=0.9/0.99"
            )
        parts = [_value(part) for part in text.split("/")]
        found[name.replace("-", "_")] = parts[0] if len(parts) == 1 else tuple(parts)
    return found


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
