"""The documentation is true: examples run and print what it shows, links lead somewhere."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import thalweg
from tests.markdown import ROOT, Example, check, differences, examples, fences, matches
from thalweg import cli
from thalweg.train.config import Config

DOCS = ROOT / "docs"
README = ROOT / "README.md"
DIFFERENCES = DOCS / "differences.md"
PAGES = [README, *sorted(DOCS.glob("*.md"))]


def named(page: Path) -> str:
    return page.name


# -- examples --------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [p for p in PAGES if p != DIFFERENCES], ids=named)
def test_examples(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the top of a page to its end, in one namespace, in an empty folder.

    A picture that the page shows and that an example saves is the one in the repository.
    """
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for example in examples(page):
        check(example, names)
    for picture in tmp_path.glob("*.svg"):
        assert picture.read_text("utf-8") == (page.parent / picture.name).read_text("utf-8")


def test_differences_are_what_thalweg_does() -> None:
    found = list(differences(thalweg, "thalweg"))
    assert found
    for example, shown, printed in found:
        assert matches(shown, printed), f"{example.place}: shown\n{shown}\nprinted\n{printed}"


def test_every_difference_is_shown_for_both() -> None:
    """Each section has an example; each example a line for Thalweg and one for PyTorch, unlike."""
    sections = DIFFERENCES.read_text(encoding="utf-8").split("\n### ")[1:]
    assert [s.splitlines()[0] for s in sections if "```python" not in s] == []
    for example in examples(DIFFERENCES):
        lines = (example.shown or "").splitlines()
        ours, theirs = ([x for x in lines if x.startswith(n)] for n in ("thalweg  ", "torch    "))
        assert ours, example.place
        assert theirs, example.place
        assert len(ours) + len(theirs) == len(lines), example.place
        assert [x[9:] for x in ours] != [x[9:] for x in theirs], example.place


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("```python\nprint(1)\n```\n```text\n2\n```\n", "the page shows"),
        ("```python\nprint(1)\n```\nAnd so on.\n", "the page shows"),
        ("```python\n1 / 0\n```\n", "division by zero"),
        ("```python\n1 / 0\n```\n\n```text\nValueError: ...\n```\n", "ZeroDivisionError"),
    ],
)
def test_the_check_can_fail(
    page: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.markdown.ROOT", tmp_path)
    path = tmp_path / "page.md"
    path.write_text(page, encoding="utf-8")
    (example,) = examples(path)
    with pytest.raises((AssertionError, ZeroDivisionError), match=complaint):
        check(example, {})


def test_output_belongs_to_the_block_right_above_it(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("```python\na = 1\n```\nProse.\n```text\n1\n```\n", encoding="utf-8")
    assert [e.shown for e in examples(path)] == [None]
    path.write_text("```python\nprint(1)\n```\n\n```text\n1\n```\n", encoding="utf-8")
    assert [(e.line, e.shown) for e in examples(path)] == [(2, "1\n")]


# -- links -----------------------------------------------------------------------------------------


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub turns them into anchors."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings}


def links(page: Path) -> list[str]:
    """The relative links and pictures of a page."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [link for link in found if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_every_page_is_linked_from_the_index_and_the_index_from_the_readme() -> None:
    listed = {link.partition("#")[0] for link in links(DOCS / "index.md")}
    assert {p.name for p in DOCS.glob("*.md")} - {"index.md"} <= listed
    assert "docs/index.md" in links(README)


def test_every_picture_is_shown() -> None:
    shown = {(p.parent / link).resolve() for p in PAGES for link in links(p)}
    assert [p.name for p in DOCS.glob("*.svg") if p.resolve() not in shown] == []


# -- commands --------------------------------------------------------------------------------------


def commands() -> list[str]:
    """The lines of shell blocks, on all pages."""
    blocks = [b for page in PAGES for b in fences(page) if b.kind == "sh"]
    lines = [line.partition("#")[0].strip() for b in blocks for line in b.text.splitlines()]
    return [line for line in lines if line]


def test_the_readme_begins_with_the_two_commands() -> None:
    first = fences(README)[0]
    assert first.kind == "sh"
    assert [line.split("#")[0].strip() for line in first.text.splitlines()] == [
        "make train",
        "make test",
    ]


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    asked = {line.split()[1] for line in commands() if line.startswith("make ")}
    assert {"train", "test"} <= asked <= targets


def test_flags_exist() -> None:
    known = {f.name.replace("_", "-") for f in fields(Config)} | {"out", "config", "resume", "help"}
    for line in commands():
        if line.startswith("thalweg ") or "ARGS=" in line:
            command = getattr(cli, line.split()[1], None)  # its own flags, beside those of training
            own = inspect.signature(command).parameters if inspect.isfunction(command) else ()
            flags = known | {name.replace("_", "-") for name in own}
            assert set(re.findall(r"--([a-z0-9-]+)", line)) <= flags, line


def test_commands_exist() -> None:
    from thalweg.cli import app

    used = {line.split()[1] for line in commands() if line.startswith("thalweg ")}
    assert {name for name in used if name[0] != "-"} <= set(app)


def test_an_example_says_where_it_stands() -> None:
    assert Example(DOCS / "index.md", "", 3, None).place == "docs/index.md:3"
