"""What stands between the brackets of x[...], read as PyTorch reads it.

A key is taken apart to entries, one a dimension: a slice, an int, or an integer tensor (a mask
becomes the positions where it holds), and None where a dimension is put in. Slices and ints
are a window of the tensor, perhaps flipped; tensors are one gather.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from thalweg.errors import DTypeError, OutOfRangeError, ShapeError
from thalweg.primitives.core import outside, spoken
from thalweg.tape import TensorBase, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Key", "Window", "indexed", "key_of", "window_of", "with_new"]

_ALL = slice(None)


class Key(NamedTuple):
    """A key taken apart.

    `entries` has one entry a dimension, and None for each new one. `gathers` says whether there
    is a tensor among them. `together`: these stand side by side. Single places, ints and tensors
    of rank 0, do not count there: x[0, :, i] is x[0][:, i]. (To NumPy a 0 beside i is a tensor.)
    """

    entries: list[Any]
    gathers: bool
    together: bool


class Window(NamedTuple):
    """The block of a tensor that slices and ints choose, and the axes that run backwards."""

    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    steps: tuple[int, ...]
    flips: tuple[int, ...]


def key_of(shape: tuple[int, ...], key: Any) -> Key:
    """`key` taken apart, for a tensor of `shape`."""
    given = [_entry(e) for e in (key if isinstance(key, tuple) else (key,))]
    gathers = any(isinstance(e, TensorBase) for e in given)
    entries = _entries(shape, given)
    many = [e for e in entries if not _is_single(e)]
    at = [place for place, e in enumerate(many) if isinstance(e, TensorBase)]
    return Key(entries, gathers, together=not at or at[-1] - at[0] + 1 == len(at))


def _entries(shape: tuple[int, ...], given: list[Any]) -> list[Any]:
    used = sum(_reach(e) for e in given)
    if used > len(shape):
        raise OutOfRangeError(f"{used} indices for a tensor of rank {len(shape)}, shape {shape}")
    rest = [_ALL] * (len(shape) - used)
    dots = sum(e is Ellipsis for e in given)
    if dots > 1:
        raise OutOfRangeError("x[..., ...]: one ellipsis at most")
    if not dots:
        given.append(Ellipsis)
    entries: list[Any] = []
    for entry in given:
        if entry is Ellipsis:
            entries.extend(rest)
        elif isinstance(entry, TensorBase) and entry._value.dtype.kind == "b":
            entries.extend(_positions(entry, shape, sum(e is not None for e in entries)))
        else:
            entries.append(entry)
    return entries


def _entry(entry: Any) -> Any:
    if entry is None or entry is Ellipsis or isinstance(entry, slice):
        return entry
    if isinstance(entry, int | np.integer) and not isinstance(entry, bool):
        return int(entry)
    index = entry if isinstance(entry, TensorBase) else _as_index(entry)
    kind = index._value.dtype.kind
    if kind == "b" and not index._value.shape:
        raise DTypeError("x[True]: one bool is no index; a mask has the shape of what it selects")
    if kind not in "iub":
        raise DTypeError(f"an index is an integer or a mask, got {spoken(index._value.dtype)}")
    return index


def _as_index(entry: Any) -> TensorBase:
    try:
        array = np.asarray(entry)
    except ValueError:
        array = np.asarray(None)
    if not array.size and isinstance(entry, list | tuple | range):
        array = array.astype(np.int64)
    if array.dtype.kind not in "iub":
        raise DTypeError(
            "an index is an integer, a slice, None, ..., a mask or an integer tensor; got "
            f"{str(entry)[:40]!r}"
        )
    return wrap(array if array.dtype.kind == "b" else array.astype(np.int64))


def _is_single(entry: Any) -> bool:
    """Whether an entry is one place, whose dimension is left out."""
    return isinstance(entry, int) or (isinstance(entry, TensorBase) and not entry._value.shape)


def _reach(entry: Any) -> int:
    """How many dimensions an entry takes up."""
    if entry is None or entry is Ellipsis:
        return 0
    is_mask = isinstance(entry, TensorBase) and entry._value.dtype.kind == "b"
    return len(entry._value.shape) if is_mask else 1


def _positions(mask: Any, shape: tuple[int, ...], at: int) -> list[Tensor]:
    """Where a mask holds, as an index tensor for each of its dimensions."""
    own = mask._value.shape
    if own != shape[at : at + len(own)]:
        raise ShapeError(
            f"a mask of shape {own} does not fit {shape[at : at + len(own)]}, the dimensions it "
            f"selects from, of a tensor of shape {shape}"
        )
    held = np.nonzero(mask._concrete("indexing with a mask"))
    return [wrap(positions.astype(np.int64)) for positions in held]


def window_of(shape: tuple[int, ...], entries: list[Any]) -> Window:
    """The window that the slices and ints in `entries` choose; tensors choose all there is."""
    chosen = [e for e in entries if e is not None]
    ranges = [_range(entry, axis, shape) for axis, entry in enumerate(chosen)]
    starts, sizes, steps, flipped = zip(*ranges, strict=True) if ranges else ((), (), (), ())
    return Window(starts, sizes, steps, tuple(a for a, flip in enumerate(flipped) if flip))


def _range(entry: Any, axis: int, shape: tuple[int, ...]) -> tuple[int, int, int, bool]:
    """An entry as (start, count, positive step, whether to flip)."""
    size = shape[axis]
    if isinstance(entry, slice):
        try:
            start, stop, step = entry.indices(size)
        except ValueError:
            raise OutOfRangeError(f"dimension {axis}: the step of a slice is not 0") from None
        count = len(range(start, stop, step))
        if not count:
            return 0, 0, 1, False
        if step < 0:
            return start + (count - 1) * step, count, -step, count > 1
        return start, count, step, False
    if isinstance(entry, int):
        if not -size <= entry < size:
            raise outside(entry, axis, shape)
        return entry % size, 1, 1, False
    return 0, size, 1, False


def indexed(x: Tensor, key: Any) -> Tensor:
    """x[key], with `key` as the user wrote it or taken apart."""
    if not isinstance(key, Key):
        key = key_of(x._value.shape, key)
    if key.gathers:
        return _gathered(x, key.entries, key.together)
    x, sizes = _cut(x, key.entries)
    return x.reshape(tuple(n for e, n in with_new(key.entries, sizes) if not isinstance(e, int)))


def _cut(x: Tensor, entries: list[Any]) -> tuple[Tensor, tuple[int, ...]]:
    starts, sizes, steps, flips = window_of(x._value.shape, entries)
    if sizes != x._value.shape or any(s != 1 for s in steps):
        x = x.window(starts, sizes, steps)
    return (x.flip(flips) if flips else x), sizes


def with_new(entries: list[Any], sizes: tuple[int, ...]) -> list[tuple[Any, int]]:
    """Each entry with the size of its dimension, 1 for a new one."""
    remaining = iter(sizes)
    return [(e, 1 if e is None else next(remaining)) for e in entries]


def _gathered(x: Tensor, entries: list[Any], together: bool) -> Tensor:
    """One gather. Its batch of places goes where the tensors stood, in front if they are apart."""
    x, sizes = _cut(x, entries)
    chosen = [e for e in entries if e is not None]
    x = x.reshape(tuple(n for e, n in zip(chosen, sizes, strict=True) if not isinstance(e, int)))
    chosen = [e for e in chosen if not isinstance(e, int)]
    entries = [e for e in entries if not _is_single(e)]
    axes = tuple(axis for axis, e in enumerate(chosen) if isinstance(e, TensorBase))
    out = x.gather_places(tuple(chosen[axis] for axis in axes), axes, wrap=True)
    rank = len(out._value.shape)
    batch = rank - (len(chosen) - len(axes))
    first = next((at for at, e in enumerate(entries) if isinstance(e, TensorBase)), 0)
    before = sum(isinstance(e, slice) for e in entries[:first]) if together else 0
    order = (*range(batch, batch + before), *range(batch), *range(batch + before, rank))
    out = out.permute(order)
    # New dimensions, where the batch stands for all of the tensors.
    at = first if together else 0
    for place, entry in enumerate(e for e in entries if not isinstance(e, TensorBase)):
        if entry is None:
            out = out.unsqueeze(place + (batch if place >= at else 0))
    return out
