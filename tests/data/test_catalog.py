from __future__ import annotations

import dataclasses
import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import thalweg.data.digits
import thalweg.data.mnist
from tests.data.conftest import WriteIdx
from thalweg.data import CATALOG, load
from thalweg.data.catalog import find
from thalweg.errors import ConfigError, DataError

Small = tuple[Path, dict[str, npt.NDArray[Any]]]


@pytest.fixture
def shrunk(small_mnist: Small, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A catalogue whose "mnist" has 12 + 4 images, and $THALWEG_DATA with those files."""
    read = partial(thalweg.data.mnist.read, train=12, test=4, dev=2)
    monkeypatch.setitem(CATALOG, "mnist", dataclasses.replace(CATALOG["mnist"], read=read))
    monkeypatch.setenv("THALWEG_DATA", str(small_mnist[0].parent))
    return small_mnist


# -- digits ----------------------------------------------------------------------------------------


def test_digits_are_the_published_ones() -> None:
    x, y = thalweg.data.digits.raw()
    assert (x.shape, x.dtype, int(x.max())) == ((1797, 64), np.uint8, 16)
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    digest = hashlib.sha256(x.tobytes() + y.astype(np.uint8).tobytes()).hexdigest()
    assert digest == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def test_digits_say_where_they_come_from() -> None:
    text = Path(thalweg.data.digits.__file__).with_name("digits.ATTRIBUTION.md").read_text()
    assert "CC BY 4.0" in text
    assert "Alpaydin" in text
    assert "Kaynak" in text


def test_digits_are_split_once_and_for_all() -> None:
    splits = load("digits")
    parts = (splits.train, splits.dev, splits.test)
    assert [len(part) for part in parts] == [1257, 180, 360]
    whole = np.bincount(thalweg.data.digits.raw()[1]) / 1797
    for part in parts:
        assert np.abs(np.bincount(part.y.numpy()) - whole * len(part)).max() < 2.01
    pixels = np.concatenate([part.x.numpy() * 16 for part in parts]).astype(np.uint8)
    assert hashlib.sha256(pixels.tobytes()).hexdigest()[:16] == "6ab3b9d6ede9f28d"


def test_digits_are_inputs_of_0_to_1() -> None:
    splits = load("digits")
    assert (splits.train.x.min(), splits.train.x.max()) == (0, 1)
    assert (splits.input_shape, splits.image_shape) == ((64,), (1, 8, 8))
    assert splits.classes == tuple("0123456789")
    assert (load().test.x == splits.test.x).all()


def test_pictures_keep_their_shape_where_asked() -> None:
    flat, pictures = load("digits"), load("digits", flat=False)
    assert pictures.train.x.shape == (1257, 1, 8, 8)
    assert pictures.input_shape == pictures.image_shape == (1, 8, 8)
    assert (pictures.train.x.reshape(1257, 64) == flat.train.x).all()


# -- MNIST and its like ----------------------------------------------------------------------------


def test_mnist_from_the_folder_the_user_names(shrunk: Small) -> None:
    _, content = shrunk
    splits = load("mnist")
    assert [len(part) for part in (splits.train, splits.dev, splits.test)] == [10, 2, 4]
    images = content["train-images-idx3-ubyte.gz"].reshape(12, 784).astype(np.float32) / np.float32(
        255
    )
    assert np.array_equal(splits.train.x.numpy(), images[:10])
    assert np.array_equal(splits.dev.x.numpy(), images[10:])
    assert splits.test.y.tolist() == [3, 1, 4, 1]
    assert splits.notes == (CATALOG["mnist"].splits,)


def test_the_cache_folder_comes_second(
    shrunk: Small, no_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THALWEG_DATA", str(no_data / "elsewhere"))
    no_data.mkdir(parents=True)
    shrunk[0].rename(no_data / "mnist")
    assert len(load("mnist").test) == 4


def test_without_a_cache_variable_it_is_in_the_home_folder(
    no_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    with pytest.raises(DataError, match=str(Path.home() / ".cache" / "thalweg" / "data" / "mnist")):
        load("mnist")


def test_missing_files_are_named_with_the_places_and_what_they_must_be(
    small_mnist: Small, no_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = small_mnist
    monkeypatch.setenv("THALWEG_DATA", str(folder.parent))
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError) as caught:
        load("mnist")
    message = str(caught.value)
    assert f"{folder} (lacks t10k-labels-idx1-ubyte.gz)" in message
    assert f"{no_data / 'mnist'} (no such folder)" in message
    assert "thalweg download mnist" in message
    for file in CATALOG["mnist"].files:
        assert f"{file.name}  {file.size:,} bytes, sha256 {file.sha256}" in message
    for mirror in CATALOG["mnist"].mirrors:
        assert mirror in message


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train-images-idx3-ubyte.gz", np.zeros((12, 28, 27), np.uint8), "expected 12 x 28 x 28"),
        ("train-labels-idx1-ubyte.gz", np.zeros(11, np.uint8), "claims 11 .* expected 12"),
        (
            "t10k-labels-idx1-ubyte.gz",
            np.array([0, 1, 10, 3], np.uint8),
            "out of range: 10 at index 2",
        ),
    ],
)
def test_damaged_files_are_named(
    shrunk: Small, write_idx: WriteIdx, name: str, array: npt.NDArray[Any], message: str
) -> None:
    write_idx(f"mnist/{name}", array)
    with pytest.raises(DataError, match=f"{name}: .*{message}"):
        load("mnist")


# -- the table -------------------------------------------------------------------------------------


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match="unknown data set 'fasion-mnist': did you mean 'fashion-mnist'"
    ):
        load("fasion-mnist")
    with pytest.raises(ConfigError, match=r"data.load_csv"):
        load("cars.csv")


@pytest.mark.parametrize("row", CATALOG.values(), ids=list(CATALOG))
def test_rows_are_complete(row: Any) -> None:
    assert find(row.name) is row
    assert row.image_shape is None or np.prod(row.image_shape) == np.prod(row.input_shape)
    assert bool(row.files) == bool(row.mirrors)
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in row.mirrors)
    assert all(len(bytes.fromhex(file.sha256)) == 32 and file.size > 0 for file in row.files)
