"""Reading and running the examples of a Markdown page."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["Block", "Example", "check", "differences", "examples", "fences", "matches", "run"]

ROOT = Path(__file__).parent.parent
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CHECKER = doctest.OutputChecker()


@dataclass(frozen=True)
class Block:
    """What stands between two fences: the word after the first, the text, and where."""

    kind: str
    text: str
    line: int
    start: int  # the character of the first fence, and the one after the second
    end: int


@dataclass(frozen=True)
class Example:
    """A Python block, and the text block right below it: what it prints."""

    page: Path
    code: str
    line: int
    shown: str | None

    @property
    def place(self) -> str:
        """Where to look."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def fences(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(m[1].strip(), m[2], text.count("\n", 0, m.start()) + 2, *m.span())
        for m in _FENCE.finditer(text)
    ]


def examples(page: Path) -> list[Example]:
    """The Python blocks of a page, each with the text block that follows it directly, if any."""
    text = page.read_text(encoding="utf-8")
    found = []
    for block, after in pairwise([*fences(page), None]):
        if block is not None and block.kind == "python":
            has_output = after is not None and after.kind == "text"
            is_adjacent = after is not None and not text[block.end : after.start].strip()
            shown = after.text if after and has_output and is_adjacent else None
            found.append(Example(page, block.text, block.line, shown))
    return found


def run(example: Example, names: dict[str, Any]) -> str:
    """Execute an example in `names`; gives what it printed, and, as a last line, what it raised."""
    program = compile("\n" * (example.line - 1) + example.code, example.place, "exec")
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        try:
            exec(program, names)
        except Exception as error:
            if example.shown is None:
                raise
            print(f"{type(error).__name__}: {error}")
    return output.getvalue()


def matches(shown: str, printed: str) -> bool:
    """Whether a page shows what was printed; `...` stands for anything."""
    wanted, got = (
        "".join(f"{line.rstrip()}\n" for line in t.splitlines()) for t in (shown, printed)
    )
    return _CHECKER.check_output(wanted, got, doctest.ELLIPSIS)


def check(example: Example, names: dict[str, Any]) -> None:
    """Run an example, and compare what it prints with what the page shows."""
    printed = run(example, names)
    shown = example.shown or ""
    assert matches(shown, printed), (
        f"{example.place}: the page shows\n{shown}\nand the code prints\n{printed}"
    )


def differences(library: ModuleType, column: str) -> Iterator[tuple[Example, str, str]]:
    """Each example of differences.md run with `library` as `torch`: (example, shown, printed).

    Its text has a line for each of the two libraries, which begins with its name: `column`.
    """
    for example in examples(ROOT / "docs" / "differences.md"):
        lines = (example.shown or "").splitlines()
        shown = [line.removeprefix(column).strip() for line in lines if line.startswith(column)]
        names = {"torch": library, "nn": library.nn, "F": library.nn.functional}
        yield example, "\n".join(shown), run(example, names).strip()
