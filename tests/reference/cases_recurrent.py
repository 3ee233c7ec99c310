"""Recurrent layers: every option, with and without a first state, packed sequences, cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.reference.cases_modules import Built, named
from tests.reference.spelling import Samples

__all__ = ["RECURRENT"]

_samples = Samples(31)
normal = _samples.normal

_X, _ONE, _ROWS = normal(5, 3, 4), normal(5, 4), normal(3, 4)
_LENGTHS, _UNSORTED = np.array([5, 3, 1]), np.array([2, 5, 4])


def packed(
    name: str, *arguments: Any, sorted: bool = True, first: bool = False, **options: Any
) -> Callable[[Any], Any]:
    """A module that packs, runs the layer and pads, as users of PyTorch do."""

    def build(tw: Any) -> Any:
        rnn = tw.nn.utils.rnn

        class Packed(tw.nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.layer = getattr(tw.nn, name)(*arguments, **options)

            def forward(self, x: Any, lengths: Any, *state: Any) -> Any:
                given = rnn.pack_padded_sequence(x, lengths, first, enforce_sorted=sorted)
                hidden = (state if name == "LSTM" else state[0],) if state else ()
                outputs, last = self.layer(given, *hidden)
                padded, sizes = rnn.pad_packed_sequence(outputs, first, padding_value=0.5)
                return padded, last, sizes

        return Packed()

    return build


def stated(name: str, *arguments: Any, **options: Any) -> Callable[[Any], Any]:
    """A module that gives an LSTM its two states, which are inputs here."""

    def build(tw: Any) -> Any:
        class Stated(tw.nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.layer = getattr(tw.nn, name)(*arguments, **options)

            def forward(self, x: Any, h: Any, c: Any) -> Any:
                return self.layer(x, (h, c))

        return Stated()

    return build


# fmt: off
RECURRENT: dict[str, Built] = {
    **{f"{kind}": Built(named(kind, 4, 6), (_X,)) for kind in ("RNN", "GRU", "LSTM")},
    **{f"{kind} +": Built(named(kind, 4, 3, num_layers=2, bidirectional=True, batch_first=True,
                                dropout=1.0), (_X,)) for kind in ("RNN", "GRU", "LSTM")},
    **{f"{kind} plain, one": Built(named(kind, 4, 6, bias=False, bidirectional=True), (_ONE,))
       for kind in ("RNN", "GRU", "LSTM")},
    **{f"{kind} three layers": Built(named(kind, 4, 2, 3), (_X,))
       for kind in ("RNN", "GRU", "LSTM")},
    **{f"{kind} packed": Built(packed(kind, 4, 3, 2, bidirectional=True), (_X, _LENGTHS))
       for kind in ("RNN", "GRU", "LSTM")},
    "RNN relu":        Built(named("RNN", 4, 6, 2, "relu"), (_X,)),
    "RNN stated":      Built(named("RNN", 4, 6, bidirectional=True), (_X, normal(2, 3, 6))),
    "GRU stated":      Built(named("GRU", 4, 6, 2, batch_first=True), (_X, normal(2, 5, 6))),
    "GRU stated, one": Built(named("GRU", 4, 6), (_ONE, normal(1, 6))),
    "LSTM stated":     Built(stated("LSTM", 4, 6), (_X, normal(1, 3, 6), normal(1, 3, 6))),
    "LSTM proj_size":  Built(named("LSTM", 4, 6, 2, bidirectional=True, proj_size=2), (_X,)),
    "LSTM proj, stated": Built(stated("LSTM", 4, 6, proj_size=2),
                               (_ONE, normal(1, 2), normal(1, 6))),
    "GRU packed, not sorted": Built(packed("GRU", 4, 3, sorted=False, first=True),
                                    (normal(3, 5, 4), _UNSORTED)),
    "RNN packed, stated": Built(packed("RNN", 4, 3, sorted=False, bidirectional=True),
                                (_X, _UNSORTED, normal(2, 3, 3))),
    "LSTM packed, stated": Built(packed("LSTM", 4, 3, proj_size=2, sorted=False),
                                 (_X, _UNSORTED, normal(1, 3, 2), normal(1, 3, 3))),
    **{f"{kind} alone": Built(named(kind, 4, 6), (_ROWS,))
       for kind in ("RNNCell", "GRUCell", "LSTMCell")},
    **{f"{kind} plain": Built(named(kind, 4, 6, False), (_ROWS[0].copy(),))
       for kind in ("RNNCell", "GRUCell", "LSTMCell")},
    "RNNCell relu":    Built(named("RNNCell", 4, 6, nonlinearity="relu"), (_ROWS, normal(3, 6))),
    "GRUCell stated":  Built(named("GRUCell", 4, 6), (_ROWS, normal(3, 6))),
    "LSTMCell stated": Built(stated("LSTMCell", 4, 6), (_ROWS, normal(3, 6), normal(3, 6))),
}
# fmt: on
