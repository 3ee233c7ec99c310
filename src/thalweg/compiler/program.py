"""A plan as one native program: lowered, compiled, loaded, and run by several threads."""

from __future__ import annotations

import ctypes
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from thalweg.compiler import kept
from thalweg.compiler.frame import FAILED, Frame, aligned_bytes
from thalweg.compiler.graph import Graph
from thalweg.compiler.host import failure
from thalweg.compiler.jit import Library, assembly, compile_modules
from thalweg.compiler.kernels import Buffer, Kernel, Plan, leaves
from thalweg.compiler.lower.lowered import Lowered
from thalweg.compiler.lowering import lower_all
from thalweg.compiler.machine import Machine
from thalweg.compiler.main import CLOCK, MAIN, MainText, scratch_bytes
from thalweg.compiler.passes import build_plan
from thalweg.compiler.runtime import MOST, get_num_threads, pool
from thalweg.compiler.schedule import Turn, effects, schedule, threads_worth
from thalweg.compiler.tempo import TRY, Tempo
from thalweg.errors import OutOfMemoryError, OutOfRangeError, ThalwegError
from thalweg.files import size_text

__all__ = ["Program"]

_CHUNK_SECONDS: Final = 0.05
_HOUR: Final = 3600.0
_PAGE: Final = 4096
_programs: weakref.WeakSet[Program] = weakref.WeakSet()


class Program:
    """The native program of a plan, for a machine.

    Where the disk keeps the program, the plan is made when somebody looks at it: at the kernels,
    their times, their lines after a failure.

    The caller gives an address for each of `given`: the buffers of the plan's inputs, in order,
    then of its outputs that are no state. A state's new value stands in its input's buffer. The
    memory behind an address must be contiguous and must not overlap another's.

    kernels   of the plan, in order, those within loops too
    lowered   the code of each of them; identical kernels share one
    steps     the schedule: who does which kernel, and where threads meet
    threads   the most threads that are worth having for it
    """

    def __init__(
        self,
        plan: Plan | Callable[[], Plan],
        machine: Machine,
        lowered: Sequence[Lowered] | None = None,
        key: str | None = None,
    ) -> None:
        self._plan, self._lowered, self.machine = plan, lowered, machine
        found = kept.load(key) if key else None
        if found is None:
            library = compile_modules(self._modules, machine, plain=[self._main])
            self.facts = self._facts()
            if key:
                kept.save(key, self.facts, library)
        else:
            self.facts, library = found
        self.threads = self.facts.threads
        self._library = library
        self._running = _Running(self, library)
        _programs.add(self)

    @classmethod
    def of(cls, graph: Graph, updates: Mapping[int, int], machine: Machine) -> Program:
        """The program of a graph, from the disk or made; `updates` as `build_plan` takes them."""
        key = kept.key_of_program(graph, updates, machine)
        return cls(lambda: build_plan(graph, updates), machine, key=key)

    # -- what it is made of

    @cached_property
    def plan(self) -> Plan:
        """The kernels over buffers."""
        return self._plan if isinstance(self._plan, Plan) else self._plan()

    @cached_property
    def kernels(self) -> list[Kernel]:
        """The plan's kernels, those within loops too."""
        return [kernel for kernel, _ in leaves(self.plan.kernels)]

    @cached_property
    def lowered(self) -> list[Lowered]:
        """The code of each kernel."""
        return list(self._lowered or lower_all(self.kernels, self.machine))

    @cached_property
    def given(self) -> tuple[Buffer, ...]:
        """The buffers whose addresses the caller gives."""
        return _given(self.plan)

    @cached_property
    def steps(self) -> list[Turn]:
        """The schedule."""
        return schedule(self.plan.kernels, self.lowered)

    @cached_property
    def _modules(self) -> list[str]:
        return [*{code.name: _module(code) for code in self.lowered}.values()]

    @cached_property
    def _main(self) -> str:
        return self._main_text(timed=False)

    def _facts(self) -> kept.Facts:
        return kept.Facts(
            given=len(self.given),
            kernels=len(self.lowered),
            arena=self.plan.arena,
            scratch=scratch_bytes(self.lowered),
            threads=self._threads_worth,
        )

    @cached_property
    def _threads_worth(self) -> int:
        return threads_worth(self.lowered, self.steps, MOST)

    # -- running

    def run(self, addresses: Sequence[int], threads: int | None = None) -> None:
        """Run once on `threads` threads, or as many of `get_num_threads()` as were fast of late.

        Raises `OutOfRangeError` where a kernel met an index out of range: no state has been
        written then, unless by that kernel; `OutOfMemoryError` where the memory for intermediate
        values is not there.
        """
        self._running.run(addresses, threads)

    def scan(
        self,
        count: int,
        addresses: Sequence[int],
        strides: Sequence[int],
        threads: int | None = None,
    ) -> None:
        """Run `count` times; after each, every address advances by its stride, in bytes.

        It returns to Python about every 50 ms, so that Ctrl-C raises KeyboardInterrupt, with
        `finished` iterations done, whole ones. Raises as `run` does.
        """
        self._running.scan(count, addresses, strides, threads)

    @property
    def finished(self) -> int:
        """Whole iterations that the last run or scan has done: fewer than asked if it raised."""
        return self._running.finished

    # -- looking

    def llvm(self) -> str:
        """The program as LLVM IR text: its kernels, then its main function."""
        return "\n".join([*self._modules, self._main])

    def asm(self) -> str:
        """The program as assembly text of its machine."""
        return "\n".join(assembly(text, self.machine) for text in [*self._modules, self._main])

    def profile(
        self,
        addresses: Sequence[int],
        count: int = 1,
        threads: int | None = None,
        strides: Sequence[int] | None = None,
        rounds: int = 1,
    ) -> list[float]:
        """Run `count` times, measured; gives the seconds each kernel took, on the average.

        Of several rounds each kernel's fastest counts. The threads meet after every kernel, so the
        sum is a little more than a run takes. State advances as in `(count + 1) * rounds` runs;
        addresses by their strides within a round.
        """
        main = self._main_text(timed=True)
        library = compile_modules(self._modules, self.machine, plain=[main])
        running = _Running(self, library)
        found = [running.profile(addresses, count, threads, strides) for _ in range(rounds)]
        return [min(times) for times in zip(*found, strict=True)]

    def poison(self, byte: int = 0xFF) -> None:
        """Fill the memory of intermediate values (0xFF: NaN); a run must not care."""
        self._running.poison(byte)

    def _main_text(self, timed: bool) -> str:
        return MainText(
            lowered=self.lowered,
            steps=self.steps,
            slots={buffer: slot for slot, buffer in enumerate(self.given)},
            failing=frozenset(n for n, k in enumerate(self.kernels) if effects(k).may_fail),
            threaded=self._threads_worth > 1,
            timed=timed,
        ).module()


def _module(code: Lowered) -> str:
    return "\n".join([*sorted(code.declarations), *code.helpers.values(), code.ir])


def _given(plan: Plan) -> tuple[Buffer, ...]:
    """The buffers whose addresses the caller gives."""
    state = set(plan.updates.values())
    free = [view for number, view in enumerate(plan.outputs) if number not in state]
    given = (*plan.inputs, *(view.buffer for view in free))
    if len(set(given)) < len(given):
        raise ThalwegError(f"the plan has two inputs or outputs in one buffer: {given}")
    for view in free:
        if view.offset or view.buffer.kind != "output":
            raise ThalwegError(f"the plan has an output that is no output's buffer: {view}")
    return given


class _Running:
    """A program's main function with the memory it works in; one Python thread at a time."""

    def __init__(self, program: Program, library: Library) -> None:
        self.program = weakref.proxy(program)
        self.lock = threading.Lock()
        self.owner = 0
        self.facts = program.facts
        self.slots = program.facts.given
        self.most = program.facts.threads
        self.address = library.address(MAIN)
        self.main = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(self.address)
        self.clock = ctypes.CFUNCTYPE(ctypes.c_int64)(library.address(CLOCK))
        self.run_tempo, self.scan_tempo = Tempo(), Tempo()
        self.pause = 0.0
        self.frame: Any = None
        self.known: list[int] | None = None
        self.used = 0  # threads, as the frame says
        self.room = 0  # threads that there is scratch memory for

    @property
    def finished(self) -> int:
        return int(self.frame.finished) if self.frame is not None else 0

    def run(self, addresses: Sequence[int], threads: int | None) -> None:
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
        self, count: int, addresses: Sequence[int], strides: Sequence[int], threads: int | None
    ) -> None:
        self._take()
        try:
            self._check(strides, "strides")
            self.strides[: self.slots] = list(strides)
            self.frame.finished = 0
            while (done := self.finished) < count:
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
        program = self.program
        memory, address = aligned_bytes(ctypes.sizeof(Frame))
        ctypes.memset(address, 0, ctypes.sizeof(Frame))
        frame = Frame.from_address(address)
        self.table: Any = (ctypes.c_uint64 * (self.slots + 1))()
        self.strides = (ctypes.c_int64 * max(1, self.slots))()
        self.errors = (ctypes.c_int64 * max(1, self.facts.kernels))()
        self.arena, self.table[self.slots] = _reserve(program)
        frame.table = ctypes.addressof(self.table)
        frame.strides = ctypes.addressof(self.strides)
        frame.errors = ctypes.addressof(self.errors)
        self.memory, self.frame_address, self.frame = memory, address, frame
        self._use(1)

    def _place(self, addresses: Sequence[int]) -> None:
        self._check(addresses, "addresses")
        self.known = None
        known = list(addresses)
        self.table[: self.slots] = known
        self.known = known

    def _check(self, given: Sequence[int], what: str) -> None:
        if len(given) != self.slots:
            raise ThalwegError(
                f"a program got {len(given)} {what}, expected {self.slots}: {self.program.given}"
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
        for number, fault in zip(failed, faults, strict=True):
            if fault is not None:
                raise _placed(fault, self.program.kernels[number])
        kernels = [self.program.kernels[number] for number in failed]
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


def _reserve(program: Program) -> tuple[Any, int]:
    """The arena, and its address."""
    arena = program.facts.arena
    installed = _installed_memory()
    try:
        if installed is not None and arena > installed:
            raise MemoryError
        return aligned_bytes(arena, _PAGE)
    except MemoryError:
        raise OutOfMemoryError(_shortage(program.plan, installed)) from None


def _shortage(plan: Plan, installed: int | None) -> str:
    touched = [effects(kernel) for kernel in plan.kernels]
    buffers = {buffer for e in touched for buffer in e.reads | e.writes}
    sizes = {b: b.size * b.dtype.itemsize for b in buffers if b.kind == "temporary"}
    largest = sorted(sizes, key=lambda b: (-sizes[b], b.name))[:3]
    listed = ", ".join(f"{b.name} of {size_text(sizes[b])}" for b in largest)
    machine = f"; the machine has {size_text(installed)}" if installed else ""
    return (
        f"a compiled program needs {size_text(plan.arena)} for intermediate values{machine}; "
        f"the largest are {listed}: use smaller batches"
    )


def _installed_memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # only Unix tells
        return None


def _after_fork_in_child() -> None:
    """A thread that is not here may have held a program's lock."""
    for program in _programs:
        program._running.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
