"""How much disk an installation takes: a distribution, its core dependencies, and theirs."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from benchmarks.report import Row

__all__ = ["megabytes", "requirement_tree", "run"]

LIMIT_MB = 300


def run() -> list[Row]:
    """Megabytes of Thalweg, beside PyTorch's."""
    installed, torch = megabytes("thalweg"), megabytes("torch")
    return [
        Row("installed", "MB", thalweg=installed, torch=torch, limit=LIMIT_MB, limited="thalweg")
    ]


def megabytes(*roots: str) -> float:
    """Millions of bytes in the files of `roots` and everything they require."""
    names = {name for root in roots for name in requirement_tree(root)}
    return sum(path.stat().st_size for name in names for path in files(distribution(name))) / 1e6


def requirement_tree(root: str) -> set[str]:
    """The distributions that `root` requires here, extras aside, itself included."""
    found: set[str] = set()
    waiting = [canonicalize_name(root)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += required(distribution(name))
    return found


def required(installed: Distribution) -> list[NormalizedName]:
    """The names in a distribution's metadata that apply on this machine."""
    requirements = [Requirement(text) for text in installed.requires or ()]
    return [
        canonicalize_name(requirement.name)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]


def files(installed: Distribution) -> Iterator[Path]:
    """A distribution's files; for an editable one, also its source and this Python's bytecode."""
    for entry in installed.files or ():
        path = Path(str(installed.locate_file(entry)))
        if path.is_file():
            yield path
    if is_editable(installed):
        yield from source_files(installed.name)


def is_editable(installed: Distribution) -> bool:
    """Whether the distribution was installed as a link to its source."""
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    return bool(origin.get("dir_info", {}).get("editable"))


def source_files(package: str) -> Iterator[Path]:
    """What installing the package would put on the disk."""
    spec = importlib.util.find_spec(package)
    assert spec is not None, f"{package} is installed but cannot be imported"
    for folder in spec.submodule_search_locations or ():
        for path in Path(folder).rglob("*"):
            foreign = path.suffix == ".pyc" and not path.match(
                f"*.{sys.implementation.cache_tag}.pyc"
            )
            if path.is_file() and not foreign:
                yield path
