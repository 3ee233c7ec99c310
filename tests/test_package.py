"""What is installed: a pure wheel with its data, one version, pinned requirements."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import thalweg

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    subprocess.run([*command, folder], cwd=ROOT, check=True, timeout=60, stdout=subprocess.DEVNULL)
    (built,) = folder.iterdir()
    return built


def test_wheel_is_pure_python(wheel: Path) -> None:
    assert wheel.name == f"thalweg-{thalweg.__version__}-py3-none-any.whl"


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    source = ROOT / "src"
    expected = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    assert packed == expected
    assert {"thalweg/py.typed", "thalweg/data/digits.npz"} <= packed


def test_version_has_one_source() -> None:
    assert version("thalweg") == thalweg.__version__


def pins() -> dict[str, str]:
    """Name and version of every line but comments: nothing else, no option, no address."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.partition("==") for line in lines if line and not line.startswith("#")]
    return {name: pinned for name, _, pinned in pairs}


def test_constraints_are_exact_versions() -> None:
    assert pins()
    for name, pinned in pins().items():
        assert re.fullmatch(r"[a-z0-9-]+", name)
        assert re.fullmatch(r"[0-9]+(\.[0-9]+)*", pinned), f"{name}=={pinned}"


def test_every_requirement_has_its_pin() -> None:
    extras = PROJECT["optional-dependencies"].values()
    for requirement in map(Requirement, sum(extras, PROJECT["dependencies"])):
        if requirement.name != "thalweg":
            assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])
