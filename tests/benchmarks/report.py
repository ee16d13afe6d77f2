"""A run of the benchmarks as a table in the terminal, as JSON and as a Bokeh page."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import nbray
from tests.benchmarks.rows import ROWS, Row

DISTRIBUTIONS = {"dask": "distributed"}


@dataclass
class Cell:
    """One row of one system: the repeats, a remark, and the figure picked from the repeats."""

    values: list[float]
    note: str = ""
    figure: float | None = None
    beside: dict[str, float] = field(default_factory=dict)
    """What was measured in the same breath and a target may name."""


@dataclass
class Run:
    """All that was measured in one run."""

    systems: list[str]
    machine: dict[str, float]
    """What the machine allows, at the start of the run."""
    limits: dict[str, dict[str, float]] = field(default_factory=dict)
    """What it allowed while a row was measured: a busy machine changes within minutes."""
    cells: dict[str, dict[str, Cell]] = field(default_factory=dict)


def _columns(run: Run, row: Row) -> dict[str, float]:
    figures = {name: cell.figure for name, cell in run.cells[row.name].items() if cell.figure is not None}
    beside = run.cells[row.name]["nbray"].beside if "nbray" in run.cells[row.name] else {}
    return figures | beside | run.limits.get(row.name, {})


def verdict(run: Run, row: Row) -> bool | None:
    """Whether all targets of the row that can be judged are met; None when none can."""
    judged = [met for target in row.targets if (met := target.met(_columns(run, row))) is not None]
    if "nbray" in run.systems and run.cells[row.name]["nbray"].figure is None:
        return False
    return all(judged) if judged else None


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if value >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def heading(run: Run) -> str:
    """The first lines: the machine, and the columns' names."""
    limits = f"memcpy {run.machine['memcpy']:.1f} GiB/s, socket there and back {run.machine['socket']:.0f} us"
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}; the machine itself: {limits}"
    columns = "".join(f"{name:>12}" for name in run.systems)
    return f"{machine}\n\n{'':36}{'unit':>10}{columns}  {'limit':>8}  target"


def line(run: Run, row: Row) -> str:
    """One row of the table, with what is worth knowing about its figures below it."""
    cells = run.cells[row.name]
    figures = "".join(f"{_number(cells[name].figure):>12}" for name in run.systems)
    limit = _number(run.limits[row.name][row.limit]) if row.limit else ""
    kept = {True: "kept", False: "MISSED", None: ""}[verdict(run, row)]
    targets = ", ".join(str(target) for target in row.targets)
    text = f"{row.title:36}{row.unit:>10}{figures}  {limit:>8}  {targets}  {kept}"
    notes = [f"{name}: {cell.note}" for name, cell in cells.items() if cell.note not in ("", "unsupported")]
    return text + (f"\n      {'; '.join(notes)}" if notes else "")


def footer(run: Run) -> str:
    """The versions that were measured."""
    return "\n" + ", ".join(f"{name} {_version(name)}" for name in run.systems)


def _version(system: str) -> str:
    if system == "nbray":
        return nbray.__version__
    try:
        return version(DISTRIBUTIONS.get(system, system))
    except PackageNotFoundError:
        return platform.python_version()


def save(run: Run, directory: Path) -> None:
    """Write `benchmarks.json`, `benchmarks.html` and, for the README, `benchmarks.md`."""
    directory.mkdir(parents=True, exist_ok=True)
    record = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "machine": {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "versions": {name: _version(name) for name in run.systems},
        "verdicts": {row.name: verdict(run, row) for row in ROWS if row.name in run.cells},
        **asdict(run),
    }
    (directory / "benchmarks.json").write_text(json.dumps(record, indent=1))
    (directory / "benchmarks.html").write_text(_chart(run))
    (directory / "benchmarks.md").write_text(_markdown(run))
    print(f"saved in {directory}: benchmarks.json, benchmarks.html, benchmarks.md")


def _markdown(run: Run) -> str:
    """The table as the README shows it."""
    lines = [f"| | unit | promised | {' | '.join(run.systems)} | limit |", f"|---|---|---|{'---:|' * len(run.systems)}---:|"]
    for row in ROWS:
        if cells := run.cells.get(row.name):
            targets = ", ".join(str(target) for target in row.targets)
            figures = " | ".join(_number(cells[name].figure) for name in run.systems)
            limit = f"{_number(run.limits[row.name][row.limit])} ({row.limit})" if row.limit else ""
            lines.append(f"| {row.title} | {row.unit} | {targets} | {figures} | {limit} |")
    return "\n".join(lines) + "\n"


def _chart(run: Run) -> str:
    """One small chart a row, each with its own logarithmic axis: the systems differ by powers of ten."""
    from bokeh.embed import file_html
    from bokeh.layouts import gridplot
    from bokeh.models import DataRange1d, FactorRange
    from bokeh.plotting import figure
    from bokeh.resources import INLINE

    figures: list[Any] = []
    for row in ROWS:
        shown = {name: cell.figure for name, cell in run.cells.get(row.name, {}).items() if cell.figure}
        if not shown:
            continue
        plot = figure(
            y_range=FactorRange(factors=list(reversed(shown))), x_range=DataRange1d(range_padding=0.5),
            x_axis_type="log", height=60 + 28 * len(shown), width=420,
            title=f"{row.title} [{row.unit}]", toolbar_location=None,
        )  # fmt: skip
        colors = ["#f37726" if name == "nbray" else "#9aa5b1" for name in shown]
        texts = [f"  {_number(value)}" for value in shown.values()]
        plot.scatter(x=list(shown.values()), y=list(shown), size=13, color=colors)
        plot.text(x=list(shown.values()), y=list(shown), text=texts, text_baseline="middle", text_font_size="12px")
        figures.append(plot)
    return str(file_html(gridplot(figures, ncols=3, toolbar_location=None), INLINE, "nbray and its peers"))
