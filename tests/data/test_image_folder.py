"""Pictures in folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from thalweg.data import load, load_images
from thalweg.errors import ConfigError, DataError


def picture(path: Path, value: int, size: tuple[int, int] = (4, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*size, 3), value, np.uint8)
    pixels[0, 0] = (255, 0, 0)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(20):
        picture(tmp_path / "cats" / f"{number}.png", 10)
        picture(tmp_path / "dogs" / "sub" / f"{number}.bmp", 200)
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_a_folder_a_class(folder: Path) -> None:
    splits = load_images(folder)
    assert splits.classes == ("cats", "dogs")
    assert splits.image_shape == splits.input_shape == (3, 4, 6)
    assert [len(p) for p in (splits.train, splits.dev, splits.test)] == [32, 4, 4]
    for part in (splits.train, splits.dev, splits.test):
        assert part.y.float().mean().item() == 0.5, "each class in proportion"
        dark = part.x[:, 0, 1, 1] < 0
        assert ((part.y == 0) == dark).all().item()
    assert splits.train.x[0, :, 0, 0].tolist() == [1, -1, -1]
    raw = np.full((3, 4, 6), 255)
    assert (splits.encoding.encode(raw) == 1).all()


def test_one_more_picture_is_an_input(folder: Path) -> None:
    encoding = load_images(folder, size=3).encoding
    picture(folder / "new.png", 200)
    found = encoding.encode(folder / "new.png")
    assert found.shape == (1, 3, 3, 3)
    np.testing.assert_allclose(found[0, :, 2, 2], 200 / 127.5 - 1, atol=1e-6)
    gray = load_images(folder, mode="gray").encoding
    assert gray.encode(folder / "new.png").shape == (1, 1, 4, 6)
    with pytest.raises(DataError, match="cannot be read as a picture"):
        encoding.encode(folder / "none.png")
    with pytest.raises(DataError, match="pixels from 0 to 255, and those of digits were others"):
        load("digits").encoding.encode(folder / "new.png")
    with pytest.raises(DataError, match="no input for mnist1d, whose inputs are no pictures"):
        load("mnist1d").encoding.encode(folder / "new.png")


def test_given_parts_are_kept_and_what_is_missing_is_drawn(folder: Path) -> None:
    for name in ("cats", "dogs"):
        (folder / "train").mkdir(exist_ok=True)
        (folder / name).rename(folder / "train" / name)
        picture(folder / "val" / name / "a.png", 77)
    splits = load_images(folder, mode="gray", test=0.2)
    assert [len(p) for p in (splits.train, splits.dev, splits.test)] == [32, 2, 8]
    assert splits.input_shape == (1, 4, 6)
    assert "test drawn at random" in splits.notes[1]
    picture(folder / "test" / "birds" / "a.png", 1)
    with pytest.raises(DataError, match=r"\['birds'\] is no class"):
        load_images(folder)


def test_sizes(folder: Path) -> None:
    picture(folder / "cats" / "large.png", 10, (9, 9))
    with pytest.raises(DataError, match=r"large.png has \(9, 9\) pixels, .* has \(4, 6\)"):
        load_images(folder)
    assert load_images(folder, size=8).input_shape == (3, 8, 8)
    assert load_images(folder, size=(5, 3)).input_shape == (3, 5, 3)


def test_what_is_no_picture_is_named(folder: Path) -> None:
    (folder / "cats" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken.png: cannot be read as a picture"):
        load_images(folder)
    with pytest.raises(DataError, match="no such folder"):
        load_images(folder / "none")
    with pytest.raises(DataError, match="two classes or more"):
        load_images(folder / "dogs")
    with pytest.raises(ConfigError, match="'rgb' or 'gray'"):
        load_images(folder, mode="grey")


def test_a_stream_reads_what_is_in_memory_else(folder: Path) -> None:
    whole, streamed = load_images(folder), load_images(folder, stream=True, mixed=7)
    assert streamed.encoding == whole.encoding
    for part in ("train", "dev", "test"):
        one, other = getattr(whole, part), getattr(streamed, part)
        x, y = zip(*other.chunks(3), strict=True)
        seen = np.concatenate([each.flatten(0, 1).numpy() for each in x])
        np.testing.assert_array_equal(seen, one.x.numpy())
        np.testing.assert_array_equal(
            np.concatenate([e.flatten().numpy() for e in y]), one.y.numpy()
        )
    (folder / "cats" / "broken.png").write_bytes(b"no picture")
    for size in (None, 5):
        with pytest.raises(DataError, match=r"broken.png: cannot be read as a picture"):
            load_images(folder, size, stream=True)
