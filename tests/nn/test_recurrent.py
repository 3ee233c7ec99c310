"""Recurrent layers against their cells, compiled, packed; what their errors say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg import nn
from thalweg.autograd import gradcheck, gradgradcheck
from thalweg.errors import ConfigError, ConfigTypeError, DTypeError, ShapeError, TraceError
from thalweg.nn.functional import recurrent
from thalweg.nn.utils import rnn

KINDS = {"RNN": nn.RNNCell, "GRU": nn.GRUCell, "LSTM": nn.LSTMCell}


@pytest.mark.parametrize("name", KINDS)
def test_a_layer_is_its_cell_step_by_step(name: str) -> None:
    layer, cell, x = getattr(nn, name)(3, 4), KINDS[name](3, 4), tw.randn(6, 2, 3)
    cell.load_state_dict({key.removesuffix("_l0"): v for key, v in layer.state_dict().items()})
    state: Any = None
    for t, output in enumerate(layer(x)[0]):
        state = cell(x[t], state)
        assert tw.allclose(state[0] if name == "LSTM" else state, output, atol=1e-6)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", recurrent.KINDS)
def test_derivatives(name: str, reverse: bool) -> None:
    kind = recurrent.KINDS[name]
    shapes = [
        (3, 2, 2),
        *[(2, 2)] * kind.states,
        *[(2 * kind.gates, 2)] * 2,
        *[(2 * kind.gates,)] * 2,
    ]
    given = [tw.randn(*s, dtype=tw.float64, requires_grad=True) for s in shapes]
    mask = tw.tensor([[True, True], [True, False], [True, False]]).unsqueeze(-1)

    def run(x: tw.Tensor, *rest: tw.Tensor) -> list[tw.Tensor]:
        state, weights = rest[: kind.states], recurrent.Weights(*rest[kind.states :])
        outputs, last = recurrent.run_layer(kind, x, state, weights, reverse, mask)
        return [outputs, *last]

    assert gradcheck(run, given)
    if name != "relu":
        assert gradgradcheck(run, given)


def trained(compiled: bool) -> tuple[list[float], dict[str, tw.Tensor], int]:
    """Losses and parameters of a few steps over sequences of other lengths each time."""
    tw.manual_seed(5)
    lstm, head = nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True), nn.Linear(8, 2)
    model = nn.ModuleList([lstm, head])
    optimizer = tw.optim.SGD(model.parameters(), lr=0.5)
    x, y = tw.randn(4, 6, 3), tw.tensor([0, 1, 1, 0])

    def step(lengths: tw.Tensor) -> tw.Tensor:
        packed = rnn.pack_padded_sequence(x, lengths, True, enforce_sorted=False)
        _, (h, _) = lstm(packed)
        loss = F.cross_entropy(head(tw.cat([h[-2], h[-1]], 1)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    run = tw.compile(step) if compiled else step
    lengths = ([6, 1, 3, 2], [2, 2, 6, 5], [1, 1, 1, 1], [6, 6, 6, 6])
    losses = [run(tw.tensor(each)).item() for each in lengths]
    programs = {id(e.bound) for es in run.programs.values() for e in es} if compiled else set()
    return losses, model.state_dict(), len(programs)


def test_one_program_serves_all_lengths() -> None:
    (eager, state, _), (native, compiled, programs) = trained(False), trained(True)
    np.testing.assert_allclose(native, eager, rtol=1e-5)
    for name, value in state.items():
        np.testing.assert_allclose(compiled[name].numpy(), value.numpy(), 1e-4, 1e-5, err_msg=name)
    assert programs == 1


@pytest.mark.parametrize("name", KINDS)
def test_what_is_padded_does_not_matter(name: str) -> None:
    layer, x = getattr(nn, name)(3, 4, 2, bidirectional=True), tw.randn(5, 3, 3)
    lengths = tw.tensor([2, 5, 3])
    noise = tw.where(rnn.PackedSequence(x, lengths).mask.unsqueeze(-1), x, float("nan"))
    outputs, gradients = [], []
    for values in (x, noise):
        outputs.append(rnn.pad_packed_sequence(layer(rnn.PackedSequence(values, lengths))[0])[0])
        gradients.append(tw.autograd.grad(outputs[-1].square().sum(), list(layer.parameters())))
    assert tw.equal(*outputs)
    assert all(tw.equal(a, b) for a, b in zip(*gradients, strict=True))
    for number, alone in enumerate(rnn.unpad_sequence(x, lengths)):
        length = len(alone)
        assert tw.allclose(layer(alone)[0], outputs[0][:length, number], atol=1e-6)


def test_packing() -> None:
    sequences = [tw.arange(2), tw.arange(4) + 10, tw.arange(1) + 20]
    packed = rnn.pack_sequence(sequences, enforce_sorted=False)
    assert packed.data.tolist() == [10, 0, 20, 11, 1, 12, 13]
    assert packed.batch_sizes.tolist() == [3, 2, 1, 1]
    assert packed.sorted_indices.tolist() == [1, 0, 2]
    assert packed.unsorted_indices.tolist() == [1, 0, 2]
    assert [x.tolist() for x in rnn.unpack_sequence(packed)] == [x.tolist() for x in sequences]
    longer = rnn.pad_packed_sequence(packed, True, -1, total_length=5)[0]
    assert longer.tolist() == [[0, 1, -1, -1, -1], [10, 11, 12, 13, -1], [20, -1, -1, -1, -1]]
    left = rnn.pad_sequence(sequences, True, padding_side="left")
    assert left.tolist() == [[0, 0, 0, 1], [10, 11, 12, 13], [0, 0, 0, 20]]


# fmt: off
REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "features first":  (lambda: nn.GRU(3, 4)(tw.ones(7, 3, 5)), ShapeError,
                        r"^GRU 3 -> 4: .*\(L, N, 3\) or \(L, 3\) .*\(7, 3, 5\).*movedim\(1, -1\)"),
    "batch first":     (lambda: nn.GRU(3, 4, batch_first=True)(tw.ones(7, 2, 5)), ShapeError,
                        r"\(N, L, 3\).*Set input_size to 5"),
    "rank":            (lambda: nn.RNN(3, 4)(tw.ones(3)), ShapeError, r"got \(3,\)"),
    "state":           (lambda: nn.RNN(3, 4)(tw.ones(7, 2, 3), tw.ones(1, 3, 4)), ShapeError,
                        r"h has shape \(1, 3, 4\), expected .* here \(1, 2, 4\)"),
    "one state":       (lambda: nn.LSTM(3, 4)(tw.ones(7, 2, 3), (tw.ones(1, 2, 4),)), ShapeError,
                        r"a state of 2 tensors, \(h, c\)"),
    "cell":            (lambda: nn.LSTMCell(3, 4)(tw.ones(2, 4)), ShapeError, r"\(N, 3\) or"),
    "cell's state":    (lambda: nn.GRUCell(3, 4)(tw.ones(2, 3), tw.ones(4)), ShapeError,
                        r"\(2, 4\) expected for this input, got \(4,\)"),
    "nonlinearity":    (lambda: nn.RNN(3, 4, nonlinearity="rely"), ConfigError, "'relu'"),
    "sizes":           (lambda: nn.GRU(3, 0), ConfigError, "GRU: hidden_size=0; expected a"),
    "projection":      (lambda: nn.LSTM(3, 4, proj_size=4), ConfigError, "proj_size"),
    "dropout":         (lambda: nn.GRU(3, 4, 2, dropout=2.0), ConfigError, "dropout=2.0"),
    "lengths":         (lambda: rnn.pack_padded_sequence(tw.ones(5, 2), [5, 6]), ConfigError,
                        r"from 1 to 5, .* \[5, 6\]"),
    "no step":         (lambda: rnn.pack_padded_sequence(tw.ones(5, 2), [5, 0]), ConfigError,
                        "from 1 to 5"),
    "their number":    (lambda: rnn.pack_padded_sequence(tw.ones(5, 2), [5]), ShapeError,
                        r"\(1,\) .* 2 sequences.*batch_first"),
    "their order":     (lambda: rnn.pack_padded_sequence(tw.ones(5, 2), [3, 5]), ConfigError,
                        "enforce_sorted=False"),
    "too short":       (lambda: rnn.pad_packed_sequence(rnn.pack_sequence([tw.ones(3)]),
                                                        total_length=2), ConfigError, "longest"),
    "no sequences":    (lambda: rnn.pad_sequence([]), ShapeError, "at least one"),
    "other features":  (lambda: rnn.pad_sequence([tw.ones(2, 3), tw.ones(2, 4)]), ShapeError,
                        "differ in L alone"),
    "not packed":      (lambda: rnn.pad_packed_sequence(tw.ones(3, 2)), ConfigTypeError,
                        "a PackedSequence expected, got a Tensor"),
    "a state of two":  (lambda: nn.GRU(2, 3)(tw.ones(4, 1, 2), (tw.ones(1, 1, 3),) * 2), DTypeError,
                        "GRU.*the state h: a tensor is expected"),
    "a state of one":  (lambda: nn.LSTM(2, 3, 2)(tw.ones(4, 1, 2), tw.ones(2, 1, 3)), ShapeError,
                        r"2 tensors, \(h, c\), expected; got a Tensor"),
    "of a cell":       (lambda: nn.GRUCell(2, 3)(tw.ones(1, 2), (tw.ones(1, 3),)), DTypeError,
                        "tensor is expected"),
    "cells of a cell": (lambda: nn.LSTMCell(2, 3)(tw.ones(1, 2), (tw.ones(1, 3),)), ShapeError,
                        "got a tuple of 1"),
    "in a trace":      (lambda: tw.compile(lambda x: rnn.unpad_sequence(x, tw.tensor([1, 2])))(
                        tw.ones(2, 2)), TraceError, "outside of the compiled function"),
}
# fmt: on


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    call, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        call()


def test_dropout_acts_between_layers() -> None:
    with pytest.warns(UserWarning, match="acts between layers, and there is one"):
        nn.GRU(3, 4, dropout=0.5)
    layer, x = nn.GRU(3, 4, 2, dropout=0.5), tw.randn(6, 2, 3)
    assert not tw.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert tw.equal(layer(x)[0], layer(x)[0])


def test_they_say_what_they_are() -> None:
    assert nn.LSTM(3, 4, 2, bidirectional=True).describe() == "LSTM 3 -> 4, 2 layers, both ways"
    assert nn.GRUCell(3, 4).describe() == "GRUCell 3 -> 4"
    nn.LSTM(3, 4).flatten_parameters()
