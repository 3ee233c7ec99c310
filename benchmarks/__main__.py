"""The command: `python -m benchmarks [--rounds N] [--seconds S] [--out FILE] [--check]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import eager, footprint, imports
from benchmarks.report import table, write_json

__all__ = ["main"]


def main() -> int:
    """Run every suite, print the table, write the results."""
    options = parser().parse_args()
    rows = imports.run(options.rounds)
    for threads in options.threads:
        rows += eager.run(threads, options.rounds, options.seconds)
    rows += footprint.run()
    print(table(rows))
    write_json(rows, options.out)
    print(f"\nwritten to {options.out}")
    return 1 if options.check and any(row.missed for row in rows) else 0


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser("python -m benchmarks", description="Thalweg beside PyTorch")
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="turns for each framework; the best counts")
    add("--seconds", type=float, default=0.5, help="length of a turn")
    add("--threads", type=int, nargs="+", default=[1, 2], help="a process for each number")
    add("--out", type=Path, default=Path(__file__).parent / "results.json", help="JSON file")
    add("--check", action="store_true", help="fail where a figure to reach is missed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
