"""A run as one page: `report.html`, which needs nothing beside it and runs no scripts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from thalweg.drawing.axis import Axis
from thalweg.drawing.chart import STYLE as CHARTS_STYLE
from thalweg.drawing.numbers import column, number
from thalweg.drawing.palette import COLOURS
from thalweg.files import write_atomically
from thalweg.train.charts import HOVER, Curve, curves

if TYPE_CHECKING:
    from thalweg.train.runs import RunFolder

__all__ = ["report_html", "write_report"]

Row = Mapping[str, Any]

_MEASURES: Final = {
    "loss": "Loss",
    "accuracy": "Accuracy",
    "rmse": "Root mean square error",
    "mae": "Mean absolute error",
    "r2": "R²",
    "lr": "Step size",
}
_MOST: Final = {"accuracy": 1.0, "r2": 1.0}
_BESIDE: Final = ("epoch", "seconds", "best")  # columns that are no measures


def write_report(run: RunFolder, title: str | None = None) -> Path:
    """Write the page about a run into its folder, from what the folder holds; gives its path.

    It shows the result on the test set, the curves of every measure over the epochs with the best
    one marked, the options, and a table of all epochs. Raises `CheckpointError` if the folder
    cannot be read or written.
    """
    page = report_html(title or run.name, run.config, run.read_metrics(), run.read_result())
    path = run.path / "report.html"
    write_atomically(path, page.encode())
    return path


def report_html(title: str, config: Row, rows: Sequence[Row], result: Row) -> str:
    """The page's text, from a run's options, its epochs and its result.

    `rows` are dicts with "epoch", "loss", "lr", measures that begin with "train_" and "dev_", and
    "best"; `result` may hold "status", "test", "parameters" and "seconds".
    """
    best = next((row["epoch"] for row in reversed(rows) if row.get("best")), None)
    sections = [
        f"<header><h1>{escape(title)}</h1><p>{escape(_summary(config, rows, result))}</p></header>",
        _tiles(rows, result, best),
        _charts(rows, best),
        _options(config),
        _epochs(rows, best),
    ]
    return _PAGE.format(
        title=escape(title),
        style=f"{_shades()}\n{_STYLE}\n{HOVER}",
        charts=CHARTS_STYLE,
        body="\n".join(filter(None, sections)),
    )


def _summary(config: Row, rows: Sequence[Row], result: Row) -> str:
    count = _count(rows) if rows else "no epoch is complete yet"
    status = result.get("status")
    ended = f"{status} after {count}" if status else count
    return " · ".join(str(part) for part in (config.get("dataset"), ended) if part)


def _count(rows: Sequence[Row]) -> str:
    return f"{len(rows)} epoch{'' if len(rows) == 1 else 's'}"


# --- the figures on top ---------------------------------------------------------------------------


def _tiles(rows: Sequence[Row], result: Row, best: int | None) -> str:
    facts = [(f"test {_name(key)}", _spoken(key, value)) for key, value in _test(result).items()]
    if best is not None:
        facts.append(("best epoch", f"{best} of {rows[-1]['epoch']}"))
        facts += _best_measures(next(row for row in rows if row["epoch"] == best))
    seconds = result.get("seconds") or sum(row.get("seconds", 0) for row in rows)
    if seconds:
        facts.append(("time", _duration(seconds)))
    if result.get("parameters") is not None:
        facts.append(("parameters", f"{result['parameters']:,}"))
    tiles = "".join(
        f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>" for label, value in facts
    )
    return f'<dl class="tiles">{tiles}</dl>' if facts else ""


def _test(result: Row) -> Row:
    """The measures on the test set: the telling ones first, the loss last."""
    test = result.get("test") or {}
    return dict(sorted(test.items(), key=lambda item: item[0] == "loss"))


def _best_measures(row: Row) -> list[tuple[str, str]]:
    keys = [key for key in row if key.startswith("dev_") and key != "dev_loss"]
    return [(f"development {_name(key)}", _spoken(key, row[key])) for key in keys[:1]]


# --- curves ---------------------------------------------------------------------------------------


def _charts(rows: Sequence[Row], best: int | None) -> str:
    measures = dict.fromkeys(_measure(key) for row in rows for key in row if key not in _BESIDE)
    ordered = sorted(measures, key=lambda measure: measure == "lr")
    figures = "\n".join(_figure(measure, rows, best) for measure in ordered)
    return f'<section class="charts">\n{figures}\n</section>' if rows else ""


def _measure(key: str) -> str:
    return key.removeprefix("train_").removeprefix("dev_")


def _figure(measure: str, rows: Sequence[Row], best: int | None) -> str:
    lines = [
        Curve(label, [_number(row.get(key)) for row in rows], style)
        for key, label, style in _keys(measure, rows)
    ]
    share = measure == "accuracy"
    most = _MOST.get(measure, math.inf)
    y = Axis(is_percent=share, is_log=False if share else None, ceiling=most)
    drawing = curves(_title(measure), [row["epoch"] for row in rows], lines, y, best=best)
    return (
        f"<figure><figcaption><h2>{escape(_title(measure))}</h2></figcaption>\n{drawing}</figure>"
    )


def _keys(measure: str, rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """The columns of a measure: key, label and colour."""
    present = {key for row in rows for key in row}
    known = [
        (measure, "" if measure == "lr" else "training", "s2"),
        (f"train_{measure}", "training", "s2"),
        (f"dev_{measure}", "development", "s1"),
    ]
    return [entry for entry in known if entry[0] in present]


# --- tables ---------------------------------------------------------------------------------------


def _options(config: Row) -> str:
    """The options themselves; tables, such as how a data set is encoded, are for config.toml."""
    entries = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(_option(value))}</dd></div>"
        for name, value in config.items()
        if not isinstance(value, Mapping)
    )
    return (
        f'<section><h2>Options</h2><dl class="options">{entries}</dl></section>' if entries else ""
    )


def _option(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_option, value)) or "none"
    if isinstance(value, float):
        return number(value, 6)
    return str(value) if value != "" else "–"


def _epochs(rows: Sequence[Row], best: int | None) -> str:
    if not rows:
        return ""
    keys = [key for key in dict.fromkeys(key for row in rows for key in row) if key != "best"]
    head = "".join(f'<th scope="col">{escape(key.replace("_", " "))}</th>' for key in keys)
    columns = [_column(key, [row.get(key) for row in rows]) for key in keys]
    body = "\n".join(
        f"<tr{' class=best' if row['epoch'] == best else ''}>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for row, *cells in zip(rows, *columns, strict=True)
    )
    return (
        f"<details><summary>{_count(rows)} as a table</summary>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n'
        "</tbody></table></div></details>"
    )


def _column(key: str, values: Sequence[Any]) -> list[str]:
    """The cells of a column of the table."""
    if key.endswith("accuracy") or not all(isinstance(value, float) for value in values):
        return [_spoken(key, value) for value in values]
    return column(values)


# --- words and numbers ----------------------------------------------------------------------------


def _title(measure: str) -> str:
    return _MEASURES.get(measure, measure.replace("_", " ").capitalize())


def _name(key: str) -> str:
    title = _title(_measure(key))
    return title if title == "R²" else title.lower()


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _spoken(key: str, value: Any) -> str:
    """A value as the page writes it: accuracies in percent, four figures of anything else."""
    if isinstance(value, int) or not isinstance(value, float):
        return "–" if value is None else str(value)
    is_share = key.endswith("accuracy") and math.isfinite(value)
    return f"{100 * value:.1f} %" if is_share else number(value)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


# --- the page -------------------------------------------------------------------------------------

_PAGE_COLOURS: Final = {"page": ("#f1f3f5", "#0c0f12"), **COLOURS}


def _shades() -> str:
    """The colours as variables, for light pages and for dark ones."""
    light, dark = (
        "; ".join(f"--{name}: {pair[shade]}" for name, pair in _PAGE_COLOURS.items())
        for shade in (0, 1)
    )
    return (
        f":root {{ color-scheme: light dark; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
    )


_STYLE: Final = """
* { box-sizing: border-box }
body {
  margin: 0; background: var(--page); color: var(--ink); line-height: 1.45;
  font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1180px; margin: 0 auto; padding: clamp(1rem, 4vw, 2.5rem) }
h1 { margin: 0; font-size: clamp(1.5rem, 5vw, 2.1rem); font-weight: 650; overflow-wrap: anywhere }
h2 { margin: 0; font-size: 1.05rem; font-weight: 600 }
header p { margin: .15rem 0 1.5rem; color: var(--quiet) }
dl, dd, figure { margin: 0 }
dt { color: var(--quiet); font-size: .85rem }
section, .tiles { margin-bottom: 1.5rem }
.tiles { display: flex; flex-wrap: wrap; gap: 1rem clamp(1.5rem, 5vw, 3.5rem) }
.tiles dt::first-letter { text-transform: uppercase }
.tiles dd { font-size: 1.5rem; font-weight: 600; font-variant-numeric: tabular-nums }
.tiles div:first-child dd { color: var(--s1) }
.charts {
  display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr));
}
figure, .options, details {
  background: var(--paper); border: 1px solid var(--grid); border-radius: .6rem;
  padding: clamp(.8rem, 3vw, 1rem);
}
figcaption { margin-bottom: .3rem }
.thalweg-chart { display: block; width: 100%; height: auto }
section > h2 { margin-bottom: .6rem }
.options {
  display: grid; gap: .8rem 1rem; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr));
}
.options dd { overflow-wrap: anywhere; font-variant-numeric: tabular-nums }
summary { cursor: pointer; font-weight: 600 }
.scroll { overflow-x: auto; margin-top: .8rem }
table {
  border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums;
}
th, td { text-align: right; padding: .3rem .7rem; white-space: nowrap }
th { color: var(--quiet); font-weight: 500 }
td { border-top: 1px solid var(--grid) }
tr.best td { font-weight: 650; color: var(--s1) }
""".strip()

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
{charts}
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
