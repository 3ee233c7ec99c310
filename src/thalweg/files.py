"""Files that are whole or not there: written aside, synced, then renamed into place.

Killing the process or cutting the power at any instant leaves under a name either what was there
before or all of what was to be there. What a killed process left aside is told by its name.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from thalweg.errors import CheckpointError

__all__ = ["remove_leftovers", "size_text", "sync_folder", "write_atomically"]

_LEFTOVER: Final = ".thalweg-tmp"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL)
_NO_FOLDER_SYNC: Final = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)  # file systems that have none


def write_atomically(
    path: str | Path,
    data: bytes | Iterable[bytes | memoryview],
    *,
    keep_as: str | Path | None = None,
    mode: int = 0o666,
    durable: bool = True,
) -> None:
    """Give the file `path` the content `data`: all of it, or none.

    The bytes go to a new file in the same folder, are synced to the disk, and the file takes the
    name `path` in one step; then the folder is synced. `keep_as`, a name in the same folder, goes
    to the version that was there before. At any instant one of the two names is a whole file.

    `mode` is what the user's mask leaves of the new file's permissions. `durable=False` syncs
    nothing: for what a loss of power may take, where the reader can tell a file that is not whole.

    Raises `CheckpointError` when it cannot be done: the former version is then untouched.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_atomically(folder / "note.txt", b"one")
    >>> write_atomically(folder / "note.txt", [b"t", b"wo"], keep_as=folder / "before.txt")
    >>> (folder / "note.txt").read_bytes(), (folder / "before.txt").read_bytes()
    (b'two', b'one')
    """
    target = Path(os.path.realpath(path))  # a link goes on pointing to what it pointed to
    chunks = [memoryview(part) for part in ([data] if isinstance(data, bytes) else data)]
    aside = target.with_name(_aside_name(target.name))
    try:
        _check_target(target)
        try:
            _write(aside, chunks, mode, durable)
            if keep_as is not None:
                _keep(target, Path(keep_as))
            os.replace(aside, target)
        except BaseException:
            with suppress(OSError):
                aside.unlink()
            raise
    except OSError as error:
        raise _refusal(target, error, sum(chunk.nbytes for chunk in chunks)) from error
    if not durable:
        return
    try:
        sync_folder(target.parent)
    except OSError as error:
        raise CheckpointError(
            f"{target}: written, but its folder cannot be synced to the disk ({error.strerror}): "
            "a loss of power now may bring the former version back"
        ) from error


def remove_leftovers(folder: str | Path, older_than: float = 0.0) -> list[str]:
    """Remove what killed writers left aside in `folder`; gives the names.

    To be called by the folder's only writer: a file that is being written looks the same. Where
    there may be others, only files `older_than` more seconds than a write takes are to go.
    """
    removed = []
    for path in sorted(Path(folder).glob(f".*{_LEFTOVER}")):
        with suppress(OSError):  # it does no harm where it cannot be removed
            if older_than and time.time() - path.stat().st_mtime < older_than:
                continue
            path.unlink()
            removed.append(path.name)
    return removed


def sync_folder(folder: str | Path) -> None:
    """Have the disk know the names in `folder`, where the system can say so (Windows cannot)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)


def size_text(count: int) -> str:
    """A number of bytes as a person says it.

    >>> size_text(999), size_text(12_345_678)
    ('999 bytes', '12.3 MB')
    """
    if count < 1000:
        return f"{count} byte{'' if count == 1 else 's'}"
    value, unit = float(count), "bytes"
    for unit in ("kB", "MB", "GB", "TB"):  # noqa: B007 -- the unit it stopped at is used
        value /= 1000
        if value < 999.95:
            break
    return f"{value:.1f} {unit}"


def _aside_name(name: str) -> str:
    """A name of its own for what is to be `name`; `remove_leftovers` knows it."""
    return f".{name}.{secrets.token_hex(4)}{_LEFTOVER}"


def _check_target(target: Path) -> None:
    """Only a regular file may be replaced: never a folder, never a device such as /dev/null."""
    if target.exists() and not target.is_file():
        kind = "is a folder" if target.is_dir() else "is not a regular file"
        raise OSError(errno.EINVAL, kind)


def _write(aside: Path, chunks: list[memoryview], mode: int, durable: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(aside, flags, mode)
    try:
        for chunk in chunks:
            left = chunk.cast("B")
            while left:
                left = left[os.write(handle, left) :]
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)


def _keep(target: Path, keep_as: Path) -> None:
    """Give the file `target` the second name `keep_as`; at no instant is it without a name."""
    if not target.exists():
        return
    second = target.with_name(_aside_name(keep_as.name))
    try:
        os.link(target, second)
        os.replace(second, keep_as)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.replace(target, keep_as)
    finally:
        with suppress(FileNotFoundError):  # it stays where both names are one file already
            second.unlink()


def _refusal(target: Path, error: OSError, needed: int) -> CheckpointError:
    cause = (error.strerror or str(error)).lower()
    if error.errno in _FULL:
        cause += f": {size_text(needed)} needed"
        with suppress(OSError):
            cause += f", {size_text(shutil.disk_usage(target.parent).free)} free"
    elif not target.parent.is_dir():
        cause = f"there is no folder {target.parent}"
    before = "; its previous version is untouched" if target.is_file() else ""
    return CheckpointError(f"{target}: cannot be written: {cause}{before}")
