"""What `thalweg train` and `thalweg download` do."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.data import Sources
from thalweg.errors import ConfigError
from thalweg.nn.module import Module
from thalweg.optim.lr_scheduler import LRScheduler
from thalweg.train.answers import stored_options, written
from thalweg.train.config import Config
from thalweg.train.display import Display, display_for
from thalweg.train.gallery import gallery
from thalweg.train.ranging import range_test
from thalweg.train.recipe import check_names, load_splits, make_trainer
from thalweg.train.result import Result
from thalweg.train.runs import RunFolder
from thalweg.train.trainer import Trainer

__all__ = ["run_download", "run_range_test", "run_training"]

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
        _introduce(options, splits, trainer, run)
        watcher = display_for()
        try:
            result = trainer.fit(splits, options.epochs, run=run, resume=resume, watcher=watcher)
        finally:
            if isinstance(watcher, Display):
                watcher.close()
    _conclude(result, splits, trainer.model, run)
    return {"interrupted": 130, "diverged": 1}.get(result.status, 0)


def _resumed_options(out: Path, given: Mapping[str, Any], config: Path | None) -> Config:
    """The options a run was begun with; those given anew may change only how long it goes on."""
    stored = stored_options(RunFolder.open(out))
    wanted = stored.updated(Config.from_toml(config).to_dict()) if config else stored
    wanted = wanted.updated(given)
    before, after = stored.to_dict(), wanted.to_dict()
    changed = [k for k in before if before[k] != after[k] and k not in _FREE_TO_CHANGE]
    if changed:
        listed = ", ".join(f"{k} = {after[k]!r} (begun with {before[k]!r})" for k in changed)
        raise ConfigError(
            f"{out}: a resumed run keeps its options, but got {listed}. Leave them out, or begin "
            "a new run in another folder"
        )
    return wanted


def _new_folder(options: Config) -> Path:
    """runs/DATASET-N, with the first N that is free."""
    stem = Path(options.dataset).stem
    number = 1
    while (path := Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return path


def _introduce(options: Config, splits: Sources, trainer: Trainer, run: RunFolder) -> None:
    sizes = f"{len(splits.train)} train, {len(splits.dev)} dev, {len(splits.test)} test"
    print(f"{splits.name}: {splits.task}, {sizes} examples")
    for note in splits.notes:
        print(f"  {note}")
    width = [int(np.prod(splits.input_shape)), *options.hidden, splits.output_size]
    network = f"{'-'.join(map(str, width))} network, {options.activation}"
    if splits.task == "text":
        blocks = f"{len(options.hidden)} blocks of width {options.hidden[0]}"
        network = f"GPT of {blocks}, which looks back on {options.context} tokens"
    parameters = sum(p.numel() for p in trainer.model.parameters())
    print(
        f"{network}, {parameters:,} parameters; "
        f"{options.optimizer}, step size {options.lr:g}, batches of {options.batch_size}"
    )
    if trainer.schedules and all(isinstance(each, LRScheduler) for each in trainer.schedules):
        print(trainer.plan(splits, options.epochs))
    print(f"run folder: {run.path}\n")


def _conclude(result: Result, splits: Sources, model: Module, run: RunFolder) -> None:
    if result.status == "interrupted":
        print(f"To go on: thalweg train --out {run.path} --resume")
        return
    if result.test is None:
        return
    print(f"\n{_test_line(result.test, splits)} (best parameters, epoch {result.best})")
    if splits.image_shape is not None:
        print()
        print(gallery(model, splits))
    if splits.task == "text":
        print(f"\nIt writes: {written(model, splits.encoding, '')!r}")
    print(f"\nReport: {run.path / 'report.html'}")


def _test_line(test: Mapping[str, float], splits: Sources) -> str:
    if splits.task == "text":
        share = f"{100 * test['accuracy']:.2f} %"
        return f"Test loss {test['loss']:.4f} nats a token, {share} of the tokens right"
    if "accuracy" in test:
        right = round(test["accuracy"] * len(splits.test))
        accuracy = f"{100 * test['accuracy']:.2f} %"
        return f"Test accuracy {accuracy} ({right} of {len(splits.test)} right)"
    name = splits.encoding.target_names[0] if splits.output_size == 1 else "all targets, scaled"
    return f"Test of {name}: rmse {test['rmse']:.4g}, mae {test['mae']:.4g}, R^2 {test['r2']:.4f}"


def run_range_test(
    given: Mapping[str, Any],
    *,
    out: Path = Path("range-test.svg"),
    config: Path | None = None,
    **growth: Any,
) -> None:
    """Make what the options say, test its step sizes, save the picture and print the suggestion."""
    options = (Config.from_toml(config) if config else Config()).updated(given)
    check_names(options)
    if out.suffix.lower() != ".svg":
        raise ConfigError(f"--out {out}: the picture is an .svg")
    splits = load_splits(options)
    trainer = make_trainer(options, splits.encoding)
    trainer.optimizer.schedules.clear()
    found = range_test(
        trainer.model,
        trainer.loss,
        trainer.optimizer,
        splits.train,
        batch_size=options.batch_size,
        compile=options.compile,
        **growth,
    )
    print(found.picture())
    print(f"\nSuggested step size: --lr {found.suggestion:.2g}")
    print(
        f"(the best of {len(found.trials)} that were kept for {found.batches} batches each; while "
        f"it grew, the loss was lowest at {found.lowest:.2g})"
    )
    if not found.learnt:
        print(
            "With none of them did the network learn anything: the suggestion says little. Keep "
            "them longer (--longest), or change the network: layers, activation, init"
        )
    print(f"Picture: {found.save(out)}")


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
