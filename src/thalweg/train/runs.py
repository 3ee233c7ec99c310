"""Run folders: everything a training leaves behind, and goes on from.

    config.toml              the options
    metrics.jsonl            a JSON object an epoch
    best.safetensors         the best parameters so far, under PyTorch's key names
    last.safetensors         everything needed to go on: parameters, optimizer, schedule, generator
    last.json                the same state without the tensors' values, for a person to read
    previous.safetensors     the `last.safetensors` before it
    result.json              the result on the test set
    report.html              a page about all of it

Every file is whole or not there (`thalweg.files`), and `last.safetensors` alone decides where the
training stands: it is renamed into place, nothing else is read to go on. So a process may be killed
between any two steps: what was saved is found whole, a folder in which nothing was saved yet is
begun anew. Write the best parameters before the last ones, then a kill between the two repeats an
epoch and forgets none.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from thalweg._tensor import Tensor
from thalweg.data.encoding import Encoding
from thalweg.errors import CheckpointError, DataError, nearest
from thalweg.files import remove_leftovers, sync_folder, write_atomically
from thalweg.interop.packing import pack, readable, unpack
from thalweg.train.checkpoint import read_checkpoint, write_checkpoint
from thalweg.train.lock import Lock
from thalweg.train.rows import from_json, read_text, to_json
from thalweg.train.toml import to_toml

__all__ = ["RunFolder"]

_CONFIG: Final = "config.toml"
_METRICS: Final = "metrics.jsonl"
_BEST: Final = "best.safetensors"
_LAST: Final = "last.safetensors"
_PREVIOUS: Final = "previous.safetensors"
_SIDECAR: Final = "last.json"
_RESULT: Final = "result.json"

_HELD: Final = (_CONFIG, _METRICS, _BEST, _LAST, _PREVIOUS)
_NOTE: Final = f"For reading only: {_LAST} is what a training goes on from."
_TRAINING: Final = "training/"
_INFO: Final = "info/"
_HEADLINE: Final = "# A run of Thalweg: the options it was trained with."


class RunFolder:
    """The folder of a run. `create` begins one or goes on with it, `open` reads one.

    Whoever writes holds the folder's lock: `create` takes it, and so does the first write after
    `open`. It is released by `close`, at the end of a `with` block, or with the process.

    >>> import tempfile, thalweg as tw
    >>> path = tempfile.mkdtemp() + "/first"
    >>> with RunFolder.create(path, {"lr": 0.5}) as run:
    ...     run.save_last({"weight": tw.ones(2)}, {"epoch": 1, "moment": tw.zeros(2)})
    >>> RunFolder.open(path).load_last()
    ({'weight': tensor([1., 1.])}, {'epoch': 1, 'moment': tensor([0., 0.])})
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock: Lock | None = None

    @classmethod
    def create(cls, path: str | Path, config: Mapping[str, Any], *, resume: bool = False) -> Self:
        """Begin a run in `path`, or with `resume` go on with the one that may be there.

        The folder is made where there is none, locked, and `config` written to config.toml; with
        `resume` it is laid over the options that stand there.

        Raises `CheckpointError` if the folder holds a run already (unless `resume`), if another
        process trains into it, or if it cannot be written into; `ConfigError` for options that TOML
        cannot hold.
        """
        run = cls(path)
        to_toml(config)  # refused before anything is made
        run._make()
        try:
            run._check_free(resume)
            run.lock()
            run._check_free(resume)  # what another process may have left in between
            former = run.config if resume and (run.path / _CONFIG).exists() else {}
            text = f"{_HEADLINE}\n{to_toml({**former, **config})}"
            write_atomically(run.path / _CONFIG, text.encode())
        except BaseException:
            run.close()
            raise
        return run

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """The run in `path`, to read. Raises `CheckpointError` if it is no run folder."""
        run = cls(path)
        if not run.path.exists():
            raise CheckpointError(f"{path}: there is no such run{_neighbours(run.path)}")
        if not run.path.is_dir():
            raise CheckpointError(f"{path}: is a file; expected the folder of a run")
        if not (run.path / _CONFIG).is_file():
            missing = [name for name in (_CONFIG, _BEST, _LAST) if not (run.path / name).exists()]
            raise CheckpointError(
                f"{path}: is not the folder of a run: {', '.join(missing)} not there"
                f"{_neighbours(run.path)}"
            )
        return run

    @classmethod
    def is_run(cls, path: str | Path) -> bool:
        """Whether `path` holds a run, to read or to go on with.

        It is not for a folder that is missing, empty, or was killed before its options were there.
        """
        run = cls(path)
        return bool(run._held()) and not run._is_foreign()

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    # --- one writer --------------------------------------------------------------------------

    def lock(self) -> None:
        """Take the right to write, and clear away what a killed process left half-written.

        Raises `CheckpointError`, naming the process, when another one holds it.
        """
        if self._lock is None:
            self._lock = Lock(self.path)
            remove_leftovers(self.path)

    def close(self) -> None:
        """Give the right to write back."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # --- what it holds -----------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @property
    def config(self) -> dict[str, Any]:
        """The options. Raises `CheckpointError` if config.toml cannot be read."""
        path = self.path / _CONFIG
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path}: cannot be read: {error}") from error

    @property
    def encoding(self) -> Encoding:
        """What the network's inputs and outputs mean. Raises `CheckpointError` if it was not kept.

        >>> import tempfile
        >>> import thalweg as tw
        >>> splits = tw.data.load("digits")
        >>> path = tempfile.mkdtemp() + "/digits"
        >>> with RunFolder.create(path, {"encoding": splits.encoding.to_dict()}) as run:
        ...     run.encoding == splits.encoding
        True
        """
        try:
            return Encoding.from_dict(self.config["encoding"])
        except (KeyError, DataError) as error:
            raise CheckpointError(
                f"{self.path / _CONFIG}: does not say what inputs and outputs mean: {error}"
            ) from error

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is something to go on from."""
        return any((self.path / name).is_file() for name in (_LAST, _PREVIOUS))

    @property
    def has_best(self) -> bool:
        """Whether best parameters were saved."""
        return (self.path / _BEST).is_file()

    # --- parameters and state ----------------------------------------------------------------

    def save_best(self, model_state: Mapping[str, Tensor], info: Mapping[str, Any]) -> None:
        """Write the best parameters and `info` about them (plain values, such as the epoch)."""
        self.lock()
        text, more = pack(dict(info), _INFO)
        write_checkpoint(self.path / _BEST, "best", _joined(model_state, more, _INFO), text)

    def load_best(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The best parameters and the `info` saved with them.

        Raises `CheckpointError`, naming the file and the way out, if they are missing or damaged.
        """
        path = self.path / _BEST
        if not path.exists():
            raise CheckpointError(
                f"{self.path}: holds no parameters yet: {_BEST} is written when the first epoch "
                "is complete. Go on with --resume"
            )
        try:
            return _parted(*read_checkpoint(path, "best"), _INFO)
        except CheckpointError as error:
            raise CheckpointError(f"{error}. {self._whole((_LAST, _PREVIOUS))}") from error

    def save_last(self, model_state: Mapping[str, Tensor], training: Mapping[str, Any]) -> None:
        """Write everything needed to go on: the parameters, and nested state with tensors in it.

        `training` is dicts, lists and tuples of plain values and tensors; an entry "epoch", here or
        in its "progress", is what messages call the checkpoint by. The former checkpoint stays as
        `previous.safetensors`. Raises `CheckpointError` if it cannot be written; the former one is
        then still there.
        """
        self.lock()
        text, more = pack(dict(training), _TRAINING)
        tensors = _joined(model_state, more, _TRAINING)
        keep_as = self.path / _PREVIOUS
        write_checkpoint(self.path / _LAST, "last", tensors, text, keep_as=keep_as)
        write_atomically(self.path / _SIDECAR, f"{readable(text, tensors, _NOTE)}\n".encode())

    def load_last(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The parameters and the training state of the last checkpoint.

        Raises `CheckpointError` if there is none, or if it is damaged: then with the way to go on
        from the one before it.
        """
        if not self.has_checkpoint:
            raise CheckpointError(f"{self.path}: holds no checkpoint: nothing was saved yet")
        # The last one is away only where a kill came between two renames, without hard links.
        name = _LAST if (self.path / _LAST).exists() else _PREVIOUS
        try:
            return self._load(name)
        except CheckpointError as error:
            others = (_PREVIOUS, _BEST) if name == _LAST else (_BEST,)
            raise CheckpointError(f"{error}. {self._whole(others)}") from error

    def _load(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
        kind = "best" if name == _BEST else "last"
        prefix = _INFO if name == _BEST else _TRAINING
        return _parted(*read_checkpoint(self.path / name, kind), prefix)

    def _whole(self, names: tuple[str, ...]) -> str:
        """What can be done with the first of these files that is whole."""
        for name in names:
            try:
                epoch = _epoch(self._load(name)[1])
            except CheckpointError:
                continue
            return f"{name} ({epoch}) is whole: {_REMEDIES[name]}"
        return "No other checkpoint here is whole: begin anew with another --out"

    # --- metrics and result ------------------------------------------------------------------

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Write metrics.jsonl anew: a row, a dict of plain values, an epoch.

        NaN and the infinities, which JSON does not have, become "NaN", "Infinity", "-Infinity".
        """
        self.lock()
        write_atomically(self.path / _METRICS, [f"{to_json(row)}\n".encode() for row in rows])

    def read_metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl; none if there is no such file yet.

        Raises `CheckpointError`, naming the line, for what is not a row.
        """
        path = self.path / _METRICS
        numbered = enumerate(read_text(path).split("\n"), 1)
        return [from_json(line, f"{path}: line {n}") for n, line in numbered if line]

    def write_result(self, test: Mapping[str, float] | None, status: str, **facts: Any) -> None:
        """Write result.json, the measures on the test set and how training ended, and report.html.

        `facts` are more to know: the report shows `parameters` and `seconds`.
        """
        from thalweg.train.report import write_report

        self.lock()
        result = {"status": status, "test": test, **facts}
        write_atomically(self.path / _RESULT, f"{to_json(result, indent=2)}\n".encode())
        write_report(self)

    def read_result(self) -> dict[str, Any]:
        """What `write_result` wrote: "status", "test" and facts; empty if nothing was yet."""
        path = self.path / _RESULT
        text = read_text(path)
        return from_json(text, str(path)) if text else {}

    # --- beginning ---------------------------------------------------------------------------

    def _make(self) -> None:
        try:
            missing = [p for p in (self.path, *self.path.parents) if not p.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            for folder in missing:
                sync_folder(folder.parent)
        except OSError as error:
            cause = "it is a file" if self.path.is_file() else error.strerror
            raise CheckpointError(
                f"{self.path}: no folder can be made there: {cause}. Choose another with --out"
            ) from error

    def _held(self) -> list[str]:
        return [name for name in _HELD if (self.path / name).exists()]

    def _is_foreign(self) -> bool:
        """Whether there is nothing but a config.toml, and that is none of ours."""
        return self._held() == [_CONFIG] and _HEADLINE not in read_text(self.path / _CONFIG)

    def _check_free(self, resume: bool) -> None:
        held = self._held()
        if held and not resume:
            raise CheckpointError(
                f"{self.path}: holds a run already ({', '.join(held)}). Go on with it: --resume. "
                "Or begin another beside it: --out with another folder"
            )
        if self._is_foreign():
            raise CheckpointError(
                f"{self.path}: holds a {_CONFIG} that is not a run's, and no run. "
                "Choose another folder with --out"
            )


_REMEDIES: Final = {
    _LAST: "run.load_last() gives its parameters",
    _PREVIOUS: f"to go on from it, rename it to {_LAST} and train with --resume",
    _BEST: "run.load_best() gives its parameters; a training has to begin anew, with another --out",
}


def _joined(
    model_state: Mapping[str, Tensor], more: Mapping[str, Tensor], prefix: str
) -> dict[str, Tensor]:
    clash = [name for name in model_state if name.startswith(prefix)]
    if clash:
        raise CheckpointError(
            f"the model's {clash[0]!r} begins with {prefix!r}, which is kept for the state beside "
            "the model: give that module another name"
        )
    return {**model_state, **more}


def _parted(
    tensors: dict[str, Tensor], text: str, prefix: str
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    model_state = {name: t for name, t in tensors.items() if not name.startswith(prefix)}
    return model_state, unpack(text, tensors)


def _epoch(state: Mapping[str, Any]) -> str:
    progress = state.get("progress")
    inner = progress.get("epoch", "?") if isinstance(progress, Mapping) else "?"
    return f"epoch {state.get('epoch', inner)}"


def _neighbours(path: Path) -> str:
    """The runs in a folder that is none itself, or else beside it, for an error message."""
    path = path.resolve()
    inside, beside = _runs_in(path), _runs_in(path.parent)
    if inside:
        more = f" and {len(inside) - 10} more" if len(inside) > 10 else ""
        return f". There are runs in it: {', '.join(inside[:10])}{more}"
    return f". Runs in {path.parent}: {nearest(path.name, beside)}" if beside else ""


def _runs_in(folder: Path) -> list[str]:
    return sorted(config.parent.name for config in folder.glob(f"*/{_CONFIG}"))
