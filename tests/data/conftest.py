"""What the tests of data share: files written on the spot, and the folder of real ones."""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

WriteIdx = Callable[..., Path]
WriteCsv = Callable[[str | bytes], Path]


def idx_bytes(array: npt.NDArray[Any], shape: tuple[int, ...] | None = None) -> bytes:
    """`array` of bytes as an IDX file, under a header that claims `shape`."""
    shape = array.shape if shape is None else shape
    return struct.pack(f">HBB{len(shape)}I", 0, 0x08, len(shape), *shape) + array.tobytes()


@pytest.fixture
def write_idx(tmp_path: Path) -> WriteIdx:
    def write(name: str, array: npt.NDArray[Any], shape: tuple[int, ...] | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = idx_bytes(array, shape)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCsv:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def real_data() -> Path:
    """The folder $THALWEG_DATA names; tests of real files are skipped where there is none."""
    folder = os.environ.get("THALWEG_DATA")
    if not folder:
        pytest.skip("THALWEG_DATA is not set")
    return Path(folder)


@pytest.fixture
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any data: returns the folder that stands for its cache."""
    monkeypatch.delenv("THALWEG_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "thalweg" / "data"


@pytest.fixture
def small_mnist(tmp_path: Path, write_idx: WriteIdx) -> tuple[Path, dict[str, npt.NDArray[Any]]]:
    """Four IDX files in MNIST's form, 12 + 4 images: their folder, and what is in them."""
    random = np.random.default_rng(0)
    content = {
        "train-images-idx3-ubyte.gz": random.integers(0, 256, (12, 28, 28), np.uint8),
        "train-labels-idx1-ubyte.gz": (np.arange(12) % 10).astype(np.uint8),
        "t10k-images-idx3-ubyte.gz": random.integers(0, 256, (4, 28, 28), np.uint8),
        "t10k-labels-idx1-ubyte.gz": np.array([3, 1, 4, 1], np.uint8),
    }
    for name, array in content.items():
        write_idx(f"mnist/{name}", array)
    return tmp_path / "mnist", content
