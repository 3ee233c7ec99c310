"""A small builder of LLVM IR text: values with operators, loops, memory, helper functions.

A `Value` is one SSA value, scalar or vector, with the NumPy dtype of an element. Its operators
append instructions to the function that its `Builder` writes:

    y = x.fma(x, 1.0) * 0.5          # two instructions, for one lane or sixteen

Operators mean what they mean in NumPy's fixed-width types: integers wrap, `>>` keeps the sign of
signed types, comparisons with NaN are false except "not equal". No fast-math flag is ever set, so
the compiled arithmetic is the eager arithmetic, bit for bit. Masks are values of dtype bool (i1).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from thalweg.compiler.lower.spelling import (
    in_memory,
    scalar_type,
    spell_constant,
    stored_type,
    suffix,
)

__all__ = [
    "BOOL",
    "Builder",
    "DType",
    "F32",
    "F64",
    "I32",
    "I64",
    "LoopState",
    "Operand",
    "U32",
    "U64",
    "U8",
    "Value",
    "short_name",
]

BOOL, U8, U32, U64 = map(np.dtype, (np.bool_, np.uint8, np.uint32, np.uint64))
I32, I64, F32, F64 = map(np.dtype, (np.int32, np.int64, np.float32, np.float64))

DType: TypeAlias = np.dtype[Any]


def short_name(dtype: DType) -> str:
    """f32, i64, u8, b1: for the names of helper functions."""
    return f"{dtype.kind}{8 * dtype.itemsize}" if not dtype.names else dtype.names[0]


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """An SSA value: its text ("%x3" or a constant), the dtype of an element, the lanes."""

    builder: Builder
    text: str
    dtype: DType
    lanes: int = 1

    @property
    def type(self) -> str:
        """The LLVM type: "float" or "<16 x float>"."""
        return self.builder.type(self.dtype, self.lanes)

    @property
    def typed(self) -> str:
        """Type and text, as operands of instructions are written."""
        return f"{self.type} {self.text}"

    def _paired(self, other: Operand) -> tuple[Value, Value]:
        """Both operands with the same number of lanes; a Python number becomes a constant."""
        if not isinstance(other, Value):
            other = self.builder.constant(other, self.dtype, self.lanes)
        lanes = max(self.lanes, other.lanes)
        return self.spread(lanes), other.spread(lanes)

    def _binary(self, other: Operand, floating: str, integer: str) -> Value:
        a, b = self._paired(other)
        name = floating if a.dtype.kind == "f" else integer
        return self.builder.op(f"{name} {a.typed}, {b.text}", a.dtype, a.lanes)

    def __add__(self, other: Operand) -> Value:
        return self._binary(other, "fadd", "add")

    def __sub__(self, other: Operand) -> Value:
        return self._binary(other, "fsub", "sub")

    def __mul__(self, other: Operand) -> Value:
        return self._binary(other, "fmul", "mul")

    def __truediv__(self, other: Operand) -> Value:
        return self._binary(other, "fdiv", "sdiv" if self.dtype.kind == "i" else "udiv")

    def __mod__(self, other: Operand) -> Value:
        """The remainder with the sign of the dividend, as C has it."""
        return self._binary(other, "frem", "srem" if self.dtype.kind == "i" else "urem")

    def __rsub__(self, other: Operand) -> Value:
        return self.like(other) - self

    def __rtruediv__(self, other: Operand) -> Value:
        return self.like(other) / self

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Value:
        if self.dtype.kind == "f":
            return self.builder.op(f"fneg {self.typed}", self.dtype, self.lanes)
        return 0 - self

    def __and__(self, other: Operand) -> Value:
        return self._binary(other, "", "and")

    def __or__(self, other: Operand) -> Value:
        return self._binary(other, "", "or")

    def __xor__(self, other: Operand) -> Value:
        return self._binary(other, "", "xor")

    def __invert__(self) -> Value:
        return self ^ (True if self.dtype.kind == "b" else -1)

    def __lshift__(self, other: Operand) -> Value:
        return self._binary(other, "", "shl")

    def __rshift__(self, other: Operand) -> Value:
        return self._binary(other, "", "ashr" if self.dtype.kind == "i" else "lshr")

    def compare(self, condition: str, other: Operand) -> Value:
        """A mask: `condition` is eq, ne, lt, le, gt or ge. With NaN only "ne" is true."""
        a, b = self._paired(other)
        if a.dtype.kind == "f":
            prefix = "fcmp u" if condition == "ne" else "fcmp o"
        else:
            signs = "s" if a.dtype.kind == "i" else "u"
            prefix = "icmp " + ("" if condition in ("eq", "ne") else signs)
        return self.builder.op(f"{prefix}{condition} {a.typed}, {b.text}", BOOL, a.lanes)

    def __lt__(self, other: Operand) -> Value:
        return self.compare("lt", other)

    def __le__(self, other: Operand) -> Value:
        return self.compare("le", other)

    def __gt__(self, other: Operand) -> Value:
        return self.compare("gt", other)

    def __ge__(self, other: Operand) -> Value:
        return self.compare("ge", other)

    def equals(self, other: Operand) -> Value:
        """The mask of equal elements."""
        return self.compare("eq", other)

    def is_nan(self) -> Value:
        """The mask of NaNs."""
        return self.builder.op(f"fcmp uno {self.typed}, {self.text}", BOOL, self.lanes)

    def select(self, a: Operand, b: Operand) -> Value:
        """Where this mask is true `a`, else `b`; at least one of them is a Value."""
        if not isinstance(a, Value):
            assert isinstance(b, Value)
            a = self.builder.constant(a, b.dtype)
        elif not isinstance(b, Value):
            b = self.builder.constant(b, a.dtype)
        lanes = max(self.lanes, a.lanes, b.lanes)
        mask, a, b = self.spread(lanes), a.spread(lanes), b.spread(lanes)
        return self.builder.op(f"select {mask.typed}, {a.typed}, {b.typed}", a.dtype, lanes)

    def fma(self, factor: Operand, addend: Operand) -> Value:
        """self * factor + addend, rounded once."""
        return self.builder.intrinsic("fma", self, self.like(factor), self.like(addend))

    def absolute(self) -> Value:
        """Without its sign bit."""
        return self.builder.intrinsic("fabs", self)

    def sqrt(self) -> Value:
        """The square root."""
        return self.builder.intrinsic("sqrt", self)

    def with_sign_of(self, other: Value) -> Value:
        """This magnitude with the sign bit of `other`."""
        return self.builder.intrinsic("copysign", self, other)

    def like(self, other: Operand) -> Value:
        """`other` as a value with this one's lanes (and, if it is a number, dtype)."""
        if isinstance(other, Value):
            return other.spread(self.lanes)
        return self.builder.constant(other, self.dtype, self.lanes)

    def bitcast(self, dtype: DType) -> Value:
        """The same bits as another type of the same width."""
        target = self.builder.type(dtype, self.lanes)
        return self.builder.op(f"bitcast {self.typed} to {target}", dtype, self.lanes)

    def convert(self, instruction: str, dtype: DType) -> Value:
        """`instruction` is LLVM's: sext, zext, trunc, fpext, fptrunc, sitofp, uitofp, ..."""
        target = self.builder.type(dtype, self.lanes)
        return self.builder.op(f"{instruction} {self.typed} to {target}", dtype, self.lanes)

    def retyped(self, dtype: DType) -> Value:
        """The same register read as a type of the same LLVM type: signed as unsigned."""
        assert scalar_type(dtype) == scalar_type(self.dtype)
        return Value(self.builder, self.text, dtype, self.lanes)

    def spread(self, lanes: int) -> Value:
        """This scalar in every lane; a vector of `lanes` stays as it is."""
        if self.lanes == lanes:
            return self
        assert self.lanes == 1, f"{self.lanes} lanes do not fit {lanes}"
        b, type = self.builder, self.builder.type(self.dtype, lanes)
        if not self.text.startswith("%"):
            return Value(b, f"splat ({self.typed})", self.dtype, lanes)
        first = b.op(f"insertelement {type} poison, {self.typed}, i64 0", self.dtype, lanes)
        zeros = f"<{lanes} x i32> zeroinitializer"
        return b.op(f"shufflevector {first.typed}, {type} poison, {zeros}", self.dtype, lanes)


Operand: TypeAlias = Value | float | int | bool


@dataclass(slots=True)
class LoopState:
    """An open loop: its counter, the carried values at the start of a turn, and (to be set inside)
    those at its end. After the loop, `values` are the last ones."""

    index: Value
    values: list[Value]
    next: list[Value]


class Builder:
    """The text of one function, as it grows; declarations and helpers are shared with callees.
    Code for a machine that `scales` multiplies floats by powers of two in one instruction."""

    def __init__(self, caller: Builder | None = None, *, scales: bool = False) -> None:
        self.scales: bool = caller.scales if caller else scales
        self.lines: list[str] = []
        self.block = "entry"
        self.outside: set[str] = set()  # pointers that need not point into their buffers
        self.declarations: set[str] = caller.declarations if caller else set()
        self.helpers: dict[str, str] = caller.helpers if caller else {}
        self._count = 0

    # -- names, constants, instructions ------------------------------------------------------

    def fresh(self, hint: str = "v") -> str:
        """A name that nothing has yet, without its %."""
        self._count += 1
        return f"{hint}{self._count}"

    def type(self, dtype: DType, lanes: int = 1) -> str:
        """The LLVM type of `lanes` elements in a register."""
        name = scalar_type(dtype)
        return name if lanes == 1 else f"<{lanes} x {name}>"

    def emit(self, line: str) -> None:
        """Append an instruction that has no result."""
        self.lines.append(f"  {line}")

    def op(self, text: str, dtype: DType, lanes: int = 1, hint: str = "v") -> Value:
        """Append an instruction with a result."""
        name = f"%{self.fresh(hint)}"
        self.lines.append(f"  {name} = {text}")
        return Value(self, name, dtype, lanes)

    def constant(self, value: Any, dtype: DType, lanes: int = 1) -> Value:
        """A constant in every lane."""
        return Value(self, spell_constant(value, dtype), dtype).spread(lanes)

    def integer(self, value: int) -> Value:
        """An int64 constant."""
        return self.constant(value, I64)

    def lane_numbers(self, lanes: int, dtype: DType = I64) -> Value:
        """0, 1, 2, .. one a lane."""
        if lanes == 1:
            return self.constant(0, dtype)
        numbers = ", ".join(f"{scalar_type(dtype)} {n}" for n in range(lanes))
        return Value(self, f"<{numbers}>", dtype, lanes)

    def first_lanes(self, count: int, lanes: int) -> Value:
        """The mask that is true in the first `count` lanes."""
        flags = ", ".join(f"i1 {'true' if lane < count else 'false'}" for lane in range(lanes))
        return Value(self, f"<{flags}>", BOOL, lanes)

    def intrinsic(self, name: str, *operands: Value, extra: str = "") -> Value:
        """Call llvm.NAME for the type of the operands, which is the type of the result."""
        lanes = max(v.lanes for v in operands)
        given = [v.spread(lanes) for v in operands]
        type, ending = given[0].type, suffix(given[0].dtype, lanes)
        types = ", ".join([v.type for v in given] + (["i1"] if extra else []))
        self.declarations.add(f"declare {type} @llvm.{name}.{ending}({types})")
        arguments = ", ".join(v.typed for v in given) + extra
        return self.op(f"call {type} @llvm.{name}.{ending}({arguments})", given[0].dtype, lanes)

    def helper(self, name: str, build: Callable[..., Value], *operands: Value) -> Value:
        """Call the shared function `name`, which `build(*parameters)` writes on first use.

        There is one for each number of lanes and dtype of the first operand, which is that of the
        result too. It is inlined everywhere.
        """
        lanes = max(v.lanes for v in operands)
        given = [v.spread(lanes) for v in operands]
        full = f"tw.{name}.{short_name(given[0].dtype)}" + (f"x{lanes}" if lanes > 1 else "")
        if full not in self.helpers:
            self.helpers[full] = self._function(full, build, given)
        type, arguments = given[0].type, ", ".join(v.typed for v in given)
        return self.op(f"call {type} @{full}({arguments})", given[0].dtype, lanes)

    def _function(self, name: str, build: Callable[..., Value], given: Sequence[Value]) -> str:
        inner = Builder(self)
        result = build(*(Value(inner, f"%a{i}", v.dtype, v.lanes) for i, v in enumerate(given)))
        inner.emit(f"ret {result.typed}")
        parameters = ", ".join(f"{v.type} %a{i}" for i, v in enumerate(given))
        head = f"define internal {result.type} @{name}({parameters}) alwaysinline {{"
        return f"{head}\n{inner.body()}\n}}\n"

    # -- control -----------------------------------------------------------------------------

    def start(self, block: str) -> None:
        """Begin the basic block `block`."""
        self.lines.append(f"{block}:")
        self.block = block

    @contextlib.contextmanager
    def loop(
        self,
        low: Value | int,
        high: Value | int,
        step: int = 1,
        carried: Sequence[Value] = (),
        unrolled: bool = True,
    ) -> Iterator[LoopState]:
        """for index in range(low, high, step), with `carried` values going round.

        Not `unrolled`: the body is as long as it should be, LLVM is to leave it so.

        >>> b = Builder()
        >>> with b.loop(0, 10, carried=[b.constant(0.0, F32)]) as turn:
        ...     turn.next = [turn.values[0] + 1.0]
        >>> turn.values[0].type
        'float'
        """
        low, high = (self.integer(v) if isinstance(v, int) else v for v in (low, high))
        head, body, done = (self.fresh(hint) for hint in ("head", "body", "done"))
        before = self.block
        self.emit(f"br label %{head}")
        self.start(head)
        hole = len(self.lines)
        index = Value(self, f"%{self.fresh('i')}", I64)
        values = [Value(self, f"%{self.fresh('c')}", v.dtype, v.lanes) for v in carried]
        self.lines += [""] * (1 + len(values))
        inside = self.op(f"icmp slt {index.typed}, {high.text}", BOOL)
        self.emit(f"br i1 {inside.text}, label %{body}, label %{done}")
        self.start(body)
        state = LoopState(index, values, list(values))
        yield state
        after = self.op(f"add nuw nsw {index.typed}, {step}", I64)
        last = self.block
        self.emit(f"br label %{head}{'' if unrolled else self._kept_rolled()}")
        for place, (phi, first, final) in enumerate(
            zip([index, *values], [low, *carried], [after, *state.next], strict=True)
        ):
            self.lines[hole + place] = (
                f"  {phi.text} = phi {phi.type} [{first.text}, %{before}], [{final.text}, %{last}]"
            )
        self.start(done)

    def _kept_rolled(self) -> str:
        self.declarations |= {
            "!1000 = distinct !{!1000, !1001}",
            '!1001 = !{!"llvm.loop.unroll.disable"}',
        }
        return ", !llvm.loop !1000"

    @contextlib.contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Do what is inside only if the scalar mask `condition` holds; it makes no value."""
        inside, after = self.fresh("then"), self.fresh("after")
        self.emit(f"br i1 {condition.text}, label %{inside}, label %{after}")
        self.start(inside)
        yield
        self.emit(f"br label %{after}")
        self.start(after)

    # -- memory ------------------------------------------------------------------------------

    def pointer(self, base: str, dtype: DType, offset: Value | int) -> str:
        """The address of element `offset` (int64) after the pointer `base`."""
        if isinstance(offset, int):
            offset = self.integer(offset)
        if offset.text == "0":
            return base
        name = f"%{self.fresh('p')}"
        element, inside = stored_type(dtype, 1), "" if base in self.outside else "inbounds "
        self.lines.append(f"  {name} = getelementptr {inside}{element}, ptr {base}, {offset.typed}")
        return name

    def load(self, pointer: str, dtype: DType, lanes: int = 1, mask: Value | None = None) -> Value:
        """`lanes` neighbours at `pointer`; where `mask` is false, 0 without reading."""
        type, align = stored_type(dtype, lanes), dtype.itemsize
        if mask is None:
            raw = self.op(f"load {type}, ptr {pointer}, align {align}", in_memory(dtype), lanes)
        else:
            name = f"llvm.masked.load.{suffix(in_memory(dtype), lanes)}.p0"
            self.declarations.add(f"declare {type} @{name}(ptr, i32, {mask.type}, {type})")
            arguments = f"ptr {pointer}, i32 {align}, {mask.typed}, {type} zeroinitializer"
            raw = self.op(f"call {type} @{name}({arguments})", in_memory(dtype), lanes)
        return _from_memory(raw, dtype)

    def store(self, value: Value, pointer: str, mask: Value | None = None) -> None:
        """Write the lanes of `value` to neighbours at `pointer`, the first ones that `mask` has."""
        raw, align = _to_memory(value), value.dtype.itemsize
        if mask is not None and mask.text.count("true") == 1:
            # LLVM 22 makes this store as wide as what a lane was truncated from.
            raw, mask = self.op(f"extractelement {raw.typed}, i64 0", raw.dtype), None
        if mask is None:
            self.emit(f"store {raw.typed}, ptr {pointer}, align {align}")
            return
        name = f"llvm.masked.store.{suffix(raw.dtype, raw.lanes)}.p0"
        self.declarations.add(f"declare void @{name}({raw.type}, ptr, i32, {mask.type})")
        self.emit(f"call void @{name}({raw.typed}, ptr {pointer}, i32 {align}, {mask.typed})")

    def stream(self, value: Value, pointer: str) -> None:
        """Write a vector past the caches to `pointer`, a multiple of its bytes, or of a line."""
        raw, align = _to_memory(value), min(64, value.dtype.itemsize * value.lanes)
        self.declarations.add("!1002 = !{i32 1}")
        self.emit(f"store {raw.typed}, ptr {pointer}, align {align}, !nontemporal !1002")

    def prefetch(self, pointer: str, *, write: bool = False, near: bool = True) -> None:
        """Ask for the cache line at `pointer`, which may lie outside of any buffer: in the first
        cache, or where not `near` in the second."""
        self.declarations.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        level = f"i32 {int(write)}, i32 {3 if near else 2}, i32 1"
        self.emit(f"call void @llvm.prefetch.p0(ptr {pointer}, {level})")

    def gather(self, base: str, dtype: DType, offsets: Value, mask: Value | None = None) -> Value:
        """Elements at `offsets` (a vector of int64) from `base`, where `mask` is true, else 0."""
        lanes, type = offsets.lanes, stored_type(dtype, offsets.lanes)
        places, allowed = self._places(base, dtype, offsets), self._allowed(mask, offsets.lanes)
        name = f"llvm.masked.gather.{suffix(in_memory(dtype), lanes)}.v{lanes}p0"
        self.declarations.add(
            f"declare {type} @{name}(<{lanes} x ptr>, i32, <{lanes} x i1>, {type})"
        )
        arguments = f"{places}, i32 {dtype.itemsize}, {allowed.typed}, {type} zeroinitializer"
        return _from_memory(
            self.op(f"call {type} @{name}({arguments})", in_memory(dtype), lanes), dtype
        )

    def scatter(self, value: Value, base: str, offsets: Value, mask: Value | None = None) -> None:
        """Write the lanes of `value` to `offsets` from `base`, where `mask` is true."""
        raw, lanes = _to_memory(value), value.lanes
        places = self._places(base, value.dtype, offsets)
        allowed = self._allowed(mask, lanes)
        name = f"llvm.masked.scatter.{suffix(raw.dtype, lanes)}.v{lanes}p0"
        self.declarations.add(
            f"declare void @{name}({raw.type}, <{lanes} x ptr>, i32, {allowed.type})"
        )
        align = value.dtype.itemsize
        self.emit(f"call void @{name}({raw.typed}, {places}, i32 {align}, {allowed.typed})")

    def _places(self, base: str, dtype: DType, offsets: Value) -> str:
        name = f"%{self.fresh('p')}"
        element = stored_type(dtype, 1)
        self.emit(f"{name} = getelementptr inbounds {element}, ptr {base}, {offsets.typed}")
        return f"<{offsets.lanes} x ptr> {name}"

    def _allowed(self, mask: Value | None, lanes: int) -> Value:
        return self.constant(True, BOOL, lanes) if mask is None else mask

    def body(self) -> str:
        """All instructions."""
        return "\n".join(self.lines)


def _from_memory(raw: Value, dtype: DType) -> Value:
    return raw.compare("ne", 0) if dtype.kind == "b" else raw


def _to_memory(value: Value) -> Value:
    return value.convert("zext", U8) if value.dtype.kind == "b" else value
