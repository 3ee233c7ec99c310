"""The threads that run compiled programs.

The calling thread is thread 0. The others are Python threads that enter native code once and stay
there: between programs they look for work for some tens of microseconds, then sleep in the kernel
(see `waiting`), so that idle threads use no processor time. Their Python is never run again, they
never ask for the interpreter's lock.

One program at a time uses them. A second Python thread that runs a program meanwhile does not wait:
its program runs on its own thread alone, with the same bits in its results, since these never
depend on the number of threads.

Before a fork the threads are dismissed, in the parent they come back with the next program, in
the child too. At the interpreter's exit they are dismissed.

NumPy's products (OpenBLAS) have threads of their own. Compiled programs never call them; they look
for work for some hundredths of a second after a product, then sleep too.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from thalweg.compiler.machine import host
from thalweg.compiler.native.frame import LINE, aligned_bytes
from thalweg.compiler.native.jit import Library, compile_modules
from thalweg.compiler.native.waiting import waiting_text
from thalweg.errors import ConfigError

__all__ = [
    "Pool",
    "available_cores",
    "checked_count",
    "get_num_threads",
    "pool",
    "set_num_threads",
]

MOST: Final = 1024
# Longer looking keeps the cores from those that are waited for, where others want them too.
_SPIN_SECONDS: Final = 20e-6
_FORK_WAITS: Final = 10.0

# The pool's memory is a line for the job, then one for each thread t: its word counts the jobs
# that it is to take part in. Thread t rouses threads 2t + 1 and 2t + 2.
_JOB_MAIN, _JOB_FRAME, _JOB_THREADS, _JOB_SPINS = 0, 8, 16, 24
_DONE, _DONE_SLEEPERS = LINE, LINE + 4
_WORDS: Final = 2 * LINE

_TEXT = f"""\
define internal void @rouse(ptr %pool, i64 %thread, i64 %threads) nounwind {{
  %there = icmp slt i64 %thread, %threads
  br i1 %there, label %call, label %done
call:
  %line = mul i64 %thread, {LINE}
  %place = add i64 %line, {_WORDS}
  %word = getelementptr i8, ptr %pool, i64 %place
  %sleepers = getelementptr i8, ptr %word, i64 4
  %old = load atomic i32, ptr %word monotonic, align 4
  %new = add i32 %old, 1
  call void @change(ptr %word, ptr %sleepers, i32 %new)
  br label %done
done:
  ret void
}}

define internal void @rouse_next(ptr %pool, i64 %thread, i64 %threads) nounwind {{
  %twice = shl i64 %thread, 1
  %left = add i64 %twice, 1
  %right = add i64 %twice, 2
  call void @rouse(ptr %pool, i64 %left, i64 %threads)
  call void @rouse(ptr %pool, i64 %right, i64 %threads)
  ret void
}}

; A worker's life: wait for a job, rouse the next threads, do its part, tell that it is done.
define void @thalweg_work(ptr %pool, i64 %thread) nounwind {{
entry:
  %line = mul i64 %thread, {LINE}
  %place = add i64 %line, {_WORDS}
  %word = getelementptr i8, ptr %pool, i64 %place
  %sleepers = getelementptr i8, ptr %word, i64 4
  %main.at = getelementptr i8, ptr %pool, i64 {_JOB_MAIN}
  %frame.at = getelementptr i8, ptr %pool, i64 {_JOB_FRAME}
  %threads.at = getelementptr i8, ptr %pool, i64 {_JOB_THREADS}
  %spins.at = getelementptr i8, ptr %pool, i64 {_JOB_SPINS}
  %done = getelementptr i8, ptr %pool, i64 {_DONE}
  %waiting = getelementptr i8, ptr %pool, i64 {_DONE_SLEEPERS}
  br label %idle
idle:
  %seen = phi i32 [ 0, %entry ], [ %job, %work ], [ %job, %tell ]
  %spins = load atomic i64, ptr %spins.at monotonic, align 8
  %job = call i32 @wait(ptr %word, ptr %sleepers, i32 %seen, i64 %spins)
  %threads = load i64, ptr %threads.at, align 8
  call void @rouse_next(ptr %pool, i64 %thread, i64 %threads)
  %main = load ptr, ptr %main.at, align 8
  %dismissed = icmp eq ptr %main, null
  br i1 %dismissed, label %leave, label %work
work:
  %frame = load ptr, ptr %frame.at, align 8
  call void %main(ptr %frame, i64 %thread)
  %before = atomicrmw add ptr %done, i32 1 seq_cst
  %here = add i32 %before, 2
  %all = trunc i64 %threads to i32
  %last = icmp eq i32 %here, %all
  br i1 %last, label %tell, label %idle
tell:
  call void @wake_sleepers(ptr %done, ptr %waiting)
  br label %idle
leave:
  ret void
}}

; The caller's part: give the job out, do part 0, wait until the others are done.
define void @thalweg_run(ptr %pool, ptr %main, ptr %frame, i64 %threads) nounwind {{
entry:
  %main.at = getelementptr i8, ptr %pool, i64 {_JOB_MAIN}
  %frame.at = getelementptr i8, ptr %pool, i64 {_JOB_FRAME}
  %threads.at = getelementptr i8, ptr %pool, i64 {_JOB_THREADS}
  %spins.at = getelementptr i8, ptr %pool, i64 {_JOB_SPINS}
  %done = getelementptr i8, ptr %pool, i64 {_DONE}
  %sleepers = getelementptr i8, ptr %pool, i64 {_DONE_SLEEPERS}
  store ptr %main, ptr %main.at, align 8
  store ptr %frame, ptr %frame.at, align 8
  store i64 %threads, ptr %threads.at, align 8
  store atomic i32 0, ptr %done monotonic, align 4
  call void @rouse_next(ptr %pool, i64 0, i64 %threads)
  %nothing = icmp eq ptr %main, null
  br i1 %nothing, label %leave, label %work
work:
  call void %main(ptr %frame, i64 0)
  %spins = load i64, ptr %spins.at, align 8
  %all = trunc i64 %threads to i32
  %others = sub i32 %all, 1
  %first = load atomic i32, ptr %done acquire, align 4
  br label %look
look:
  %seen = phi i32 [ %first, %work ], [ %now, %more ]
  %finished = icmp eq i32 %seen, %others
  br i1 %finished, label %leave, label %more
more:
  %now = call i32 @wait(ptr %done, ptr %sleepers, i32 %seen, i64 %spins)
  br label %look
leave:
  ret void
}}

define void @thalweg_spin(i64 %spins) nounwind {{
entry:
  br label %more
more:
  %n = phi i64 [ %spins, %entry ], [ %less, %more ]
  call void @pause()
  %less = sub i64 %n, 1
  %over = icmp sle i64 %less, 0
  br i1 %over, label %done, label %more
done:
  ret void
}}
"""


class Pool:
    """The threads beside the caller's, hired when a program first asks for them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._closed = False
        self._workers: list[threading.Thread] = []
        self._library: Library | None = None

    def take(self) -> bool:
        """Take the lock where nobody has it, and nobody waits to fork or to end."""
        return not self._closed and self.lock.acquire(blocking=False)

    def close(self, seconds: float) -> bool:
        """Take the lock within some seconds, and dismiss the workers; gives whether it could."""
        self._closed = True
        if taken := self.lock.acquire(timeout=seconds):
            self.dismiss()
        return taken

    def open(self) -> None:
        """Programs may use the threads again."""
        self._closed = False

    def hire(self, threads: int) -> int:
        """Have `threads` threads, the caller's included, or as many as the system gives.

        The lock is held. At the interpreter's end, or where a limit is reached, there are fewer.
        """
        if len(self._workers) < threads - 1:
            self._hire(threads)
        return min(threads, len(self._workers) + 1)

    def run(self, main: int, frame: int, threads: int) -> None:
        """Run the native function at `main` on so many hired threads; the lock is held."""
        self._run(self._address, main, frame, threads)

    def spins(self, threads: int) -> int:
        """How often a thread of `threads` looks before it sleeps: hardly, where cores are short."""
        if self._library is None:
            self._load()
        return self._spins if threads <= available_cores() else 10

    def dismiss(self) -> None:
        """Let the workers return from native code and end; the lock is held."""
        if not self._workers:
            return
        self._run(self._address, 0, 0, len(self._workers) + 1)
        for worker in self._workers:
            worker.join()
        self.forget()

    def forget(self) -> None:
        """Begin anew: there are no workers."""
        self._workers.clear()
        if self._library is not None:
            ctypes.memset(self._address + _DONE, 0, LINE * (MOST + 1))

    def _load(self) -> None:
        self._library = compile_modules([waiting_text() + _TEXT], host())
        i64, pointer, address = ctypes.c_int64, ctypes.c_void_p, self._library.address
        self._work = ctypes.CFUNCTYPE(None, pointer, i64)(address("thalweg_work"))
        self._run = ctypes.CFUNCTYPE(None, pointer, pointer, pointer, i64)(address("thalweg_run"))
        spin = ctypes.CFUNCTYPE(None, i64)(address("thalweg_spin"))
        self._memory, self._address = aligned_bytes(_WORDS + LINE * (MOST + 1))
        ctypes.memset(self._address, 0, _WORDS + LINE * (MOST + 1))
        self._spins = _calibrate(spin)
        ctypes.c_int64.from_address(self._address + _JOB_SPINS).value = self._spins

    def _hire(self, threads: int) -> None:
        if self._library is None:
            self._load()
        for number in range(len(self._workers) + 1, threads):
            worker = threading.Thread(
                target=self._work,
                args=(self._address, number),
                name=f"thalweg-{number}",
                daemon=True,
            )
            try:
                worker.start()
            except RuntimeError:  # no more threads can be had
                return
            self._workers.append(worker)


def _calibrate(spin: Callable[[int], None]) -> int:
    """The number of looks that takes `_SPIN_SECONDS`."""
    looks, best = 1000, float("inf")
    for _ in range(3):
        start = time.perf_counter()
        spin(looks)
        best = min(best, time.perf_counter() - start)
    return max(10, int(looks * _SPIN_SECONDS / best))


pool = Pool()


# -- how many --------------------------------------------------------------------------------------

_wanted: int | None = None


def set_num_threads(count: int) -> None:
    """Let compiled programs use at most `count` threads, the calling one included.

    Results do not depend on it. Small programs use fewer. Raises `ConfigError` where `count` is
    not a whole number from 1 to 1024.

    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    global _wanted
    _wanted = checked_count(count, "set_num_threads")


def get_num_threads() -> int:
    """The number of threads compiled programs may use.

    It is what `set_num_threads` said last, else what THALWEG_NUM_THREADS says in the environment,
    else the number of cores that this process may use.
    """
    global _wanted
    if _wanted is None:
        said = os.environ.get("THALWEG_NUM_THREADS", "").strip()
        number = int(said) if said.isdecimal() else said
        _wanted = checked_count(number, "THALWEG_NUM_THREADS") if said else available_cores()
    return _wanted


def checked_count(count: object, where: str) -> int:
    """`count`, if it may be a number of threads."""
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST:
        raise ConfigError(f"{where}: got {count!r}, expected a whole number from 1 to {MOST}")
    return count


_cores: int | None = None


def available_cores() -> int:
    """The cores this process may use: its affinity, and its group's quota on Linux."""
    global _cores
    if _cores is None:
        try:
            cores = len(os.sched_getaffinity(0))
        except AttributeError:  # only Linux tells
            cores = os.cpu_count() or 1
        _cores = min(cores, _quota() or cores, MOST)
    return _cores


def _quota(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Whole cores a container's quota amounts to, rounded up; None where there is none."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = (root / "cpu.max").read_text().split()
        return max(1, -(-int(quota) // int(period)))
    with contextlib.suppress(OSError, ValueError):
        quota, period = ((root / f"cpu/cpu.cfs_{w}_us").read_text() for w in ("quota", "period"))
        return max(1, -(-int(quota) // int(period))) if int(quota) > 0 else None
    return None


# -- fork and exit ---------------------------------------------------------------------------------


class _Fork:
    """No thread but the caller's may be in native code at a fork: the child would miss it."""

    held = False

    @classmethod
    def before(cls) -> None:
        cls.held = pool.close(_FORK_WAITS)

    @classmethod
    def in_parent(cls) -> None:
        pool.open()
        if cls.held:
            pool.lock.release()

    @classmethod
    def in_child(cls) -> None:
        pool.lock = threading.Lock()
        pool.forget()
        pool.open()


def _at_exit() -> None:
    if pool.close(seconds=1.0):
        pool.lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_Fork.before, after_in_parent=_Fork.in_parent, after_in_child=_Fork.in_child
    )
atexit.register(_at_exit)
