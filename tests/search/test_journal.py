"""The journal after its writer was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from thalweg.search.journal import JournalLock, mend

HOLD = """
import sys
from pathlib import Path
from thalweg.search.journal import JournalLock
lock = JournalLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (b'{"a"', b""),
        (b"one\ntwo\n", b"one\ntwo\n"),
        (b"one\ntwo\nthr", b"one\ntwo\n"),
        (b"one\n" + b"x" * 200_000, b"one\n"),
    ],
)
def test_half_a_line_is_cut_off(tmp_path: Path, before: bytes, after: bytes) -> None:
    journal = tmp_path / "journal.log"
    journal.write_bytes(before)
    mend(journal)
    assert journal.read_bytes() == after


def test_a_killed_writer_holds_nobody_up(tmp_path: Path) -> None:
    journal = tmp_path / "journal.log"
    journal.write_bytes(b"one\n")
    command = [sys.executable, "-c", HOLD, str(journal)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"held\n"
        with journal.open("ab") as file:
            file.write(b"tw")
        writer.kill()
    lock = JournalLock(journal)
    assert lock.acquire()
    assert journal.read_bytes() == b"one\n"
    lock.release()
