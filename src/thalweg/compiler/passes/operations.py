"""What fusion knows of each primitive: its family, and roughly what an element of it costs.

A primitive that is not listed is an error, and a test compares these tables with the op table.

Costs count tenths of a nanosecond on one core: a vectorised addition is 1. They only have to tell
whether reading a value again is cheaper than computing it again.
"""

from __future__ import annotations

__all__ = [
    "COST",
    "ELEMENTWISE",
    "HEAVY",
    "HOST",
    "KERNEL_COST",
    "LOAD_COST",
    "LONGEST_BODY",
    "MOVEMENT",
    "REDUCTIONS",
    "SOURCES",
    "STORE_COST",
]

_CHEAP = (
    "add subtract multiply maximum minimum negative absolute select cast equal not_equal less "
    "less_equal greater greater_equal isfinite isnan bitwise_and bitwise_or bitwise_xor "
    "bitwise_not shift_left shift_right sign floor ceil round trunc"
)
COST: dict[str, int] = {
    **dict.fromkeys(_CHEAP.split(), 1),
    **dict.fromkeys(("divide", "sqrt"), 3),
    **dict.fromkeys(("exp", "logistic", "tanh", "expm1", "log", "log1p", "erf"), 5),
    **dict.fromkeys(("sin", "cos", "tan", "asin", "acos", "atan", "atan2"), 12),
    **dict.fromkeys(("power", "scalar_power", "remainder", "floor_divide"), 20),
    "random_bits": 20,
    "gather": 8,
}

ELEMENTWISE = frozenset(COST) - {"random_bits", "gather"}
MOVEMENT = frozenset({"reshape", "transpose", "broadcast", "slice", "flip", "windows"})
SOURCES = frozenset({"iota", "full", "random_bits"})
REDUCTIONS = frozenset({"sum", "prod", "max", "min", "argmax", "argmin"})
# Evaluated by NumPy, which the program calls back.
HOST = frozenset({"solve", "cholesky", "eigh", "qr", "svd", "det", "slogdet"})

# Computed by a kernel of their own kind, never within another's loop.
HEAVY = (
    HOST
    | REDUCTIONS
    | {"contraction", "scatter_add", "argsort", "cumsum", "overlap_add"}
    | {"scan", "cond"}
)

LOAD_COST = 1
STORE_COST = 2
KERNEL_COST = 10_000  # starting a kernel: a barrier, and caches that begin anew
LONGEST_BODY = 96  # operations that are computed in one loop before a value is stored
