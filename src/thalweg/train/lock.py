"""One writer a folder: a lock that the system releases when its process ends, however it ends."""

from __future__ import annotations

import errno
import os
import sys
import warnings
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Final

from thalweg.errors import CheckpointError

__all__ = ["Lock"]

_HELD: Final = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> None:
        os.lseek(handle, 1 << 20, os.SEEK_SET)  # behind the process id: locked bytes are unreadable
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)
else:
    import fcntl

    def _try_lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Lock:
    """The exclusive right to write into a folder, held until `release`, or the process's end.

    It is a lock of the system on the file `.lock`, which stays and holds the owner's process id:
    removing it would let two processes each lock a file of their own.

    Raises `CheckpointError`, naming the process, when another holds it.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / ".lock"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        except OSError as error:
            raise CheckpointError(
                f"{folder}: cannot be written into: {error.strerror}. Choose another folder (--out)"
            ) from error
        self.release = weakref.finalize(self, os.close, handle)
        try:
            _try_lock(handle)
        except OSError as error:
            if error.errno in _HELD:
                self.release()
                raise CheckpointError(f"{folder}: {_owner(path)}") from error
            warnings.warn(
                f"{folder} cannot be locked here ({error.strerror}): take care yourself that no "
                "two processes train into it",
                stacklevel=3,
            )
        with suppress(OSError):  # on a full disk the lock holds, only without the owner's name
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()}\n".encode())


def _owner(path: Path) -> str:
    pid = ""
    with suppress(OSError, UnicodeDecodeError):
        pid = path.read_text(encoding="ascii").strip()
    if pid == str(os.getpid()):
        return (
            "this process trains into it already, through another RunFolder: use that one, or "
            "close() it"
        )
    who = f"process {pid}" if pid else "another process"
    return f"{who} trains into it. Wait for it or end it, or choose another folder (--out)"
