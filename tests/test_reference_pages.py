"""The reference says what the docstrings say, and leaves no public name out."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

import thalweg
from tools.examples import EXAMPLES
from tools.reference_pages import MODULES, OUT, pages

# What others give, what reads files or shows things on a screen, what other examples build.
WITHOUT_EXAMPLE = {
    "thalweg": {"load"},
    "thalweg.nn.utils": {"clip_grads_with_norm_"},
    "thalweg.optim.lr_scheduler": {"LRScheduler", "Scheduler"},
    "thalweg.data": {"download", "load_csv", "load_images", "load_text"},
    "thalweg.train": {
        "Display", "Measures", "PlainDisplay", "Progress", "RangeTest", "Result", "Watcher",
        "display_for",
    },
    "thalweg.models": {"CharGPTConfig", "Seq2SeqConfig", "seq2seq", "vgg11", "vgg11_bn"},
    "thalweg.minimize": {
        "Domain", "GaussianMixture", "Lasso", "MatrixFactorization", "MinimizeResult", "Progress",
        "StationaryPoint",
    },
    "thalweg.search": {"Results", "Trial"},
    "thalweg.utils.data": {
        "BatchSampler", "ConcatDataset", "Dataset", "IterableDataset", "RandomSampler", "Sampler",
        "SequentialSampler", "Subset",
    },
    "thalweg.cuda": {"device_count", "manual_seed", "manual_seed_all"},
}  # fmt: skip


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
