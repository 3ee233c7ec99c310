"""The main function of a program, as LLVM IR text: every thread runs it, with its own number.

    for iteration in range(count):
        for kernel in the schedule:
            barrier, where it depends on what other threads do
            kernel(addresses.., error, scratch, low, high)     this thread's blocks

A scan in the program is a loop of kernels within, whose addresses advance from round to round.
Addresses come from the frame's table and advance by their strides; temporaries stand at fixed
places in the arena, the table's last address. At a barrier all threads learn alike whether to stop.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from thalweg.compiler.kernels import Buffer, Link
from thalweg.compiler.lower.lowered import Lowered
from thalweg.compiler.native.frame import FAILED, PAUSED, Frame
from thalweg.compiler.native.schedule import Fork, Rounds, Step, Turn, steps_of
from thalweg.compiler.native.waiting import barrier_text, waiting_text

__all__ = ["CLOCK", "MAIN", "MainText", "scratch_bytes"]

MAIN = "thalweg_main"
CLOCK = "thalweg_clock"
_PAGE = 4096


def scratch_bytes(lowered: Sequence[Lowered]) -> int:
    """Bytes of scratch memory each thread has, whole pages."""
    most = max((code.scratch for code in lowered), default=0)
    return -(-most // _PAGE) * _PAGE


@dataclass(slots=True)
class MainText:
    """Writes the main function of a program.

    slots      the position in the table of every buffer that is given
    threaded   whether several threads may run it; else there is neither barrier nor split
    timed      whether all meet after each kernel, and thread 0 notes the ticks it took
    """

    lowered: Sequence[Lowered]
    steps: Sequence[Turn]
    slots: Mapping[Buffer, int]
    failing: frozenset[int]
    threaded: bool
    timed: bool = False
    _inner: dict[Buffer, str] = field(default_factory=dict)
    _lines: list[str] = field(default_factory=list)
    _numbers: int = 0

    def module(self) -> str:
        """The module's text."""
        kernels = {code.name: len(code.buffers) for code in self.lowered}
        declared = [
            f"declare void @{name}({'ptr, ' * count}ptr, ptr, i64, i64)"
            for name, count in kernels.items()
        ]
        declared.append(f"declare i64 {_clock()}")
        declared.append(
            f"define i64 @{CLOCK}() {{\n  %now = call i64 {_clock()}\n  ret i64 %now\n}}"
        )
        threads = [waiting_text(), barrier_text()] if self.threaded else []
        return "\n".join([*declared, *threads, *self._function()]) + "\n"

    def _function(self) -> Iterator[str]:
        self._lines, self._numbers = [], 0
        self._entry()
        self._start("iteration")
        self._write("%i = phi i64 [ 0, %entry ], [ %next, %again ]")
        self._addresses()
        self._body(self.steps)
        self._end()
        yield f"define void @{MAIN}(ptr %frame, i64 %thread) nounwind {{"
        yield from self._lines
        yield "}"

    # -- the function's parts

    def _entry(self) -> None:
        self._lines.append("entry:")
        self._field("table", "ptr")
        self._field("strides", "ptr")
        self._field("count", "i64")
        self._field("threads", "i64")
        self._field("errors", "ptr")
        self._field("scratch", "ptr", into="scratch.all")
        self._write(f"%stop = getelementptr i8, ptr %frame, i64 {Frame.stop.offset}")
        self._write(f"%finished = getelementptr i8, ptr %frame, i64 {Frame.finished.offset}")
        self._write(f"%scratch.own = mul i64 %thread, {scratch_bytes(self.lowered)}")
        self._write("%scratch = getelementptr i8, ptr %scratch.all, i64 %scratch.own")
        self._write("%first = icmp eq i64 %thread, 0")
        self._field("ticks", "i64")
        self._write(f"%began = call i64 {_clock()}")
        if self.timed:
            self._field("times", "ptr")
        for slot in range(len(self.slots) + 1):
            self._load_slot("table", slot, "ptr", f"given{slot}")
        for slot in range(len(self.slots)):
            self._load_slot("strides", slot, "i64", f"stride{slot}")
        if self.threaded:
            self._splits()
        self._write("%any = icmp sgt i64 %count, 0")
        self._write("br i1 %any, label %iteration, label %leave")

    def _splits(self) -> None:
        """Thread t's part: blocks * t / threads up to blocks * (t + 1) / threads."""
        self._write("%after = add i64 %thread, 1")
        shared = (step for step in steps_of(self.steps) if not step.alone)
        for blocks in sorted({self.lowered[step.kernel].blocks for step in shared}):
            self._write(f"%low{blocks}.all = mul i64 %thread, {blocks}")
            self._write(f"%high{blocks}.all = mul i64 %after, {blocks}")
            self._write(f"%low{blocks} = udiv i64 %low{blocks}.all, %threads")
            self._write(f"%high{blocks} = udiv i64 %high{blocks}.all, %threads")
            self._write(f"%some{blocks} = icmp ult i64 %low{blocks}, %high{blocks}")

    def _addresses(self) -> None:
        for slot in range(len(self.slots)):
            self._write(f"%far{slot} = mul i64 %i, %stride{slot}")
            self._write(f"%at{slot} = getelementptr i8, ptr %given{slot}, i64 %far{slot}")
        self._write("%following = add i64 %i, 1")
        self._write("%follows = icmp slt i64 %following, %count")
        for slot in self._slots(code.buffers[n] for code in self.lowered for n in code.final):
            self._write(f"%same{slot} = icmp eq i64 %stride{slot}, 0")
            self._write(f"%rewritten{slot} = and i1 %follows, %same{slot}")
            self._write(f"%final{slot} = select i1 %rewritten{slot}, ptr null, ptr %at{slot}")
        for slot in self._slots(code.buffers[n] for code in self.lowered for n in code.later):
            self._write(f"%step{slot} = select i1 %follows, i64 %stride{slot}, i64 0")
            self._write(f"%later{slot} = getelementptr i8, ptr %at{slot}, i64 %step{slot}")

    def _body(self, turns: Sequence[Turn]) -> None:
        for turn in turns:
            if self.threaded and (turn.barrier or self.timed):
                self._meet()
            elif turn.check:
                self._check()
            match turn:
                case Rounds():
                    self._rounds(turn)
                case Fork():
                    self._fork(turn)
                case Step():
                    self._turn(turn)
                    if self.timed:
                        self._note(turn)

    def _rounds(self, loop: Rounds) -> None:
        """A loop of kernels; where all have a part in it, they meet at the end of each round."""
        around, begin, end = self._label("around"), self._label("round"), self._label("rounds")
        turn, after, again, more = (self._name(n) for n in ("turn", "after", "again", "more"))
        self._write(f"br label %{around}")
        self._start(around)
        self._write(f"br label %{begin}")
        self._start(begin)
        self._write(f"{turn} = phi i64 [ 0, %{around} ], [ {after}, {again} ]")
        for link in loop.links:
            self._inner[link.inner] = self._linked(link, turn)
        self._body(loop.steps)
        if self.threaded and not loop.alone:
            self._meet()
        self._write(f"br label {again}")
        self._start(again[1:])
        self._write(f"{after} = add i64 {turn}, 1")
        self._write(f"{more} = icmp slt i64 {after}, {loop.count}")
        self._write(f"br i1 {more}, label %{begin}, label %{end}")
        self._start(end)

    def _fork(self, fork: Fork) -> None:
        """One of two lists of kernels, the same for all threads, which meet at its end."""
        buffer, element = fork.pred
        pred = self._linked(Link(buffer, buffer, element), "0")
        byte, true = self._name("byte"), self._name("true")
        labels, end = [self._label("side") for _ in fork.sides], self._label("joined")
        self._write(f"{byte} = load i8, ptr {pred}, align 1")
        self._write(f"{true} = icmp ne i8 {byte}, 0")
        self._write(f"br i1 {true}, label %{labels[0]}, label %{labels[1]}")
        for label, side in zip(labels, fork.sides, strict=True):
            self._start(label)
            for link in fork.links:
                self._inner[link.inner] = self._linked(link, "0")
            self._body(side)
            if self.threaded:
                self._meet()
            self._write(f"br label %{end}")
        self._start(end)

    def _linked(self, link: Link, turn: str) -> str:
        """The address of a slice in this round."""
        base, item = self._pointer(link.outer), link.outer.dtype.itemsize
        if link.step:
            moved, far = self._name("far"), self._name("at")
            self._write(f"{moved} = mul i64 {turn}, {link.step * item}")
            self._write(f"{far} = getelementptr i8, ptr {base}, i64 {moved}")
            base = far
        if link.offset:
            start = self._name("at")
            self._write(f"{start} = getelementptr i8, ptr {base}, i64 {link.offset * item}")
            base = start
        return base

    def _turn(self, step: Step) -> None:
        """The call of a kernel, by the threads that have a part in it."""
        blocks = self.lowered[step.kernel].blocks
        if not self.threaded:
            self._call(step.kernel, "0", str(blocks))
            return
        mine, after = self._label("mine"), self._label("after")
        has_part = "first" if step.alone else f"some{blocks}"
        self._write(f"br i1 %{has_part}, label %{mine}, label %{after}")
        self._start(mine)
        whole = ("0", str(blocks))
        self._call(step.kernel, *(whole if step.alone else (f"%low{blocks}", f"%high{blocks}")))
        self._write(f"br label %{after}")
        self._start(after)

    def _call(self, kernel: int, low: str, high: str) -> None:
        code = self.lowered[kernel]
        given = [f"ptr {self._given(code, number)}" for number in range(len(code.buffers))]
        error = self._name("error")
        self._write(f"{error} = getelementptr i64, ptr %errors, i64 {kernel}")
        given += [f"ptr {error}", "ptr %scratch", f"i64 {low}", f"i64 {high}"]
        self._write(f"call void @{code.name}({', '.join(given)})")
        if kernel in self.failing:
            self._pass_on(error)

    def _given(self, code: Lowered, number: int) -> str:
        """The address of a kernel's buffer in this iteration."""
        buffer = code.buffers[number]
        if number in code.later:
            return f"%later{self.slots[buffer]}"
        return f"%final{self.slots[buffer]}" if number in code.final else self._pointer(buffer)

    def _slots(self, buffers: Iterable[Buffer]) -> list[int]:
        return sorted({self.slots[buffer] for buffer in buffers})

    def _pass_on(self, error: str) -> None:
        """Ask all threads to stop where this one's part of the kernel failed."""
        flag, failed = self._name("flag"), self._name("failed")
        bad, good = self._label("bad"), self._label("good")
        self._write(f"{flag} = load atomic i64, ptr {error} monotonic, align 8")
        self._write(f"{failed} = icmp ne i64 {flag}, 0")
        self._write(f"br i1 {failed}, label %{bad}, label %{good}")
        self._start(bad)
        self._write(f"{self._name('old')} = atomicrmw or ptr %stop, i64 {FAILED} monotonic")
        self._write(f"br label %{good}")
        self._start(good)

    def _pointer(self, buffer: Buffer) -> str:
        slot = self.slots.get(buffer)
        if slot is not None:
            return f"%at{slot}"
        if buffer in self._inner:
            return self._inner[buffer]
        place = self._name("place")
        arena = len(self.slots)
        self._write(f"{place} = getelementptr i8, ptr %given{arena}, i64 {buffer.place}")
        return place

    def _meet(self) -> None:
        """The barrier; a program that is to stop is left."""
        told, onward = self._name("told"), self._label("onward")
        self._write(f"{told} = call i1 @barrier(ptr %frame, i64 %threads)")
        self._write(f"br i1 {told}, label %leave, label %{onward}")
        self._start(onward)

    def _check(self) -> None:
        flag, stopping, onward = self._name("flag"), self._name("told"), self._label("onward")
        self._write(f"{flag} = load i64, ptr %stop, align 8")
        self._write(f"{stopping} = icmp ne i64 {flag}, 0")
        self._write(f"br i1 {stopping}, label %leave, label %{onward}")
        self._start(onward)

    def _note(self, step: Step) -> None:
        """Thread 0 adds the ticks since its last note to the kernel's."""
        if self.threaded:
            self._meet()
        noting, noted = self._label("noting"), self._label("noted")
        self._write(f"br i1 %first, label %{noting}, label %{noted}")
        self._start(noting)
        now, spent, before = self._name("now"), self._name("spent"), self._name("before")
        at, total, last = self._name("times"), self._name("total"), self._name("last")
        clock = self._name("last.at")
        self._write(f"{clock} = getelementptr i64, ptr %times, i64 {len(self.lowered)}")
        self._write(f"{at} = getelementptr i64, ptr %times, i64 {step.kernel}")
        self._write(f"{now} = call i64 {_clock()}")
        self._write(f"{last} = load i64, ptr {clock}, align 8")
        self._write(f"{spent} = sub i64 {now}, {last}")
        self._write(f"{before} = load i64, ptr {at}, align 8")
        self._write(f"{total} = add i64 {before}, {spent}")
        self._write(f"store i64 {total}, ptr {at}, align 8")
        self._write(f"store i64 {now}, ptr {clock}, align 8")
        self._write(f"br label %{noted}")
        self._start(noted)

    def _end(self) -> None:
        """An iteration that no thread has failed in counts; after some time, the run pauses."""
        self._write("%next = add i64 %i, 1")
        self._write("%more = icmp slt i64 %next, %count")
        self._write("%looks = and i1 %first, %more")
        self._write("br i1 %looks, label %look, label %end")
        self._start("look")
        self._write(f"%now = call i64 {_clock()}")
        self._write("%spent = sub i64 %now, %began")
        self._write("%late = icmp sgt i64 %spent, %ticks")
        self._write("br i1 %late, label %pause, label %end")
        self._start("pause")
        self._write(f"%before = atomicrmw or ptr %stop, i64 {PAUSED} monotonic")
        self._write("br label %end")
        self._start("end")
        if self.threaded:
            self._write("%leaves = call i1 @barrier(ptr %frame, i64 %threads)")
        else:
            self._write("%flags = load i64, ptr %stop, align 8")
            self._write("%leaves = icmp ne i64 %flags, 0")
        self._write("br i1 %first, label %judge, label %again")
        self._start("judge")
        self._write("%why = load i64, ptr %stop, align 8")
        # Unless all leave, another thread may have failed in the next iteration already.
        self._write(f"%failed = and i64 %why, {FAILED}")
        self._write("%left = zext i1 %leaves to i64")
        self._write("%wrong = and i64 %failed, %left")
        self._write("%good = xor i64 %wrong, 1")
        self._write("%done = load i64, ptr %finished, align 8")
        self._write("%counted = add i64 %done, %good")
        self._write("store i64 %counted, ptr %finished, align 8")
        self._write("br label %again")
        self._start("again")
        self._write("%stays = xor i1 %leaves, true")
        self._write("%goes.on = and i1 %more, %stays")
        self._write("br i1 %goes.on, label %iteration, label %leave")
        self._start("leave")
        self._write("ret void")

    # -- text

    def _write(self, line: str) -> None:
        self._lines.append(f"  {line}")

    def _start(self, label: str) -> None:
        self._lines.append(f"{label}:")

    def _name(self, stem: str) -> str:
        self._numbers += 1
        return f"%{stem}.{self._numbers}"

    def _label(self, stem: str) -> str:
        return self._name(stem)[1:]

    def _field(self, name: str, kind: str, into: str = "") -> None:
        offset = getattr(Frame, name).offset
        self._write(f"%{name}.at = getelementptr i8, ptr %frame, i64 {offset}")
        self._write(f"%{into or name} = load {kind}, ptr %{name}.at, align 8")

    def _load_slot(self, array: str, slot: int, kind: str, name: str) -> None:
        self._write(f"%{name}.at = getelementptr i64, ptr %{array}, i64 {slot}")
        self._write(f"%{name} = load {kind}, ptr %{name}.at, align 8")


def _clock() -> str:
    """A clock that ticks steadily and is read without asking the operating system."""
    arm = platform.machine().lower() in ("aarch64", "arm64")
    return "@llvm.readsteadycounter()" if arm else "@llvm.readcyclecounter()"
