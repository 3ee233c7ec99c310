"""The command line: `thalweg train`, `evaluate`, `predict`, `search`, `explain` and others."""

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

__all__ = [
    "app", "bench", "download", "evaluate", "explain", "machine", "main", "minimize",
    "predict", "range_test", "search",
    "train",
]  # fmt: skip

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
    except OSError as error:  # such as a full disk behind standard output
        print(f"thalweg: {error}", file=sys.stderr)
        sys.exit(1)


def train(dataset: str | None = None, /, **options: Any) -> None:
    """Train a fully connected network, for a text a small GPT, and test its best parameters.

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


def _config_flags() -> list[inspect.Parameter]:
    """A flag for each option of `Config`."""
    types = get_type_hints(Config)
    flags = []
    for f in fields(Config):
        value: Any = f.default
        is_list = isinstance(value, tuple)
        shown = ",".join(map(str, value)) if is_list else value
        default = "" if shown in ("", False, True, 0) else f" (default: {shown})"
        kind = (str if is_list else types[f.name]) | None
        flags.append(_flag(f.name, kind, None, f.metadata["about"] + default))
    return flags


def _train_signature() -> inspect.Signature:
    """The flags of `train`: those of `Config`, and those about files."""
    path = Path | None
    flags = [
        *_config_flags(),
        _flag("out", path, None, "the run's folder (default: runs/NAME-NUMBER)"),
        _flag("config", path, None, "a TOML file with these options; flags overrule it"),
        _flag("resume", bool, False, "go on with the run in --out where it stopped"),
    ]
    return inspect.Signature(flags)


def range_test(dataset: str | None = None, /, **options: Any) -> None:
    """Find a step size: train a little while it grows, draw the loss, and suggest one.

    Takes the options of train. Nothing is kept but the picture.
    """
    from thalweg.train.command import run_range_test

    own = {
        name: options.pop(name, None)
        for name in ("out", "config", "start", "end", "steps", "trials", "longest")
    }
    given = {name: value for name, value in options.items() if value is not None}
    if dataset is not None:
        given["dataset"] = dataset
    run_range_test(given, **{name: value for name, value in own.items() if value is not None})


def _range_test_signature() -> inspect.Signature:
    path = Path | None
    flags = [
        *_config_flags(),
        _flag("out", path, None, "where the picture goes, an .svg (default: range-test.svg)"),
        _flag("config", path, None, "a TOML file with these options; flags overrule it"),
        _flag("start", float | None, None, "smallest step size (default: 1e-6)"),
        _flag("end", float | None, None, "largest step size (default: 10)"),
        _flag("steps", int | None, None, "batches, one for each step size (default: 100)"),
        _flag("trials", int | None, None, "step sizes that are then kept for as long (default: 8)"),
        _flag(
            "longest",
            int | None,
            None,
            "batches they are kept for at most, while none learns anything (default: 6400)",
        ),
    ]
    return inspect.Signature(flags)


def _with_flags(command: Any, signature: inspect.Signature) -> None:
    command.__signature__ = signature
    command.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    app.command(command)


_with_flags(train, _train_signature())
_with_flags(range_test, _range_test_signature())


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
        A picture; a .npy or .csv file; numbers with commas between them; column=value pairs with
        commas between them, for a table; or test:N, the N-th example of the test set. For a text,
        how it begins.
    """
    from thalweg.train.answers import run_prediction

    run_prediction(run, input)


@app.command
def search(
    space: Path,
    /,
    *,
    out: Path | None = None,
    trials: int | None = None,
    sampler: str | None = None,
    pruner: str | None = None,
    workers: int | None = None,
    seed: int | None = None,
    storage: str | None = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Search for options of `train` that make it better.

    Parameters
    ----------
    space
        A TOML file: options of `train` that all trials share, and a table [search] of those to try,
        as lists or as ranges { low = 0.001, high = 1.0, log = true }. Or a Python file with
        `space`, and `objective(trial)` where it is not a training.
    out
        The folder of the search (default: searches/NAME).
    trials
        How many trials there are to be (default: 30; a grid has as many as it has points).
    sampler
        bayesian (default), random or grid.
    pruner
        What ends hopeless trials early: median (default), halving, hyperband or none.
    workers
        Processes that share the trials (default: 1).
    seed
        Of the choices.
    storage
        The address of a database, such as sqlite:///trials.db, to share trials between machines.
    resume
        Go on with the search in --out, after it was stopped or killed, or for more trials.
    """
    from thalweg.search.command import run_search

    given = {
        "trials": trials, "sampler": sampler, "pruner": pruner, "workers": workers, "seed": seed,
        "storage": storage,
    }  # fmt: skip
    sys.exit(run_search(space, given, out=out, resume=resume))


@app.command
def minimize(
    problem: str | None = None,
    /,
    *,
    method: str | None = None,
    start: str | None = None,
    bounds: str | None = None,
    seed: int = 0,
    max_iterations: int | None = None,
    option: Annotated[list[str] | None, Parameter(negative="")] = None,
    out: Path | None = None,
    table: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Minimize a function, by any method, with a picture of the way there.

    Parameters
    ----------
    problem
        A known problem (without one, they are listed, and the methods), or FILE.py:FUNCTION.
    method
        newton, cma-es, adam, scipy:bfgs, ... (default: l-bfgs).
    start
        The numbers to start at, with commas between them.
    bounds
        The lowest and the highest that each number may be: low,high.
    seed
        Of the method's random numbers.
    max_iterations
        After which it stops.
    option
        NAME=VALUE, an option of the method, such as population=20 or lr=0.01; may be given again.
    out
        The picture (default: PROBLEM-METHOD.svg).
    table
        Run every method on every problem, and print what is solved.
    """
    from thalweg.minimize.command import run_minimization, run_survey

    if table:
        run_survey(lambda name: print(name, file=sys.stderr))
        return
    sys.exit(
        run_minimization(
            problem, method, start=start, bounds=bounds, seed=seed,
            max_iterations=max_iterations, options=option or [], out=out,
        )
    )  # fmt: skip


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
