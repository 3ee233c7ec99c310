"""How native threads wait for each other, as LLVM IR text: spin for a moment, then sleep.

A thread waits for a 32-bit word to change. It first looks again and again, some tens of
microseconds, because the others mostly arrive within that time and a look costs nothing. Then it
asks the operating system to let it sleep as long as the word has the value it saw: futex on Linux,
WaitOnAddress on Windows, __ulock_wait on macOS are the same operation under three names. A sleeper
announces itself in a counter beside the word, so that who changes the word makes a system call
only where somebody sleeps. The counter is raised before the last look and read after the change,
both sequentially consistent: no sleeper is missed.

    @change(word, sleepers, new)            store, and wake
    @wait(word, sleepers, old, spins)       until the word is another than `old`; gives it
    @barrier(frame, thread count)           until all threads are here; gives whether to stop
"""

from __future__ import annotations

import platform
import sys
from functools import cache

from thalweg.compiler.native.frame import Frame
from thalweg.errors import ThalwegError

__all__ = ["barrier_text", "waiting_text"]

_FUTEX = {"x86_64": 202, "amd64": 202, "aarch64": 98, "arm64": 98, "riscv64": 98, "ppc64le": 221}
_PAUSE = {  # intrinsic and its argument
    "x86_64": ("@llvm.x86.sse2.pause", ""),
    "amd64": ("@llvm.x86.sse2.pause", ""),
    "aarch64": ("@llvm.aarch64.isb", "i32 15"),
    "arm64": ("@llvm.aarch64.isb", "i32 15"),
}

_LINUX = """\
declare i64 @syscall(i64, ...)

define internal void @sleep_while(ptr %word, i32 %old) nounwind noinline {{
  %done = call i64 (i64, ...) @syscall(i64 {number}, ptr %word, i64 128, i32 %old, ptr null, ptr null, i64 0)
  ret void
}}

define internal void @wake_all(ptr %word) nounwind noinline {{
  %done = call i64 (i64, ...) @syscall(i64 {number}, ptr %word, i64 129, i64 2147483647, ptr null, ptr null, i64 0)
  ret void
}}
"""  # noqa: E501

_MACOS = """\
declare i32 @__ulock_wait(i32, ptr, i64, i32)
declare i32 @__ulock_wake(i32, ptr, i64)

define internal void @sleep_while(ptr %word, i32 %old) nounwind noinline {
  %wide = zext i32 %old to i64
  %done = call i32 @__ulock_wait(i32 1, ptr %word, i64 %wide, i32 0)
  ret void
}

define internal void @wake_all(ptr %word) nounwind noinline {
  %done = call i32 @__ulock_wake(i32 257, ptr %word, i64 0)
  ret void
}
"""

_WINDOWS = """\
declare i32 @WaitOnAddress(ptr, ptr, i64, i32)
declare void @WakeByAddressAll(ptr)

define internal void @sleep_while(ptr %word, i32 %old) nounwind noinline {
  %seen = alloca i32
  store i32 %old, ptr %seen
  %done = call i32 @WaitOnAddress(ptr %word, ptr %seen, i64 4, i32 -1)
  ret void
}

define internal void @wake_all(ptr %word) nounwind noinline {
  call void @WakeByAddressAll(ptr %word)
  ret void
}
"""

_WAITING = """\
{declaration}
{sleeping}
define internal void @pause() nounwind alwaysinline {{
  {pause}
  ret void
}}

define internal void @wake_sleepers(ptr %word, ptr %sleepers) nounwind {{
  %sleeping = load atomic i32, ptr %sleepers seq_cst, align 4
  %anybody = icmp ne i32 %sleeping, 0
  br i1 %anybody, label %wake, label %done
wake:
  call void @wake_all(ptr %word)
  br label %done
done:
  ret void
}}

define internal void @change(ptr %word, ptr %sleepers, i32 %new) nounwind {{
  store atomic i32 %new, ptr %word seq_cst, align 4
  call void @wake_sleepers(ptr %word, ptr %sleepers)
  ret void
}}

define internal i32 @wait(ptr %word, ptr %sleepers, i32 %old, i64 %spins) nounwind {{
entry:
  br label %look
look:
  %n = phi i64 [ %spins, %entry ], [ %less, %spin ]
  %seen = load atomic i32, ptr %word acquire, align 4
  %same = icmp eq i32 %seen, %old
  br i1 %same, label %again, label %changed
again:
  %over = icmp eq i64 %n, 0
  br i1 %over, label %announce, label %spin
spin:
  call void @pause()
  %less = sub i64 %n, 1
  br label %look
announce:
  %before = atomicrmw add ptr %sleepers, i32 1 seq_cst
  br label %last
last:
  %now = load atomic i32, ptr %word seq_cst, align 4
  %still = icmp eq i32 %now, %old
  br i1 %still, label %sleep, label %awake
sleep:
  call void @sleep_while(ptr %word, i32 %old)
  br label %last
awake:
  %after = atomicrmw sub ptr %sleepers, i32 1 seq_cst
  br label %changed
changed:
  %value = phi i32 [ %seen, %look ], [ %now, %awake ]
  ret i32 %value
}}
"""

# The round's word counts by 2; its lowest bit tells all threads of the round the same: stop.
_BARRIER = f"""\
define internal i1 @barrier(ptr %frame, i64 %threads) nounwind noinline {{
entry:
  %stopping = getelementptr i8, ptr %frame, i64 {Frame.stop.offset}
  %alone = icmp eq i64 %threads, 1
  br i1 %alone, label %single, label %several
single:
  %flag = load atomic i64, ptr %stopping monotonic, align 8
  %stop = icmp ne i64 %flag, 0
  ret i1 %stop
several:
  %arrived = getelementptr i8, ptr %frame, i64 {Frame.arrived.offset}
  %word = getelementptr i8, ptr %frame, i64 {Frame.round.offset}
  %sleepers = getelementptr i8, ptr %frame, i64 {Frame.sleepers.offset}
  %now = load atomic i32, ptr %word acquire, align 4
  %before = atomicrmw add ptr %arrived, i32 1 acq_rel
  %here = add i32 %before, 1
  %all = trunc i64 %threads to i32
  %last = icmp eq i32 %here, %all
  br i1 %last, label %open, label %rest
open:
  store atomic i32 0, ptr %arrived monotonic, align 4
  %wanted = load atomic i64, ptr %stopping monotonic, align 8
  %any = icmp ne i64 %wanted, 0
  %bit = zext i1 %any to i32
  %even = and i32 %now, -2
  %next = add i32 %even, 2
  %new = or i32 %next, %bit
  call void @change(ptr %word, ptr %sleepers, i32 %new)
  ret i1 %any
rest:
  %limit = getelementptr i8, ptr %frame, i64 {Frame.spins.offset}
  %spins = load i64, ptr %limit, align 8
  %opened = call i32 @wait(ptr %word, ptr %sleepers, i32 %now, i64 %spins)
  %told = trunc i32 %opened to i1
  ret i1 %told
}}
"""


@cache
def waiting_text(system: str = sys.platform, processor: str = platform.machine().lower()) -> str:
    """@pause, @wait and @change for an operating system and a processor."""
    name, argument = _PAUSE.get(processor, ("", ""))
    return _WAITING.format(
        declaration=f"declare void {name}({argument.split(' ')[0]})" if name else "",
        sleeping=_sleeping(system, processor),
        pause=f"call void {name}({argument})" if name else "",
    )


def barrier_text() -> str:
    """@barrier, which stands on `waiting_text`."""
    return _BARRIER


def _sleeping(system: str, processor: str) -> str:
    if system == "darwin":
        return _MACOS
    if system == "win32":
        return _WINDOWS
    if system == "linux" and processor in _FUTEX:
        return _LINUX.format(number=_FUTEX[processor])
    raise ThalwegError(
        f"native threads cannot sleep on {system}, {processor}: known are Linux on "
        f"{', '.join(_FUTEX)}, macOS and Windows; set THALWEG_NUM_THREADS=1"
    )
