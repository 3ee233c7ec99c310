"""An operand whose rows lie anywhere: their places are looked up, instead of counted.

Along an axis of the result a register tile has a pointer for each of its rows; along an inner axis
each step looks up the next one. What is read then is read where it lies.
"""

from __future__ import annotations

from thalweg.compiler.lower.emit import I64, Builder, DType, Value
from thalweg.compiler.lower.register_tile import Operand, plus
from thalweg.compiler.lower.tiling import Tiling

__all__ = ["placed_operand"]


def placed_operand(
    b: Builder,
    base: str,
    dtype: DType,
    places: str,
    tiling: Tiling,
    which: int,
    offset: Value | int,
    first: Value | int | None,
    count: int,
) -> Operand:
    """Operand number `which` of a tile. `first`: the first of `count` rows along an axis of the
    result whose places are looked up; None: an inner axis has them."""
    inner = tuple(0 if dim.placed else dim.strides[which] for dim in tiling.inner)
    rows: list[str] = []
    if first is not None:
        for row in range(count):
            place = b.load(b.pointer(places, I64, plus(first, row, 1)), I64)
            rows.append(b.pointer(base, dtype, place))
    looked_up = next((n for n, dim in enumerate(tiling.inner) if dim.placed), None)
    return Operand(
        base,
        offset,
        tiling.lane.strides[which],
        inner,
        False,
        tuple(rows),
        None if looked_up is None else (looked_up, places),
    )
