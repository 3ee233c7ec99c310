"""SIGKILL in front of any system call of a save, and at random: the run can always go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SAVING = Path(__file__).with_name("saving.py")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")


def found(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(SAVING), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    out: dict[str, Any] = json.loads(done.stdout)
    return out


@pytest.mark.parametrize("how", ["every_call", "without_links"])
def test_killed_in_front_of_every_call(tmp_path: Path, how: str) -> None:
    outcome = found(how, str(tmp_path))
    assert outcome["calls"] > 60
    assert outcome["epochs"] == [0, 1, 2]
    assert outcome["grows"]


def test_killed_at_random(tmp_path: Path) -> None:
    outcome = found("at_random", str(tmp_path), "40")
    assert outcome["killed"] == 40
    assert outcome["epoch"] >= 3  # it got somewhere between the kills
