"""The drawing is well-formed, says what the listing says, fits its boxes, and escapes its text."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import thalweg as tw
from tests.drawing.seeing import contrast
from thalweg.inspect.drawing import LONGEST
from thalweg.inspect.graph import Graph
from thalweg.inspect.palette import BOXES

NAMESPACE = {"s": "http://www.w3.org/2000/svg"}


def network() -> Graph:
    """Three layers and a penalty."""
    tw.manual_seed(0)
    x = h = tw.randn(8, 6)
    named = {}
    for k, (fan_in, fan_out) in enumerate([(6, 5), (5, 5), (5, 3)]):
        w = named[f"{k}.weight"] = tw.randn(fan_out, fan_in).requires_grad_()
        b = named[f"{k}.bias"] = tw.zeros(fan_out).requires_grad_()
        h = (h @ w.T + b).sigmoid()
    loss = (h - h.detach().round()).square().mean() + 0.01 * named["0.weight"].norm()
    return tw.graph(loss, named, x=x, values=True, cotangents=True)


def parse(graph: Graph) -> ElementTree.Element:
    return ElementTree.fromstring(graph.svg())


def boxes(root: ElementTree.Element) -> list[dict[str, Any]]:
    """Each vertex's rectangle and the lines of text in it."""
    found = []
    for group in root.findall("s:g[1]/s:g", NAMESPACE):
        rect = group.find("s:rect", NAMESPACE)
        assert rect is not None
        texts = ["".join(t.itertext()) for t in group.findall("s:text", NAMESPACE)]
        found.append({"kind": group.get("class"), "texts": texts} | {
            side: float(rect.get(side, "nan")) for side in ("x", "y", "width", "height")
        })  # fmt: skip
    return found


def test_every_vertex_is_drawn_with_its_name_shape_value_and_cotangent() -> None:
    graph = network()
    drawn = boxes(parse(graph))
    assert len(drawn) == len(graph.vertices)
    for vertex, box in zip(graph.vertices, drawn, strict=True):
        assert box["kind"] == vertex.kind
        heading, shape, *facts = box["texts"]
        assert heading.startswith(vertex.name)
        assert [int(n) for n in re.findall(r"\d+", shape)] == list(vertex.shape)
        shown = (vertex.value is not None) + (vertex.cotangent is not None)
        assert len(facts) == shown


def test_text_fits_into_its_box() -> None:
    """The widest of the fonts asked for takes 0.602 of its size a character."""
    for box in boxes(parse(network())):
        sizes = [13] + [11] * (len(box["texts"]) - 1)
        for text, size in zip(box["texts"], sizes, strict=True):
            assert len(text) * size * 0.602 + 16 <= box["width"]
        assert box["height"] >= 17 * len(box["texts"])


def test_everything_is_inside_the_picture() -> None:
    root = parse(network())
    width, height = (float(root.get(side, "nan")) for side in ("width", "height"))
    assert root.get("viewBox") == f"0 0 {width:.0f} {height:.0f}"
    for box in boxes(root):
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= height


def test_each_edge_ends_in_a_head() -> None:
    graph = network()
    edges = sum(len(v.operands) + len(v.detached) for v in graph.vertices)
    heads = parse(graph).findall(".//s:path[@class='head']", NAMESPACE)
    assert sum(path.get("d", "").count("M") for path in heads) == edges


def test_what_is_detached_is_dashed() -> None:
    w = tw.tensor([1.0, 2.0], requires_grad=True)
    y = w.exp()
    assert tw.graph(y * y).svg().count('class="edge detached"') == 0
    graph = tw.graph(y * y.detach())
    assert graph.svg().count('class="edge detached"') == 1
    assert graph.dot().count("style=dashed") == 1


def test_names_are_escaped() -> None:
    w = tw.tensor(1.0, requires_grad=True)
    graph = tw.graph(w.exp(), {'<a & "b">\\': w})
    assert '<a & "b">\\' in boxes(parse(graph))[0]["texts"][0]
    assert r'label="<a & \"b\">\\\n()"' in graph.dot()


def test_long_expressions_are_cut_and_whole_in_the_tooltip() -> None:
    w = tw.tensor(1.0, requires_grad=True)
    name = "a_name_that_is_longer_than_a_box_should_be_wide"
    root = parse(tw.graph(w.exp(), {name: w}))
    heading = boxes(root)[1]["texts"][0]
    assert len(heading) == LONGEST
    assert heading.endswith("…")
    titles = [t.text or "" for t in root.findall(".//s:g/s:title", NAMESPACE)]
    assert any(t.startswith(f"t1 = exp({name})") for t in titles)


def test_the_legend_names_the_kinds_that_occur() -> None:
    w = tw.tensor(1.0, requires_grad=True)
    legend = parse(tw.graph(w.exp())).findall("s:g[2]/s:text", NAMESPACE)
    assert [t.text for t in legend] == ["parameter", "output"]


def test_notebooks_show_the_drawing() -> None:
    graph = tw.graph(tw.tensor(1.0, requires_grad=True).exp())
    assert graph._repr_svg_() == graph.svg()


def test_styles_reach_no_other_drawing_on_the_page() -> None:
    (style,) = re.findall(r"<style>(.*)</style>", network().svg())
    rules = style.replace("@media (prefers-color-scheme:dark){", "").rstrip("}").split("}")
    assert all(rule.startswith(".thalweg-graph") for rule in rules)


def test_text_is_legible() -> None:
    """A contrast of at least 7 to 1, WCAG's level AAA, on light pages and on dark ones."""
    for box in BOXES.values():
        for fill, said in zip(box.fill, box.text, strict=True):
            assert contrast(fill, said) >= 7


def test_dot_lists_every_vertex_and_edge() -> None:
    graph = network()
    text = graph.dot()
    assert len(re.findall(r"^  v\d+ \[label=", text, re.MULTILINE)) == len(graph.vertices)
    edges = sum(len(v.operands) + len(v.detached) for v in graph.vertices)
    assert len(re.findall(r"^  v\d+ -> v\d+", text, re.MULTILINE)) == edges
    assert text.startswith("digraph {")
    assert text.endswith("}")
