from __future__ import annotations

import dataclasses
import hashlib
import io
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from thalweg.data import CATALOG, download
from thalweg.data.catalog import DataFile
from thalweg.data.fetch import open_https
from thalweg.errors import ConfigError, DataError

GOOD = {"a.gz": b"first" * 200_000, "b.gz": b"second"}
MIRRORS = ("https://one.example/", "https://two.example/")


class Web:
    """A web that holds what a test put there, and remembers what was asked for."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.pages = pages
        self.asked: list[str] = []

    @contextmanager
    def __call__(self, address: str) -> Iterator[IO[bytes]]:
        self.asked.append(address)
        if address not in self.pages:
            raise OSError("404 Not Found")
        yield io.BytesIO(self.pages[address])


@pytest.fixture(autouse=True)
def two_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue whose "mnist" consists of the two files of GOOD on two mirrors."""
    files = tuple(DataFile(n, len(c), hashlib.sha256(c).hexdigest()) for n, c in GOOD.items())
    row = dataclasses.replace(CATALOG["mnist"], files=files, mirrors=MIRRORS)
    monkeypatch.setitem(CATALOG, "mnist", row)


def web(mirror: str = MIRRORS[0], **changed: bytes) -> Web:
    content = GOOD | {name.replace("_", "."): page for name, page in changed.items()}
    return Web({mirror + name: page for name, page in content.items()})


def test_files_land_in_the_cache_folder(no_data: Path) -> None:
    assert download("mnist", open_url=web()) == no_data / "mnist"
    assert {p.name: p.read_bytes() for p in (no_data / "mnist").iterdir()} == GOOD


def test_files_land_in_the_folder_named(tmp_path: Path) -> None:
    assert download("mnist", tmp_path, open_url=web()) == tmp_path / "mnist"
    assert (tmp_path / "mnist" / "b.gz").read_bytes() == GOOD["b.gz"]


def test_what_is_there_is_kept_and_what_is_wrong_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    folder.mkdir()
    (folder / "a.gz").write_bytes(GOOD["a.gz"])
    (folder / "b.gz").write_bytes(b"sec0nd")
    internet = web()
    download("mnist", tmp_path, open_url=internet)
    assert internet.asked == [MIRRORS[0] + "b.gz"]
    assert (folder / "b.gz").read_bytes() == GOOD["b.gz"]


def test_the_second_mirror_helps_out(tmp_path: Path) -> None:
    internet = web(MIRRORS[1])
    download("mnist", tmp_path, open_url=internet)
    assert internet.asked[:2] == [MIRRORS[0] + "a.gz", MIRRORS[1] + "a.gz"]


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (b"sec0nd", r"has sha256 [0-9a-f]{64}; expected "),
        (b"sec", "holds 3 bytes; expected 6"),
        (b"second and much more", "holds more than 6 bytes; expected 6"),
        (b"", "holds 0 bytes"),
    ],
)
def test_a_wrong_file_leaves_nothing_behind(tmp_path: Path, page: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        download("mnist", tmp_path, open_url=web(b_gz=page))
    assert "b.gz could not be fetched" in str(caught.value)
    assert "404" in str(caught.value)  # the second mirror's answer is told too
    assert [path.name for path in (tmp_path / "mnist").iterdir()] == ["a.gz"]


def test_a_broken_connection_leaves_nothing_behind(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 0:
                raise ConnectionResetError("connection reset")
            return super().read(size)

    @contextmanager
    def internet(address: str) -> Iterator[IO[bytes]]:
        yield Broken(GOOD["a.gz"])

    with pytest.raises(DataError, match="connection reset"):
        download("mnist", tmp_path, open_url=internet)
    assert list((tmp_path / "mnist").iterdir()) == []


def test_interrupting_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop(file: str, done: int, size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download("mnist", tmp_path, progress=stop, open_url=web())
    assert list((tmp_path / "mnist").iterdir()) == []


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    download("mnist", tmp_path, progress=lambda *step: told.append(step), open_url=web())
    assert [step[1] for step in told if step[0] == "a.gz"] == [262144, 524288, 786432, 1000000]
    assert told[-1] == ("b.gz", 6, 6)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "mnist").write_text("in the way")
    with pytest.raises(DataError, match="could not be fetched into"):
        download("mnist", tmp_path, open_url=web())


def test_what_cannot_be_downloaded() -> None:
    with pytest.raises(ConfigError, match="digits has no files to download"):
        download("digits", open_url=web())
    with pytest.raises(ConfigError, match="did you mean 'mnist"):
        download("mnits", open_url=web())


@pytest.mark.parametrize(
    "address", ["http://one.example/a", "file:///etc/hosts", "ftp://one.example/a"]
)
def test_nothing_but_https(address: str) -> None:
    with pytest.raises(OSError, match="not an https address"), open_https(address):
        pass


def test_the_address_is_opened_with_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    @contextmanager
    def urlopen(request: urllib.request.Request, timeout: float) -> Iterator[IO[bytes]]:
        asked.append((request.full_url, timeout))
        yield io.BytesIO(b"page")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with open_https("https://one.example/a") as page:
        assert page.read() == b"page"
    assert asked == [("https://one.example/a", 30.0)]
