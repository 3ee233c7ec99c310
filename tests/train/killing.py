"""Kills training processes at random moments; run by test_kill.py, in a process of its own.

    python killing.py FOLDER KILLS SEED

Each child trains in FOLDER with resume and is killed with SIGKILL after a random time. When the
kills are used up the run is finished. Prints how many children were killed, how many checkpoints
they went on from, and whether the parameters are those of a run that was never killed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from thalweg.train.config import Config
from thalweg.train.recipe import load_splits, make_trainer
from thalweg.train.runs import RunFolder

OPTIONS = Config.from_dict({"epochs": 400, "hidden": "12", "dropout": 0.1, "batch-size": 300})
SPLITS = load_splits(OPTIONS)


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


def main() -> None:
    folder, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    import thalweg.train.loop as loop_module

    loop_module._CHECKPOINT_SECONDS = 0.0  # every epoch: the most chances to be hit
    began = time.perf_counter()
    expected = fit(None, resume=False)
    usual = time.perf_counter() - began
    rng = random.Random(seed)
    killed = 0
    for _ in range(kills):
        number = child(folder)
        time.sleep(rng.uniform(0, 2.5 * usual / kills + 0.02))
        os.kill(number, signal.SIGKILL)
        _, status = os.waitpid(number, 0)
        killed += os.WIFSIGNALED(status)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            sys.exit("a resumed child failed")
    same = fit(folder, resume=True) == expected
    print(f"killed {killed} same {same}")


if __name__ == "__main__":
    main()
