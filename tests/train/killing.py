"""Kills training processes at random moments; run by test_kill.py, in a process of its own.

    python killing.py FOLDER KILLS SEED [stream]

With "stream" the data are read from files, and there are checkpoints within the epochs.
Each child trains in FOLDER with resume and is killed with SIGKILL after a random time. When the
kills are used up the run is finished. Prints how many children were killed, how many checkpoints
they went on from, and whether the parameters are those of a run that was never killed.
"""

from __future__ import annotations

import math
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

import thalweg.train.loop as loop_module
from thalweg.data import Sources, Standardize, load, load_arrays
from thalweg.train.config import Config
from thalweg.train.recipe import make_trainer
from thalweg.train.runs import RunFolder

OPTIONS = Config.from_dict({"epochs": 400, "hidden": "12", "dropout": 0.1, "batch-size": 300})
SPLITS: Sources = load("digits")


def streamed(folder: Path) -> Sources:
    """The digits in files, as bytes."""
    digits, paths = load("digits").train, [folder / "x.npy", folder / "y.npy"]
    np.save(paths[0], (digits.x.numpy() * 16).astype(np.uint8))
    np.save(paths[1], digits.y.numpy().astype(np.uint8))
    scale = Standardize((0.0,), (16.0,))
    return load_arrays(*paths, name="digits", inputs=scale, block=32, mixed=4)


def fit(folder: Path | None, resume: bool) -> bytes:
    """The bytes of the best parameters of a run in `folder`."""
    trainer = make_trainer(OPTIONS, SPLITS.encoding)
    if folder is None:
        trainer.fit(SPLITS, OPTIONS.epochs)
    else:
        with RunFolder.create(folder, OPTIONS.to_dict(), resume=resume) as run:
            trainer.fit(SPLITS, OPTIONS.epochs, run=run, resume=resume)
    return b"".join(value.numpy().tobytes() for value in trainer.model.state_dict().values())


def child(folder: Path) -> int:
    """Train in a process of its own; gives its number."""
    number = os.fork()
    if number == 0:
        try:
            fit(folder, resume=True)
        except BaseException as error:
            print(f"child failed: {error!r}", flush=True)
            os._exit(1)
        os._exit(0)
    return number


def await_checkpoint(folder: Path) -> None:
    """Until the folder has another checkpoint than now, or a minute has passed."""
    last, until = folder / "last.safetensors", time.perf_counter() + 60
    before = last.stat().st_ino if last.exists() else 0
    while time.perf_counter() < until and (last.stat().st_ino if last.exists() else 0) == before:
        time.sleep(0.002)


def step_of(folder: Path) -> int:
    """Which batch of its epoch the folder's checkpoint stands at; 0 where there is none."""
    if not RunFolder.is_run(folder) or not (run := RunFolder.open(folder)).has_checkpoint:
        return 0
    return int(run.load_last()[1]["progress"]["step"])


def main() -> None:
    global OPTIONS, SPLITS
    folder, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    is_stream = sys.argv[4:] == ["stream"]
    if is_stream:
        folder.parent.mkdir(exist_ok=True)
        SPLITS = streamed(folder.parent)
        OPTIONS = OPTIONS.updated({"epochs": 12, "batch_size": 20})
        loop_module._CHUNK_SECONDS = 0.002
        loop_module._WITHIN_SECONDS, loop_module._SAVING_SHARE = 0.0, math.inf
    loop_module._CHECKPOINT_SECONDS = 0.0  # every epoch: the most chances to be hit
    began = time.perf_counter()
    expected = fit(None, resume=False)
    usual = time.perf_counter() - began
    rng = random.Random(seed)
    killed = within = 0
    for _ in range(kills):
        number = child(folder)
        if is_stream:
            await_checkpoint(folder)
            time.sleep(rng.uniform(0, 0.05))
        else:
            time.sleep(rng.uniform(0, 2.5 * usual / kills + 0.02))
        os.kill(number, signal.SIGKILL)
        _, status = os.waitpid(number, 0)
        killed += os.WIFSIGNALED(status)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            sys.exit("a resumed child failed")
        within += step_of(folder) > 0
    same = fit(folder, resume=True) == expected
    print(f"killed {killed} within {within} same {same}")


if __name__ == "__main__":
    main()
