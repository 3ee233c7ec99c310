"""Waiting for a word, on this system and, as far as object code, on others."""

from __future__ import annotations

import ctypes
import threading
import time
from dataclasses import replace

import pytest

from thalweg.compiler.machine import host
from thalweg.compiler.native.frame import Frame, aligned_bytes
from thalweg.compiler.native.jit import Library, compile_modules, emit
from thalweg.compiler.native.waiting import barrier_text, waiting_text
from thalweg.errors import ThalwegError

DOOR = """
define i32 @wait_for(ptr %word, ptr %sleepers, i32 %old, i64 %spins) {
  %new = call i32 @wait(ptr %word, ptr %sleepers, i32 %old, i64 %spins)
  ret i32 %new
}
define void @set(ptr %word, ptr %sleepers, i32 %new) {
  call void @change(ptr %word, ptr %sleepers, i32 %new)
  ret void
}
; adds 1 to the total of each round, counts the rounds where not all have after the barrier
define i64 @rounds(ptr %frame, i64 %threads, ptr %totals, i64 %count) {
entry:
  br label %round
round:
  %r = phi i64 [ 0, %entry ], [ %next, %met ]
  %wrong = phi i64 [ 0, %entry ], [ %wrong1, %met ]
  %place = and i64 %r, 1023
  %at = getelementptr i64, ptr %totals, i64 %place
  %before = atomicrmw add ptr %at, i64 1 monotonic
  %stop = call i1 @barrier(ptr %frame, i64 %threads)
  br i1 %stop, label %stopped, label %met
met:
  %total = load atomic i64, ptr %at monotonic, align 8
  %short = icmp ne i64 %total, %threads
  %one = zext i1 %short to i64
  %wrong1 = add i64 %wrong, %one
  %next = add i64 %r, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %round, label %done
done:
  ret i64 %wrong1
stopped:
  %left = sub i64 -1, %r
  ret i64 %left
}
"""
I32, I64, POINTER = ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p


@pytest.fixture(scope="module")
def library() -> Library:
    return compile_modules([waiting_text() + barrier_text() + DOOR], host())


@pytest.mark.parametrize("spins", [0, 10, 10**9])
def test_a_changed_word_wakes(library: Library, spins: int) -> None:
    wait = ctypes.CFUNCTYPE(I32, POINTER, POINTER, I32, I64)(library.address("wait_for"))
    change = ctypes.CFUNCTYPE(None, POINTER, POINTER, I32)(library.address("set"))
    memory, word = aligned_bytes(8)
    memory[:] = 0
    seen: list[int] = []
    waiter = threading.Thread(target=lambda: seen.append(wait(word, word + 4, 0, spins)))
    waiter.start()
    sleeping = I32.from_address(word + 4)
    end = time.perf_counter() + 0.05
    while not sleeping.value and time.perf_counter() < end:
        pass
    assert sleeping.value == (spins < 10**9)
    assert not seen
    change(word, word + 4, 7)
    waiter.join(10)
    assert seen == [7]
    assert sleeping.value == 0


def test_a_word_that_has_changed_does_not_wait(library: Library) -> None:
    wait = ctypes.CFUNCTYPE(I32, POINTER, POINTER, I32, I64)(library.address("wait_for"))
    memory, word = aligned_bytes(8)
    memory[:] = 0
    assert wait(word, word + 4, 5, 0) == 0


@pytest.mark.parametrize("spins", [0, 50])
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_nobody_passes_a_barrier_before_all_are_there(
    library: Library, threads: int, spins: int
) -> None:
    assert set(meet(library, threads, spins, 300).values()) == {0}


def test_all_leave_in_the_same_round(library: Library) -> None:
    left = meet(library, 3, 10, 10**9, stop_after=0.02)
    assert len(set(left.values())) == 1
    assert set(left.values()) != {0}


def meet(
    library: Library, threads: int, spins: int, count: int, stop_after: float | None = None
) -> dict[int, int]:
    """What `rounds` gives on each of several threads."""
    kinds = (I64, POINTER, I64, POINTER, I64)
    rounds = ctypes.CFUNCTYPE(*kinds)(library.address("rounds"))
    memory, address = aligned_bytes(ctypes.sizeof(Frame))
    memory[:] = 0
    frame = Frame.from_address(address)
    frame.spins = spins
    totals = (I64 * 1024)()
    place, results = ctypes.addressof(totals), dict[int, int]()

    def work(number: int) -> None:
        results[number] = rounds(address, threads, place, count)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    if stop_after is not None:
        workers[0].join(stop_after)
        frame.stop = 1
    for worker in workers:
        worker.join(30)
    assert len(results) == threads
    return results


SYSTEMS = [
    ("linux", "x86_64", "x86_64-unknown-linux-gnu", b"syscall"),
    ("linux", "aarch64", "aarch64-unknown-linux-gnu", b"syscall"),
    ("darwin", "arm64", "arm64-apple-darwin", b"__ulock_wait"),
    ("win32", "amd64", "x86_64-pc-windows-msvc", b"WaitOnAddress"),
]


@pytest.mark.parametrize(("system", "processor", "triple", "called"), SYSTEMS)
def test_object_code_for_other_systems(
    system: str, processor: str, triple: str, called: bytes
) -> None:
    machine = replace(host(), name="generic", features="", vector_bits=128)
    text = waiting_text(system, processor) + barrier_text() + DOOR
    assert called in emit(text, machine, triple)


def test_a_system_without_a_way_to_sleep_says_so() -> None:
    with pytest.raises(ThalwegError, match="cannot sleep on plan9, vax.*THALWEG_NUM_THREADS=1"):
        waiting_text("plan9", "vax")
