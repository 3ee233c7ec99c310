"""The command: `python -m benchmarks [SUITE ..]`; `--help` says what else."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import eager, footprint, imports
from benchmarks.report import Row, table, write_json
from benchmarks.training import suite

__all__ = ["main"]

SUITES = ("imports", "eager", "training", "footprint")


def main() -> int:
    """Run the suites, print the table, write the results."""
    options = parser().parse_args()
    rows = [row for name in SUITES if name in options.suites for row in run(name, options)]
    print(table(rows))
    write_json(rows, options.out)
    print(f"\nwritten to {options.out}")
    return 1 if options.check and any(row.missed for row in rows) else 0


def run(name: str, options: argparse.Namespace) -> list[Row]:
    """The rows of a suite."""
    match name:
        case "imports":
            return imports.run(options.rounds)
        case "eager":
            rows = [eager.run(n, options.rounds, options.seconds) for n in options.threads]
            return [row for some in rows for row in some]
        case "training":
            return suite.run(options.threads, options.rounds)
        case _:
            return footprint.run()


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser("python -m benchmarks", description="Thalweg beside PyTorch")
    add = parser.add_argument
    parser.add_argument(
        "suites", nargs="*", default=SUITES, choices=SUITES, metavar="SUITE",
        help=f"{', '.join(SUITES)}; all of them if none is named",
    )  # fmt: skip
    add("--rounds", type=int, default=5, help="turns for each framework; the best counts")
    add("--seconds", type=float, default=0.5, help="length of a turn")
    add("--threads", type=int, nargs="+", default=[1, 2], help="a process for each number")
    add("--out", type=Path, default=Path(__file__).parent / "results.json", help="JSON file")
    add("--check", action="store_true", help="fail where a figure to reach is missed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
