"""Object code on disk: what is given back is what was kept, or nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from thalweg.compiler.native import cache
from thalweg.errors import ConfigError

CODE = bytes(range(256)) * 3
KEY = cache.key_of(["text", "processor"])
OTHER = cache.key_of(["another text", "processor"])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "thalweg" / "code"


def entry(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_kept_and_given_back() -> None:
    assert cache.load(KEY) is None
    assert cache.save(KEY, CODE)
    assert cache.load(KEY) == CODE
    assert cache.load(OTHER) is None


def test_nobody_else_may_read_or_write(folder: Path) -> None:
    previous = os.umask(0o002)
    try:
        cache.save(KEY, CODE)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry(folder).stat().st_mode) == 0o600
    assert cache.load(KEY) == CODE


@pytest.mark.parametrize("place", [0, 10, 30, 60, 500, -1])
def test_one_altered_byte_is_no_entry(folder: Path, place: int) -> None:
    cache.save(KEY, CODE)
    data = bytearray(entry(folder).read_bytes())
    data[place] ^= 1
    entry(folder).write_bytes(data)
    assert cache.load(KEY) is None


@pytest.mark.parametrize("length", [0, 5, 53, 54, 55, 400])
def test_what_is_cut_short_is_no_entry(folder: Path, length: int) -> None:
    cache.save(KEY, CODE)
    os.truncate(entry(folder), length)
    assert cache.load(KEY) is None


def test_longer_is_no_entry(folder: Path) -> None:
    cache.save(KEY, CODE)
    with entry(folder).open("ab") as file:
        file.write(b"more")
    assert cache.load(KEY) is None


def test_an_entry_under_another_name_is_none(folder: Path) -> None:
    cache.save(KEY, CODE)
    entry(folder).rename(folder / entry(folder).name.replace(KEY, OTHER))
    assert cache.load(OTHER) is None


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_what_others_may_write_is_no_entry(folder: Path, mode: int) -> None:
    cache.save(KEY, CODE)
    entry(folder).chmod(mode)
    assert cache.load(KEY) is None


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_others_may_write_is_not_used(folder: Path, mode: int) -> None:
    cache.save(KEY, CODE)
    folder.chmod(mode)
    assert cache.load(KEY) is None
    assert not cache.save(OTHER, CODE)


def test_another_users_entry_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.save(KEY, CODE)
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    assert cache.load(KEY) is None


def test_links_and_pipes_are_no_entries(folder: Path) -> None:
    cache.save(KEY, CODE)
    path = entry(folder)
    path.rename(folder.parent / "elsewhere")
    path.symlink_to(folder.parent / "elsewhere")
    assert cache.load(KEY) is None
    path.unlink()
    os.mkfifo(path, 0o600)
    assert cache.load(KEY) is None


def test_a_bad_entry_is_written_anew(folder: Path) -> None:
    cache.save(KEY, CODE)
    entry(folder).write_bytes(b"poison")
    assert cache.load(KEY) is None
    assert cache.save(KEY, CODE)
    assert cache.load(KEY) == CODE


def test_a_folder_that_cannot_be_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "thalweg").write_text("a file where a folder should be")
    assert not cache.save(KEY, CODE)
    assert cache.load(KEY) is None
    assert cache.shrink() == 0


def test_a_user_without_a_home_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", nowhere)
    assert not cache.save(KEY, CODE)
    assert cache.load(KEY) is None
    assert cache.shrink() == 0


def test_the_longest_unused_go_first(folder: Path) -> None:
    keys = [cache.key_of([str(n)]) for n in range(6)]
    for age, key in enumerate(keys):
        cache.save(key, CODE)
        os.utime(folder / f"{key}.code", (1000 + age, 1000 + age))
    assert cache.load(keys[0]) == CODE  # used again: the youngest now
    size = entry_size(folder)
    assert cache.shrink(limit=3 * size) == 3
    kept = [key for key in keys if cache.load(key)]
    assert kept == [keys[0], keys[4], keys[5]]
    assert cache.shrink() == 0


def entry_size(folder: Path) -> int:
    return next(folder.iterdir()).stat().st_size


def test_what_killed_writers_left_goes(folder: Path) -> None:
    cache.save(KEY, CODE)
    old, new = (folder / f".{name}.thalweg-tmp" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1000, 1000))
    cache.shrink()
    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize(("said", "expected"), [("", True), ("1", True), ("0", False)])
def test_the_switch(said: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THALWEG_CODE_CACHE", said)
    assert cache.is_on() is expected


def test_a_switch_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THALWEG_CODE_CACHE", "off")
    with pytest.raises(ConfigError, match="got 'off', expected 0 or 1"):
        cache.is_on()
