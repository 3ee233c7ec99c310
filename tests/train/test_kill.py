"""SIGKILL at any moment, a hundred times: the run goes on, and ends with the same bits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_hundred_kills_lose_nothing(tmp_path: Path) -> None:
    script = Path(__file__).with_name("killing.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "run"), "100", "0"],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    words = done.stdout.split()
    assert words[-1] == "True", done.stdout
    assert int(words[1]) >= 60, "most children must have been killed while they trained"
