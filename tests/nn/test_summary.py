"""summary: counts, shapes, and a table that fits a terminal."""

from __future__ import annotations

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ShapeError


def test_three_inputs_three_hidden_two_outputs_have_20_parameters() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    assert net.summary().total == 20  # deck 003


def test_the_1_3_1_network_has_10_parameters() -> None:
    net = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 1))
    assert nn.summary(net).total == 10  # deck 003


def test_rows() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Sequential(nn.Tanh(), nn.Linear(4, 2)))
    rows = [(r.path, r.layer, r.shape, r.parameters) for r in net.summary((5, 2, 3)).rows]
    assert rows == [
        ("", "Sequential", "(5, 2)", 0),
        ("0", "Flatten", "(5, 6)", 0),
        ("1", "Linear 6 -> 4", "(5, 4)", 28),
        ("2", "Sequential", "(5, 2)", 0),
        ("2.0", "Tanh", "(5, 4)", 0),
        ("2.1", "Linear 4 -> 2", "(5, 2)", 10),
    ]


def test_table() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.scale = nn.Parameter(tw.ones(1), requires_grad=False)
            self.register_buffer("seen", tw.zeros(3))
            self.blocks = [nn.Sequential(nn.Linear(2, 2)), nn.ReLU()]

        def forward(self, x: tw.Tensor) -> tw.Tensor:
            return self.blocks[1](self.blocks[0](x)) * self.scale

    assert str(Net().summary((1, 2))) == (
        "layer                   output shape  parameters\n"
        "------------------------------------------------\n"
        "Net                     (1, 2)                 1\n"
        "  blocks.0: Sequential  (1, 2)                 0\n"
        "    0: Linear 2 -> 2    (1, 2)                 6\n"
        "  blocks.1: ReLU        (1, 2)                 0\n"
        "------------------------------------------------\n"
        "7 parameters, 6 trainable, 3 in buffers, 40 bytes"
    )


def test_without_an_input_there_are_no_shapes() -> None:
    text = str(nn.Sequential(nn.Linear(784, 30)).summary())
    assert "output shape" not in text
    assert "23,550" in text
    assert text.splitlines()[-1] == "23,550 parameters, 23,550 trainable, 94.2 kB"


def test_shared_parameters_count_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            self.encode = nn.Embedding(5, 3)
            self.decode = nn.Linear(3, 5, bias=False)
            self.decode.weight = self.encode.weight

    summary = Tied().summary()
    assert summary.total == 15
    assert [(r.parameters, r.is_shared) for r in summary.rows] == [
        (0, False),
        (15, False),
        (0, True),
    ]
    assert str(summary).splitlines()[4].endswith("shared")


def test_example_inputs_tuples_of_outputs_and_layers_not_called() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            self.embed = nn.Embedding(5, 3)
            self.unused = nn.ReLU()

        def forward(self, tokens: tw.Tensor, x: tw.Tensor) -> tuple[tw.Tensor, tw.Tensor]:
            return self.embed(tokens), x

    summary = Two().summary(tw.tensor([1, 2]), (4, 1))
    assert [row.shape for row in summary.rows] == ["(2, 3), (4, 1)", "(2, 3)", ""]


def test_the_model_is_left_as_it_was() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Dropout()).double()
    net[0].eval()
    before = tw.default_generator.get_state()
    net.summary((2, 3))
    assert [m.training for m in net.modules()] == [True, False, True]
    assert all(m._hooks is None for m in net.modules())
    assert tw.equal(tw.default_generator.get_state(), before)
    with pytest.raises(ShapeError):
        net.summary((2, 4))
    assert [m.training for m in net.modules()] == [True, False, True]


def test_long_names_are_cut_to_80_columns() -> None:
    deep: nn.Module = nn.Linear(10_000, 1)
    for _ in range(40):
        deep = nn.Sequential(deep)
    lines = str(deep.summary((7, 10_000))).splitlines()
    assert max(map(len, lines)) == 80
    assert lines[-3].endswith("10,001")
