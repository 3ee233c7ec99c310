"""From text to code: what is refused, what is shared, what is loaded and unloaded."""

from __future__ import annotations

import ctypes
import gc
from dataclasses import replace
from pathlib import Path

import pytest

from thalweg.compiler.machine import Machine, host
from thalweg.compiler.native import jit
from thalweg.compiler.native.jit import assembly, compile_modules, emit, optimised
from thalweg.errors import ThalwegError

TWICE = "define i64 @twice(i64 %x) {\n  %y = shl i64 %x, 1\n  ret i64 %y\n}\n"
USER = """declare i64 @twice(i64)
define i64 @four_times(i64 %x) {
  %y = call i64 @twice(i64 %x)
  %z = call i64 @twice(i64 %y)
  ret i64 %z
}
"""
SCALE = """define void @scale(ptr noalias %x, ptr noalias %y, i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %p = getelementptr float, ptr %x, i64 %i
  %q = getelementptr float, ptr %y, i64 %i
  %v = load float, ptr %p
  %w = fmul float %v, 3.0
  store float %w, ptr %q
  %next = add nuw nsw i64 %i, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def call(address: int, value: int) -> int:
    return int(ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(value))


def test_modules_call_each_other() -> None:
    library = compile_modules([USER, TWICE], host())
    assert call(library.address("four_times"), 5) == 20
    assert call(library.address("twice"), 5) == 10


def test_libraries_may_use_the_same_names() -> None:
    other = TWICE.replace("shl i64 %x, 1", "mul i64 %x, 100")
    first, second = (compile_modules([text], host()) for text in (TWICE, other))
    assert call(first.address("twice"), 2) == 4
    assert call(second.address("twice"), 2) == 200


def test_unloading_one_leaves_the_other() -> None:
    kept = compile_modules([TWICE], host())
    for _ in range(20):
        compile_modules([USER, TWICE], host())
    gc.collect()
    assert call(kept.address("twice"), 4) == 8


def test_functions_of_the_process_can_be_called() -> None:
    text = """declare i64 @strlen(ptr)
define i64 @length(ptr %p) {
  %n = call i64 @strlen(ptr %p)
  ret i64 %n
}
"""
    library = compile_modules([text], host())
    length = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_char_p)(library.address("length"))
    assert length(b"valley") == 6


def test_text_that_is_no_ir_shows_the_line() -> None:
    wrong = TWICE.replace("shl i64 %x, 1", "shl i64 %nothing, 1")
    with pytest.raises(ThalwegError, match="undefined value") as caught:
        compile_modules([wrong], host())
    assert ">    2   %y = shl i64 %nothing, 1" in str(caught.value)


def test_ir_that_does_not_verify_is_refused() -> None:
    wrong = "define i64 @f() {\nentry:\n  %y = add i64 %y, 1\n  ret i64 %y\n}\n"
    with pytest.raises(ThalwegError, match="refuses"):
        compile_modules([wrong], host())


def test_what_is_nowhere_cannot_be_linked(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ThalwegError, match="linked"):
        compile_modules([USER], host())
    assert "twice" in capfd.readouterr().err


def test_unknown_address_lists_the_known() -> None:
    library = compile_modules([USER, TWICE], host())
    with pytest.raises(ThalwegError, match="'thrice'; it does of: four_times, twice"):
        library.address("thrice")


def test_internal_functions_have_no_address() -> None:
    text = TWICE.replace("define i64", "define internal i64").replace("twice", "hidden") + TWICE
    library = compile_modules([text], host())
    with pytest.raises(ThalwegError, match="'hidden'"):
        library.address("hidden")


def test_loops_become_vectors_of_the_machine() -> None:
    machine = host()
    text = assembly(SCALE, machine)
    if machine.vector_bits == 512:
        assert "zmm" in text
    assert f"<{machine.vector_bits // 32} x float>" in optimised(SCALE, machine)


@pytest.mark.parametrize(("bits", "widest"), [(256, "ymm"), (128, "xmm")])
def test_narrower_machines_get_narrower_code(
    bits: int, widest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if host().vector_bits != 512:
        pytest.skip("the machine has no vectors of 512 bits")
    monkeypatch.setenv("THALWEG_VECTOR_BITS", str(bits))
    text = assembly(SCALE, host())
    assert widest in text
    assert "zmm" not in text
    assert bits == 256 or "ymm" not in text


def arm() -> Machine:
    return replace(host(), vector_bits=128, registers=32, name="neoverse-n1", features="")


def test_code_for_another_processor() -> None:
    text = assembly(SCALE, arm(), "aarch64-unknown-linux-gnu")
    assert "fmul" in text
    assert ".4s" in text
    assert emit(SCALE, arm(), "aarch64-unknown-linux-gnu")[:4] == b"\x7fELF"


def test_many_modules_at_once() -> None:
    texts = [TWICE.replace("twice", f"f{n}").replace("%x, 1", f"%x, {n}") for n in range(24)]
    library = compile_modules(texts, replace(host(), cores=4))
    assert [call(library.address(f"f{n}"), 1) for n in range(24)] == [2**n for n in range(24)]


def test_an_error_in_one_of_many_is_raised() -> None:
    texts = [TWICE.replace("twice", f"g{n}") for n in range(6)] + ["define nonsense"]
    with pytest.raises(ThalwegError, match="refuses"):
        compile_modules(texts, replace(host(), cores=4))


def test_what_was_compiled_before_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_modules([USER, TWICE], host())
    monkeypatch.setattr(jit, "emit", None)
    library = compile_modules([USER, TWICE], host())
    assert call(library.address("four_times"), 3) == 12


def test_the_cache_can_be_turned_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THALWEG_CODE_CACHE", "0")
    compile_modules([TWICE], host())
    assert list(tmp_path.iterdir()) == []


def test_keys_tell_machines_and_texts_apart() -> None:
    machine = host()
    modules = [
        jit._Module(TWICE, machine, False),
        jit._Module(TWICE, machine, True),
        jit._Module(USER, machine, False),
        jit._Module(TWICE, replace(machine, name="generic"), False),
        jit._Module(TWICE, replace(machine, features=machine.features + ",-fma"), False),
    ]
    assert len({module.key for module in modules}) == 5
    assert jit._Module(TWICE, machine, False).key == modules[0].key


def test_plain_modules_are_not_optimised() -> None:
    machine = host()
    library = compile_modules([TWICE], machine, plain=[USER])
    assert call(library.address("four_times"), 3) == 12
    assert emit(SCALE, machine, quick=True) != emit(SCALE, machine)
