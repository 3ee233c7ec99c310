"""The command line: `thalweg train`, `evaluate`, `predict`, `explain`, `bench`, `download`."""

from __future__ import annotations

import inspect
import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from cyclopts import App, Parameter

from thalweg import __version__
from thalweg.errors import ThalwegError
from thalweg.train.config import Config

__all__ = ["app", "bench", "download", "evaluate", "explain", "machine", "main", "predict", "train"]

app = App(
    name="thalweg",
    help="Train small and middle-sized networks in seconds, and see why they learn.",
    version=__version__,
)


def main() -> None:
    """Run the command line; a `ThalwegError` is one line on standard error and exit status 1."""
    try:
        app()
    except ThalwegError as error:
        print(f"thalweg: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("thalweg: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output is gone: `thalweg train | head`
        sys.stderr.close()
        sys.exit(141)


def train(dataset: str | None = None, /, **options: Any) -> None:
    """Train a fully connected network and test its best parameters.

    Without arguments it trains on the handwritten digits that come with Thalweg. Options not given
    are read from the file named by --config, if any.
    """
    from thalweg.train.command import run_training

    files = {name: options.pop(name, None) for name in ("out", "config")}
    resume = options.pop("resume", False)
    given = {name: value for name, value in options.items() if value is not None}
    if dataset is not None:
        given["dataset"] = dataset
    sys.exit(run_training(given, **files, resume=resume))


def _flag(name: str, kind: Any, default: Any, about: str) -> inspect.Parameter:
    place: Any = inspect.Parameter.KEYWORD_ONLY
    help_ = Parameter(help=about, show_default=False, negative="" if name == "resume" else None)
    if name == "dataset":
        place = inspect.Parameter.POSITIONAL_ONLY
    return inspect.Parameter(name, place, default=default, annotation=Annotated[kind, help_])


def _train_signature() -> inspect.Signature:
    """The flags of `train`: one for each option of `Config`, and those about files."""
    types = get_type_hints(Config)
    flags = []
    for f in fields(Config):
        value: Any = f.default
        is_list = isinstance(value, tuple)
        shown = ",".join(map(str, value)) if is_list else value
        default = "" if shown in ("", False, True, 0) else f" (default: {shown})"
        kind = (str if is_list else types[f.name]) | None
        flags.append(_flag(f.name, kind, None, f.metadata["about"] + default))
    path = Path | None
    flags += [
        _flag("out", path, None, "the run's folder (default: runs/NAME-NUMBER)"),
        _flag("config", path, None, "a TOML file with these options; flags overrule it"),
        _flag("resume", bool, False, "go on with the run in --out where it stopped"),
    ]
    return inspect.Signature(flags)


train.__signature__ = _train_signature()  # type: ignore[attr-defined]
train.__annotations__ = {p.name: p.annotation for p in _train_signature().parameters.values()}
app.command(train)


@app.command
def evaluate(run: Path, /) -> None:
    """Measure a run's best parameters on the development and the test set.

    Parameters
    ----------
    run
        The run's folder.
    """
    from thalweg.train.answers import run_evaluation

    run_evaluation(run)


@app.command
def predict(run: Path, input: str, /) -> None:
    """Apply a run's network to new inputs.

    Parameters
    ----------
    run
        The run's folder.
    input
        A .npy or .csv file; numbers with commas between them; column=value pairs with commas
        between them, for a table; or test:N, the N-th example of the test set.
    """
    from thalweg.train.answers import run_prediction

    run_prediction(run, input)


@app.command
def explain(run: Path, /, *, threads: int | None = None) -> None:
    """Show where the time of a run's training step goes, kernel by kernel.

    Parameters
    ----------
    run
        The run's folder; its files stay as they are.
    threads
        How many threads to measure with.
    """
    from thalweg.train.explaining import run_explanation

    run_explanation(run, threads)


bench = App(name="bench", help="Measure.")
app.command(bench)


@bench.command
def machine() -> None:
    """Measure what this machine can do at most: multiply-adds and copies in a second."""
    from thalweg.compiler.roof import report

    print(report())


@app.command
def download(dataset: str, /) -> None:
    """Fetch the files of a known data set, checked, into the cache folder.

    Parameters
    ----------
    dataset
        mnist or fashion-mnist; the others need no files.
    """
    from thalweg.train.command import run_download

    run_download(dataset)
