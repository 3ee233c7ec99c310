"""SIGKILL at any moment, again and again: the run goes on, and ends with the same bits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("kills", "more", "most", "inside"), [(100, (), 60, 0), (12, ("stream",), 8, 6)]
)
def test_kills_lose_nothing(
    kills: int, more: tuple[str, ...], most: int, inside: int, tmp_path: Path
) -> None:
    script = Path(__file__).with_name("killing.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "run"), str(kills), "0", *more],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    words = done.stdout.split()
    assert words[-1] == "True", done.stdout
    assert int(words[1]) >= most, "most children must have been killed while they trained"
    assert int(words[3]) >= inside, "and most of them within an epoch"
