"""The data sets Thalweg knows, a row each, and `load`.

A new data set is a reader (a function that returns `Parts`) and a row of `CATALOG`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from thalweg.data import digits, mnist, mnist1d
from thalweg.data.encoding import Encoding
from thalweg.data.locate import cache_folder, find_folder, folders
from thalweg.data.scaling import Standardize
from thalweg.data.splits import Parts, Splits
from thalweg.errors import ConfigError, DataError, nearest

__all__ = ["CATALOG", "DataFile", "DataSet", "find", "load"]


@dataclass(frozen=True, slots=True)
class DataFile:
    """A published file: its name, its size in bytes, its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class DataSet:
    """One row of the catalogue.

    `read` returns the three parts; it is given the folder that holds `files`, where there are any.
    `inputs` turns raw numbers into those a network takes. `mirrors` are addresses of folders that
    hold the files.
    """

    name: str
    about: str
    splits: str
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    image_shape: tuple[int, ...] | None
    inputs: Standardize
    read: Callable[..., Parts]
    files: tuple[DataFile, ...] = ()
    mirrors: tuple[str, ...] = ()


def _idx_files(*known: tuple[int, str]) -> tuple[DataFile, ...]:
    """The four files of MNIST's form, with the size and the SHA-256 of each."""
    names = (*mnist.TRAIN, *mnist.TEST)
    return tuple(DataFile(name, *facts) for name, facts in zip(names, known, strict=True))


_DIGITS: Final = tuple("0123456789")
_GARMENTS: Final = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

# fmt: off
_ROWS: Final = (
    DataSet(
        name="digits",
        about="1,797 handwritten digits of 8 x 8 pixels (UCI, comes with Thalweg)",
        splits="1,257 train, 180 dev, 360 test: drawn once, stratified by class",
        classes=_DIGITS,
        input_shape=(64,),
        image_shape=(1, 8, 8),
        inputs=Standardize((0.0,), (16.0,)),
        read=digits.read,
    ),
    DataSet(
        name="fashion-mnist",
        about="70,000 grey pictures of clothes of 28 x 28 pixels, ten kinds (Zalando)",
        splits="50,000 train, 10,000 dev (the last of the training images), 10,000 test (standard)",
        classes=_GARMENTS,
        input_shape=(784,),
        image_shape=(1, 28, 28),
        inputs=Standardize((0.0,), (255.0,)),
        read=mnist.read,
        files=_idx_files(
            (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            (    29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            ( 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            (     5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
        mirrors=(
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
    ),
    DataSet(
        name="mnist",
        about="70,000 handwritten digits of 28 x 28 pixels (NIST, LeCun)",
        splits="50,000 train, 10,000 dev (the last of the training images), 10,000 test (standard)",
        classes=_DIGITS,
        input_shape=(784,),
        image_shape=(1, 28, 28),
        inputs=Standardize((0.0,), (255.0,)),
        read=mnist.read,
        files=_idx_files(
            ( 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            (    28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            ( 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            (     4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    DataSet(
        name="mnist1d",
        about="5,000 curves of 40 samples, ten kinds, made to the published recipe (Greydanus)",
        splits="3,500 train, 500 dev (the last of the training signals), 1,000 test (standard)",
        classes=_DIGITS,
        input_shape=(mnist1d.LENGTH,),
        image_shape=None,
        inputs=Standardize(),
        read=mnist1d.read,
    ),
    # CIFAR-10 goes here, when convolutions do: a reader of its binary records, and a row.
)
# fmt: on

CATALOG: Final = {row.name: row for row in _ROWS}


def find(name: str) -> DataSet:
    """The row of the catalogue called `name`. Raises `ConfigError` with the nearest name."""
    if name not in CATALOG:
        table = "; a file of your own is read by data.load_csv" if name.endswith("csv") else ""
        raise ConfigError(f"unknown data set {name!r}: {nearest(name, CATALOG)}{table}")
    return CATALOG[name]


def load(name: str = "digits", *, flat: bool = True) -> Splits:
    """A known data set as training, development and test sets.

    Inputs are float32 (N, K), pixels scaled to 0 to 1; with `flat=False` pictures keep their shape
    (N, channels, height, width). Labels are int64 (N,). "digits" comes with the package, "mnist1d"
    is generated; the files of the others are looked for in `$THALWEG_DATA` and in the cache folder.

    Raises `ConfigError` for an unknown name (with the nearest one), `DataError` where files are
    missing (says which to put where) or damaged. Nothing is downloaded: `data.download` does that.

    >>> splits = load("digits")
    >>> splits
    <Splits digits: (64,) -> 10 classes; 1257 train, 180 dev, 360 test>
    >>> splits.train.x.shape, splits.train.x.max()
    (Size([1257, 64]), tensor(1.))
    """
    row = find(name)
    parts = row.read(_folder(row)) if row.files else row.read()
    shape = row.input_shape if flat or row.image_shape is None else row.image_shape
    encoding = Encoding(
        row.name, "classification", shape, row.inputs, row.classes, image_shape=row.image_shape
    )
    return Splits.from_parts(parts, encoding, (row.splits,))


def _folder(row: DataSet) -> Path:
    """The folder with the row's files, or a `DataError` that says what is missing and where."""
    found = find_folder(row.name, [file.name for file in row.files])
    if found is not None:
        return found
    searched = [_searched(row, folder / row.name) for folder in folders()]
    listed = [f"  {file.name}  {file.size:,} bytes, sha256 {file.sha256}" for file in row.files]
    lines = [
        f"the files of {row.name} are not on this machine. Looked in:",
        *searched,
        f"Run `thalweg download {row.name}`, which puts them into {cache_folder()},",
        "or put these files yourself into one of the folders above, or into any folder",
        f"{row.name} inside a folder that the environment variable THALWEG_DATA names:",
        *listed,
        "They are published at:",
        *(f"  {mirror}" for mirror in row.mirrors),
    ]
    raise DataError("\n".join(lines))


def _searched(row: DataSet, folder: Path) -> str:
    if not folder.is_dir():
        return f"  {folder} (no such folder)"
    lacking = [file.name for file in row.files if not (folder / file.name).is_file()]
    return f"  {folder} (lacks {', '.join(lacking)})"
