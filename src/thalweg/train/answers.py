"""What a finished run answers: its measures, and its network's word on new inputs."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from thalweg import dtypes
from thalweg.data import Encoding, Sources
from thalweg.data.pictures import PICTURES
from thalweg.errors import CheckpointError, DataError
from thalweg.nn.module import Module
from thalweg.ops.creation import tensor, zeros
from thalweg.ops.random import manual_seed
from thalweg.train.config import Config
from thalweg.train.evaluation import Pairs, evaluate, predict, predicted
from thalweg.train.gallery import gallery
from thalweg.train.metrics import measures_for
from thalweg.train.recipe import load_splits, make_loss, make_model
from thalweg.train.runs import RunFolder

__all__ = ["run_evaluation", "run_prediction", "stored_options", "written"]

_NAME = 12  # letters of a class that are shown
_LEAST = 4  # of them above a column
_MISTAKES = 12  # that are listed where a table is too wide


def stored_options(run: RunFolder) -> Config:
    """The options of `thalweg train` a run was begun with. Raises `CheckpointError` for others."""
    if "dataset" not in run.config:
        raise CheckpointError(
            f"{run.path}: was not trained by thalweg train, so that no file says what its network "
            "is. In Python, make the network, then: run = tw.train.RunFolder.open(..); "
            "model.load_state_dict(run.load_best()[0]); run.encoding has the inputs and outputs"
        )
    plain = {key: value for key, value in run.config.items() if key != "encoding"}
    return Config.from_dict(plain, str(run.path / "config.toml"))


def _opened(path: Path) -> tuple[Config, Encoding, Module]:
    """A run's options, encoding and its model with the best parameters."""
    run = RunFolder.open(path)
    options = stored_options(run)
    encoding = run.encoding
    model = make_model(options, encoding)
    state, _ = run.load_best()
    try:
        model.load_state_dict(state)
    except (ValueError, TypeError, RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"{path / 'best.safetensors'} does not fit the network of config.toml: {error}"
        ) from error
    return options, encoding, model.eval()


def run_evaluation(path: Path) -> None:
    """Print the measures of a run's best parameters, and where it errs."""
    options, encoding, model = _opened(path)
    splits = load_splits(options)
    loss, measures = make_loss(options, encoding), measures_for(encoding)
    for split in (splits.dev, splits.test):
        values = evaluate(model, loss, split, measures)
        shown = ", ".join(
            f"{k} {100 * v:.2f} %" if k == "accuracy" else f"{k} {v:.4g}" for k, v in values.items()
        )
        print(f"{split.name} ({len(split)} examples): {shown}")
    if encoding.task == "classification":
        print("\n" + _confusion(predicted(model, splits.test), splits))
    if splits.image_shape is not None:
        print("\n" + gallery(model, splits))


def _confusion(found: Pairs, splits: Sources) -> str:
    """How often each class (a row) was taken for each (a column), on the test set.

    Of more classes than the terminal has room for, what was mistaken most often.
    """
    count = len(splits.classes)
    table = np.zeros((count, count), int)
    np.add.at(table, found, 1)
    names = [name if len(name) <= _NAME else f"{name[: _NAME - 1]}…" for name in splits.classes]
    left = max(map(len, names))
    digits, longest = len(str(table.max())), max(map(len, names))
    room = (shutil.get_terminal_size((80, 24)).columns - left) // count
    if room <= max(digits, min(longest, _LEAST)):
        return _mistakes(table, names)
    width = min(max(digits, longest) + 1, room)
    lines = ["test set, true class by row, predicted by column"]
    lines.append(" " * left + "".join(name[: width - 1].rjust(width) for name in names))
    for name, row in zip(names, table, strict=True):
        cells = "".join((str(n) if n else ".").rjust(width) for n in row)
        lines.append(name.rjust(left) + cells)
    return "\n".join(lines)


def _mistakes(table: Any, names: list[str]) -> str:
    """The most frequent ones: the class, what it was taken for, how often of how many."""
    wrong = table - np.diag(np.diag(table))
    worst = np.argsort(-wrong, axis=None, kind="stable")[:_MISTAKES]
    rows = [
        (names[i], names[j], f"{wrong[i, j]} of {table[i].sum()}")
        for i, j in zip(*np.unravel_index(worst, table.shape), strict=True)
        if wrong[i, j]
    ]
    if not rows:
        return f"test set: all of {len(names)} classes right"
    left = max(len("true class"), *(len(true) for true, _, _ in rows)) + 2
    middle = max(len("taken for"), *(len(said) for _, said, _ in rows)) + 2
    lines = [f"test set, what was mistaken most often, of {len(names)} classes"]
    for true, said, often in (("true class", "taken for", "times"), *rows):
        lines.append(f"{true:<{left}}{said:<{middle}}{often}")
    return "\n".join(lines)


def run_prediction(path: Path, given: str) -> None:
    """Print what a run's network says of one input or several."""
    options, encoding, model = _opened(path)
    if encoding.task == "text":
        manual_seed(options.seed)
        print(given + written(model, encoding, given))
        return
    outputs = predict(model, tensor(_inputs(given, options, encoding)))
    shares = outputs.softmax(1).numpy() if encoding.task == "classification" else None
    for row, answer in enumerate(encoding.decode(outputs.numpy())):
        if shares is None:
            print(_spelled(answer, encoding))
        else:
            print(f"{answer}  ({100 * shares[row].max():.1f} %)")


def written(model: Any, encoding: Encoding, beginning: str, length: int = 300) -> str:
    """What a text's network writes behind a beginning; without one behind its first token."""
    tokenizer = encoding.tokenizer
    assert tokenizer is not None
    begun = tensor(encoding.encode(beginning)) if beginning else zeros(1, 1, dtype=dtypes.int64)
    model.eval()
    tokens = model.generate(begun, length, temperature=0.8, top_k=50, compiled=True)
    return tokenizer.decode(tokens[0, begun.shape[1] :])


def _spelled(answer: Any, encoding: Encoding) -> str:
    values = answer if isinstance(answer, dict) else {encoding.target_names[0]: answer}
    return ", ".join(f"{name} {value:.6g}" for name, value in values.items())


def _inputs(given: str, options: Config, encoding: Encoding) -> Any:
    """Encoded inputs of what was given on the command line."""
    if given.startswith("test:"):
        return _test_input(given, options)
    path = Path(given)
    ending = path.suffix.lower()
    if ending in (".npy", ".csv", *PICTURES):
        if not path.is_file():
            raise DataError(f"{given}: there is no such file")
        return encoding.encode(path if ending in PICTURES else _from_file(path, encoding))
    if "=" in given:
        return encoding.encode(_cells(given))
    try:
        return encoding.encode(np.array([float(part) for part in given.split(",")]))
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{given!r} is no input: expected a picture, a .npy or .csv file, numbers with commas "
            "between them, column=value pairs, or test:N"
        ) from error


def _test_input(given: str, options: Config) -> Any:
    test = load_splits(options).test
    number = given.removeprefix("test:")
    if not number.isdigit() or int(number) >= len(test):
        raise DataError(f"{given}: expected test:0 to test:{len(test) - 1}")
    before = 0
    for x, _ in test.chunks(1):
        if int(number) < before + len(x):
            return x[int(number) - before].numpy()
        before += len(x)
    raise DataError(f"{given}: is not there")  # the set has become smaller


def _cells(given: str) -> dict[str, Any]:
    pairs = [pair.partition("=") for pair in given.split(",")]
    return {name.strip(): value.strip() for name, _, value in pairs}


def _from_file(path: Path, encoding: Encoding) -> Any:
    if path.suffix.lower() == ".npy":
        try:
            return np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path}: not a NumPy array file ({error})") from error
    with path.open(newline="", encoding="utf-8-sig") as file:
        if encoding.columns is not None:
            return [dict(row) for row in csv.DictReader(file)]
        try:
            return np.array([[float(cell) for cell in row] for row in csv.reader(file) if row])
        except ValueError as error:
            raise DataError(f"{path}: expected numbers, an input a line ({error})") from error
