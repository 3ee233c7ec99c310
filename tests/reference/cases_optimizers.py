"""Optimizers beside SGD, Adam and AdamW, with arguments that both frameworks take."""

from __future__ import annotations

from typing import Any

__all__ = ["FAMILIES"]

# fmt: off
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "Adagrad":                ("Adagrad", {"lr": 0.1}),
    "Adagrad default":        ("Adagrad", {}),
    "Adagrad lr_decay":       ("Adagrad", {"lr": 0.1, "lr_decay": 0.05}),
    "Adagrad accumulator":    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.1}),
    "Adagrad eps, decay":     ("Adagrad", {"lr": 0.1, "eps": 1e-3, "weight_decay": 0.1}),
    "Adagrad maximize":       ("Adagrad", {"lr": 0.01, "maximize": True}),
    "Adadelta default":       ("Adadelta", {}),
    "Adadelta rho, eps":      ("Adadelta", {"lr": 0.5, "rho": 0.5, "eps": 1e-4}),
    "Adadelta decay":         ("Adadelta", {"lr": 2.0, "weight_decay": 0.1}),
    "Adadelta maximize":      ("Adadelta", {"maximize": True, "weight_decay": 0.1}),
    "RMSprop default":        ("RMSprop", {}),
    "RMSprop alpha, eps":     ("RMSprop", {"lr": 0.005, "alpha": 0.5, "eps": 1e-3}),
    "RMSprop centered":       ("RMSprop", {"lr": 0.005, "centered": True}),
    "RMSprop momentum":       ("RMSprop", {"lr": 1e-3, "momentum": 0.9}),
    "RMSprop decay":          ("RMSprop", {"lr": 1e-3, "weight_decay": 0.1}),
    "RMSprop all":            ("RMSprop", {"lr": 2e-3, "momentum": 0.5, "centered": True,
                                           "weight_decay": 0.1, "alpha": 0.9, "eps": 1e-2}),
    "RMSprop maximize":       ("RMSprop", {"lr": 1e-3, "maximize": True}),
    "Adamax default":         ("Adamax", {}),
    "Adamax betas, eps":      ("Adamax", {"lr": 0.02, "betas": (0.5, 0.9), "eps": 1e-3}),
    "Adamax decay":           ("Adamax", {"lr": 0.02, "weight_decay": 0.1}),
    "Adamax maximize":        ("Adamax", {"maximize": True}),
    "NAdam default":          ("NAdam", {}),
    "NAdam betas, eps":       ("NAdam", {"lr": 0.02, "betas": (0.5, 0.9), "eps": 1e-3}),
    "NAdam momentum_decay":   ("NAdam", {"lr": 0.02, "momentum_decay": 0.1}),
    "NAdam penalty":          ("NAdam", {"lr": 0.02, "weight_decay": 0.1}),
    "NAdam decay":            ("NAdam", {"lr": 0.02, "weight_decay": 0.1,
                                         "decoupled_weight_decay": True}),
    "NAdam maximize":         ("NAdam", {"maximize": True}),
    "RAdam default":          ("RAdam", {}),
    "RAdam betas, eps":       ("RAdam", {"lr": 0.02, "betas": (0.5, 0.9), "eps": 1e-3}),
    "RAdam never rectified":  ("RAdam", {"lr": 0.02, "betas": (0.9, 0.5)}),
    "RAdam penalty":          ("RAdam", {"lr": 0.02, "weight_decay": 0.1}),
    "RAdam decay":            ("RAdam", {"lr": 0.02, "weight_decay": 0.1,
                                         "decoupled_weight_decay": True}),
    "RAdam maximize":         ("RAdam", {"maximize": True}),
    "Adam decoupled":         ("Adam", {"lr": 0.02, "weight_decay": 0.1,
                                        "decoupled_weight_decay": True}),
    "Adafactor":              ("Adafactor", {"lr": 0.1}),
    "Adafactor default":      ("Adafactor", {}),
    "Adafactor eps, d":       ("Adafactor", {"lr": 0.05, "eps": (1e-4, 1e-2), "d": 2.0}),
    "Adafactor decay":        ("Adafactor", {"lr": 0.05, "beta2_decay": -0.5,
                                             "weight_decay": 0.1}),
    "Adafactor maximize":     ("Adafactor", {"maximize": True}),
    "Rprop default":          ("Rprop", {}),
    "Rprop etas, limits":     ("Rprop", {"etas": (0.7, 1.1), "step_sizes": (1e-3, 0.02)}),
    "Rprop maximize":         ("Rprop", {"lr": 1e-4, "maximize": True, "etas": (0.5, 1.05)}),
    "ASGD default":           ("ASGD", {}),
    "ASGD average":           ("ASGD", {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 10.0}),
    "ASGD decay":             ("ASGD", {"lr": 0.1, "weight_decay": 0.1}),
    "ASGD maximize":          ("ASGD", {"lr": 0.01, "maximize": True}),
}
# fmt: on
