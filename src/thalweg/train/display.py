"""What a person sees while training: a row an epoch, and the running one live beneath."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO

from thalweg.train.progress import Progress, Row, Watcher

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

    from thalweg.data.source import Sources
    from thalweg.train.result import Result
    from thalweg.train.trainer import Trainer

__all__ = ["Display", "PlainDisplay", "display_for"]

_PERCENT = ("accuracy",)


def _spelled(name: str, value: float) -> str:
    """A measure as people write it: accuracies in percent, else four figures, none of them cut."""
    if name.endswith(_PERCENT):
        return f"{100 * value:.2f} %"
    if name.endswith(("rmse", "mae", "r2")) or abs(value) >= 1e4 or 0 < abs(value) < 1e-3:
        return f"{value:#.4g}"
    return f"{value:.4f}"


def _columns(measure: str) -> list[tuple[str, str]]:
    """The table's columns: (heading, key of the row)."""
    if measure == "loss":  # of the training set it has a column already
        return [*_columns("accuracy")[:3], ("dev loss", "dev_loss"), *_columns("accuracy")[4:]]
    spoken = {"accuracy": "acc", "rmse": "rmse"}.get(measure, measure)
    return [
        ("epoch", "epoch"),
        ("loss", "loss"),
        (f"train {spoken}", f"train_{measure}"),
        (f"dev {spoken}", f"dev_{measure}"),
        ("step size", "lr"),
        ("time", "seconds"),
    ]


def _cells(row: Row, epochs: int, measure: str) -> list[str]:
    cells = []
    for _, key in _columns(measure):
        value = row.get(key)
        if value is None:
            cells.append("")
        elif key == "epoch":
            cells.append(f"{value:>{len(str(epochs))}}/{epochs}")
        elif key == "lr":
            cells.append(f"{value:.3g}")
        elif key == "seconds":
            cells.append(f"{value:.2f} s" if value >= 0.1 else f"{1000 * value:.1f} ms")
        else:
            cells.append(_spelled(key, value))
    return cells


class PlainDisplay(Watcher):
    """A line an epoch, for files and pipes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.epochs, self.measure = 0, "accuracy"

    def _print(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def on_start(self, trainer: Trainer, splits: Sources, epochs: int, progress: Progress) -> None:
        self.epochs = epochs
        self.measure = _measure_of(trainer, splits)
        self._print(_line([heading for heading, _ in _columns(self.measure)]))

    def on_epoch(self, row: Row) -> None:
        mark = "  best" if row["best"] else ""
        self._print(_line(_cells(row, self.epochs, self.measure)) + mark)

    def on_end(self, result: Result) -> None:
        self._print(_ending(result))


def _line(cells: list[str]) -> str:
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, _WIDTHS, strict=True))


_WIDTHS = (9, 9, 11, 11, 9, 9)


def _measure_of(trainer: Trainer, splits: Sources) -> str:
    from thalweg.train.metrics import measures_for

    return (trainer.measures or measures_for(splits.encoding)).key


def _ending(result: Result) -> str:
    endings = {
        "finished": "",
        "stopped early": "Stopped early: no improvement on the development set. ",
        "interrupted": "Interrupted; a checkpoint stands at this batch. ",
        "diverged": "Diverged: the loss or a parameter is no longer a finite number. "
        "Try a smaller step size. ",
    }
    best = f"Best epoch: {result.best}." if result.best else "No epoch was completed."
    if result.diagnosis:
        best = f"First bad value: {result.diagnosis}.\n{best}"
    return f"{endings[result.status]}{best} {len(result.history)} epochs in {result.seconds:.1f} s."


class Display(PlainDisplay):
    """The same table in a terminal, with a bar for the running epoch."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__()
        from rich.console import Console

        self.console = console or Console()
        self.live: Live | None = None

    def _print(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False)

    def on_start(self, trainer: Trainer, splits: Sources, epochs: int, progress: Progress) -> None:
        from rich.live import Live

        self.epochs, self.measure = epochs, _measure_of(trainer, splits)
        headings = _line([heading for heading, _ in _columns(self.measure)])
        self.console.print(headings, style="bold", highlight=False)
        for row in progress.history[-3:]:
            self._row(row, style="dim")
        self.live = Live(console=self.console, refresh_per_second=12, transient=True)
        self.live.start()

    def on_chunk(self, progress: Progress, steps: int) -> None:
        assert self.live is not None
        self.live.update(self._running(progress, steps))

    def _running(self, progress: Progress, steps: int) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        left = progress.epoch_seconds * (steps - progress.step) / max(progress.step, 1)
        grid = Table.grid(padding=(0, 2))
        grid.add_row(
            f"{progress.epoch + 1}/{self.epochs}".rjust(_WIDTHS[0]),
            f"{progress.mean_loss():.4f}".rjust(_WIDTHS[1]),
            ProgressBar(total=steps, completed=progress.step, width=30),
            f"{progress.step}/{steps}",
            f"{left:.1f} s left" if left >= 0.1 else "",
        )
        return grid

    def on_epoch(self, row: Row) -> None:
        self._row(row)

    def _row(self, row: Row, style: str = "") -> None:
        from rich.text import Text

        text = Text(_line(_cells(row, self.epochs, self.measure)), style=style)
        if row["best"]:
            text.append("  best", style="green")
        self.console.print(text, highlight=False)

    def on_end(self, result: Result) -> None:
        self.close()
        super().on_end(result)

    def close(self) -> None:
        """Take the live line away, also after an error."""
        if self.live is not None:
            self.live.stop()
            self.live = None


def display_for(stream: TextIO | None = None) -> PlainDisplay:
    """A live display in a terminal, plain lines elsewhere."""
    stream = stream or sys.stdout
    return Display() if stream.isatty() else PlainDisplay(stream)
