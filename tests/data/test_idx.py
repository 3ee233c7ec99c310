from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tests.data.conftest import WriteIdx, idx_bytes
from thalweg.data.idx import read_idx
from thalweg.errors import DataError


@pytest.mark.parametrize("name", ["images.gz", "images"])
def test_what_was_written_is_read(write_idx: WriteIdx, name: str) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(read_idx(write_idx(name, images), (2, 3, 4)), images)
    assert np.array_equal(read_idx(write_idx(name, images), (None, 3, 4)), images)


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(0x08, "u1"), (0x09, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")],
)
def test_every_type_of_number(tmp_path: Path, code: int, dtype: str) -> None:
    numbers = np.array([1, 2, 100], dtype)
    (tmp_path / "x").write_bytes(struct.pack(">HBBI", 0, code, 1, 3) + numbers.tobytes())
    read = read_idx(tmp_path / "x")
    assert read.dtype == numbers.dtype.newbyteorder("=")
    assert read.tolist() == [1, 2, 100]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with nothing"),
        (b"PK\x03\x04 a zip", "starts with 50 4b 03 04"),
        (b"\0\0\x07\x01\0\0\0\x01\0", "not an IDX file"),
        (b"\0\0\x08\0", "rank 0"),
        (b"\0\0\x08\xc8" + b"\0\0\0\1" * 200 + b"\0", "rank 200; expected 1 to 8"),
        (
            b"\0\0\x08\x03\0\0\0\x02",
            "cut short inside its header: 3 sizes are claimed, 4 of their 12",
        ),
    ],
)
def test_another_kind_of_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["images.gz", "images"])
def test_cut_short(write_idx: WriteIdx, name: str) -> None:
    path = write_idx(name, np.zeros(100, np.uint8), shape=(5, 40))
    with pytest.raises(
        DataError, match=r"cut short: .*5 x 40 of uint8 = 200 bytes and it holds 100"
    ):
        read_idx(path)


@pytest.mark.parametrize("name", ["images.gz", "images"])
def test_too_long(write_idx: WriteIdx, name: str) -> None:
    path = write_idx(name, np.zeros(100, np.uint8), shape=(5, 4))
    with pytest.raises(DataError, match=r"too long: .*5 x 4 of uint8 = 20 bytes and it holds 100"):
        read_idx(path)


def test_a_compressed_file_cut_short(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 50_000, np.uint8)
    content = gzip.compress(idx_bytes(noise))
    (tmp_path / "x.gz").write_bytes(content[:30_000])
    with pytest.raises(
        DataError, match=r"damaged: .*= 50,000 bytes and it holds (\d+),(\d+)"
    ) as caught:
        read_idx(tmp_path / "x.gz")
    assert "holds 0" not in str(caught.value)


@pytest.mark.parametrize("at", [3, 9])
def test_a_compressed_file_cut_inside_its_first_bytes(tmp_path: Path, at: int) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(idx_bytes(np.zeros(9, np.uint8)))[:at])
    with pytest.raises(DataError, match="damaged inside its header"):
        read_idx(tmp_path / "x.gz")


def test_a_flipped_bit_in_a_compressed_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 5000, np.uint8)
    content = bytearray(gzip.compress(idx_bytes(noise)))
    content[2500] ^= 1
    (tmp_path / "x.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"damaged: .*it holds .*(CRC|Error)"):
        read_idx(tmp_path / "x.gz")


def test_an_absurd_header_allocates_nothing(write_idx: WriteIdx) -> None:
    path = write_idx("x", np.zeros(100, np.uint8), shape=(2**32 - 1, 2**32 - 1))
    tracemalloc.start()
    with pytest.raises(DataError, match="more than a file of 112 bytes can hold"):
        read_idx(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_another_shape_than_expected(write_idx: WriteIdx) -> None:
    path = write_idx("labels.gz", np.zeros(10, np.uint8))
    with pytest.raises(DataError, match="claims 10 of uint8 = 10 bytes; expected any x 28 x 28"):
        read_idx(path, (None, 28, 28))
    with pytest.raises(DataError, match="expected 11"):
        read_idx(path, (11,))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "x.gz")
