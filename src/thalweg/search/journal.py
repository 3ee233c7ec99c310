"""The lock of a search's journal: the system releases it when its holder dies.

Optuna's own locks are files that a killed process leaves behind, and others wait for ever; what it
was writing stays as half a line, which nobody can read past. Here whoever takes the lock next cuts
the half line off: it never counted.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

__all__ = ["JournalLock", "mend"]

_BLOCK = 1 << 16

if sys.platform == "win32":
    import msvcrt

    def _wait_for(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        while True:
            try:
                return msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
            except OSError:  # after ten seconds
                continue

    def _let_go(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _wait_for(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX)

    def _let_go(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)


class JournalLock:
    """One writer of the journal at a time, among processes and their threads."""

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self._thread = threading.Lock()
        self._handle = os.open(f"{journal}.lock", os.O_RDWR | os.O_CREAT, 0o666)

    def acquire(self) -> bool:
        """Wait until nobody else writes; then the journal ends with a whole line."""
        self._thread.acquire()
        _wait_for(self._handle)
        mend(self.journal)
        return True

    def release(self) -> None:
        """Let others write."""
        _let_go(self._handle)
        self._thread.release()

    def __del__(self) -> None:
        os.close(self._handle)


def mend(journal: Path) -> None:
    """Cut off a last line without an end, if there is one."""
    with open(journal, "r+b") as file:
        end = place = file.seek(0, os.SEEK_END)
        while place > 0:
            start = max(0, place - _BLOCK)
            file.seek(start)
            newline = file.read(place - start).rfind(b"\n")
            if newline >= 0:
                place = start + newline + 1
                break
            place = start
        if place < end:
            file.truncate(place)
