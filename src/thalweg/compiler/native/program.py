"""A plan as one native program: lowered, compiled, and loaded, to be run (running.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property, partial

from thalweg.compiler.graph import Graph
from thalweg.compiler.kernels import Buffer, Kernel, Plan, leaves
from thalweg.compiler.lower.lowered import Lowered
from thalweg.compiler.machine import Machine
from thalweg.compiler.native import kept
from thalweg.compiler.native.jit import assembly, compile_modules
from thalweg.compiler.native.lowering import lower_all
from thalweg.compiler.native.main import MainText, scratch_bytes
from thalweg.compiler.native.running import Running
from thalweg.compiler.native.runtime import MOST
from thalweg.compiler.native.schedule import Turn, effects, schedule, threads_worth
from thalweg.compiler.passes import build_plan
from thalweg.compiler.passes.fusion.held import Choice
from thalweg.errors import ThalwegError

__all__ = ["Program"]


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
        self._plan: Callable[[], Plan] = cache(plan) if callable(plan) else partial(_itself, plan)
        self._lowered, self.machine = lowered, machine
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
        self._running = Running(self.facts, library, self._plan)

    @classmethod
    def of(
        cls,
        graph: Graph,
        updates: Mapping[int, int],
        machine: Machine,
        choice: Choice | None = None,
    ) -> Program:
        """The program of a graph, from the disk or made; the rest as `build_plan` takes it."""
        key = kept.key_of_program(graph, updates, machine, choice)
        return cls(lambda: build_plan(graph, updates, choice), machine, key=key)

    # -- what it is made of

    @property
    def input_orders(self) -> dict[int, tuple[int, ...]]:
        """The axes in memory, outermost first, of inputs that do not lie in row-major order."""
        return {number: tuple(order) for number, order in self.facts.input_orders}

    @property
    def output_orders(self) -> dict[int, tuple[int, ...]]:
        """The same of outputs."""
        return {number: tuple(order) for number, order in self.facts.output_orders}

    @property
    def plan(self) -> Plan:
        """The kernels over buffers."""
        return self._plan()

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
            input_orders=tuple(self.plan.input_orders.items()),
            output_orders=tuple(self.plan.output_orders.items()),
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
        first: int = 0,
    ) -> None:
        """Run `count` times; after each, every address advances by its stride, in bytes.

        Iterations are numbered from `first`. It returns to Python about every 50 ms, so that Ctrl-C
        raises KeyboardInterrupt, with `finished` iterations done, whole ones. Raises as `run` does.
        """
        self._running.scan(count, addresses, strides, threads, first)

    @property
    def finished(self) -> int:
        """Whole iterations that the last run or scan has done: fewer than asked if it raised. Those
        before the `first` of a scan count."""
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
        running = Running(self.facts, library, self._plan)
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


def _itself(plan: Plan) -> Plan:
    return plan


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
