"""Running a native program: its main function, the memory it works in, and what may stop it."""

from __future__ import annotations

import ctypes
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final

from thalweg.compiler.host import failure
from thalweg.compiler.kernels import Kernel, Plan, leaves
from thalweg.compiler.native.frame import FAILED, Frame, aligned_bytes
from thalweg.compiler.native.jit import Library
from thalweg.compiler.native.kept import Facts
from thalweg.compiler.native.main import CLOCK, MAIN
from thalweg.compiler.native.runtime import get_num_threads, pool
from thalweg.compiler.native.shortage import installed_memory, no_arena
from thalweg.compiler.native.tempo import TRY, Tempo
from thalweg.errors import OutOfRangeError, ThalwegError

__all__ = ["Running"]

_CHUNK_SECONDS: Final = 0.05
_HOUR: Final = 3600.0
_PAGE: Final = 4096
_all: weakref.WeakSet[Running] = weakref.WeakSet()


class Running:
    """A program's main function with the memory it works in; one Python thread at a time.

    The plan is asked for only to say what went wrong: where the disk keeps the program, there is
    none until then.
    """

    def __init__(self, facts: Facts, library: Library, plan: Callable[[], Plan]) -> None:
        self.plan = plan
        self.lock = threading.Lock()
        self.owner = 0
        self.facts = facts
        self.slots = facts.given
        self.most = facts.threads
        self.address = library.address(MAIN)
        self.main = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(self.address)
        self.clock = ctypes.CFUNCTYPE(ctypes.c_int64)(library.address(CLOCK))
        self.run_tempo, self.scan_tempo = Tempo(), Tempo()
        self.pause = 0.0
        self.frame: Any = None
        self.known: list[int] | None = None
        self.used = 0  # threads, as the frame says
        self.room = 0  # threads that there is scratch memory for
        _all.add(self)

    @property
    def finished(self) -> int:
        """Whole iterations of the last run, or up to the end of the last scan."""
        return int(self.frame.finished) if self.frame is not None else 0

    def run(self, addresses: Sequence[int], threads: int | None) -> None:
        """Once, as `Program.run`."""
        self._take()
        try:
            if addresses != self.known:
                self._place(addresses)
            self.frame.finished = 0
            if self.most == 1:
                self._execute(1, 1)
            else:
                self._execute_measured(1, threads, self.run_tempo)
        finally:
            self._release()

    def scan(
        self,
        count: int,
        addresses: Sequence[int],
        strides: Sequence[int],
        threads: int | None,
        first: int,
    ) -> None:
        """Many times, as `Program.scan`."""
        self._take()
        try:
            self._check(strides, "strides")
            self.strides[: self.slots] = list(strides)
            self.frame.finished = first
            while (done := self.finished - first) < count:
                self._place([a + done * s for a, s in zip(addresses, strides, strict=True)])
                self._execute_measured(count - done, threads, self.scan_tempo)
        finally:
            self._release()

    def profile(
        self,
        addresses: Sequence[int],
        count: int,
        threads: int | None,
        strides: Sequence[int] | None,
    ) -> list[float]:
        """One round of `Program.profile`, of a main function that measures its kernels."""
        self._take()
        try:
            self._place(addresses)
            if strides is not None:
                self._check(strides, "strides")
                self.strides[: self.slots] = list(strides)
            kernels = self.facts.kernels
            times = (ctypes.c_uint64 * (kernels + 1))()
            self.frame.times = ctypes.addressof(times)
            threads = min(self.most, threads or get_num_threads())
            self._execute(1, threads)  # the clock starts, the caches fill
            times[:kernels] = [0] * kernels
            self._pause_after(_HOUR)
            self._execute(count, threads)
            return [ticks / (_tick_rate(self.clock) * count) for ticks in times[:kernels]]
        finally:
            self._release()

    def poison(self, byte: int) -> None:
        """Fill the arena."""
        self._take()
        self.arena.fill(byte)
        self._release()

    # -- one at a time

    def _take(self) -> None:
        if not self.lock.acquire(blocking=False):
            if self.owner == threading.get_ident():
                raise ThalwegError(
                    "a compiled program was called while it runs in the same thread, as by a "
                    "signal handler: its memory is in use"
                )
            self.lock.acquire()
        self.owner = threading.get_ident()
        if self.frame is None:
            try:
                self._allocate()
            except BaseException:
                self._release()
                raise

    def _release(self) -> None:
        self.owner = 0
        self.lock.release()

    # -- memory

    def _allocate(self) -> None:
        """The frame, the tables, the arena and the threads' scratch memory."""
        memory, address = aligned_bytes(ctypes.sizeof(Frame))
        ctypes.memset(address, 0, ctypes.sizeof(Frame))
        frame = Frame.from_address(address)
        self.table: Any = (ctypes.c_uint64 * (self.slots + 1))()
        self.strides = (ctypes.c_int64 * max(1, self.slots))()
        self.errors = (ctypes.c_int64 * max(1, self.facts.kernels))()
        self.arena, self.table[self.slots] = self._reserve()
        frame.table = ctypes.addressof(self.table)
        frame.strides = ctypes.addressof(self.strides)
        frame.errors = ctypes.addressof(self.errors)
        self.memory, self.frame_address, self.frame = memory, address, frame
        self._use(1)

    def _reserve(self) -> tuple[Any, int]:
        """The arena, and its address."""
        installed = installed_memory()
        try:
            if installed is not None and self.facts.arena > installed:
                raise MemoryError
            return aligned_bytes(self.facts.arena, _PAGE)
        except MemoryError:
            raise no_arena(self.plan()) from None

    def _place(self, addresses: Sequence[int]) -> None:
        self._check(addresses, "addresses")
        self.known = None
        known = list(addresses)
        self.table[: self.slots] = known
        self.known = known

    def _check(self, given: Sequence[int], what: str) -> None:
        if len(given) != self.slots:
            raise ThalwegError(
                f"a program got {len(given)} {what}, expected {self.slots}: one for each input, "
                "then for each output that is no state"
            )

    # -- execution

    def _execute_measured(self, count: int, threads: int | None, tempo: Tempo) -> None:
        """At most `count` iterations, on a number of threads that was fast of late."""
        start, before = time.perf_counter(), self.finished
        most = min(self.most, get_num_threads())
        number = tempo.pick(most, start) if threads is None else min(self.most, threads)
        if count > 1:
            trying = threads is None and number != tempo.best(most)
            self._pause_after(TRY if trying else _CHUNK_SECONDS)
        used = self._execute(count, number)
        now = time.perf_counter()
        if used == number:
            tempo.note(number, now - start, self.finished - before, now)

    def _execute(self, count: int, threads: int) -> int:
        """With the pool's threads where they are free; else alone, which gives the same bits.

        Gives the number of threads.
        """
        frame = self.frame
        frame.count = count
        if frame.stop:  # an interrupt came before it was looked at
            self._clear()
        if threads > 1 and pool.take():
            try:
                threads = pool.hire(threads)
                self._use(threads)
                pool.run(self.address, self.frame_address, threads)
            finally:
                pool.lock.release()
        else:
            threads = 1
            self._use(1)
            self.main(self.frame_address, 0)
        if frame.stop:
            self._stopped()
        return threads

    def _use(self, threads: int) -> None:
        if self.used == threads:
            return
        scratch = self.facts.scratch
        if scratch and threads > self.room:
            self.scratch, self.frame.scratch = aligned_bytes(scratch * threads, _PAGE)
            self.room = threads
        self.frame.spins = pool.spins(threads) if threads > 1 else 0
        self.frame.threads = self.used = threads

    def _pause_after(self, seconds: float) -> None:
        if seconds != self.pause:
            self.frame.ticks = int(seconds * _tick_rate(self.clock))
            self.pause = seconds

    def _stopped(self) -> None:
        """Go on after a pause; after a failure, say which kernel met an index out of range."""
        failed = [number for number, flag in enumerate(self.errors) if flag]
        faults = [failure(ctypes.addressof(self.errors) + 8 * number) for number in failed]
        stopped = self.frame.stop & FAILED
        self._clear()
        if not stopped:
            return
        every = [kernel for kernel, _ in leaves(self.plan().kernels)]
        kernels = [every[number] for number in failed]
        for kernel, fault in zip(kernels, faults, strict=True):
            if fault is not None:
                raise _placed(fault, kernel)
        where = "; ".join(_origin(kernel) for kernel in kernels)
        raise OutOfRangeError(
            f"an index is out of range in iteration {self.finished} of a compiled program: {where}"
        )

    def _clear(self) -> None:
        self.errors[:] = [0] * len(self.errors)
        self.frame.stop = 0


_rate: float | None = None


def _tick_rate(clock: Callable[[], int]) -> float:
    """The ticks of the processor's clock in a second; the same for all programs."""
    global _rate
    if _rate is None:
        start, begin = time.perf_counter(), clock()
        while (seconds := time.perf_counter() - start) < 1e-3:
            pass
        _rate = (clock() - begin) / seconds
    return _rate


def _placed(fault: BaseException, kernel: Kernel) -> BaseException:
    """The error of a call back, with the user's line."""
    if isinstance(fault, ThalwegError):
        fault.message += f"\n  in a compiled program: {_origin(kernel)}"
    return fault


def _origin(kernel: Kernel) -> str:
    lines = ", ".join(dict.fromkeys(map(str, kernel.origins)))
    return f"{kernel.label or type(kernel).__name__.lower()} from {lines or 'an unknown line'}"


def _after_fork_in_child() -> None:
    """A thread that is not here may have held a program's lock."""
    for running in _all:
        running.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
