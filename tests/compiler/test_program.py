"""Programs: the same bits on any number of threads, scans, interrupts, errors, memory."""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

import thalweg as tw
from tests.compiler.toys import F32, I64, Toy, at, kernel, lowered, toy
from thalweg.compiler.kernels import Buffer, Plan, View
from thalweg.compiler.machine import host
from thalweg.compiler.native.program import Program
from thalweg.errors import OutOfMemoryError, OutOfRangeError, ThalwegError

RNG = np.random.default_rng(11)
XS = RNG.standard_normal((60, 128)).astype(np.float32)
THREADS = [1, 2, 3, 8, 13]


# -- results ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", THREADS)
def test_same_bits_on_any_number_of_threads(threads: int) -> None:
    program = toy()
    walk, outs = program.expected(program.walk.copy(), XS)
    got = [program.run(x, threads) for x in XS]
    assert np.array_equal(got, outs)
    assert np.array_equal(program.walk, walk)


@pytest.mark.parametrize("threads", THREADS)
def test_a_scan_is_its_runs(threads: int) -> None:
    program, other = toy(), toy()
    got = program.scan(XS, threads)
    assert np.array_equal(got, [other.run(x, 2) for x in XS])
    assert np.array_equal(program.walk, other.walk)
    assert program.program.finished == len(XS)


@pytest.mark.parametrize("blocks", [1, 2, 3, 5, 8, 17])
def test_blocks_that_do_not_divide(blocks: int) -> None:
    xs = RNG.standard_normal((10, blocks * 16)).astype(np.float32)
    results = []
    for threads in (1, 2, 3, 8):
        program = toy(blocks)
        results.append((program.scan(xs, threads), program.walk))
    for out, walk in results[1:]:
        assert np.array_equal(out, results[0][0])
        assert np.array_equal(walk, results[0][1])


def test_many_iterations_on_more_threads_than_cores() -> None:
    xs = RNG.standard_normal((3000, 128)).astype(np.float32)
    program, other = toy(), toy()
    assert np.array_equal(program.scan(xs, 3), other.scan(xs, 1))


def test_no_iteration_does_nothing() -> None:
    program = toy()
    assert program.scan(XS[:0]).shape == (0,)
    assert program.program.finished == 0


def test_addresses_may_change_from_run_to_run() -> None:
    program = toy()
    xs = [XS[n].copy() for n in range(5)]
    walk, outs = program.expected(program.walk.copy(), XS[:5])
    assert [program.run(x) for x in xs] == list(outs)
    program.walk = program.walk.copy()
    _, more = program.expected(walk, XS[:5])
    assert [program.run(x) for x in xs] == list(more)


def test_what_the_arena_held_does_not_matter() -> None:
    program, other = toy(), toy()
    program.program.poison()
    assert np.array_equal(program.scan(XS, 2), other.scan(XS, 2))


def test_programs_go_while_others_run() -> None:
    program, other = toy(), toy()
    for x in XS[:20]:
        passing = toy()
        passing.run(x, 2)
        del passing
        gc.collect()
        assert program.run(x, 2) == other.run(x, 1)


# -- threads that are worth it ---------------------------------------------------------------------


def test_a_tiny_program_has_one_thread_and_no_barrier() -> None:
    program = toy(seconds=1e-7).program
    assert program.threads == 1
    assert "barrier" not in program.llvm()


def test_a_program_has_at_most_as_many_threads_as_blocks() -> None:
    assert toy(blocks=3).program.threads == 3
    assert toy(blocks=8).program.threads == 8


def test_identical_kernels_are_emitted_once() -> None:
    buffers = [Buffer(f"b{n}", 8, F32, "state") for n in range(3)]
    plan = Plan([kernel([b], [b]) for b in buffers], buffers, [], {}, 0)
    codes = [increment("increment", [b], 1) for b in buffers]
    program = Program(plan, host(), codes)
    arrays = [np.full(8, n, np.float32) for n in range(3)]
    program.run([a.ctypes.data for a in arrays])
    assert [a[0] for a in arrays] == [1, 2, 3]
    assert program.llvm().count("define void @increment(") == 1


def increment(name: str, buffers: list[Buffer], blocks: int, **more: float) -> object:
    body = at("p", "%b0", "%i")
    body += "  %v = load float, ptr %p\n  %w = fadd float %v, 1.0\n  store float %w, ptr %p\n"
    return lowered(name, buffers, blocks, buffers[0].size // blocks, body, **more)


# -- scratch ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_thread_has_scratch_memory_of_its_own(threads: int) -> None:
    """A block writes its number all over the scratch, then counts what still is its own."""
    words, blocks = 3000, 12
    out = Buffer("out", blocks, I64, "output")
    body = f"""  br label %fill
fill:
  %j = phi i64 [ 0, %loop ], [ %j1, %fill ]
  %p = getelementptr i64, ptr %scratch, i64 %j
  store volatile i64 %i, ptr %p
  %j1 = add i64 %j, 1
  %go = icmp slt i64 %j1, {words}
  br i1 %go, label %fill, label %count
count:
  %k = phi i64 [ 0, %fill ], [ %k1, %count ]
  %n = phi i64 [ 0, %fill ], [ %n1, %count ]
  %q = getelementptr i64, ptr %scratch, i64 %k
  %v = load volatile i64, ptr %q
  %same = icmp eq i64 %v, %i
  %one = zext i1 %same to i64
  %n1 = add i64 %n, %one
  %k1 = add i64 %k, 1
  %on = icmp slt i64 %k1, {words}
  br i1 %on, label %count, label %store
store:
  %o = getelementptr i64, ptr %b0, i64 %i
  store i64 %n1, ptr %o
"""
    code = lowered("fills", [out], blocks, 1, body, flops=1e9, scratch=8 * words)
    plan = Plan([kernel([], [out])], [], [View(out, 0, (blocks,), (1,))], {}, 0)
    program, got = Program(plan, host(), [code]), np.zeros(blocks, np.int64)
    program.run([got.ctypes.data], threads)
    assert np.array_equal(got, np.full(blocks, words))


# -- Ctrl-C ----------------------------------------------------------------------------------------


@contextmanager
def interrupt_after(seconds: float) -> Iterator[None]:
    """A KeyboardInterrupt, as Ctrl-C's handler raises it, after some time."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms")
@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals go to the main one"
)
@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_ends_a_scan_after_a_whole_iteration(threads: int) -> None:
    program, other = toy(blocks=8, size=4096), toy(blocks=8, size=4096)
    x = RNG.standard_normal(program.size).astype(np.float32)
    out, count = np.empty(1, np.float32), 10**9
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt), interrupt_after(0.2):
        program.program.scan(count, program.addresses(x, out), [0, 0, 0], threads)
    late = time.perf_counter() - start - 0.2
    done = program.program.finished
    assert 0 < done < count
    assert late < 0.2
    other.program.scan(done, other.addresses(x, out), [0, 0, 0], 1)
    assert np.array_equal(program.walk, other.walk)
    assert program.run(x) == other.run(x)  # and it runs again


# -- errors ----------------------------------------------------------------------------------------


def gathering(blocks: int = 4) -> Program:
    """total += source[index]; counter += 1: the index may be out of range."""
    index = Buffer("index", 4, I64, "input")
    source = Buffer("source", 10, F32, "input")
    total = Buffer("total", 4, F32, "state")
    counter = Buffer("counter", 4, F32, "state")
    picked = Buffer("picked", 4, F32, "temporary")
    body = at("ip", "%b0", "%i", "i64") + at("op", "%b2", "%i")
    body += """  %k = load i64, ptr %ip
  %bad = icmp uge i64 %k, 10
  br i1 %bad, label %raise, label %take
raise:
  store i32 1, ptr %error
  br label %take
take:
  %at = phi i64 [ %k, %loop ], [ 0, %raise ]
  %p = getelementptr float, ptr %b1, i64 %at
  %v = load float, ptr %p
  store float %v, ptr %op
"""
    add = at("p", "%b0", "%i") + at("q", "%b1", "%i")
    add += """  %a = load float, ptr %p
  %b = load float, ptr %q
  %c = fadd float %a, %b
  store float %c, ptr %q
"""
    codes = [
        lowered("gather", [index, source, picked], blocks, 4 // blocks, body, flops=1e7),
        lowered("add", [picked, total], blocks, 4 // blocks, add, flops=1e7),
        increment("count", [counter], blocks, flops=1e7),
    ]
    kernels = [
        kernel([index, source], [picked], "gather", may_fail=True),
        kernel([picked, total], [total], "add"),
        kernel([counter], [counter], "count"),
    ]
    given = [index, source, total, counter]
    return Program(Plan(kernels, given, [], {}, 64), host(), codes)


@pytest.mark.parametrize(("blocks", "threads"), [(1, 1), (4, 1), (4, 2), (4, 3)])
def test_an_index_out_of_range_leaves_the_state(blocks: int, threads: int) -> None:
    program = gathering(blocks)
    index = np.array([[0, 1, 2, 3], [9, 9, 0, 0], [1, 2, 10, 3], [0, 0, 0, 0]])
    source = np.arange(10, dtype=np.float32)
    total, counter = np.zeros(4, np.float32), np.zeros(4, np.float32)
    addresses = [a.ctypes.data for a in (index, source, total, counter)]
    message = "iteration 2 of a compiled program: gather from toy.py:7 in step"
    with pytest.raises(OutOfRangeError, match=message):
        program.scan(4, addresses, [32, 0, 0, 0], threads)
    assert program.finished == 2
    assert np.array_equal(total, [9, 10, 2, 3])
    assert np.array_equal(counter, [2, 2, 2, 2])
    with pytest.raises(IndexError):
        program.run([index[2:].ctypes.data, *addresses[1:]], threads)
    program.run([index[3:].ctypes.data, *addresses[1:]], threads)
    assert np.array_equal(counter, [3, 3, 3, 3])


def test_memory_that_is_not_there() -> None:
    size = 2**58
    state = Buffer("state", 8, F32, "state")
    huge = Buffer("activations", size // 4, F32, "temporary")
    plan = Plan([kernel([state], [huge]), kernel([huge], [state])], [state], [], {}, size)
    codes = [increment("a", [state], 1), increment("b", [state], 1)]
    program = Program(plan, host(), codes)
    for _ in range(2):
        with pytest.raises(OutOfMemoryError, match=r"(?s)288\d+\.\d TB.*at toy\.py:7") as caught:
            program.run([0])
    assert isinstance(caught.value, MemoryError)


def product(x: tw.Tensor) -> tw.Tensor:
    return (x @ x.t()).exp().sum()


def rounds(x: tw.Tensor) -> tw.Tensor:
    return tw.scan(lambda h, s: (h + s, s * tw.ones(400_000)), x[0], x)[1].sort()[0].sum()


def result(x: tw.Tensor) -> tw.Tensor:
    return x * tw.ones(1, 4_000_000)


WANTED = [
    (product, r"f32\[4000000,4000000\], 64\.0 TB, of contraction at .* in product$"),
    (rounds, r"f32\[4000000,400000\], 6\.4 TB, of multiply at .* in <lambda>$"),
    (result, r"a result .* is f32\[4000000,4000000\], 64\.0 TB, of multiply at .* in result;"),
]


@pytest.mark.parametrize(("function", "words"), WANTED)
def test_what_wants_the_memory_is_named(
    function: Callable[[tw.Tensor], tw.Tensor], words: str
) -> None:
    with pytest.raises(OutOfMemoryError, match=f"(?ms){words}"):
        tw.compile(function)(tw.ones(4_000_000, 1))


@pytest.mark.parametrize("count", [0, 2, 4])
def test_addresses_are_counted(count: int) -> None:
    with pytest.raises(ThalwegError, match=f"got {count} addresses, expected 3"):
        toy().program.run([0] * count)
    with pytest.raises(ThalwegError, match=f"got {count} strides, expected 3"):
        toy().program.scan(1, [0] * 3, [0] * count)


def test_outputs_must_have_buffers() -> None:
    state = Buffer("state", 8, F32, "state")
    plan = Plan([], [state], [View(state, 0, (8,), (1,))], {}, 0)
    with pytest.raises(ThalwegError, match="two inputs or outputs in one buffer"):
        Program(plan, host(), [])
    scratch = Buffer("t", 8, F32, "temporary")
    plan = Plan([], [state], [View(scratch, 0, (8,), (1,))], {}, 0)
    with pytest.raises(ThalwegError, match="no output's buffer"):
        Program(plan, host(), [])


def test_a_program_that_a_signal_handler_calls_while_it_runs_refuses() -> None:
    program = toy()
    running = program.program._running
    running._take()
    try:
        with pytest.raises(ThalwegError, match="signal handler"):
            program.run(XS[0])
    finally:
        running._release()
    program.run(XS[0])


# -- looking ---------------------------------------------------------------------------------------


def test_text_of_the_program() -> None:
    program = toy().program
    text = program.llvm()
    assert text.index("define void @move") < text.index("define void @thalweg_main")
    assert "thalweg_main:" in program.asm()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_profile_tells_the_long_kernel(threads: int) -> None:
    program = toy(blocks=4, size=200_000)
    x, out = np.ones(program.size, np.float32), np.empty(1, np.float32)
    given = program.addresses(x, out)
    rounds = [program.program.profile(given, 2, threads) for _ in range(10)]
    seconds = [min(kernel) for kernel in zip(*rounds, strict=True)]
    assert len(seconds) == 4
    assert seconds[1] == max(seconds)  # its additions wait for each other
    assert 1e-5 < sum(seconds) < 10


def test_a_profile_counts_as_runs() -> None:
    program, other = toy(), toy()
    out = np.empty(1, np.float32)
    program.program.profile(program.addresses(XS[0], out), 4, 2)
    for _ in range(5):
        other.run(XS[0])
    assert np.array_equal(program.walk, other.walk)


def test_a_pause_between_iterations_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thalweg.compiler.native.running._CHUNK_SECONDS", 0.0)
    monkeypatch.setattr("thalweg.compiler.native.running.TRY", 0.0)
    for threads in (None, 1, 2, 3):
        program, other = toy(), toy()
        got = program.scan(XS, threads)
        assert np.array_equal(got, [other.run(x, 1) for x in XS])
        assert np.array_equal(program.walk, other.walk)
        assert program.program.finished == len(XS)


def test_a_toy_is_what_it_says() -> None:
    program: Toy = toy()
    assert [(s.alone, s.barrier) for s in program.program.steps] == [
        (False, False),
        (False, True),
        (True, True),
        (False, True),
    ]
    assert replace(program, blocks=1).size == program.size
