"""What the commands do: from options to a run folder, from a run folder to answers."""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.data import Encoding, Split, Splits
from thalweg.errors import CheckpointError, ConfigError, DataError
from thalweg.nn.module import Module
from thalweg.ops.creation import tensor
from thalweg.tape import no_grad
from thalweg.train.config import Config
from thalweg.train.display import Display, display_for
from thalweg.train.pictures import draw, side_by_side
from thalweg.train.recipe import check_names, load_splits, make_loss, make_model, make_trainer
from thalweg.train.runs import RunFolder
from thalweg.train.trainer import Result, evaluate

__all__ = ["run_download", "run_evaluation", "run_prediction", "run_training"]

# What a resumed run may do differently and still be the same run.
_FREE_TO_CHANGE = {"epochs", "early_stop"}


def run_training(
    given: Mapping[str, Any], *, out: Path | None, config: Path | None, resume: bool
) -> int:
    """Train as the options say; gives the exit status (130 after Ctrl-C, as shells expect)."""
    options = Config.from_toml(config) if config else Config()
    options = options.updated(given)
    if resume and out is None:
        raise ConfigError("--resume needs --out: the folder of the run to go on with")
    if resume and out is not None and RunFolder.is_run(out):
        options = _resumed_options(out, given, config)
    check_names(options)
    splits = load_splits(options)
    trainer = make_trainer(options, splits.encoding)
    folder = out or _new_folder(options)
    plain = {**options.to_dict(), "encoding": splits.encoding.to_dict()}
    run = RunFolder.create(folder, plain, resume=resume)
    with run:
        _introduce(options, splits, trainer.model, run)
        watcher = display_for()
        try:
            result = trainer.fit(
                splits, options.epochs, run=run, resume=resume, watcher=watcher
            )
        finally:
            if isinstance(watcher, Display):
                watcher.close()
    _conclude(result, splits, trainer.model, run)
    return {"interrupted": 130, "diverged": 1}.get(result.status, 0)


def _resumed_options(out: Path, given: Mapping[str, Any], config: Path | None) -> Config:
    """The options a run was begun with; those given anew may change only how long it goes on."""
    stored = _stored_options(RunFolder.open(out))
    wanted = (stored.updated(Config.from_toml(config).to_dict()) if config else stored).updated(given)
    before, after = stored.to_dict(), wanted.to_dict()
    changed = [k for k in before if before[k] != after[k] and k not in _FREE_TO_CHANGE]
    if changed:
        listed = ", ".join(f"{k} = {after[k]!r} (begun with {before[k]!r})" for k in changed)
        raise ConfigError(
            f"{out}: a resumed run keeps its options, but got {listed}. Leave them out, or begin "
            "a new run in another folder"
        )
    return wanted


def _stored_options(run: RunFolder) -> Config:
    plain = {k: v for k, v in run.config.items() if k != "encoding"}
    return Config.from_dict(plain, str(run.path / "config.toml"))


def _new_folder(options: Config) -> Path:
    """runs/DATASET-N, with the first N that is free."""
    stem = Path(options.dataset).stem
    number = 1
    while (path := Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return path


def _introduce(options: Config, splits: Splits, model: Module, run: RunFolder) -> None:
    sizes = f"{len(splits.train)} train, {len(splits.dev)} dev, {len(splits.test)} test"
    print(f"{splits.name}: {splits.task}, {sizes} examples")
    for note in splits.notes:
        print(f"  {note}")
    width = [int(np.prod(splits.input_shape)), *options.hidden, splits.output_size]
    parameters = sum(p.numel() for p in model.parameters())
    print(
        f"{'-'.join(map(str, width))} network, {options.activation}, {parameters:,} parameters; "
        f"{options.optimizer}, step size {options.lr:g}, batches of {options.batch_size}"
    )
    print(f"run folder: {run.path}\n")


def _conclude(result: Result, splits: Splits, model: Module, run: RunFolder) -> None:
    if result.status == "interrupted":
        print(f"To go on: thalweg train --out {run.path} --resume")
        return
    if result.test is None:
        return
    print(f"\n{_test_line(result.test, splits)} (best parameters, epoch {result.best})")
    if splits.image_shape is not None:
        print()
        print(_pictures(model, splits))
    print(f"\nReport: {run.path / 'report.html'}")


def _test_line(test: Mapping[str, float], splits: Splits) -> str:
    if "accuracy" in test:
        right = round(test["accuracy"] * len(splits.test))
        accuracy = f"{100 * test['accuracy']:.2f} %"
        return f"Test accuracy {accuracy} ({right} of {len(splits.test)} right)"
    name = splits.encoding.target_names[0] if splits.output_size == 1 else "all targets, scaled"
    return (
        f"Test of {name}: rmse {test['rmse']:.4g}, mae {test['mae']:.4g}, R^2 {test['r2']:.4f}"
    )


# --- pictures ------------------------------------------------------------------------------------


def _pictures(model: Module, splits: Splits) -> str:
    """Some test pictures that the network took for what they are, and some that it did not."""
    shape = splits.image_shape
    assert shape is not None
    predicted = _outputs(model, splits.test).argmax(1)
    labels = splits.test.y.numpy()
    color = sys.stdout.isatty()
    pixels = splits.test.x.numpy().reshape(-1, *shape)
    parts = []
    for title, chosen in (("Right", predicted == labels), ("Wrong", predicted != labels)):
        rows = np.flatnonzero(chosen)
        if not len(rows):
            parts.append(f"{title}: none")
            continue
        parts.append(f"{title}:\n" + _strip(rows, pixels, predicted, labels, splits, color))
    return "\n\n".join(parts)


def _strip(
    rows: Any, pixels: Any, predicted: Any, labels: Any, splits: Splits, color: bool
) -> str:
    """As many pictures as fit beside one another, evenly picked, each with what it was taken for."""
    widest = shutil.get_terminal_size((80, 24)).columns
    width = max(len(_strip_color(draw(pixels[0], color)[0])), _CAPTION)
    count = min(max(1, (widest + 2) // (width + 2)), 8, len(rows))
    picked = rows[np.linspace(0, len(rows) - 1, count).astype(int)]
    drawn, captions = [], []
    for row in picked:
        picture = draw(pixels[row], color)
        cells = len(_strip_color(picture[0]))
        left = (width - cells) // 2
        drawn.append([" " * left + line + " " * (width - cells - left) for line in picture])
        said, truth = splits.classes[predicted[row]], splits.classes[labels[row]]
        captions.append(said if said == truth else f"{said}, is {truth}")
    return side_by_side(drawn, captions, width)


_CAPTION = 8  # cells: room for "3, is 8"


def _strip_color(text: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _outputs(model: Module, split: Split) -> Any:
    was_training = model.training
    model.eval()
    with no_grad():
        parts = [
            model(split.x[start : start + 1000]).numpy() for start in range(0, len(split), 1000)
        ]
    model.train(was_training)
    return np.concatenate(parts)


# --- evaluate and predict ------------------------------------------------------------------------


def _opened(path: Path) -> tuple[RunFolder, Config, Encoding, Module]:
    """A run's folder, options, encoding and its model with the best parameters."""
    run = RunFolder.open(path)
    options = _stored_options(run)
    encoding = Encoding.from_dict(run.config["encoding"])
    model = make_model(options, encoding)
    state, _ = run.load_best()
    try:
        model.load_state_dict(state)
    except (ValueError, TypeError, RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"{path / 'best.safetensors'} does not fit the network of config.toml: {error}"
        ) from error
    return run, options, encoding, model.eval()


def run_evaluation(path: Path) -> None:
    """Print the measures of a run's best parameters, and where it errs."""
    from thalweg.train.metrics import measures_for

    _, options, encoding, model = _opened(path)
    splits = load_splits(options)
    loss, measures = make_loss(options, encoding), measures_for(encoding)
    for split in (splits.dev, splits.test):
        values = evaluate(model, loss, split, measures)
        shown = ", ".join(
            f"{k} {100 * v:.2f} %" if k == "accuracy" else f"{k} {v:.4g}" for k, v in values.items()
        )
        print(f"{split.name} ({len(split)} examples): {shown}")
    if encoding.task == "classification":
        print("\n" + _confusion(_outputs(model, splits.test).argmax(1), splits))
    if splits.image_shape is not None:
        print("\n" + _pictures(model, splits))


def _confusion(predicted: Any, splits: Splits) -> str:
    """How often each class (a row) was taken for each (a column), on the test set."""
    count = len(splits.classes)
    table = np.zeros((count, count), int)
    np.add.at(table, (splits.test.y.numpy(), predicted), 1)
    names = [name[:12] for name in splits.classes]
    left = max(map(len, names))
    width = max(len(str(table.max())), *(len(name) for name in names[: min(count, 12)])) + 1
    width = min(width, 7)
    lines = ["test set, true class by row, predicted by column"]
    lines.append(" " * left + "".join(name[: width - 1].rjust(width) for name in names))
    for name, row in zip(names, table, strict=True):
        cells = "".join((str(n) if n else ".").rjust(width) for n in row)
        lines.append(name.rjust(left) + cells)
    return "\n".join(lines)


def run_prediction(path: Path, given: str) -> None:
    """Print what a run's network says of one input or several."""
    _, options, encoding, model = _opened(path)
    x = _inputs(given, options, encoding)
    with no_grad():
        outputs = model(tensor(x))
    shares = outputs.softmax(1).numpy() if encoding.task == "classification" else None
    for row, answer in enumerate(encoding.decode(outputs.numpy())):
        if shares is None:
            print(_spelled(answer, encoding))
        else:
            print(f"{answer}  ({100 * shares[row].max():.1f} %)")


def _spelled(answer: Any, encoding: Encoding) -> str:
    values = answer if isinstance(answer, dict) else {encoding.target_names[0]: answer}
    return ", ".join(f"{name} {value:.6g}" for name, value in values.items())


def _inputs(given: str, options: Config, encoding: Encoding) -> Any:
    """Encoded inputs of what was given on the command line."""
    if given.startswith("test:"):
        return _test_input(given, options)
    path = Path(given)
    if path.suffix in (".npy", ".csv"):
        if not path.is_file():
            raise DataError(f"{given}: there is no such file")
        return encoding.encode(_from_file(path, encoding))
    if "=" in given:
        return encoding.encode(_cells(given))
    try:
        return encoding.encode(np.array([float(part) for part in given.split(",")]))
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{given!r} is no input: expected a .npy or .csv file, numbers with commas between "
            "them, column=value pairs, or test:N"
        ) from error


def _test_input(given: str, options: Config) -> Any:
    test = load_splits(options).test
    number = given.removeprefix("test:")
    if not number.isdigit() or int(number) >= len(test):
        raise DataError(f"{given}: expected test:0 to test:{len(test) - 1}")
    return test.x.numpy()[[int(number)]]


def _cells(given: str) -> dict[str, Any]:
    pairs = [pair.partition("=") for pair in given.split(",")]
    return {name.strip(): value.strip() for name, _, value in pairs}


def _from_file(path: Path, encoding: Encoding) -> Any:
    if path.suffix == ".npy":
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


# --- data ----------------------------------------------------------------------------------------


def run_download(name: str) -> None:
    """Fetch a data set's files, saying what comes in, and print where they are."""
    from thalweg.data import download

    last: list[tuple[str, int]] = []

    def show(file: str, done: int, size: int) -> None:
        tenth = 10 * done // size if size else 10
        if [(file, tenth)] != last:
            last[:] = [(file, tenth)]
            print(f"{file}: {10 * tenth} % of {size:,} bytes", file=sys.stderr)

    print(download(name, progress=show))
