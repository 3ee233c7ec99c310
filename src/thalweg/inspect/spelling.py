"""One recorded operation as a line a person writes: `w * x`, `x @ W.T`, `sum(t3, dim=1)`.

Arithmetic is infix, products of matrices are `@`, the rest is a call under the name that users
know, with its attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.dtypes import as_dtype
from thalweg.primitives.contraction import parse
from thalweg.primitives.notation import INFIX

__all__ = ["spell", "spell_number"]

Shapes = Sequence[tuple[int, ...]]

# fmt: off
_USER = {  # what the table's row is called where users meet it
    "absolute": "abs", "logistic": "sigmoid", "select": "where", "concatenate": "cat",
    "broadcast": "expand", "transpose": "permute", "max": "amax", "min": "amin",
    "axis": "dim", "axes": "dim",
}
# fmt: on
_REDUCTIONS = {"sum", "prod", "max", "min"}
_UNSAID = {"wrap"}  # how gather reads negative indices


def spell(
    name: str, operands: Sequence[str], attributes: dict[str, Any], shapes: Shapes = ()
) -> str:
    """The operation `name` of `operands`, which have `shapes`, as an expression.

    >>> spell("multiply", ["w", "x"], {})
    'w * x'
    >>> spell("contraction", ["x", "W"], {"spec": "nk,mk->nm"})
    'x @ W.T'
    >>> spell("sum", ["t1"], {"axes": (1,)}, [(2, 3)])
    'sum(t1, dim=1)'
    """
    if name in INFIX:
        left, right = (f"({o})" if o.startswith("-") else o for o in operands)
        return f"{left} {INFIX[name]} {right}"
    special = _SPECIAL.get(name)
    text = special(operands, attributes, shapes) if special else None
    return text or _call(name, operands, attributes, shapes)


def spell_number(value: Any) -> str:
    """A NumPy scalar in the fewest digits that give it back in its own precision.

    >>> spell_number(np.float32(0.1)), spell_number(np.float64(2.0)), spell_number(np.int64(3))
    ('0.1', '2', '3')
    """
    return str(value).removesuffix(".0")


def _call(name: str, operands: Sequence[str], attributes: dict[str, Any], shapes: Shapes) -> str:
    arguments = list(operands)
    for key, value in attributes.items():
        everything = name in _REDUCTIONS and shapes and value == tuple(range(len(shapes[0])))
        if value is not None and key not in _UNSAID and not everything:
            said = _attribute(key, value)
            named = f"{_USER.get(key, key)}={said}"
            arguments.append(said[1:-1] if said.startswith("<") else named)  # it says it itself
    return f"{_USER.get(name, name)}({', '.join(arguments)})"


def _attribute(key: str, value: Any) -> str:
    if isinstance(value, np.dtype):
        return as_dtype(value).name
    if key == "axes" and len(value) == 1:
        return str(value[0])
    return repr(value)


# --- operations with a notation of their own ---------------------------------------------------


def _negative(operands: Sequence[str], attributes: dict[str, Any], shapes: Shapes) -> str:
    return f"-{operands[0]}"


def _scalar_power(operands: Sequence[str], attributes: dict[str, Any], shapes: Shapes) -> str:
    exponent = float(attributes["exponent"])
    return f"{operands[0]} ** {spell_number(exponent)}"


def _slice(operands: Sequence[str], attributes: dict[str, Any], shapes: Shapes) -> str:
    window = zip(
        shapes[0], attributes["starts"], attributes["sizes"], attributes["steps"], strict=True
    )
    return f"{operands[0]}[{', '.join(_range(*axis) for axis in window)}]"


def _range(size: int, start: int, count: int, step: int) -> str:
    stop = start + max(count - 1, 0) * step + min(count, 1)
    text = f"{start or ''}:{'' if count and stop + step > size else stop}"
    return text if step == 1 else f"{text}:{step}"


def _gather(operands: Sequence[str], attributes: dict[str, Any], shapes: Shapes) -> str | None:
    x, *indices = operands
    if attributes["axes"] != tuple(range(len(indices))):
        return None
    return f"{x}[{', '.join(indices)}]"


def _contraction(operands: Sequence[str], attributes: dict[str, Any], shapes: Shapes) -> str:
    spec = attributes["spec"]
    return _matrix_product(spec, *operands) or f'einsum("{spec}", {", ".join(operands)})'


def _matrix_product(spec: str, a: str, b: str) -> str | None:
    """`a @ b` with the transpositions `spec` asks for; None where it is no product of matrices.

    Leading indices are a batch: they stand in front of all three, or of `a` and the result.
    """
    left, right, result = parse(spec)
    a_turned = f"{a}.{'mT' if len(left) > 2 else 'T'}"
    b_turned = f"{b}.{'mT' if len(right) > 2 else 'T'}"
    if left[:-2] and left[:-2] == result[:-2]:
        if not right[:-2] and left[-1] not in right:
            return None  # the batch of `a` alone stands in front of a @ b, not of a.mT @ b
        if right[:-2] in ("", left[:-2]):
            left, right, result = left[-2:], right[-2:], result[-2:]
    summed = set(left) & set(right)
    if len(summed) != 1 or summed & set(result) or max(len(left), len(right)) > 2:
        return None
    (k,) = summed
    if result and result[0] in right and (len(left) == 2 or right[0] != k):
        left, right, a, b, a_turned, b_turned = right, left, b, a, b_turned, a_turned
    return f"{a if left[-1] == k else a_turned} @ {b if right[0] == k else b_turned}"


_SPECIAL: dict[str, Callable[[Sequence[str], dict[str, Any], Shapes], str | None]] = {
    "negative": _negative,
    "scalar_power": _scalar_power,
    "slice": _slice,
    "gather": _gather,
    "contraction": _contraction,
}
