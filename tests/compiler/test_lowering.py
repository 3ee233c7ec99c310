"""Each kind of kernel is lowered once, and found again on the disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.compiler.toys import F32
from thalweg.compiler import lower
from thalweg.compiler.graph import Origin
from thalweg.compiler.kernels import Access, Buffer, Loop, Plan, Scalar, Store
from thalweg.compiler.machine import host
from thalweg.compiler.native import lowering
from thalweg.compiler.native.lowering import describe, lower_all
from thalweg.compiler.native.program import Program


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "thalweg" / "code"


def buffer(name: str, size: int = 40, kind: str = "state", place: int = 0) -> Buffer:
    return Buffer(name, size, F32, kind, place)  # type: ignore[arg-type]  # one of the four


def double(x: Buffer, y: Buffer, factor: float = 2.0, line: int = 1) -> Loop:
    """y = factor x."""
    body = (
        Scalar("load", (), F32, {"access": Access(x, 0, (1,))}),
        Scalar("literal", (), F32, {"value": factor}),
        Scalar("multiply", (0, 1), F32),
    )
    stores = (Store(2, Access(y, 0, (1,))),)
    return Loop((x.size,), body, stores, origins=(Origin("f.py", line, "f"),), label="double")


def described(kernel: object) -> str:
    return describe(kernel, [])


def test_only_the_buffers_differ() -> None:
    a, b, c, d = (buffer(name) for name in "abcd")
    assert described(double(a, b)) == described(double(c, d, line=9))
    assert described(double(a, b)) == described(double(b, a))


def test_what_decides_the_code_is_told_apart() -> None:
    a, b = buffer("a"), buffer("b")
    kernel = double(a, b)
    others = [
        kernel,
        double(a, a),
        double(a, b, 3.0),
        double(a, b, -0.0),
        double(a, b, 0.0),
        double(buffer("a", 41), buffer("b", 41)),
        double(a, buffer("t", kind="temporary")),
        replace(kernel, space=(20,)),
        replace(kernel, stores=(Store(1, kernel.stores[0].access),)),
        replace(kernel, body=(*kernel.body, kernel.body[0])),
    ]
    assert len({described(other) for other in others}) == len(others)


def test_numbers_that_look_alike_are_told_apart() -> None:
    values = [1, 1.0, True, "1", (1,), ((1,),), {"a": 1}, np.arange(3), np.arange(3.0)]
    assert len({described(value) for value in values}) == len(values)


def test_places_in_the_arena_do_not_matter() -> None:
    first = double(buffer("a"), buffer("t", kind="temporary"))
    second = double(buffer("a"), buffer("t", kind="temporary", place=640))
    assert described(first) == described(second)


def test_identical_kernels_are_lowered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, c, d = (buffer(name) for name in "abcd")
    names: list[str] = []
    original = lower.lower
    monkeypatch.setattr(
        lower, "lower", lambda k, name, m: names.append(name) or original(k, name, m)
    )
    kernels = [double(a, b), double(c, d), double(d, a, 3.0), double(b, c)]
    codes = lower_all(kernels, host())
    assert len(names) == 2
    alone = [original(kernel, "any", host()) for kernel in kernels]
    assert [code.buffers for code in codes] == [code.buffers for code in alone]
    assert codes[0].name == codes[1].name == codes[3].name != codes[2].name
    assert codes[0].name.startswith("loop_")


@pytest.mark.parametrize("kept", ["1", "0"])
def test_a_later_run_reads_the_same(kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THALWEG_CODE_CACHE", kept)
    a, b = buffer("a"), buffer("b")
    first = lower_all([double(a, b)], host())
    if kept == "1":
        monkeypatch.setattr(lower, "lower", None)
    assert lower_all([double(a, b)], host()) == first


def test_another_machine_is_lowered_anew() -> None:
    a, b = buffer("a"), buffer("b")
    (first,) = lower_all([double(a, b)], host())
    (other,) = lower_all([double(a, b)], replace(host(), vector_bits=128))
    assert (first.ir == other.ir) == (host().vector_bits == 128)


def test_other_sources_are_lowered_anew(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = double(buffer("a"), buffer("b"))
    lower_all([kernel], host())
    before = len(list(own_cache.iterdir()))
    lower_all([kernel], host())
    assert len(list(own_cache.iterdir())) == before
    monkeypatch.setattr(lowering, "_sources", lambda: ("changed",))
    lower_all([kernel], host())
    assert len(list(own_cache.iterdir())) == before + 1


def test_a_poisoned_entry_is_made_anew(own_cache: Path) -> None:
    kernel = double(buffer("a"), buffer("b"))
    first = lower_all([kernel], host())
    for path in own_cache.iterdir():
        path.write_bytes(path.read_bytes().replace(b"fmul", b"fadd"))
    assert lower_all([kernel], host()) == first


def test_programs_from_the_disk_give_the_same() -> None:
    a, b, c = (buffer(name) for name in "abc")
    plan = Plan([double(a, b), double(b, c), double(c, a, 0.5)], [a, b, c], [], {}, 0)
    for _ in range(2):
        arrays = [np.full(40, n + 1, np.float32) for n in range(3)]
        Program(plan, host()).run([x.ctypes.data for x in arrays])
        assert [x[7] for x in arrays] == [2, 2, 4]
