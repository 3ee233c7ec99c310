"""Data sets, splits and batches.

A data set of the catalogue, a CSV file, or arrays of your own, then batches of it:

    splits = data.load("digits")            # train, dev, test
    splits = data.load_csv("cars.csv", target="price")
    splits = data.Splits.from_arrays(x, y)
    splits = data.load_images("animals")                    # a folder a class
    sources = data.load_arrays("x.npy", "y.npy")            # larger than memory
    sources = data.load_text("book.txt").windows(64)
    for x, y in data.Loader(splits.train, batch_size=10): ...
    x = data.transforms.RandomHorizontalFlip()(x)
"""

from thalweg.data import transforms
from thalweg.data.catalog import CATALOG, load
from thalweg.data.encoding import Encoding
from thalweg.data.fetch import download
from thalweg.data.image_folder import load_images
from thalweg.data.large import load_arrays
from thalweg.data.loader import Loader
from thalweg.data.scaling import Standardize
from thalweg.data.source import Rows, Source, Sources
from thalweg.data.splits import Split, Splits, split
from thalweg.data.stream import Stream
from thalweg.data.stream_loader import StreamLoader
from thalweg.data.tabular import load_csv
from thalweg.data.text import TokenSplits, Windows, load_text, windows
from thalweg.data.tokenizing import BytePairs, Characters, Tokenizer, Words

__all__ = [
    "BytePairs",
    "CATALOG",
    "Characters",
    "Encoding",
    "Loader",
    "Rows",
    "Source",
    "Sources",
    "Split",
    "Splits",
    "Standardize",
    "Stream",
    "StreamLoader",
    "TokenSplits",
    "Tokenizer",
    "Windows",
    "Words",
    "download",
    "load",
    "load_arrays",
    "load_csv",
    "load_images",
    "load_text",
    "split",
    "transforms",
    "windows",
]
