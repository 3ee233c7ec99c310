"""Damaged and foreign files: named for what they are, before anything is allocated for them."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw
from thalweg.errors import CheckpointError
from thalweg.interop.header import parse_header
from thalweg.interop.safetensors import load_file, read_metadata, save

WHOLE = save({"w": tw.arange(6.0).reshape(2, 3), "n": tw.tensor([1, 2])}, {"epoch": "3"})
W = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def refused(path: Path, message: str | None = None) -> str:
    """The error that `path` gives, which must name it and match `message`."""
    with pytest.raises(CheckpointError, match=message) as caught:
        load_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def built(header: Any, data: bytes = b"12345678") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


# -- cut short, too long, flipped ------------------------------------------------------------------


def test_cut_short_anywhere(tmp_path: Path) -> None:
    for length in range(len(WHOLE)):
        refused(written(tmp_path / "x", WHOLE[:length]))


def test_cut_short_names_both_numbers(tmp_path: Path) -> None:
    refused(
        written(tmp_path / "x", WHOLE[:-5]),
        "cut short: its header claims 40 bytes of tensors, the file holds 35 bytes of them",
    )


@pytest.mark.parametrize("extra", [b"\0", b"x" * 1000])
def test_too_long(tmp_path: Path, extra: bytes) -> None:
    held = 40 + len(extra)
    refused(
        written(tmp_path / "x", WHOLE + extra),
        f"too long: its header claims 40 bytes of tensors, the file holds {held:,} bytes",
    )


def test_flipped_bits_in_the_header_never_crash(tmp_path: Path) -> None:
    """An error of ours, or, where a name or a text was hit, a file that is well-formed still."""
    length = 8 + int.from_bytes(WHOLE[:8], "little")
    path, errors = tmp_path / "x", 0
    for place in range(length):
        for bit in (0, 3, 7):
            content = bytearray(WHOLE)
            content[place] ^= 1 << bit
            path.write_bytes(content)
            try:
                tensors = load_file(path)
            except CheckpointError:
                errors += 1
            else:
                assert sum(t.nbytes for t in tensors.values()) == 40
    assert errors > 2 * length


@given(st.binary(max_size=64))
def test_any_header_is_refused_in_words_or_whole(text: bytes) -> None:
    try:
        parse_header(Path("x"), text, 0)
    except CheckpointError as error:
        assert str(error).startswith("x: ")  # noqa: PT017 -- the other outcome is fine as well


# -- claims ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", [2**63, 2**40, 100_000_001, 5000, 400])
def test_header_longer_than_the_file(tmp_path: Path, claim: int) -> None:
    content = claim.to_bytes(8, "little") + WHOLE[8:]
    refused(written(tmp_path / "x", content), "it claims a header of .*, the file holds")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"shape": [2**40], "data_offsets": [0, 2**42]}, "cut short: .*claims 4,398,046,511,104"),
        (
            {"shape": [2**62], "data_offsets": [0, 8]},
            r"claims shape .*more bytes than there are.*8",
        ),
        ({"shape": [10**400], "data_offsets": [0, 8]}, "damaged"),
        ({"shape": [2, 2]}, r"'w' claims shape \[2, 2\] of float32, 16 bytes, and bytes 0 to 8"),
        ({"shape": [-2]}, "expected lists of sizes"),
        ({"shape": [2.0]}, "expected lists of sizes"),
        ({"shape": [True, 2]}, "expected lists of sizes"),
        ({"shape": "2"}, "expected lists of sizes"),
        ({"shape": [1] * 63 + [2, 1]}, "expected lists of sizes"),
        ({"data_offsets": [0]}, "expected lists of sizes"),
        ({"data_offsets": [-8, 0]}, "expected lists of sizes"),
        ({"data_offsets": [8, 0]}, "bytes 8 to 0, -8 bytes"),
        ({"data_offsets": [4, 12]}, "begin at byte 4, expected 0, where the data begins.*a gap"),
        ({"dtype": "F8_E4M3"}, r"elements of type 'F8_E4M3'; Thalweg holds BOOL, U8, .*Convert"),
        ({"dtype": None}, "elements of type None"),
        ({"dtype": ["F32"]}, "elements of type"),
        ({"more": 1}, "expected dtype, shape and data_offsets"),
    ],
)
def test_a_tensors_claim(tmp_path: Path, entry: dict[str, Any], message: str) -> None:
    refused(written(tmp_path / "x", built({"w": {**W, **entry}})), message)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b" ", "looks like a text|begins with the bytes 01 00"),
        (b"{", "not JSON"),
        (b'{"w": }', "not JSON"),
        (b"{\xff}", "not JSON"),
        (b'{"w":' + b"[" * 100_000, "not JSON"),
        (b'{"w":' + b"9" * 10_000 + b"}", "not JSON"),
        (b'{"a":{},"a":{}}', "the name 'a' stands in it twice"),
        (b'{"w": 3}', "'w' is described by 3; expected dtype, shape and data_offsets"),
        ({"w": {}}, "expected dtype, shape and data_offsets"),
        ({"__metadata__": {"a": 1}}, "its metadata is not a table of texts"),
        ({"__metadata__": ["a"]}, "its metadata is not a table of texts"),
        ({"w": W, "v": {**W, "data_offsets": [4, 12]}}, "expected 8, where 'w' ends: it overlaps"),
        ({"w": W, "v": {**W, "data_offsets": [12, 20]}}, "expected 8, where 'w' ends: it leaves a"),
        ({"w": W, "v": W}, "overlaps"),
    ],
)
def test_a_header(tmp_path: Path, header: Any, message: str) -> None:
    refused(written(tmp_path / "x", built(header)), message)


def test_empty_but_impossible_shape(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [0, 2**62, 2**62], "data_offsets": [0, 0]}
    refused(written(tmp_path / "x", built({"w": entry}, b"")), "'w'")


def test_bools_that_are_none(tmp_path: Path) -> None:
    entry = {"dtype": "BOOL", "shape": [2], "data_offsets": [0, 2]}
    refused(written(tmp_path / "x", built({"w": entry}, b"\1\2")), "holds other bytes than 0, 1")


def test_a_huge_file_is_refused_without_being_read(tmp_path: Path) -> None:
    path = written(tmp_path / "x", WHOLE)
    os.truncate(path, 1 << 40)  # sparse: it takes no room
    refused(path, "too long: .* the file holds 1,099,511,627,")


@pytest.mark.parametrize(
    "content",
    [
        built({"w": {**W, "shape": [2**40], "data_offsets": [0, 2**42]}}),
        (90_000_000).to_bytes(8, "little") + b"{" + b" " * 100,
        (2**62).to_bytes(8, "little") + b"{" + b" " * 100,
    ],
)
def test_claims_allocate_nothing(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path / "x", content)
    with pytest.raises(CheckpointError):
        load_file(path)  # what is imported on first use is none of the claim
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError):
            load_file(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


# -- foreign files ---------------------------------------------------------------------------------


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps([1]))


FOREIGN = {
    "empty": (b"", "it is empty. Get or save it again"),
    "short": (b"\xffab", "holds 3 bytes, fewer than the 8"),
    "zeros": (bytes(4096), "zeros only, as after a loss of power"),
    "pickle": (pickle.dumps({"w": [1.0] * 9}, 2), "looks like a pickle, .*weights_only=True"),
    "pickle-4": (pickle.dumps({"w": [1.0] * 9}, 4), "looks like a pickle"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5 file, as Keras writes it. Read it with h5py"),
    "onnx": (b"\x08\x07\x12\x07pytorch\x1a\x031.0", "looks like an ONNX model"),
    "gguf": (b"GGUF\x03\0\0\0" + bytes(30), "looks like a GGUF file"),
    "gzip": (gzip.compress(WHOLE), r"compressed by gzip\. Unpack it with gunzip"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer.*git lfs pull"),
    "html": (b"<!DOCTYPE HTML>\n<html>", "looks like a web page"),
    "text": ("épochs, loss\n1, 2\n".encode() * 9, "a text that begins with 'épochs, loss'"),
    "json": (b'{"weights": [1, 2, 3]}', "a text that begins with"),
    "noise": (bytes(range(200, 250)), "begins with the bytes c8 c9 ca cb cc cd ce cf"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_file(tmp_path: Path, kind: str) -> None:
    content, message = FOREIGN[kind]
    refused(
        written(tmp_path / "model.safetensors", content), f"not a safetensors file: .*{message}"
    )


def test_zip_archive_of_torch(tmp_path: Path) -> None:
    zipped(tmp_path / "model.pt")
    refused(tmp_path / "model.pt", r"zip archive, as torch\.save writes it .*torch_files")


def test_numpy_files(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(3))
    refused(tmp_path / "x.npy", r"NumPy array \(\.npy\)\. Read it with numpy\.load")


def test_a_letter_cut_in_two_is_still_text(tmp_path: Path) -> None:
    content = ("é" * 40).encode()[1:]  # 64 bytes end within a letter, and begin within one
    refused(written(tmp_path / "x", content), "begins with the bytes")
    refused(written(tmp_path / "x", b"x" + ("é" * 40).encode()), "a text that begins with")


def test_missing_file(tmp_path: Path) -> None:
    refused(tmp_path / "best.safetensors", "there is no such file$")
    written(tmp_path / "last.safetensors", WHOLE)
    refused(tmp_path / "lost.safetensors", r"no such file: did you mean 'last\.safetensors'\?")
    refused(tmp_path / "no" / "x", "there is no such file$")


def test_folder_and_device(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder; expected a safetensors file")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "is not a regular file")  # and is not waited for


def test_metadata_is_checked_the_same_way(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cut short"):
        read_metadata(written(tmp_path / "x", WHOLE[:-1]))
