"""Connectionist temporal classification: the loss of labels whose places in time are not known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from thalweg._tensor import Tensor
from thalweg.errors import DataError, OutOfRangeError, ShapeError
from thalweg.nn.functional.arguments import checked, least
from thalweg.nn.functional.checks import first_place, reduced, require, require_integers
from thalweg.ops.creation import arange, full, full_like, tensor
from thalweg.ops.joining import cat, stack
from thalweg.ops.lift import floating
from thalweg.ops.loops import scan

__all__ = ["Lengths", "ctc_loss"]

Lengths: TypeAlias = Tensor | Sequence[int]


@checked(blank=least(0))
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the probability of a sequence of labels, summed over all ways it may lie in time.

    `log_probs` (T, N, C), or (T, C) for one, such as `log_softmax` gives: of each class at each
    step. `targets` (N, S), or all of them one after the other, (sum of target_lengths,). Lengths
    (N,): of the T steps and of the targets, those that count; tensors, or whole numbers. A path
    through time gives the labels when repeats are merged and then the class `blank` is left out.
    With the labels l = blank, y_1, blank, y_2, ..., blank,

        a_t(s) = log p_t(l_s) + log(e^a_{t-1}(s) + e^a_{t-1}(s-1) [+ e^a_{t-1}(s-2)])

    where the last term counts if l_s is neither blank nor l_{s-2}; the loss is the logarithm of
    the last two together, negated. Infinite where the labels do not fit into the steps, or 0 with
    `zero_infinity`. The mean is over each loss divided by the length of its target (1 at least). A
    `scan` over the steps, so compiled it is one loop; its derivative is that of this sum with
    respect to log_probs alone (PyTorch adds what a log_softmax in front makes vanish).

    Raises `ShapeError`, `DTypeError` (labels and lengths are integers), `DataError` (a length
    beyond what is there, the blank as a label), `OutOfRangeError` (a label, the blank).

    >>> import thalweg as tw
    >>> even = tw.full((2, 1, 2), 0.5).log()  # of paths -1, 1-, 11, --, three spell 1
    >>> tw.nn.functional.ctc_loss(even, tw.tensor([[1]]), [2], [1]).exp()
    tensor(1.3333)

    Source: Graves et al., "Connectionist temporal classification", 2006.
    """
    log_probs = floating(log_probs)
    if log_probs.ndim == 2:
        log_probs = log_probs.unsqueeze(1)
        targets = targets.unsqueeze(0) if targets.ndim < 2 else targets
        is_one = True
    else:
        is_one = False
    given = _given(log_probs, targets, input_lengths, target_lengths, blank)
    losses = -_likelihood(log_probs, given, blank)
    if zero_infinity:
        losses = losses.where(losses != math.inf, 0)
    if reduction == "mean":
        losses = losses / given.target_lengths.clamp(1)
    out = reduced("ctc_loss", losses, reduction)
    return out.squeeze(0) if is_one and reduction == "none" else out


class _Given(NamedTuple):
    """Labels (N, S) with blanks behind their ends, and lengths (N,), all checked."""

    labels: Tensor
    input_lengths: Tensor
    target_lengths: Tensor


def _given(log_probs: Tensor, targets: Tensor, steps: Any, sizes: Any, blank: int) -> _Given:
    if log_probs.ndim != 3 or 0 in log_probs._value.shape[::2]:
        raise ShapeError(
            "ctc_loss: log_probs (T, N, C) or (T, C), of a step and a class at least, expected, "
            f"got shape {log_probs._value.shape}"
        )
    count, batch, classes = log_probs._value.shape
    if blank >= classes:
        raise OutOfRangeError(f"ctc_loss: blank={blank} is none of {classes} classes")
    require_integers("ctc_loss", "targets", targets)
    steps = _lengths("input_lengths", steps, batch)
    lengths = _lengths("target_lengths", sizes, batch)
    labels = _padded(targets, sizes, lengths, batch)
    _require_up_to("input_lengths", steps, count)
    _require_up_to("target_lengths", lengths, labels._value.shape[1])
    counts = arange(labels._value.shape[1]) < lengths.unsqueeze(1)
    wrong = counts & ((labels < 0) | (labels >= classes) | labels.eq(blank))

    def error() -> DataError:
        place = first_place(wrong)
        return DataError(
            f"ctc_loss: label {labels[place].item()} at {place}; expected 0 to {classes - 1}, and "
            f"not the blank, {blank}"
        )

    require(~wrong, error)
    return _Given(labels.long().where(counts, blank), steps, lengths)


def _lengths(what: str, given: Any, batch: int) -> Tensor:
    lengths = given if isinstance(given, Tensor) else tensor(list(given))
    if not isinstance(given, Tensor) and not given:
        lengths = lengths.long()
    require_integers("ctc_loss", what, lengths)
    lengths = lengths.reshape(1) if lengths.ndim == 0 else lengths
    if lengths._value.shape != (batch,):
        raise ShapeError(
            f"ctc_loss: {what} has shape {lengths._value.shape}, expected ({batch},), one for each "
            "sequence"
        )
    return lengths.long()


def _require_up_to(what: str, lengths: Tensor, most: int) -> None:
    wrong = (lengths < 0) | (lengths > most)
    require(
        ~wrong,
        lambda: DataError(
            f"ctc_loss: {what} is {lengths[first_place(wrong)].item()} at {first_place(wrong)}, "
            f"expected 0 to {most}"
        ),
    )


def _padded(targets: Tensor, sizes: Any, lengths: Tensor, batch: int) -> Tensor:
    """The labels (N, S) of targets that are that, or stand one after the other."""
    if targets.ndim == 2:
        if targets._value.shape[0] != batch:
            raise ShapeError(
                f"ctc_loss: targets of shape {targets._value.shape} for {batch} sequences"
            )
        return targets
    if targets.ndim != 1:
        raise ShapeError(
            f"ctc_loss: targets (N, S) or (sum of lengths,) expected, got {targets._value.shape}"
        )
    known = [int(n) for n in (sizes.tolist() if isinstance(sizes, Tensor) else sizes)]
    if sum(known) != targets._value.shape[0] or min(known, default=0) < 0:
        raise DataError(
            f"ctc_loss: {targets._value.shape[0]} targets for target_lengths {known}, which add up "
            f"to {sum(known)}"
        )
    width = max(known, default=0)
    starts = (lengths.cumsum(0) - lengths).unsqueeze(1)
    places = (starts + arange(width)).clamp(max=max(sum(known) - 1, 0))
    if not sum(known):
        return full((batch, width), 0).long()
    return targets.gather_places((places,), (0,), wrap=False)


def _likelihood(log_probs: Tensor, given: _Given, blank: int) -> Tensor:
    """The logarithms of the probabilities of the labels, (N,)."""
    steps, batch = log_probs._value.shape[:2]
    size = 2 * given.labels._value.shape[1] + 1
    blanks = full_like(given.labels, blank)
    pairs = stack([blanks, given.labels], 2).flatten(1)
    line = cat([pairs, full((batch, 1), blank).long()], 1)  # blank, y_1, blank, ..., blank
    scores = log_probs.gather(2, line.expand(steps, batch, size))
    skips = (line != blank) & (line != _back(line, 2, blank))
    begins = arange(size) < 2
    first = (
        scores[0].where(begins, -math.inf).where(given.input_lengths.unsqueeze(1) > 0, -math.inf)
    )

    def step(before: Tensor, now: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[()]]:
        score, number = now
        two_back = _back(before, 2, -math.inf).where(skips, -math.inf)
        ways = stack([before, _back(before, 1, -math.inf), two_back], 2)
        after = score + ways.logsumexp(2)
        counts = (number < given.input_lengths).unsqueeze(1)
        return after.where(counts, before), ()

    last, _ = scan(step, first, (scores[1:], arange(1, steps)))
    ends = (2 * given.target_lengths).unsqueeze(1)
    at_blank = last.gather(1, ends)
    at_label = last.gather(1, (ends - 1).clamp(0)).where(ends > 0, -math.inf)
    return cat([at_blank, at_label], 1).logsumexp(1)


def _back(x: Tensor, by: int, fill: float) -> Tensor:
    """Each place holds what stood `by` places before, along dimension 1."""
    size = x._value.shape[1]
    kept = x.narrow(1, 0, max(size - by, 0))
    filled = kept.padded((0, min(by, size)), (0, 0)) if size else x
    return filled.where(arange(size) >= by, full_like(filled, fill))
