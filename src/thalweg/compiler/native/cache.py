"""Object code kept on disk, so that a program compiles once for a machine and not once a run.

An entry is a file named by the SHA-256 of all that decides the code: the text, the processor, the
versions. It begins with a checksum of its name and content. What is cut short, altered, renamed,
or could have been written by another user is no entry: it is never executed, and written anew.

The entries stand in `$XDG_CACHE_HOME/thalweg/code`, or `~/.cache/thalweg/code`, and together take
at most 256 MB: the ones used longest ago go first. `THALWEG_CODE_CACHE=0` turns the cache off.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from thalweg.errors import CheckpointError, ConfigError
from thalweg.files import remove_leftovers, write_atomically

__all__ = ["LIMIT", "cache_folder", "is_on", "key_of", "load", "save", "shrink"]

LIMIT: Final = 256_000_000
_MAGIC: Final = b"thalweg object code 1\n"
_HEADER: Final = len(_MAGIC) + hashlib.sha256().digest_size
_SUFFIX: Final = ".code"
_NO_CACHE: Final = (OSError, RuntimeError)  # the latter from Path.home(), where there is none
_LEFT_ASIDE: Final = 3600.0  # seconds after which a file left aside is nobody's any more


def cache_folder() -> Path:
    """Where the code is kept."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "thalweg" / "code"


def is_on() -> bool:
    """Whether code is kept: `THALWEG_CODE_CACHE`, 1 unless it says 0."""
    wanted = os.environ.get("THALWEG_CODE_CACHE") or "1"
    if wanted not in ("0", "1"):
        raise ConfigError(f"THALWEG_CODE_CACHE: got {wanted!r}, expected 0 or 1")
    return wanted == "1"


def key_of(parts: Iterable[str]) -> str:
    """The name of the entry that these parts decide: no two lists of parts share one.

    >>> key_of(["ab", "c"]) == key_of(["a", "bc"])
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def load(key: str) -> bytes | None:
    """The code kept under `key`, or None where there is none that may be trusted."""
    try:
        path = _path(key)
        data = _read(path)
    except _NO_CACHE:
        return None
    code = data[_HEADER:]
    if not code or data[:_HEADER] != _header(key, code):
        return None
    with suppress(OSError):  # the time of last use decides what goes first
        os.utime(path)
    return code


def save(key: str, code: bytes) -> bool:
    """Keep `code` under `key`; gives whether it could be done. A cache may fail, a run may not."""
    try:
        folder = cache_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(os.lstat(folder)):
            return False
        write_atomically(_path(key), [_header(key, code), code], mode=0o600, durable=False)
    except (*_NO_CACHE, CheckpointError):
        return False
    return True


def shrink(limit: int = LIMIT) -> int:
    """Remove the entries used longest ago until the rest takes at most `limit` bytes; how many."""
    found: list[tuple[float, int, str]] = []
    with suppress(*_NO_CACHE), os.scandir(cache_folder()) as entries:
        for entry in entries:
            with suppress(OSError):  # another process may have removed it
                if entry.name.endswith(_SUFFIX):
                    status = entry.stat(follow_symlinks=False)
                    found.append((status.st_mtime, status.st_size, entry.path))
        remove_leftovers(cache_folder(), older_than=_LEFT_ASIDE)
    total, removed = sum(size for _, size, _ in found), 0
    for _, size, path in sorted(found):
        if total <= limit:
            break
        with suppress(OSError):
            os.unlink(path)
            removed += 1
        total -= size
    return removed


def _path(key: str) -> Path:
    return cache_folder() / f"{key}{_SUFFIX}"


def _header(key: str, code: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(key.encode() + code).digest()


def _read(path: Path) -> bytes:
    """The content of a file that only we can have written, or an OSError."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe must not hold us
    handle = os.open(path, flags)
    with open(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or not _is_ours(status):
            raise PermissionError(path)
        if not _is_ours(os.lstat(path.parent)):
            raise PermissionError(path.parent)
        return file.read()


def _is_ours(status: os.stat_result) -> bool:
    """Whether this user owns it and nobody else may write to it."""
    if not hasattr(os, "getuid"):  # Windows keeps a user's folders from the others by itself
        return True
    return status.st_uid == os.getuid() and not status.st_mode & 0o022
