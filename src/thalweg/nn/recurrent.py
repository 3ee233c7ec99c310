"""Recurrent layers: Elman's RNN, GRU and LSTM, over whole sequences and a step at a time."""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar

from thalweg._tensor import Parameter, Tensor
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn import functional as F
from thalweg.nn import init
from thalweg.nn.functional.arguments import checked, least, one_of
from thalweg.nn.functional.recurrent import KINDS, Kind, State, Weights, run_layer, run_step
from thalweg.nn.module import Module
from thalweg.nn.utils.rnn import PackedSequence
from thalweg.ops.creation import empty, zeros
from thalweg.ops.joining import cat, stack
from thalweg.tape import not_a_tensor

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNCell"]


class _Recurrent(Module):
    """What recurrent layers have in common."""

    kind: Kind

    @checked(num_layers=least(1))
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        proj_size: int,
        dtype: Any,
    ) -> None:
        name = type(self).__name__
        if not 0 <= proj_size < hidden_size:
            raise ConfigError(
                f"{name}: proj_size is 0, for none, or less than hidden_size {hidden_size}, got "
                f"{proj_size}"
            )
        if dropout and num_layers == 1:
            warnings.warn(
                f"{name}: dropout={dropout} acts between layers, and there is one",
                stacklevel=3,
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                self._make(layer, suffix, dtype)
        self.reset_parameters()

    @property
    def _output_size(self) -> int:
        """The size of h."""
        return self.proj_size or self.hidden_size

    def _suffixes(self, layer: int) -> tuple[str, ...]:
        both = (f"_l{layer}", f"_l{layer}_reverse")
        return both if self.bidirectional else both[:1]

    def _make(self, layer: int, suffix: str, dtype: Any) -> None:
        rows, size = self.kind.gates * self.hidden_size, self._output_size
        inputs = size * (1 + self.bidirectional) if layer else self.input_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, inputs),
            "weight_hh": (rows, size),
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes |= {"weight_hr": (size, self.hidden_size)}
        for name, shape in shapes.items():
            setattr(self, name + suffix, Parameter(empty(*shape, dtype=dtype)))

    def reset_parameters(self) -> None:
        """Draw all parameters anew from U[-1/sqrt(H), 1/sqrt(H)], H the hidden size."""
        _reset(self, self.hidden_size)

    def flatten_parameters(self) -> None:
        """Nothing: PyTorch's moves parameters together in memory here, for a library of GPUs."""

    def _weights(self, suffix: str) -> Weights:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        found: list[Any] = [getattr(self, name + suffix, None) for name in names]
        return Weights(*found)

    # --- running ---------------------------------------------------------------------------------

    def _run(self, input: Any, given: tuple[Tensor, ...] | None) -> tuple[Any, State]:
        """The outputs, and the last states of all layers: (D num_layers, N, size) each."""
        if isinstance(input, PackedSequence):
            self._check_input(tuple(input.padded.shape), 3)
            state = self._begin(input.padded, given, 3)
            mask = input.mask.unsqueeze(-1)
            # Whatever stands in the padding, a NaN too: no weight's gradient has a share of it.
            outputs, last = self._layers(input.padded.where(mask, 0), state, mask)
            return PackedSequence(outputs, input.lengths), last
        if not isinstance(input, Tensor):
            raise not_a_tensor("input", input)
        rank = input.ndim
        self._check_input(tuple(input.shape), rank)
        if rank == 2:
            state = self._begin(input.unsqueeze(1), given, 2)
            outputs, last = self._layers(input.unsqueeze(1), state, None)
            return outputs.squeeze(1), tuple(x.squeeze(1) for x in last)
        x = input.transpose(0, 1) if self.batch_first else input
        outputs, last = self._layers(x, self._begin(x, given, 3), None)
        return (outputs.transpose(0, 1) if self.batch_first else outputs), last

    def _layers(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """All layers over x (L, N, ..), each over the outputs of the one before."""
        ends: list[State] = []
        for layer in range(self.num_layers):
            if layer:
                x = F.dropout(x, self.dropout, self.training)
            outputs = []
            for direction, suffix in enumerate(self._suffixes(layer)):
                first = tuple(part[len(ends)] for part in state)
                weights = self._weights(suffix)
                run, end = run_layer(self.kind, x, first, weights, direction == 1, mask)
                outputs.append(run)
                ends.append(end)
            x = cat(outputs, -1) if len(outputs) > 1 else outputs[0]
        return x, tuple(stack(list(parts)) for parts in zip(*ends, strict=True))

    def _begin(self, x: Tensor, given: tuple[Tensor, ...] | None, rank: int) -> State:
        """The states to begin with, (D num_layers, N, size) each: those given, or zeros."""
        count, size = self.num_layers * (1 + self.bidirectional), x._value.shape[1]
        sizes = (self._output_size, self.hidden_size)[: self.kind.states]
        if given is None:
            return tuple(zeros(count, size, n, dtype=x.dtype) for n in sizes)
        for what, part, n in zip(("h", "c"), given, sizes, strict=False):
            if not isinstance(part, Tensor):
                raise not_a_tensor(f"the state {what}", part)
            wanted = (count, size, n) if rank == 3 else (count, n)
            if part._value.shape != wanted:
                layout = "(D * num_layers, N, size)" if rank == 3 else "(D * num_layers, size)"
                raise ShapeError(
                    f"{what} has shape {part._value.shape}, expected {layout}, here {wanted}"
                )
        return given if rank == 3 else tuple(part.unsqueeze(1) for part in given)

    def _check_input(self, shape: tuple[int, ...], rank: int) -> None:
        layout = "(N, L, {})" if self.batch_first else "(L, N, {})"
        expected = f"{layout} or (L, {{}})".replace("{}", str(self.input_size))
        if rank not in (2, 3):
            raise ShapeError(f"an input of shape {expected} expected, got {shape}")
        if shape[-1] == self.input_size:
            return
        fits = [axis for axis, n in enumerate(shape) if n == self.input_size]
        advice = (
            f"Dimension {fits[-1]} has that size: x.movedim({fits[-1]}, -1) puts it last"
            if fits
            else f"Set input_size to {shape[-1]}"
        )
        raise ShapeError(f"an input of shape {expected} expected, got {shape}. {advice}")

    # --- printing --------------------------------------------------------------------------------

    def describe(self) -> str:
        """The layer with its sizes, such as "LSTM 32 -> 64, 2 layers"."""
        text = f"{type(self).__name__} {self.input_size} -> {self.hidden_size}"
        text += f", {self.num_layers} layers" if self.num_layers > 1 else ""
        return text + (", both ways" if self.bidirectional else "")

    def extra_repr(self) -> str:
        """32, 64, num_layers=2, and what else is not as usual."""
        usual = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
        }
        given = [f"{k}={getattr(self, k)}" for k, v in usual.items() if getattr(self, k) != v]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *given])


class RNN(_Recurrent):
    """Elman's recurrent network: h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh).

    x: (L, N, input_size), with `batch_first` (N, L, input_size); one sequence (L, input_size); or
    a `PackedSequence`, for sequences of different lengths. Gives the outputs, h_t of the last
    layer at every step, (L, N, D hidden_size), D = 2 if `bidirectional`, else 1; and h_n, the last
    state of each layer, (D num_layers, N, hidden_size). The first state is zeros unless it is
    given. `nonlinearity` is "tanh" or "relu"; `dropout` acts on the outputs of all layers but the
    last while training.

    Parameters, of layer k and, with "_reverse", of its way back: `weight_ih_l{k}` (hidden_size,
    inputs), `weight_hh_l{k}` (hidden_size, hidden_size), `bias_ih_l{k}`, `bias_hh_l{k}`
    (hidden_size,). All begin as U[-1/sqrt(hidden_size), 1/sqrt(hidden_size)], as in PyTorch.

    Raises `ShapeError` for an input or a state that does not fit, `ConfigError` for options.

    >>> import thalweg as tw
    >>> outputs, h = tw.nn.RNN(3, 5)(tw.randn(7, 2, 3))
    >>> outputs.shape, h.shape
    (Size([7, 2, 5]), Size([1, 2, 5]))

    Source: deck 003; Elman, "Finding structure in time", 1990.
    """

    @checked(nonlinearity=one_of("tanh", "relu"))
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.nonlinearity, self.kind = nonlinearity, KINDS[nonlinearity]
        options = (bias, batch_first, dropout, bidirectional)
        super().__init__(input_size, hidden_size, num_layers, *options, 0, dtype)

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """The outputs and h_n."""
        outputs, (h,) = self._run(input, None if hx is None else (hx,))
        return outputs, h


class GRU(_Recurrent):
    """Gated recurrent units: h_t = (1 - z) n + z h_(t-1).

        r = sigmoid(W_ir x_t + b_ir + W_hr h + b_hr)        how much of h is read
        z = sigmoid(W_iz x_t + b_iz + W_hz h + b_hz)        how much of h stays
        n = tanh(W_in x_t + b_in + r (W_hn h + b_hn))

    Inputs, outputs, options and errors as for `RNN`; the rows of weights and biases are those of
    r, z and n one after the other, (3 hidden_size, ..).

    >>> import thalweg as tw
    >>> outputs, h = tw.nn.GRU(3, 5, num_layers=2, batch_first=True)(tw.randn(2, 7, 3))
    >>> outputs.shape, h.shape
    (Size([2, 7, 5]), Size([2, 2, 5]))

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical
    machine translation", 2014.
    """

    kind = KINDS["gru"]

    @checked()
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        options = (bias, batch_first, dropout, bidirectional)
        super().__init__(input_size, hidden_size, num_layers, *options, 0, dtype)

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """The outputs and h_n."""
        outputs, (h,) = self._run(input, None if hx is None else (hx,))
        return outputs, h


class LSTM(_Recurrent):
    """Long short-term memory: c_t = f c_(t-1) + i g, h_t = o tanh(c_t).

        i, f, o = sigmoid(W_i x_t + b_i + W_h h_(t-1) + b_h)     what enters, stays, shows
        g       = tanh(W_ig x_t + b_ig + W_hg h_(t-1) + b_hg)

    Inputs, outputs, options and errors as for `RNN`; the state is the pair (h, c), the rows of
    weights and biases are those of i, f, g and o one after the other, (4 hidden_size, ..). With
    `proj_size`, h_t is multiplied by `weight_hr_l{k}`, (proj_size, hidden_size), and has that
    size; c keeps hidden_size.

    >>> import thalweg as tw
    >>> outputs, (h, c) = tw.nn.LSTM(3, 5, bidirectional=True)(tw.randn(7, 2, 3))
    >>> outputs.shape, h.shape, c.shape
    (Size([7, 2, 10]), Size([2, 2, 5]), Size([2, 2, 5]))

    Source: Hochreiter, Schmidhuber, "Long short-term memory", 1997; Sak et al., "Long short-term
    memory based recurrent neural network architectures", 2014 (projection).
    """

    kind = KINDS["lstm"]

    @checked()
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        options = (bias, batch_first, dropout, bidirectional)
        super().__init__(input_size, hidden_size, num_layers, *options, proj_size, dtype)

    def forward(
        self, input: Any, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Any, tuple[Tensor, Tensor]]:
        """The outputs, and (h_n, c_n)."""
        outputs, (h, c) = self._run(input, None if hx is None else _parts(hx))
        return outputs, (h, c)


# --- a step at a time ----------------------------------------------------------------------------


class _Cell(Module):
    """What cells of any kind have in common."""

    kind: Kind
    names: ClassVar[tuple[str, ...]] = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

    @checked()
    def __init__(self, input_size: int, hidden_size: int, bias: bool, dtype: Any) -> None:
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = self.kind.gates * hidden_size
        shapes = ((rows, input_size), (rows, hidden_size), (rows,), (rows,))
        for name, shape in zip(self.names, shapes, strict=True):
            has = bias or name.startswith("weight")
            setattr(self, name, Parameter(empty(*shape, dtype=dtype)) if has else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew from U[-1/sqrt(H), 1/sqrt(H)], H the hidden size."""
        _reset(self, self.hidden_size)

    def _run(self, x: Tensor, given: tuple[Tensor, ...] | None) -> State:
        shape = tuple(x.shape)
        if len(shape) not in (1, 2) or shape[-1] != self.input_size:
            size = self.input_size
            raise ShapeError(f"an input of shape (N, {size}) or ({size},) expected, got {shape}")
        wanted = (*shape[:-1], self.hidden_size)
        if given is None:
            given = tuple(zeros(*wanted, dtype=x.dtype) for _ in range(self.kind.states))
        for part in given:
            if not isinstance(part, Tensor):
                raise not_a_tensor("a state", part)
        if any(s._value.shape != wanted for s in given):
            shapes = ", ".join(str(s._value.shape) for s in given)
            raise ShapeError(f"a state of shape {wanted} expected for this input, got {shapes}")
        weights = Weights(*(getattr(self, name) for name in self.names))
        return run_step(self.kind, x, given, weights)

    def describe(self) -> str:
        """The cell with its sizes, such as "LSTMCell 32 -> 64"."""
        return f"{type(self).__name__} {self.input_size} -> {self.hidden_size}"

    def extra_repr(self) -> str:
        """32, 64, and what is not as usual."""
        text = f"{self.input_size}, {self.hidden_size}"
        text += "" if self.bias else ", bias=False"
        kind = getattr(self, "nonlinearity", "tanh")
        return text + (f", nonlinearity={kind}" if kind != "tanh" else "")


class RNNCell(_Cell):
    """A step of `RNN`: x (N, input_size) and h (N, hidden_size) to the next h.

    Parameters `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`; h begins as zeros unless given.
    One sequence: (input_size,) and (hidden_size,).

    >>> import thalweg as tw
    >>> tw.nn.RNNCell(3, 5)(tw.randn(2, 3)).shape
    Size([2, 5])
    """

    @checked(nonlinearity=one_of("tanh", "relu"))
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.nonlinearity, self.kind = nonlinearity, KINDS[nonlinearity]
        super().__init__(input_size, hidden_size, bias, dtype)

    @checked()
    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next h."""
        return self._run(input, None if hx is None else (hx,))[0]


class GRUCell(_Cell):
    """A step of `GRU`: x (N, input_size) and h (N, hidden_size) to the next h. See `RNNCell`.

    >>> import thalweg as tw
    >>> tw.nn.GRUCell(3, 5)(tw.randn(2, 3)).shape
    Size([2, 5])
    """

    kind = KINDS["gru"]

    @checked()
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, dtype)

    @checked()
    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next h."""
        return self._run(input, None if hx is None else (hx,))[0]


class LSTMCell(_Cell):
    """A step of `LSTM`: x (N, input_size) and (h, c) to the next (h, c). See `RNNCell`.

    >>> import thalweg as tw
    >>> h, c = tw.nn.LSTMCell(3, 5)(tw.randn(2, 3))
    >>> h.shape, c.shape
    (Size([2, 5]), Size([2, 5]))
    """

    kind = KINDS["lstm"]

    @checked()
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, dtype)

    @checked()
    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The next (h, c)."""
        h, c = self._run(input, None if hx is None else _parts(hx))
        return h, c


def _parts(hx: Any) -> tuple[Tensor, ...]:
    """h and c, of an LSTM's state."""
    if not isinstance(hx, tuple | list) or len(hx) != 2:
        given = f"a {type(hx).__name__}" + ("" if isinstance(hx, Tensor) else f" of {len(hx)}")
        raise ShapeError(f"a state of 2 tensors, (h, c), expected; got {given}")
    return tuple(hx)


def _reset(module: Module, hidden_size: int) -> None:
    bound = 1 / math.sqrt(hidden_size)
    for parameter in module.parameters():
        init.uniform_(parameter, -bound, bound)
