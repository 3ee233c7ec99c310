"""The rows of a benchmark run: as a table to read, as JSON to keep."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

__all__ = ["Row", "table", "write_json"]

LIBRARIES = ("thalweg", "numpy", "torch", "jax")

HEADER = (
    "", "threads", "machine", "thalweg", "torch", "jax", "unit", "to torch", "to jax", "of roof",
    "to reach",
)  # fmt: skip
WORDS = (HEADER.index(""), HEADER.index("unit"), HEADER.index("to reach"))


@dataclass(frozen=True)
class Row:
    """One measured figure, for Thalweg, for PyTorch, for JAX or for the machine itself.

    `limit` is the most that `limited` may be: the ratio to PyTorch, or Thalweg's own figure;
    `jax_limit` is the most that the ratio to JAX may be.
    `roof` is the share of the machine's matrix-product rate that Thalweg's figure amounts to.
    """

    what: str
    unit: str
    threads: int | None = None
    thalweg: float | None = None
    torch: float | None = None
    machine: float | None = None
    limit: float | None = None
    limited: Literal["ratio", "thalweg"] = "ratio"
    roof: float | None = None
    jax: float | None = None
    jax_limit: float | None = None

    @property
    def ratio(self) -> float | None:
        """Thalweg's figure over PyTorch's: below 1 Thalweg is ahead."""
        return self.thalweg / self.torch if self.thalweg and self.torch else None

    @property
    def jax_ratio(self) -> float | None:
        """Thalweg's figure over JAX's."""
        return self.thalweg / self.jax if self.thalweg and self.jax else None

    @property
    def missed(self) -> bool:
        """Whether there is a limit that this figure is over."""
        value = self.ratio if self.limited == "ratio" else self.thalweg
        return _is_over(value, self.limit) or _is_over(self.jax_ratio, self.jax_limit)


def _is_over(value: float | None, limit: float | None) -> bool:
    return limit is not None and (value is None or value > limit)


def table(rows: Sequence[Row]) -> str:
    """The rows in aligned columns."""
    lines = [HEADER] + [cells(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(align(line, widths)).rstrip() for line in lines)


def cells(row: Row) -> tuple[str, ...]:
    """What stands in a row's columns."""
    return (
        row.what,
        "" if row.threads is None else str(row.threads),
        number(row.machine),
        number(row.thalweg),
        number(row.torch),
        number(row.jax),
        row.unit,
        "" if row.ratio is None else f"{row.ratio:.2f}",
        "" if row.jax_ratio is None else f"{row.jax_ratio:.2f}",
        "" if row.roof is None else f"{row.roof:.0%}",
        goal(row),
    )


def goal(row: Row) -> str:
    """The limits, and whether they are kept."""
    if row.limit is None:
        return ""
    unit = "x" if row.limited == "ratio" else f" {row.unit}"
    jax = "" if row.jax_limit is None else f", {row.jax_limit:g}x"
    return f"<= {row.limit:.3g}{unit}{jax}: {'MISSED' if row.missed else 'reached'}"


def number(value: float | None) -> str:
    """Three significant digits, or nothing."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def align(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Words to the left, figures to the right."""
    return [
        cell.ljust(width) if column in WORDS else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]


def write_json(rows: Sequence[Row], path: Path) -> None:
    """Write the rows, with their ratios and the versions measured."""
    results = {
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES},
        "rows": [asdict(row) | {"ratio": row.ratio, "jax_ratio": row.jax_ratio} for row in rows],
    }
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
