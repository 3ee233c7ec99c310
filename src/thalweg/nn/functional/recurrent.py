"""Recurrent layers as functions: the equations of a step, and a layer's pass over a sequence.

What a step takes of the input, x W_ih^T + b_ih, does not depend on the state: `run_layer` computes
it for all steps in one contraction, before the scan over them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from thalweg._tensor import Tensor
from thalweg.nn.functional.linear import linear
from thalweg.ops.loops import scan

__all__ = ["KINDS", "Kind", "State", "Weights", "run_layer", "run_step"]

State: TypeAlias = tuple[Tensor, ...]  # h, or h and c; each (N, size)


class Weights(NamedTuple):
    """The parameters of one layer in one direction.

    ih (gates * H, inputs), hh (gates * H, H), both biases (gates * H,) or None; with a projection
    hr (P, H), and then hh is (gates * H, P).
    """

    ih: Tensor
    hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None
    hr: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of recurrent layer.

    gates   how many times H rows the weights have
    states  1, for h, or 2, for h and c
    joined  whether both biases are only ever added up
    step    the next state, from what the input gives, (N, gates * H), the state and the weights
    """

    gates: int
    states: int
    joined: bool
    step: Callable[[Tensor, State, Weights], State]


def _tanh_step(given: Tensor, state: State, w: Weights) -> State:
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh)."""
    return ((given + linear(state[0], w.hh)).tanh(),)


def _relu_step(given: Tensor, state: State, w: Weights) -> State:
    """h' = max(0, W_ih x + b_ih + W_hh h + b_hh)."""
    return ((given + linear(state[0], w.hh)).relu(),)


def _lstm_step(given: Tensor, state: State, w: Weights) -> State:
    """c' = f c + i g, h' = o tanh(c'), with gates i, f, g, o one after the other.

    i, f and o are sigmoid, g is tanh of W_ih x + b_ih + W_hh h + b_hh; with a projection h' is
    multiplied by hr. Source: Hochreiter, Schmidhuber, "Long short-term memory", 1997.
    """
    h, c = state
    i, f, g, o = (given + linear(h, w.hh)).chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    h = o.sigmoid() * c.tanh()
    return (h if w.hr is None else linear(h, w.hr)), c


def _gru_step(given: Tensor, state: State, w: Weights) -> State:
    """h' = (1 - z) n + z h, with gates r, z, n one after the other.

    r and z are sigmoid of W_ih x + b_ih + W_hh h + b_hh; n = tanh(W_in x + b_in + r (W_hn h +
    b_hn)). Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.
    """
    (h,) = state
    gr, gz, gn = given.chunk(3, -1)
    hr, hz, hn = linear(h, w.hh, w.bias_hh).chunk(3, -1)
    r, z = (gr + hr).sigmoid(), (gz + hz).sigmoid()
    n = (gn + r * hn).tanh()
    return (n + z * (h - n),)


KINDS = {
    "tanh": Kind(1, 1, True, _tanh_step),
    "relu": Kind(1, 1, True, _relu_step),
    "lstm": Kind(4, 2, True, _lstm_step),
    "gru": Kind(3, 1, False, _gru_step),
}


def _given(kind: Kind, x: Tensor, w: Weights) -> Tensor:
    """What the input gives to the gates."""
    bias = w.bias_ih
    if kind.joined and bias is not None and w.bias_hh is not None:
        bias = bias + w.bias_hh
    return linear(x, w.ih, bias)


def run_step(kind: Kind, x: Tensor, state: State, w: Weights) -> State:
    """One step: x (N, inputs) and a state to the next state."""
    return kind.step(_given(kind, x, w), state, w)


def run_layer(
    kind: Kind,
    x: Tensor,
    state: State,
    w: Weights,
    reverse: bool = False,
    mask: Tensor | None = None,
) -> tuple[Tensor, State]:
    """A layer over a sequence: x (L, N, inputs) to all h (L, N, H) and the last state.

    With `reverse` from the last step to the first. `mask`, (L, N, 1), bool: where it does not
    hold, a sequence has no such step: its state stays, and h is 0 there.
    """
    given = _given(kind, x, w)
    if mask is None:

        def step(before: State, part: Tensor) -> tuple[State, Tensor]:
            after = kind.step(part, before, w)
            return after, after[0]

        last, steps = scan(step, state, given, reverse=reverse)
        return steps, last

    def masked(before: State, part: tuple[Tensor, Tensor]) -> tuple[State, Tensor]:
        gates, there = part
        new = kind.step(gates, before, w)
        after = tuple(n.where(there, b) for n, b in zip(new, before, strict=True))
        return after, new[0].where(there, 0)

    last, steps = scan(masked, state, (given, mask), reverse=reverse)
    return steps, last
