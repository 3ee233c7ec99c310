"""Kills processes that save into a run folder; run by test_runs_killed.py, in one of its own.

    python saving.py every_call FOLDER        in front of each system call that changes a file
    python saving.py without_links FOLDER     the same, on a file system without hard links
    python saving.py at_random FOLDER KILLS

After each kill the folder must hold a whole checkpoint, or nothing yet, and take a next one. Prints
what was found as JSON; an assertion that fails ends it.
"""

from __future__ import annotations

import errno
import json
import os
import random
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import thalweg as tw
from thalweg.train.runs import RunFolder

CALLS = ("mkdir", "open", "write", "fsync", "close", "link", "replace", "unlink", "ftruncate")


def train(path: Path, epochs: int, tell: int | None = None) -> None:
    """Save as a training does, up to `epochs`, going on from what is there."""
    run = RunFolder.create(path, {"epochs": epochs}, resume=True)
    for epoch in range(epoch_of(run) + 1, epochs + 1):
        value = tw.full((500,), float(epoch))
        rows = [{"epoch": n} for n in range(1, epoch + 1)]
        run.write_metrics(rows)
        run.save_best({"w": value}, {"epoch": epoch})
        run.save_last({"w": value}, {"epoch": epoch, "moments": [value], "history": rows})
        if tell is not None:
            os.pwrite(tell, f"{epoch}\n".encode(), 0)
    run.close()


def epoch_of(run: RunFolder) -> int:
    """The epoch of a folder's checkpoint, 0 for none; every number in it must be that epoch."""
    if not run.has_checkpoint:
        return 0
    model, training = run.load_last()
    epoch = training["epoch"]
    for tensor in (model["w"], training["moments"][0]):
        assert tensor.tolist() == [epoch] * 500, (epoch, tensor)
    assert [row["epoch"] for row in training["history"]] == list(range(1, epoch + 1))
    state, info = run.load_best()
    assert state["w"].tolist() == [info["epoch"]] * 500
    assert info["epoch"] in (epoch, epoch + 1), (info, epoch)  # the best are written first
    assert len(run.read_metrics()) in (epoch, epoch + 1)
    return int(epoch)


def check(path: Path, before: int) -> int:
    """What was left is whole, not older than `before`, and is gone on with; gives its epoch."""
    with RunFolder.create(path, {}, resume=True) as run:
        epoch = epoch_of(run)
    assert epoch >= before, (epoch, before)
    assert not list(path.glob(".*tmp")), os.listdir(path)
    return epoch


def forked(work: Callable[[], None]) -> int:
    """Do `work` in a child process; gives its number."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return child


def status(child: int) -> int:
    """How a child ended: its exit status, or the negative of a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def dying(path: Path, epochs: int, number: int) -> None:
    """Train, and die in front of the call of that number."""
    left = [number]

    def deadly(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **keywords)

        return call

    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name)))
    train(path, epochs)


def every_call(folder: str) -> dict[str, Any]:
    """Die in front of the first call, the second, ... until a child lives to its end."""
    seen: list[int] = []
    while True:
        path = Path(folder, f"runs-{len(seen) + 1}", "run")
        code = status(forked(lambda path=path: dying(path, 2, len(seen) + 1)))
        if code == 0:
            return {"calls": len(seen), "epochs": sorted(set(seen)), "grows": seen == sorted(seen)}
        assert code == -signal.SIGKILL, code
        seen.append(check(path, 0))
        train(path, 3)
        assert check(path, 3) == 3


def without_links(folder: str) -> dict[str, Any]:
    """`every_call`, where a file has one name."""

    def link(*arguments: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    os.link = link
    return every_call(folder)


def at_random(folder: str, kills: str) -> dict[str, Any]:
    """Let a child save for a random moment, and kill it, again and again in one folder."""
    path = Path(folder, "run")
    tell = os.open(Path(folder, "told"), os.O_RDWR | os.O_CREAT)
    rng, killed, epoch = random.Random(0), 0, 0
    for _ in range(int(kills)):
        child = forked(lambda: train(path, 10**6, tell))
        select.select([], [], [], rng.uniform(0.0, 0.1))
        os.kill(child, signal.SIGKILL)
        killed += status(child) == -signal.SIGKILL
        epoch = check(path, int(os.pread(tell, 20, 0) or 0))
    return {"killed": killed, "epoch": epoch}


if __name__ == "__main__":
    os.fsync = lambda handle: None  # a kill is no loss of power: what was written stays written
    work: Callable[..., dict[str, Any]] = globals()[sys.argv[1]]
    print(json.dumps(work(*sys.argv[2:])))
