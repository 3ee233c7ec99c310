"""The package loads a model's file when it is first named."""

from __future__ import annotations

import subprocess
import sys

import pytest

from thalweg import models


def test_every_name_is_there() -> None:
    assert [name for name in models.__all__ if not callable(getattr(models, name))] == []


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'resnet19'"):
        _ = models.resnet19


def test_only_what_is_asked_for_is_loaded() -> None:
    script = (
        "import sys, thalweg; thalweg.models.lenet; "
        "print(sorted(m for m in sys.modules if m.startswith('thalweg.models.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['thalweg.models.lenet5']"
