"""The epilogue of a contraction: finished sums, in vectors, pass through it and are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thalweg.compiler.kernels import Contraction, Scalar
from thalweg.compiler.lower.axes import B, Stream
from thalweg.compiler.lower.emit import Builder, Value
from thalweg.compiler.lower.register_tile import first_lanes, load_lanes, plus
from thalweg.compiler.lower.scalars import lower_scalar

__all__ = ["Finish"]


@dataclass(frozen=True, slots=True)
class Finish:
    """The epilogue of `kernel`. `bases` are the pointers of the streams; `masked` says whether the
    machine writes part of a vector by a mask."""

    b: Builder
    kernel: Contraction
    streams: tuple[Stream, ...]
    bases: tuple[str, ...]
    masked: bool

    def write(
        self,
        total: Value,
        offsets: Sequence[Value | int],
        constants: Sequence[int],
        lane: Sequence[int],
        count: int,
    ) -> None:
        """Finish the first `count` lanes of `total`. Every stream is at its offset plus a constant,
        and goes on by its stride in `lane` from one lane to the next."""
        places = [plus(at, 1, c) for at, c in zip(offsets, constants, strict=True)]
        values: list[Value] = []
        stream = B
        for scalar in self.kernel.epilogue:
            if scalar.op in ("load", "index"):
                stream += 1
            values.append(
                self._scalar(scalar, values, total, stream, places[stream], lane[stream], count)
            )
        for number, store in enumerate(self.kernel.stores, stream + 1):
            value = values[store.value].spread(total.lanes)
            self._store(value, self.bases[number], places[number], lane[number], count)

    def _scalar(
        self,
        scalar: Scalar,
        values: Sequence[Value],
        total: Value,
        stream: int,
        place: Value | int,
        stride: int,
        count: int,
    ) -> Value:
        attributes: Mapping[str, object] = scalar.attributes
        if scalar.op == "sum":
            return total
        if scalar.op == "literal":
            return self.b.constant(attributes["value"], scalar.dtype)
        if scalar.op == "index":
            first = self.b.integer(place) if isinstance(place, int) else place
            return self.b.lane_numbers(total.lanes) * stride + first if stride else first
        if scalar.op == "load":
            return load_lanes(
                self.b, self.bases[stream], scalar.dtype, place, stride, total.lanes, count
            )
        operands = [values[number] for number in scalar.inputs]
        return lower_scalar(self.b, scalar.op, operands, scalar.dtype, attributes)

    def _store(self, value: Value, base: str, place: Value | int, stride: int, count: int) -> None:
        pointer = self.b.pointer(base, value.dtype, place)
        if stride == 1 or value.lanes == 1:
            self._store_neighbours(value, pointer, count)
        else:
            places = self.b.lane_numbers(value.lanes) * stride
            self.b.scatter(value, pointer, places, first_lanes(self.b, count, value.lanes))

    def _store_neighbours(self, value: Value, pointer: str, count: int) -> None:
        """Without masks a part of a vector is written as a shorter vector."""
        if count == 1 < value.lanes:
            value = self.b.op(f"extractelement {value.typed}, i64 0", value.dtype)
        elif count < value.lanes and not self.masked:
            places = ", ".join(f"i32 {lane}" for lane in range(count))
            mask = f"<{count} x i32> <{places}>"
            text = f"shufflevector {value.typed}, {value.type} poison, {mask}"
            value = self.b.op(text, value.dtype, count)
        self.b.store(value, pointer, first_lanes(self.b, min(count, value.lanes), value.lanes))
