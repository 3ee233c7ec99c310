"""From a raw input to the numbers a network takes, and from what it returns to an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from thalweg.data.checks import check_finite
from thalweg.data.columns import Columns
from thalweg.data.pictures import CHANNELS, Pictures
from thalweg.data.scaling import Standardize
from thalweg.data.tokenizing import Tokenizer
from thalweg.errors import ConfigError, DataError, ThalwegError, nearest

__all__ = ["Encoding", "Task", "check_task"]

Array = npt.NDArray[Any]
Task = Literal["classification", "regression", "text"]
_TASKS: Final = get_args(Task)
_IDENTITY: Final = Standardize()
_FARTHEST: Final = 10.0  # that a white pixel is from 0, in the numbers of a network


def check_task(task: str) -> None:
    """Raise `ConfigError` unless `task` is "classification", "regression" or "text"."""
    if task not in _TASKS:
        raise ConfigError(f"unknown task {task!r}: {nearest(task, _TASKS)}")


@dataclass(frozen=True, slots=True)
class Encoding:
    """What the numbers of a data set mean; all that is needed to use a network on new inputs.

    name, task    of the data set; "classification", "regression" or "text"
    input_shape   of one encoded input
    inputs        raw numbers to encoded ones
    classes       classification: the name of each class
    image_shape   (channels, height, width) where an input is a picture
    columns       tables: named cells to raw numbers
    targets       regression: real units to the numbers the network learns
    target_names  regression: what each output is
    tokenizer     text: pieces of text to tokens, and back

    >>> scale = Standardize((0.0,), (16.0,))
    >>> digits = Encoding("digits", "classification", (2,), scale, ("a", "b"))
    >>> digits.encode([0, 16])
    array([[0., 1.]], dtype=float32)
    >>> digits.decode(np.array([[0.1, 3.0]]))
    ['b']
    """

    name: str
    task: Task
    input_shape: tuple[int, ...]
    inputs: Standardize = _IDENTITY
    classes: tuple[str, ...] = ()
    image_shape: tuple[int, ...] | None = None
    columns: Columns | None = None
    targets: Standardize = _IDENTITY
    target_names: tuple[str, ...] = ()
    tokenizer: Tokenizer | None = None

    def __post_init__(self) -> None:
        check_task(self.task)
        if (self.task == "text") != (self.tokenizer is not None):
            raise ConfigError(f"{self.name}: a tokenizer is for the task 'text', and needed there")
        if self.task == "classification" and len(self.classes) < 2:
            raise DataError(
                f"{self.name}: {len(self.classes)} class(es) {list(self.classes)}; "
                "there is something to learn from two on"
            )

    @property
    def output_size(self) -> int:
        """Numbers a network has to return for one input: a logit a class, or a target each; for a
        text a logit a token, at each place."""
        if self.tokenizer is not None:
            return len(self.tokenizer)
        return len(self.classes) or len(self.target_names)

    def encode(self, raw: Any) -> Array:
        """One raw input or several as network inputs (N, *input_shape).

        A table's rows are dictionaries {column: value}. Everything else is an array of numbers of
        `input_shape`, or of `image_shape` with or without its axes of size 1, and the same with
        the examples' axis in front; where an input is a picture, its file, a `Path`. Of a text come
        its last tokens (1, T), in int64. Raises `DataError` for anything else, and for NaN or
        infinity.
        """
        if self.tokenizer is not None:
            return self._tokens(raw)
        if self.columns is not None:
            return self.inputs.apply(self.columns.encode(_rows(raw)))
        if isinstance(raw, Path):
            raw = self._pixels(raw)
        x = np.asarray(raw)
        if x.dtype.kind not in "fiub":
            raise DataError(f"an input for {self.name}: expected numbers, got {x.dtype}")
        check_finite(x, f"an input for {self.name}")
        return self.inputs.apply(x.reshape(self._batched(x.shape)))

    def _tokens(self, raw: Any) -> Array:
        assert self.tokenizer is not None
        if not isinstance(raw, str) or not raw:
            raise DataError(f"an input for {self.name}: expected a text, got {raw!r:.40}")
        return self.tokenizer.encode(raw).numpy()[None, -self.input_shape[0] :]

    def _pixels(self, path: Path) -> Array:
        if self.image_shape is None:
            raise DataError(f"{path}: is no input for {self.name}, whose inputs are no pictures")
        if self.image_shape[0] not in CHANNELS.values():
            raise DataError(f"{path}: no input for {self.name}, of {self.image_shape[0]} channels")
        pixels = Pictures(np.array([path], object), self.image_shape)[:]
        if abs(self.inputs.apply(np.full_like(pixels, 255))).max() > _FARTHEST:
            raise DataError(
                f"{path}: has pixels from 0 to 255, and those of {self.name} were others; give an "
                "array of numbers like them"
            )
        return pixels

    def _batched(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape (N, *input_shape) of an array of `shape`."""
        for one in (self.input_shape, self.image_shape or self.input_shape):
            without_ones = tuple(size for size in one if size != 1)
            if shape in (one, without_ones):
                return (1, *self.input_shape)
            if shape[1:] in (one, without_ones) and shape[0]:
                return (shape[0], *self.input_shape)
        picture = f" or {self.image_shape}" if self.image_shape else ""
        raise DataError(
            f"an input of shape {shape} for {self.name}; expected {self.input_shape}{picture}, "
            "or examples of that shape"
        )

    def decode(self, outputs: Array) -> list[Any]:
        """What the network's outputs (N, output_size) say: class names, or numbers in real units.

        A regression with several targets gives a dictionary {target: value} for each example. Of
        a text, (N, T, output_size), it is the likeliest token after the last place.
        """
        outputs = np.asarray(outputs)
        if self.tokenizer is not None:
            return [self.tokenizer.decode([token]) for token in outputs[:, -1].argmax(-1).tolist()]
        if outputs.ndim != 2 or outputs.shape[1] != self.output_size:
            raise DataError(
                f"outputs of shape {outputs.shape} for {self.name}; "
                f"expected (N, {self.output_size})"
            )
        if self.task == "classification":
            return [self.classes[label] for label in outputs.argmax(1)]
        values = self.targets.invert(outputs).tolist()
        if self.output_size == 1:
            return [value for (value,) in values]
        return [dict(zip(self.target_names, row, strict=True)) for row in values]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, none of them None, for a JSON or TOML file."""
        plain: dict[str, Any] = {
            "name": self.name,
            "task": self.task,
            "input_shape": list(self.input_shape),
            "inputs": self.inputs.to_dict(),
        }
        if self.tokenizer is not None:
            plain["tokenizer"] = self.tokenizer.to_dict()
        elif self.task == "classification":
            plain["classes"] = list(self.classes)
        else:
            plain |= {"targets": self.targets.to_dict(), "target_names": list(self.target_names)}
        if self.image_shape is not None:
            plain["image_shape"] = list(self.image_shape)
        if self.columns is not None:
            plain["columns"] = self.columns.to_list()
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Encoding:
        """What `to_dict` gave, read back. Raises `DataError` for anything else."""
        picture = plain.get("image_shape")
        columns, tokenizer = plain.get("columns"), plain.get("tokenizer")
        try:
            encoding = cls(
                name=str(plain["name"]),
                task=plain["task"],
                input_shape=tuple(map(int, plain["input_shape"])),
                inputs=Standardize.from_dict(plain["inputs"]),
                classes=tuple(map(str, plain.get("classes", ()))),
                image_shape=None if picture is None else tuple(map(int, picture)),
                columns=None if columns is None else Columns.from_list(columns),
                targets=Standardize.from_dict(plain.get("targets", _IDENTITY.to_dict())),
                target_names=tuple(map(str, plain.get("target_names", ()))),
                tokenizer=None if tokenizer is None else Tokenizer.from_dict(tokenizer),
            )
        except ThalwegError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"not the description of a data set: {error!r} in {plain!r}") from error
        return encoding


def _rows(raw: Any) -> Sequence[Mapping[str, object]]:
    rows = [raw] if isinstance(raw, Mapping) else raw
    if not isinstance(rows, Sequence) or not rows or not all(isinstance(r, Mapping) for r in rows):
        raise DataError(f"expected a row as {{column: value}}, or a list of rows, got {raw!r}")
    return rows
