"""What `tw.graph` finds, how it names it, and what it refuses."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import thalweg as tw
from thalweg.errors import ConfigError, GradientError
from thalweg.inspect.graph import Graph
from thalweg.inspect.vertex import Vertex, summary


def leaf(value: Any) -> tw.Tensor:
    return tw.tensor(value, requires_grad=True)


def lines(graph: Graph) -> list[str]:
    return graph.text(shapes=False).splitlines()


def kinds(graph: Graph) -> dict[str, str]:
    return {v.name: v.kind for v in graph.vertices}


# -- the listing -----------------------------------------------------------------------------------


def test_shapes_and_dtypes_stand_in_columns() -> None:
    w, x = leaf([[1.0, 2.0], [3.0, 4.0]]), tw.tensor([5.0, 6.0])
    assert str(tw.graph((w @ x).sum().double(), w=w, x=x)).splitlines() == [
        "w                             (2, 2)  float32  parameter",
        "x                             (2,)    float32  input",
        "",
        "t1 = w @ x                    (2,)    float32",
        "t2 = sum(t1)                  ()      float32",
        "t3 = cast(t2, dtype=float64)  ()      float64",
    ]


def test_values_and_cotangents_are_shown_on_request() -> None:
    a = leaf(3.0)
    y = a**2
    assert str(tw.graph(y, a=a, y=y, values=True, cotangents=True)).splitlines() == [
        "            shape  dtype    value  cotangent",
        "a           ()     float32  3      6          parameter",
        "",
        "y = a ** 2  ()     float32  9      1",
    ]


def test_print_writes_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    graph = tw.graph(leaf(1.0).exp())
    graph.print()
    assert capsys.readouterr().out == f"{graph}\n"
    assert repr(graph) == str(graph)


def test_summaries() -> None:
    assert summary(tw.tensor(1.23456)) == "1.235"
    assert summary(tw.tensor([True, False])) == "[True, False]"
    assert summary(tw.tensor([[1, 2], [3, 4]])) == "[[1, 2], [3, 4]]"
    assert summary(tw.zeros(0)) == "[]"
    assert summary(tw.arange(10)) == "0 .. 9"
    assert summary(tw.ones(5) > 0) == "1 .. 1"
    assert summary(tw.tensor([1.0, 3.0] * 4)) == "2 ± 1"
    assert summary(tw.tensor([1.0, float("nan"), float("inf"), 2.0, 3.0])) == "2 of 5 not finite"
    assert summary(tw.linspace(0, 1, 9).bfloat16()) == "0.5 ± 0.3227"
    assert summary(leaf([1.0, 2.0])) == "[1, 2]"


# -- names -----------------------------------------------------------------------------------------


def test_names_come_from_a_module() -> None:
    w, b = leaf([1.0, 2.0]), leaf(0.5)
    module = SimpleNamespace(
        named_parameters=lambda: iter([("layer.weight", w), ("layer.bias", b)])
    )
    x = tw.tensor([3.0, 4.0])
    assert lines(tw.graph(w @ x + b, module, x=x)) == [
        "t1 = layer.weight @ x",
        "t2 = t1 + layer.bias",
    ]


@pytest.mark.parametrize("as_pairs", [dict, lambda d: list(d.items())])
def test_names_come_from_a_mapping_or_pairs(as_pairs: Any) -> None:
    w = leaf(1.0)
    assert lines(tw.graph(w * w, as_pairs({"weight": w}))) == ["t1 = weight * weight"]


def test_locals_may_hold_anything() -> None:
    w, text, number, nothing = leaf(1.0), "text", 7, None
    graph = tw.graph(w.exp(), locals())
    assert lines(graph) == ["t1 = exp(w)"]
    assert (text, number, nothing) == ("text", 7, None)


def test_a_keyword_goes_before_a_mapping_and_private_names_come_last() -> None:
    w = leaf(1.0)
    assert lines(tw.graph(w.exp(), {"_": w, "w": w})) == ["t1 = exp(w)"]
    assert lines(tw.graph(w.exp(), {"w": w}, v=w)) == ["t1 = exp(v)"]


def test_automatic_names_avoid_those_that_are_given() -> None:
    a, b = leaf(1.0), leaf(2.0)
    assert lines(tw.graph((a * b).exp(), {"w1": a, "t1": b})) == ["t1' = w1 * t1", "t2  = exp(t1')"]


def test_a_keyword_that_is_not_in_the_graph_is_said_to_be_absent() -> None:
    w, other = leaf(1.0), tw.tensor(3.0)
    graph = tw.graph(w.exp(), w=w, other=other)
    assert graph.absent == ("other",)
    assert str(graph).endswith("\n\nnot in this graph: other")
    assert tw.graph(w.exp(), {"other": other}).absent == ()


def test_a_keyword_must_name_a_tensor() -> None:
    with pytest.raises(ConfigError, match=r"x=2\.0 names a float, expected a tensor"):
        tw.graph(leaf(1.0).exp(), x=2.0)  # type: ignore[arg-type]


def test_names_must_come_from_something_that_has_them() -> None:
    with pytest.raises(ConfigError, match="a module, a mapping or pairs, got int"):
        tw.graph(leaf(1.0).exp(), 3)


# -- what is in the graph --------------------------------------------------------------------------


def test_kinds() -> None:
    w, x = leaf([1.0, 2.0]), tw.tensor([3.0, 4.0])
    frozen = tw.tensor([0.5, 0.5])
    assert kinds(tw.graph((w * x * frozen).sum(), w=w, x=x, frozen=frozen)) == {
        "w": "parameter",
        "x": "input",
        "frozen": "input",
        "t1": "operation",
        "t2": "operation",
        "t3": "output",
    }


def test_numbers_are_written_inline_unless_they_have_a_name() -> None:
    w, c = leaf(1.0), tw.tensor(0.25)
    assert lines(tw.graph(w * c)) == ["t1 = w1 * 0.25"]
    assert lines(tw.graph(w * c, c=c)) == ["t1 = w1 * c"]


def test_a_shared_constant_is_one_vertex() -> None:
    w, x = leaf([1.0, 2.0]), tw.tensor([3.0, 4.0])
    graph = tw.graph((w * x + x).sum())
    assert [v.name for v in graph.vertices] == ["w1", "x1", "t1", "t2", "t3"]


def test_a_shared_expression_is_computed_once() -> None:
    w = leaf(2.0)
    shared = w.exp()
    graph = tw.graph(shared * shared + shared)
    assert lines(graph) == ["t1 = exp(w1)", "t2 = t1 * t1", "t3 = t2 + t1"]
    assert [v.operands for v in graph.vertices] == [(), (0,), (1,), (2, 1)]


def test_branches_and_reused_parameters() -> None:
    """Any acyclic graph: add distributes, multiply switches, max routes. Deck 004."""
    a, b, c = leaf(2.0), leaf(-3.0), leaf(5.0)
    total, product = a + b, b * c
    y = total.maximum(product)
    graph = tw.graph(y, a=a, b=b, c=c, cotangents=True)
    assert lines(graph) == ["t1 = a + b", "t2 = b * c", "t3 = maximum(t1, t2)"]
    gradients = {v.name: v.cotangent.item() for v in graph.vertices if v.cotangent is not None}
    assert gradients == {"a": 1, "b": 1, "c": 0, "t1": 1, "t2": 0, "t3": 1}


def test_what_is_read_off_the_tape_is_detached() -> None:
    w = leaf([1.0, 2.0])
    y = w.exp()
    graph = tw.graph((y * y.detach() + w.detach()).sum(), w=w)
    assert lines(graph)[1:3] == ["t2 = t1 * detach(t1)", "t3 = t2 + detach(w)"]
    by_name = {v.name: v for v in graph.vertices}
    assert (by_name["t2"].operands, by_name["t2"].detached) == ((1,), (1,))
    assert (by_name["t3"].operands, by_name["t3"].detached) == ((2,), (0,))


def test_only_what_leads_to_the_output_is_there() -> None:
    w = leaf(1.0)
    w.exp().sin()
    used = w * 3
    w.cos()
    assert lines(tw.graph(used, w=w)) == ["t1 = w * 3"]


def test_a_node_met_twice_on_a_deep_graph() -> None:
    y = w = leaf(1.0)
    for _ in range(3000):  # deeper than Python's stack
        y = y * w
    assert len(lines(tw.graph(y))) == 3000


def test_steps_seen_so_far_give_the_cotangents_so_far() -> None:
    w = leaf(2.0)
    a = w * 3
    y = a.exp()
    steps = tw.backward_steps(y)
    first = next(steps)
    seen = tw.graph(y, w=w, a=a, y=y, cotangents=[first])
    assert [v.name for v in seen.vertices if v.cotangent is not None] == ["y"]
    rest = tw.graph(y, w=w, a=a, y=y, cotangents=steps)
    assert [v.name for v in rest.vertices if v.cotangent is not None] == ["w", "a"]


def test_cotangents_of_a_vector_start_from_the_one_given() -> None:
    a = leaf([2.0, 3.0])
    q = 3 * a**3
    with pytest.raises(GradientError, match="needs the cotangent to start from"):
        tw.graph(q, cotangents=True)
    graph = tw.graph(q, a=a, cotangents=tw.backward_steps(q, tw.tensor([1.0, 1.0])))
    (vertex,) = [v for v in graph.vertices if v.name == "a"]
    assert vertex.cotangent is not None
    assert vertex.cotangent.tolist() == [36.0, 81.0]


def test_looking_changes_nothing() -> None:
    w = leaf(2.0)
    y = (w * w).exp()
    tw.graph(y, values=True, cotangents=True).svg()
    assert w.grad is None
    y.backward()
    assert w.grad is not None


def test_a_graph_without_values_keeps_none_alive() -> None:
    w = leaf([1.0] * 100)
    y = w.exp()
    reference = weakref.ref(y)
    graph = tw.graph(y.sum())
    del y
    gc.collect()
    assert reference() is None
    assert all(v.value is None and v.cotangent is None for v in graph.vertices)


# -- refusals --------------------------------------------------------------------------------------


def test_after_backward_the_error_says_what_to_do() -> None:
    w = leaf(2.0)
    y = w.exp() * w
    y.backward()
    with pytest.raises(GradientError, match=r"freed the values of 'exp'.*retain_graph=True"):
        tw.graph(y)
    z = w.exp()
    z.backward(retain_graph=True)
    assert lines(tw.graph(z, w=w)) == ["t1 = exp(w)"]


@pytest.mark.parametrize(
    "make", [lambda: tw.tensor(1.0), lambda: leaf(1.0), lambda: tw.ones(2) * 3]
)
def test_nothing_recorded(make: Any) -> None:
    with pytest.raises(GradientError, match="no operation was recorded"):
        tw.graph(make())


def test_not_a_tensor() -> None:
    with pytest.raises(ConfigError, match="expected a tensor, got float"):
        tw.graph(1.0)  # type: ignore[arg-type]


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "beginning"),
    [
        ("g.svg", "<svg "),
        ("g.SVG", "<svg "),
        ("g.dot", "digraph {"),
        ("g.gv", "digraph {"),
        ("g.txt", "w1 "),
    ],
)
def test_save_by_suffix(name: str, beginning: str, tmp_path: Path) -> None:
    path = tw.graph(leaf(1.0).exp()).save(tmp_path / name)
    assert path == tmp_path / name
    text = path.read_text(encoding="utf-8")
    assert text.startswith(beginning)
    assert text.endswith("\n")


@pytest.mark.parametrize("name", ["g.png", "g", "g.pdf"])
def test_save_refuses_other_suffixes(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected one of \.svg, \.dot, \.gv, \.txt"):
        tw.graph(leaf(1.0).exp()).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_the_graph_is_loaded_when_it_is_first_used() -> None:
    script = (
        "import sys, thalweg as tw\n"
        "assert not [m for m in sys.modules if m.startswith('thalweg.inspect')]\n"
        "graph = tw.graph\n"
        "from thalweg.inspect.graph import graph as same\n"
        "assert graph is same and 'graph' in dir(tw.inspect)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_vertices_are_plain_data() -> None:
    assert Vertex("w", "parameter", "", (), (), tw.float32).value is None
