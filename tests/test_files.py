"""Atomic writes: whole or not there, with the cause in words, and nothing left aside."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from thalweg.errors import CheckpointError
from thalweg.files import remove_leftovers, size_text, write_atomically


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def failing(number: int, *, after: int = 0) -> Callable[..., int]:
    """A stand-in for a system call that works `after` times, then fails."""
    calls = iter(range(10**6))
    real = os.write

    def call(*arguments: object) -> int:
        if next(calls) < after:
            return real(*arguments)  # type: ignore[arg-type]
        raise OSError(number, os.strerror(number))

    return call


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB of its own, where the system lets us have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=20)
    except OSError as error:
        pytest.skip(f"no mount here: {error}")
    if done.returncode:
        pytest.skip(f"may not mount here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=20)


@pytest.mark.parametrize("content", [b"", b"abc", [b"", b"a", memoryview(b"bc")], iter([b"x" * 9])])
def test_content_is_what_was_given(tmp_path: Path, content: object) -> None:
    expected = {"list": b"abc", "bytes_iterator": b"x" * 9, "list_iterator": b"x" * 9}
    write_atomically(tmp_path / "a", content)  # type: ignore[arg-type]
    wanted = content if isinstance(content, bytes) else expected[type(content).__name__]
    assert (tmp_path / "a").read_bytes() == wanted
    assert names(tmp_path) == ["a"]


def test_replaces_and_keeps_the_former(tmp_path: Path) -> None:
    for text in (b"1", b"2", b"3"):
        write_atomically(tmp_path / "a", text, keep_as=tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == b"3"
    assert (tmp_path / "b").read_bytes() == b"2"
    assert names(tmp_path) == ["a", "b"]


def test_keeps_the_former_when_both_names_are_one_file(tmp_path: Path) -> None:
    """As after a kill between keeping the former and replacing it."""
    write_atomically(tmp_path / "a", b"1")
    os.link(tmp_path / "a", tmp_path / "b")
    write_atomically(tmp_path / "a", b"2", keep_as=tmp_path / "b")
    assert [(tmp_path / n).read_bytes() for n in "ab"] == [b"2", b"1"]
    assert names(tmp_path) == ["a", "b"]


def test_keeps_the_former_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    for text in (b"1", b"2", b"3"):
        write_atomically(tmp_path / "a", text, keep_as=tmp_path / "b")
    assert [(tmp_path / n).read_bytes() for n in "ab"] == [b"3", b"2"]
    assert names(tmp_path) == ["a", "b"]


def test_writes_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"1")
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", b"2")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"2"


def test_short_writes_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:3]))
    write_atomically(tmp_path / "a", [b"0123456789", b"abcd"])
    assert (tmp_path / "a").read_bytes() == b"0123456789abcd"


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", b"1")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


# -- what cannot be done ---------------------------------------------------------------------------


def test_full_disk(small_disk: Path) -> None:
    write_atomically(small_disk / "a", b"former")
    with pytest.raises(CheckpointError) as caught:
        write_atomically(small_disk / "a", [b"x" * 50_000, b"y" * 50_000])
    message = str(caught.value)
    assert "no space left on device: 100.0 kB needed, " in message
    assert " kB free" in message
    assert message.endswith("its previous version is untouched")
    assert (small_disk / "a").read_bytes() == b"former"
    assert names(small_disk) == ["a"]
    write_atomically(small_disk / "a", b"x" * 30_000)  # the room is there again


@pytest.mark.parametrize("call", ["write", "fsync", "link", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_at_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    write_atomically(tmp_path / "a", b"former")
    write_atomically(tmp_path / "b", b"before")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(number))
        with pytest.raises(CheckpointError, match=r"/a: .*: 1\.2 kB needed, .* free; its previous"):
            write_atomically(tmp_path / "a", b"x" * 1234, keep_as=tmp_path / "b")
    assert [(tmp_path / n).read_bytes() for n in "ab"] == [b"former", b"before"]
    assert names(tmp_path) == ["a", "b"]


def test_no_room_for_a_later_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", failing(errno.ENOSPC, after=1))
    with pytest.raises(CheckpointError, match=r"300 bytes needed, [^;]* free$"):
        write_atomically(tmp_path / "a", [b"x" * 100, b"y" * 200])
    assert names(tmp_path) == []


def test_read_only_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"former")
    monkeypatch.setattr(os, "open", failing(errno.EROFS))
    with pytest.raises(CheckpointError, match="read-only file system; its previous version"):
        write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"former"


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"there is no folder {tmp_path}/no$"):
        write_atomically(tmp_path / "no" / "a", b"1")


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(CheckpointError, match="/a: cannot be written: is a folder"):
        write_atomically(tmp_path / "a", b"1")
    assert names(tmp_path) == ["a"]


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    with pytest.raises(CheckpointError, match="is not a regular file"):
        write_atomically(tmp_path / "null", b"1")
    assert not Path("/dev/null").is_file()


def test_interruption_leaves_nothing_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", b"1")
    assert names(tmp_path) == []


def test_folder_that_cannot_be_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is there: the message must not say that the former version is."""
    monkeypatch.setattr("thalweg.files.sync_folder", failing(errno.EIO))
    with pytest.raises(CheckpointError, match="written, but its folder cannot be synced"):
        write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_file_systems_without_folder_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real = os.fsync

    def fsync(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").is_dir():
            raise OSError(number, os.strerror(number))
        real(handle)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_order_of_the_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content first, then the name, then the folder: what survives a loss of power needs it."""
    calls = []
    for name in ("write", "fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *args, name=name, real=real: (calls.append(name), real(*args))[1]
        )
    write_atomically(tmp_path / "a", [b"1", b"2"])
    assert calls == ["write", "write", "fsync", "replace", "fsync"]


# -- leftovers -------------------------------------------------------------------------------------


def test_leftovers_are_known_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EIO))
        patch.setattr(Path, "unlink", failing(errno.EIO))  # as if killed before it could clean up
        with pytest.raises(CheckpointError):
            write_atomically(tmp_path / "best.safetensors", b"1")
    (tmp_path / ".hidden").touch()
    (tmp_path / "notes.thalweg-tmp").touch()
    assert len(names(tmp_path)) == 3
    (removed,) = remove_leftovers(tmp_path)
    assert removed.startswith(".best.safetensors.")
    assert names(tmp_path) == [".hidden", "notes.thalweg-tmp"]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (1000, "1.0 kB"), (999_960, "1.0 MB"), (10**15, "1000.0 TB")],
)
def test_size_text(count: int, text: str) -> None:
    assert size_text(count) == text
