"""Sequences of different lengths in one batch, under PyTorch's names.

A `PackedSequence` is the padded batch and the lengths. PyTorch's holds the elements that exist and
no others, whose number depends on the lengths; here lengths are values that change nothing about
shapes, so that a compiled step serves them all. What recurrent layers make of it is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from thalweg._tensor import Tensor
from thalweg.dtypes import int64
from thalweg.errors import ConfigError, ConfigTypeError, ShapeError, TraceError
from thalweg.nn.functional.checks import require, require_integers
from thalweg.nn.functional.padding import pad
from thalweg.ops.creation import arange, tensor
from thalweg.ops.joining import stack
from thalweg.ops.lift import to_dtype
from thalweg.tape import mode

__all__ = [
    "PackedSequence",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class PackedSequence(NamedTuple):
    """A batch of sequences, and how long each of them is; `pack_padded_sequence` makes one.

    padded    (L, N, ..), steps first
    lengths   (N,), int64, from 1 to L

    `data`, `batch_sizes`, `sorted_indices` and `unsorted_indices` are what PyTorch's has of these
    names; their shapes depend on the lengths, so a compiled function cannot use them.
    """

    padded: Tensor
    lengths: Tensor

    @property
    def mask(self) -> Tensor:
        """(L, N), bool: whether sequence n has a step l."""
        steps = arange(self.padded._value.shape[0])
        return steps.unsqueeze(-1) < self.lengths

    @property
    def sorted_indices(self) -> Tensor:
        """The numbers of the sequences, the longest first."""
        return self.lengths.argsort(descending=True)

    @property
    def unsorted_indices(self) -> Tensor:
        """The place of each sequence in `sorted_indices`."""
        return self.sorted_indices.argsort()

    @property
    def batch_sizes(self) -> Tensor:
        """How many sequences have a step 0, 1, .. up to the last that any has."""
        sizes = self.mask.sum(1)
        return sizes[sizes > 0]

    @property
    def data(self) -> Tensor:
        """The elements that exist, (sum of lengths, ..): step by step, longest sequence first."""
        order = self.sorted_indices
        return self.padded[:, order][self.mask[:, order]]


def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Tell how long each sequence of a padded batch is: (L, N, ..), or (N, L, ..) `batch_first`.

    `lengths`, (N,), are integers from 1 to L, a tensor or Python numbers; in decreasing order
    unless `enforce_sorted` is False.

    Raises `ShapeError` for another number of lengths, `ConfigError` for lengths that are out of
    range or not sorted.

    >>> import thalweg as tw
    >>> packed = tw.nn.utils.rnn.pack_padded_sequence(
    ...     tw.tensor([[1, 2, 3], [4, 5, 0]]), [3, 2], batch_first=True)
    >>> packed.data
    tensor([1, 4, 2, 5, 3])
    """
    name = "pack_padded_sequence"
    padded = input.transpose(0, 1) if batch_first else input
    size = to_dtype(lengths if isinstance(lengths, Tensor) else tensor(list(lengths)), int64)
    if isinstance(lengths, Tensor):
        require_integers(name, "lengths", lengths)
    steps, count = padded._value.shape[:2]
    if size._value.shape != (count,):
        raise ShapeError(
            f"{name}: lengths of shape {size._value.shape} for an input of shape "
            f"{input._value.shape}; expected one for each of its {count} sequences, ({count},). "
            f"The input is {'(N, L, ..)' if batch_first else '(L, N, ..); see batch_first'}"
        )
    require(
        ((size >= 1) & (size <= steps)).all(),
        lambda: ConfigError(
            f"{name}: lengths run from 1 to {steps}, the number of steps, got {size.tolist()}"
        ),
    )
    if enforce_sorted and count > 1:
        require(
            (size.narrow(0, 0, count - 1) >= size.narrow(0, 1, count - 1)).all(),
            lambda: ConfigError(
                f"{name}: lengths {size.tolist()} are not in decreasing order; pass "
                "enforce_sorted=False"
            ),
        )
    return PackedSequence(padded, size)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The padded batch, (L, N, ..) or (N, L, ..), and the lengths: undoes `pack_padded_sequence`.

    `padding_value` stands where a sequence has no step. There are as many steps as were packed,
    or `total_length`, at least the longest. (In PyTorch, as many as the longest sequence has.)

    >>> import thalweg as tw
    >>> from thalweg.nn.utils.rnn import pack_sequence, pad_packed_sequence
    >>> packed = pack_sequence([tw.tensor([1, 2, 3]), tw.tensor([4, 5])])
    >>> pad_packed_sequence(packed, batch_first=True, padding_value=-1)
    (tensor([[ 1,  2,  3],
            [ 4,  5, -1]]), tensor([3, 2]))
    """
    if not isinstance(sequence, PackedSequence):
        raise ConfigTypeError(
            f"pad_packed_sequence: a PackedSequence expected, got a {type(sequence).__name__}; "
            "pack_padded_sequence makes one, and a recurrent layer gives one for one"
        )
    x, lengths = sequence
    shape = x._value.shape
    there = sequence.mask.reshape(shape[0], shape[1], *(1,) * (len(shape) - 2))
    x = x.where(there, padding_value)
    if total_length is not None:
        wanted = total_length
        require(
            (lengths <= wanted).all(),
            lambda: ConfigError(
                f"pad_packed_sequence: total_length {wanted} is less than the longest sequence's, "
                f"{lengths.amax().item()}"
            ),
        )
        rest = (0, 0) * (len(shape) - 1)
        x = pad(x, (*rest, 0, wanted - shape[0]), value=padding_value)
    return (x.transpose(0, 1) if batch_first else x), lengths


def pad_sequence(
    sequences: Sequence[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (L_i, ..) as one batch (L, N, ..) or (N, L, ..), L the largest, padded at an end.

    >>> import thalweg as tw
    >>> tw.nn.utils.rnn.pad_sequence([tw.tensor([1, 2, 3]), tw.tensor([4, 5])], batch_first=True)
    tensor([[1, 2, 3],
            [4, 5, 0]])
    """
    if not sequences:
        raise ShapeError("pad_sequence: at least one sequence expected, got none")
    if padding_side not in ("left", "right"):
        raise ConfigError(f'pad_sequence: padding_side is "left" or "right", got {padding_side!r}')
    shapes = [x._value.shape for x in sequences]
    if len({shape[1:] for shape in shapes}) > 1 or not all(shapes):
        raise ShapeError(
            f"pad_sequence: sequences (L, ..) that differ in L alone expected, got {shapes}"
        )
    longest = max(shape[0] for shape in shapes)
    padded = []
    for x, shape in zip(sequences, shapes, strict=True):
        more = longest - shape[0]
        ends = (more, 0) if padding_side == "left" else (0, more)
        padded.append(pad(x, (*(0, 0) * (len(shape) - 1), *ends), value=padding_value))
    return stack(padded, 0 if batch_first else 1)


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences (L_i, ..) of different lengths as one batch, with their lengths.

    >>> import thalweg as tw
    >>> tw.nn.utils.rnn.pack_sequence([tw.tensor([1, 2, 3]), tw.tensor([4, 5])]).batch_sizes
    tensor([2, 2, 1])
    """
    lengths = [x._value.shape[0] for x in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """The sequences of a padded batch, each without its padding. Their shapes depend on values.

    >>> import thalweg as tw
    >>> tw.nn.utils.rnn.unpad_sequence(tw.tensor([[1, 2], [3, 0]]), tw.tensor([2, 1]), True)
    [tensor([1, 2]), tensor([3])]
    """
    if mode.trace is not None:
        raise TraceError(
            "unpad_sequence: the shapes of its results depend on values; leave it outside of the "
            "compiled function"
        )
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[:length] for row, length in zip(rows.unbind(0), lengths.tolist(), strict=True)]


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that `pack_sequence` was given.

    >>> import thalweg as tw
    >>> from thalweg.nn.utils.rnn import pack_sequence, unpack_sequence
    >>> unpack_sequence(pack_sequence([tw.tensor([1, 2, 3]), tw.tensor([4, 5])]))
    [tensor([1, 2, 3]), tensor([4, 5])]
    """
    return unpad_sequence(packed_sequences.padded, packed_sequences.lengths)
