"""A run as one page: `report.html`, which needs nothing beside it and runs no scripts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from thalweg.files import write_atomically
from thalweg.train.charts import STYLE as CHARTS_STYLE
from thalweg.train.charts import Curve, curves

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
        style=f"{_STYLE}\n{CHARTS_STYLE}",
        body="\n".join(filter(None, sections)),
    )


def _summary(config: Row, rows: Sequence[Row], result: Row) -> str:
    count = f"{len(rows)} epoch{'' if len(rows) == 1 else 's'}"
    if not rows:
        count = "no epoch is complete yet"
    status = result.get("status")
    ended = f"{status} after {count}" if status else count
    return " · ".join(str(part) for part in (config.get("dataset"), ended) if part)


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
    keys = _keys(measure, rows)
    lines = [
        Curve(label, [_number(row.get(key)) for row in rows], f"line-{style}")
        for key, label, style in keys
    ]
    drawing = curves(
        _title(measure),
        [row["epoch"] for row in rows],
        lines,
        spoken=lambda value: _spoken(measure, value).replace(".0 %", " %"),
        best=best,
        ceiling=1.0 if measure in ("accuracy", "r2") else math.inf,
    )
    legend = "".join(
        f'<span class="key"><i class="{line.style}"></i>{escape(line.label)}</span>'
        for line in lines
    )
    return (
        f"<figure><figcaption><h2>{escape(_title(measure))}</h2><p>{legend}</p></figcaption>\n"
        f"{drawing}\n"
        f"{_gaps(lines)}</figure>"
    )


def _keys(measure: str, rows: Sequence[Row]) -> list[tuple[str, str, int]]:
    """The columns of a measure: key, label and number of the colour."""
    present = {key for row in rows for key in row}
    known = [
        (measure, "learning rate" if measure == "lr" else "training", 1),
        (f"train_{measure}", "training", 1),
        (f"dev_{measure}", "development", 2),
    ]
    return [entry for entry in known if entry[0] in present]


def _gaps(lines: Sequence[Curve]) -> str:
    lost = sum(not math.isfinite(value) for line in lines for value in line.values)
    if not lost:
        return ""
    return f'<p class="note">{lost} value{"s are" if lost > 1 else " is"} not finite: left out.</p>'


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
    return str(value) if value != "" else "–"


def _epochs(rows: Sequence[Row], best: int | None) -> str:
    if not rows:
        return ""
    keys = [key for key in dict.fromkeys(key for row in rows for key in row) if key != "best"]
    head = "".join(f"<th>{escape(key.replace('_', ' '))}</th>" for key in keys)
    body = "\n".join(
        f"<tr{' class=best' if row['epoch'] == best else ''}>"
        + "".join(f"<td>{escape(_spoken(key, row.get(key)))}</td>" for key in keys)
        + "</tr>"
        for row in rows
    )
    return (
        f"<details><summary>All {len(rows)} epochs as a table</summary>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n'
        "</tbody></table></div></details>"
    )


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
    number = _number(value)
    if isinstance(value, int) or math.isnan(number):
        return "–" if value is None else str(value)
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    if key.endswith("accuracy"):
        return f"{100 * number:.1f} %"
    return f"{number:.4g}".replace("e-0", "e-").replace("e+0", "e").replace("-", "−")


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


# --- the page -------------------------------------------------------------------------------------

_STYLE: Final = """
:root {
  color-scheme: light dark;
  --page: #f6f5f1; --card: #fffefb; --ink: #1c2630; --muted: #5d6873; --grid: #e8e6df;
  --axis: #b9bcbc; --line-1: #c07a16; --line-2: #1d62ac; --warn: #a3341f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10151a; --card: #182027; --ink: #e7ebee; --muted: #9ba8b3; --grid: #28323b;
    --axis: #52606c; --line-1: #e8ad4f; --line-2: #74b3f5; --warn: #f09a84;
  }
}
* { box-sizing: border-box }
body {
  margin: 0; background: var(--page); color: var(--ink); line-height: 1.45;
  font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1180px; margin: 0 auto; padding: clamp(1rem, 4vw, 2.5rem) }
h1 { margin: 0; font-size: clamp(1.5rem, 5vw, 2.1rem); font-weight: 650; overflow-wrap: anywhere }
h2 { margin: 0; font-size: 1.05rem; font-weight: 600 }
header p { margin: .15rem 0 1.5rem; color: var(--muted) }
dl, dd, figure { margin: 0 }
dt { color: var(--muted); font-size: .85rem }
section, .tiles { margin-bottom: 1.5rem }
.tiles { display: flex; flex-wrap: wrap; gap: 1rem clamp(1.5rem, 5vw, 3.5rem) }
.tiles dt::first-letter { text-transform: uppercase }
.tiles dd { font-size: 1.5rem; font-weight: 600; font-variant-numeric: tabular-nums }
.tiles div:first-child dd { color: var(--line-2) }
.charts {
  display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr));
}
figure, .options, details {
  background: var(--card); border: 1px solid var(--grid); border-radius: .6rem;
  padding: clamp(.8rem, 3vw, 1rem);
}
figcaption p { margin: .1rem 0 .4rem; display: flex; flex-wrap: wrap; gap: 0 1.2rem }
.key { color: var(--muted); font-size: .85rem; white-space: nowrap }
.key i {
  display: inline-block; width: 1rem; height: 3px; border-radius: 2px; margin-right: .4rem;
  vertical-align: .25em;
}
i.line-1 { background: var(--line-1) } i.line-2 { background: var(--line-2) }
.note { margin: .5rem 0 0; color: var(--warn); font-size: .85rem }
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
th { color: var(--muted); font-weight: 500 }
td { border-top: 1px solid var(--grid) }
tr.best td { font-weight: 650; color: var(--line-2) }
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
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
