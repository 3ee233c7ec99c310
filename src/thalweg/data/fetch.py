"""Fetching a published data set, on request only: over https, checked by SHA-256, never half.

What is needed for that alone (hashes, temporary files, connections) is imported when it begins.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Final, cast

from thalweg.data.catalog import DataFile, find
from thalweg.data.locate import cache_folder
from thalweg.errors import ConfigError, DataError

__all__ = ["download", "open_https"]

Opener = Callable[[str], AbstractContextManager[IO[bytes]]]
Progress = Callable[[str, int, int], None]

_CHUNK: Final = 1 << 18
_TIMEOUT: Final = 30.0  # seconds without a byte


def download(
    name: str,
    folder: Path | str | None = None,
    *,
    progress: Progress | None = None,
    open_url: Opener | None = None,
) -> Path:
    """Fetch the files of a known data set; returns the folder they are in.

    They go to `folder`/`name`, by default below the cache folder, where `load` looks. A file that
    is there with the right checksum is kept. Each file is written under another name, checked, and
    then renamed, so that a broken connection leaves nothing that looks like data. The mirrors are
    tried in turn. `progress(file, bytes, of)` is called as bytes come in; `open_url` opens an
    address.

    Raises `ConfigError` for an unknown name or a data set that has no files, `DataError` if no
    mirror gives a file with the right checksum or it cannot be written.
    """
    row = find(name)
    if not row.files:
        raise ConfigError(f"{name} has no files to download: data.load({name!r}) works as it is")
    target = Path(folder) / name if folder is not None else cache_folder() / name
    for file in row.files:
        if not _is_there(target / file.name, file):
            _fetch(file, row.mirrors, target, progress or _silent, open_url or open_https)
    return target


@contextmanager
def open_https(address: str) -> Iterator[IO[bytes]]:
    """Open an https address. Raises `OSError` for another scheme or a failing server."""
    from urllib.request import Request, urlopen

    if not address.startswith("https://"):
        raise OSError(f"{address} is not an https address")
    request = Request(address, headers={"User-Agent": "thalweg"})
    with urlopen(request, timeout=_TIMEOUT) as response:
        yield cast(IO[bytes], response)


def _silent(file: str, done: int, size: int) -> None:
    """Progress that nobody watches."""


def _is_there(path: Path, file: DataFile) -> bool:
    import hashlib

    if not path.is_file() or path.stat().st_size != file.size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def _fetch(
    file: DataFile, mirrors: Sequence[str], folder: Path, progress: Progress, open_url: Opener
) -> None:
    problems = []
    for mirror in mirrors:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _replacing(folder / file.name) as out:
                _copy(file, mirror + file.name, out, progress, open_url)
            return
        except (OSError, DataError) as error:
            problems.append(f"  {mirror}{file.name}: {error}")
    raise DataError(
        f"{file.name} could not be fetched into {folder}:\n" + "\n".join(problems) + "\n"
        f"Put a file of {file.size:,} bytes with sha256 {file.sha256} there by hand"
    )


def _copy(
    file: DataFile, address: str, out: IO[bytes], progress: Progress, open_url: Opener
) -> None:
    import hashlib

    digest, done = hashlib.sha256(), 0
    with open_url(address) as stream:
        while done <= file.size and (chunk := stream.read(_CHUNK)):
            out.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            progress(file.name, done, file.size)
    if done != file.size:
        more = "more than " if done > file.size else ""
        raise DataError(f"holds {more}{min(done, file.size):,} bytes; expected {file.size:,}")
    if digest.hexdigest() != file.sha256:
        raise DataError(f"has sha256 {digest.hexdigest()}; expected {file.sha256}")


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the name `path` when all went well, and goes away otherwise."""
    import tempfile

    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
