"""The page about a run: well-formed, self-contained, and it says what the run says."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.drawing.seeing import contrast, looked_at
from thalweg.drawing.axis import Axis
from thalweg.train.charts import Curve, curves
from thalweg.train.report import _PAGE_COLOURS, report_html, write_report
from thalweg.train.runs import RunFolder

VOID = {"meta", "rect", "line", "circle", "path"}


class Page(HTMLParser):
    """Checks that tags close, and collects text by the element it is in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data.strip()))

    def of(self, tag: str) -> list[str]:
        return [text for where, text in self.texts if where == tag]

    def facts(self) -> dict[str, str]:
        return dict(zip(self.of("dt"), self.of("dd"), strict=True))


def classification(epochs: int = 3) -> list[dict[str, Any]]:
    return [
        {
            "epoch": n,
            "loss": 2.0 / n,
            "train_accuracy": 1 - 0.5 / n,
            "dev_loss": 2.5 / n,
            "dev_accuracy": 0.5 + 0.1 * (n == 2),
            "lr": 0.5,
            "seconds": 0.25,
            "best": n <= 2,
        }
        for n in range(1, epochs + 1)
    ]


REGRESSION = [
    {"epoch": 1, "loss": 9.0, "train_rmse": 3.0, "dev_loss": 9.5, "dev_rmse": 3.1, "dev_mae": 2.0}
    | {"dev_r2": -0.25, "lr": 1e-5, "seconds": 80.0, "best": True}
]


def paths(page: Page) -> list[str]:
    """The curves; the ways from their ends to their names are thin."""
    lines = [a for tag, a in page.tags if tag == "path" and str(a["class"]).startswith("line")]
    return [str(attributes["d"]) for attributes in lines]


def test_classification() -> None:
    result = {"status": "finished", "test": {"loss": 0.3, "accuracy": 0.9694}, "parameters": 3190}
    page = Page(report_html("first", {"dataset": "digits", "lr": 0.5}, classification(), result))
    assert page.of("h1") == ["first"]
    assert "digits · finished after 3 epochs" in page.of("p")
    assert page.of("h2") == ["Loss", "Accuracy", "Step size", "Options"]
    facts = page.facts()
    assert facts["test accuracy"] == "96.9 %"
    assert facts["test loss"] == "0.3"
    assert facts["best epoch"] == "2 of 3"
    assert facts["development accuracy"] == "60.0 %"
    assert facts["time"] == "750 ms"
    assert facts["parameters"] == "3,190"
    assert facts["lr"] == "0.5"
    assert len(paths(page)) == 5  # loss and accuracy twice, the step size
    assert page.of("text").count("best") == 3
    assert "epoch 2 · 75 % · 60 %" in page.of("text")
    assert "epoch 2\ntraining 75 %\ndevelopment 60 %" in page.of("title")


def test_regression_shows_its_measures() -> None:
    page = Page(report_html("cars", {}, REGRESSION, {"test": {"rmse": 3.25, "mae": 2, "r2": -0.1}}))
    assert page.of("h2") == [
        "Loss",
        "Root mean square error",
        "Mean absolute error",
        "R²",
        "Step size",
    ]
    facts = page.facts()
    assert facts["test root mean square error"] == "3.25"
    assert facts["test R²"] == "−0.1"
    assert facts["development root mean square error"] == "3.1"
    assert facts["time"] == "1 min 20 s"
    assert "10⁻⁵" in page.of("td")


def test_table_of_all_epochs() -> None:
    page = Page(report_html("first", {}, classification(), {}))
    head = ["epoch", "loss", "train accuracy", "dev loss", "dev accuracy", "lr", "seconds"]
    assert page.of("th") == head
    assert page.of("td")[:7] == ["1", "2.000", "50.0 %", "2.500", "50.0 %", "0.5", "0.25"]
    assert [a.get("class") for tag, a in page.tags if tag == "tr"] == [None, None, "best", None]


def test_options() -> None:
    options = {
        "hidden": [30, 30],
        "none": [],
        "nesterov": False,
        "target": "",
        "encoding": {"a": 1},
    }
    facts = Page(report_html("first", options, [], {})).facts()
    assert facts == {"hidden": "30, 30", "none": "none", "nesterov": "no", "target": "–"}


def test_before_the_first_epoch() -> None:
    page = Page(report_html("first", {}, [], {}))
    assert "no epoch is complete yet" in page.of("p")
    assert paths(page) == []


def test_one_epoch_is_a_dot() -> None:
    page = Page(report_html("first", {}, classification(1), {}))
    assert all(re.fullmatch(r"M(\S+ \S+)L\1", d) for d in paths(page))


def test_what_is_not_finite_leaves_a_gap_and_is_said() -> None:
    rows = classification(5)
    rows[2]["loss"] = math.nan
    rows[4]["dev_loss"] = math.inf
    page = Page(report_html("first", {}, rows, {}))
    assert page.of("text").count("2 values are not finite: left out") == 1
    assert paths(page)[0].count("M") == 2
    assert not [d for d in paths(page) if "nan" in d or "inf" in d]
    assert "∞" in page.of("td")
    rows[3]["dev_accuracy"] = math.nan
    assert "NaN" in Page(report_html("first", {}, rows, {})).of("td")


def test_nothing_finite_at_all() -> None:
    rows = [{"epoch": 1, "loss": math.nan, "lr": math.inf}]
    assert paths(Page(report_html("first", {}, rows, {"status": "diverged"}))) == []


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", 'a" onload="x', "{0}", "&amp;"])
def test_texts_stay_texts(evil: str) -> None:
    rows = [{"epoch": 1, "loss": 1.0, f"dev_{evil}": 2.0, "note": evil}]
    result = {"status": evil, "test": {evil: 1.0}}
    page = Page(report_html(evil, {evil: evil, "dataset": evil}, rows, result))
    assert page.of("h1") == [evil]
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on")]


def test_the_page_needs_nothing_beside_it() -> None:
    text = report_html("first", {}, classification(), {})
    assert not re.search(r"https?:|src=|href=|url\(|@import|<script", text)
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


@pytest.mark.parametrize("epochs", [1, 2, 40, 1000])
def test_every_chart_is_a_picture_with_a_title_and_a_description(epochs: int) -> None:
    rows = classification(epochs)
    rows[-1]["loss"] = math.nan
    charts = re.findall(r"<svg.*?</svg>", report_html("first", {}, rows, {}), re.DOTALL)
    assert len(charts) == 3
    for chart in charts:
        root = looked_at(chart.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1))
        assert f"over {epochs} epoch" in (root[0].text or "")
        assert root[1].text


@pytest.mark.parametrize("shade", [0, 1])
def test_the_page_is_legible(shade: int) -> None:
    """4.5 to 1, WCAG's level AA, on the page and on its cards."""
    for name in ("ink", "quiet", "s1"):
        for behind in ("page", "paper"):
            assert contrast(_PAGE_COLOURS[name][shade], _PAGE_COLOURS[behind][shade]) >= 4.5


def test_many_epochs_stay_light_and_keep_the_peak() -> None:
    values = [1.0] * 100_000
    values[31_415] = 50.0
    svg = curves("Loss", range(1, 100_001), [Curve("training", values)], Axis())
    assert len(svg) < 200_000
    assert svg.count('class="hit"') <= 200
    (path,) = paths(Page(svg))
    heights = {float(place.split()[1]) for place in re.findall(r"[ML](\S+ \S+?)(?=[ML]|$)", path)}
    assert len(heights) == 2


def test_write_report(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "first", {"dataset": "digits"}) as run:
        run.write_metrics(classification())
        run.write_result({"accuracy": 0.5}, "finished")
        page = Page((run.path / "report.html").read_text(encoding="utf-8"))
        assert page.of("h1") == ["first"]
        assert page.facts()["test accuracy"] == "50.0 %"
        assert write_report(run, "A title") == run.path / "report.html"
        assert "<h1>A title</h1>" in (run.path / "report.html").read_text(encoding="utf-8")
