"""The reference says what the docstrings say, and leaves no public name out."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

import thalweg
from tools.examples import EXAMPLES
from tools.reference_pages import MODULES, OUT, pages

# What fetches files, and what shows things on a screen.
WITHOUT_EXAMPLE = {
    "thalweg.data": {"download"},
    "thalweg.train": {"Display", "PlainDisplay", "display_for"},
}


@pytest.mark.parametrize("path", sorted(pages()), ids=lambda path: path.stem)
def test_a_page_is_what_the_docstrings_say(path: Path) -> None:
    said = path.read_text(encoding="utf-8") if path.exists() else ""
    assert said == pages()[path], f"{path.name} is stale: make pages"


def test_there_is_no_other_page() -> None:
    assert {*OUT.glob("*.md")} == {*pages()}


def test_every_public_package_has_a_page() -> None:
    public = [n for n in thalweg.__all__ if inspect.ismodule(getattr(thalweg, n))]
    paged = {name.split(".")[1] for name in MODULES if "." in name}
    assert [n for n in public if n not in paged] == []


@pytest.mark.parametrize("name", MODULES)
def test_every_name_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    values = [(n, getattr(module, n)) for n in module.__all__]
    assert [n for n, v in values if callable(v) and not inspect.getdoc(v)] == []


@pytest.mark.parametrize("name", MODULES)
def test_every_name_has_an_example_once(name: str) -> None:
    module = importlib.import_module(name)
    without, twice = set(), set()
    for n in module.__all__:
        value = getattr(module, n)
        if not callable(value) or inspect.ismodule(value):
            continue
        own, ours = ">>>" in (inspect.getdoc(value) or ""), f"{name}.{n}" in EXAMPLES
        without |= set() if own or ours else {n}
        twice |= {n} if own and ours else set()
    assert without == WITHOUT_EXAMPLE.get(name, set())
    assert twice == set()
