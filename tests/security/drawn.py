"""Everything that nbray draws as HTML, each with one foreign text in every place that takes one.

`fragments(text)` is what pages and saved notebooks get; `trees(text)` is what a live card gets, which its script draws.
`test_pages.py` fails for a function of nbray that writes HTML and is not reached from here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import pandas as pd

import nbray
from nbray.cluster_info import ClusterInfo
from nbray.ids import CellRunId, ObjectId
from nbray.introspection import object_rows
from nbray.memory_report import report
from nbray.notebook import doctor
from nbray.notebook.ansi_html import ansi_html
from nbray.notebook.attached import Attached, FoundCell
from nbray.notebook.card import Picture
from nbray.notebook.card_html import card_html
from nbray.notebook.cell_progress import CellProgress, progress_html
from nbray.notebook.checkup import Finding
from nbray.notebook.history_view import Details, History, Why
from nbray.notebook.manifest import FAILED, Manifest, Piece, Stages, Tasks
from nbray.notebook.previews import Preview
from nbray.notebook.promises import Promise
from nbray.notebook.rank_output import Part, RankPage
from nbray.notebook.rank_tabs import tabs_html
from nbray.notebook.ranks import Rank
from nbray.notebook.status import Status
from nbray.notebook.values import RemoteValue
from nbray.objects import ObjectRef
from nbray.plot_points import Plot, Points
from nbray.progress_board import BarState, Line
from nbray.snapshot import CellRunSnapshot, ClusterSnapshot, ObjectSnapshot, StoreSnapshot, WorkerSnapshot
from nbray.tables import Rows
from nbray.tune.configs import RunConfig, TuneConfig
from nbray.tune.events import CloseReason
from nbray.tune.plan import Plan
from nbray.tune.result_grid import ResultGrid
from nbray.tune.schedulers.scheduler import Rung
from nbray.tune.view import View
from nbray.widgets import learning_curves, series_chart, tune_card
from nbray.widgets.elements import Element
from nbray.widgets.picture import picture_of
from nbray.worker_stacks import Frame, Stacks, WorkerStack
from tests.fakes import fake_session
from tests.widgets.sample import Story


def fragments(text: str) -> dict[str, str]:
    """HTML by what it is of."""
    with fake_session():
        return {name: draw(text) for name, draw in _DRAWN.items()}


def trees(text: str) -> Iterator[Element]:
    """What goes to the page's script."""
    for chart in _charts(text):
        yield from series_chart.sections(chart, drawn_live=False).values()
        yield from series_chart.sections(chart, drawn_live=True).values()
    for view in _views(text):
        picture = picture_of(text, view, left=text)
        yield from tune_card.sections(picture, learning_curves.lines_of(picture), drawn_live=False).values()


# -------------------------------------------------------------------- cards


def _counts(text: str, **states: Any) -> CellRunSnapshot:
    said: dict[str, Any] = {"waits_for": text, "first_failure": text, "run_seconds": 9.0, "elapsed": 3.0}
    return CellRunSnapshot(CellRunId(text), text, text, **{**said, **states})


def _worker(text: str) -> WorkerSnapshot:
    return WorkerSnapshot(0, 4711, "busy", text, CellRunId(text), running_for=2.0, cpu=0.5, rss=2**28, actor=text)


def _cards(text: str) -> str:
    counts = _counts(text, waiting=3, running=2, succeeded=9, failed=2)
    live = Picture(counts, 3.0, False, False, 2.0, 9.0, (_worker(text),), 2**28)
    over = live._replace(counts=_counts(text, succeeded=9, failed=2, cancelled=1), final=True)
    pictures = (live, over, over._replace(stopped=True), live._replace(lost=text))
    return "".join(map(card_html, pictures))


def _progress(text: str) -> str:
    cell = CellProgress(text)
    cell.handle(1, text, BarState(bar=1, key=text, desc=text, n=3, total=10, unit=text, postfix=text), 0.0)
    cell.handle(2, text, BarState(bar=2, key="", desc="", n=3, unit=text), 0.0)
    shown = "".join(content["data"]["text/html"] for _, content in cell.publish(9.0, everything=True))
    line = Line(label=text, bars=1, open=1, n=3, total=None, unit=text, postfix=text, elapsed=2.0)
    return shown + progress_html([line], 3)


def _ranks(text: str) -> str:
    kinds = ("text/plain", "text/latex", "image/png", "text/markdown", text)
    parts = (Part(text), Part(text, is_error=True), *(Part(data={kind: text}) for kind in kinds))
    pages = [RankPage(Rank(place, 2, text), text, state, 1.0, parts, 9) for place, state in enumerate(("done", "failed"))]
    return tabs_html(pages, text)


# -------------------------------------------------------------------- views of %nbray


def _status(text: str) -> str:
    resources = {"CPU": 20_000, text: 10_000}
    cells = [_counts(text, waiting=1, running=1)]
    snapshot = ClusterSnapshot(1, text, resources, resources, StoreSnapshot(2**30, 2**20, 1), [_worker(text)], cells)
    return Status(text, snapshot)._repr_html_() + Status(text, snapshot, job="mine")._repr_html_()


def _rows(text: str) -> str:
    """Tasks, workers, actors, objects, cells, packages: all of them are rows."""
    return Rows([text, "other"], [(text, [text, {text: text}]), (None, 1.5)])._repr_html_() + Rows([text])._repr_html_()


def _manifest(text: str, number: int) -> Manifest:
    piece = Piece(text, text, text, 9, text, text)
    return Manifest(
        cell_run=text, number=number, notebook=text, began=1.0, how=text, line=text, code="c0de", error=text,
        outcome=FAILED if number else text, stages=Stages(1, 1, 1, 1, 1, 1), tasks=Tasks(3, 1, 1, 9.0, 9.0),
        inputs=(piece,), outputs=(piece,), shipped=9, stored=9, modules={text: text}, packages={text: text}, python=text,
        engine=text, worker=text, attempt=2, cpu=1.0, cores=2, waited_for=text, cache=text, spared=1.0,
    )  # fmt: skip


def _history(text: str) -> str:
    first, second = _manifest(text, 0), _manifest(text, 1)
    views = (Why(second, [first]), History([first, second], [text], of_all=True), Details(second, [first]))
    return "".join(view._repr_html_() for view in views)


def _attached(text: str) -> str:
    back = cast("Any", _Back(text))
    refs = [ObjectRef(ObjectId(1), "none", text)]
    counts = _counts(text, running=1)
    found = [FoundCell(counts, 1.0, True, [], refs), FoundCell(counts, 1.0, False, [back], refs)]
    return Attached(found, [(text, text)], [(text, text)], found, 3, [text])._repr_html_()


class _Back(NamedTuple):
    """What a kernel has had back, as the table sees it."""

    text: str
    done: bool = True
    failed: bool = False
    value: Any = None

    @property
    def assigned(self) -> tuple[str, ...]:
        """Names."""
        return (self.text,)

    @property
    def promise(self) -> Promise:
        """What was promised."""
        return Promise(kind="cell", ids=[], wanted=(self.text,))


def _memory(text: str) -> str:
    held = ObjectSnapshot(ObjectId(1), text, 9, text, 1, [text], text)
    return report(StoreSnapshot(2**30, 2**20, 1, 9), object_rows([held]), {f"{1:016x}": [text]})._repr_html_()


def _stacks(text: str) -> str:
    return Stacks([WorkerStack(text, text, text, [[Frame(text.replace("\0", ""), 1, text)]])])._repr_html_()


def _cluster(text: str) -> str:
    return ClusterInfo(backend=text, epoch=text, workers=1, resources={text: 1.0}, store_limit=9)._repr_html_()


def _doctor(text: str) -> str:
    return doctor.Report([Finding(text, "ok", text), Finding(text, "problem", text, text)])._repr_html_()


# -------------------------------------------------------------------- values


def _refs(text: str) -> str:
    ready = nbray.put([text])
    return ObjectRef(ready.id, ready.epoch, text)._repr_html_() + ready._repr_html_()


def _frames(text: str) -> str:
    frame = pd.DataFrame({text: [text, 1], "b": [2.0, math.nan]}, index=[text, "c"])
    values = (frame, frame.T, _ArrowTable([text], [{text: text}]))
    return "".join(str(_handle(Preview.of(value, 9))._repr_mimebundle_().get("text/html", "")) for value in values)


class _ArrowTable(NamedTuple):
    """What pyarrow's tables have of which a preview is made."""

    column_names: list[str]
    rows: list[dict[str, Any]]

    def slice(self, start: int, count: int) -> _ArrowTable:
        """Some rows."""
        return self

    def to_pylist(self) -> list[dict[str, Any]]:
        """All rows."""
        return self.rows


def _handle(preview: Preview) -> RemoteValue:
    return RemoteValue(nbray.put(1), preview._replace(made_by=preview.head))


# -------------------------------------------------------------------- figures


def _charts(text: str) -> Iterator[series_chart.Chart]:
    for runs in ([""], [text, "other"]):
        for closed in (False, True):
            plot = Plot()
            for run in runs:
                rows = tuple((float(step), 1 / step, float(step)) for step in range(1, 9))
                plot.take(Points(plot=1, run=run, title=text, x_name=text, names=(text, "acc"), rows=rows, items=9, said=(text,),
                                 closed=closed, why=text if closed else ""))  # fmt: skip
            yield series_chart.chart_of(plot, 3.0)
    empty = Plot()
    empty.take(Points(plot=1, title=text, names=(), items=0, closed=True, why=text))
    yield series_chart.chart_of(empty, 1.0)


def _plots(text: str) -> str:
    return "".join(map(series_chart.static_html, _charts(text)))


def _views(text: str) -> Iterator[View]:
    """An experiment at work and one that is over, with a trial of each kind."""
    for over in (False, True):
        story = Story(text, total=9)
        config = {text: text, "lr": 0.1, "same": text, "net": {text: text}}
        trials = [story.begin({**config, "lr": 0.1 * (number + 1), text: f"{text}{number}"}) for number in range(5)]
        for step in range(4):
            for trial in trials[:4]:
                story.report(trial, 0.5 + 0.1 * step, "STOP" if step == 3 else "CONTINUE", text)
        story.end(trials[0], text)
        story.fail(trials[1], f"Traceback\n{text}")
        story.say(text)
        story.view.rungs = [Rung(0, level, dict.fromkeys(trials[:3], 0.5), frozenset(trials[:1]), 0.4) for level in (1, 3)]
        yield story.close(text, CloseReason.STOPPED) if over else story.view
    single = Story(text)
    single.report(single.begin({text: text}), 1.0)
    yield single.view


def _experiments(text: str) -> str:
    pictures = [picture_of(text, view, left=left) for view, left in zip(_views(text), ("", "", text), strict=True)]
    return "".join(map(tune_card.static_html, pictures))


def _results(text: str) -> str:
    plan = Plan(text, f"/{text}", len, {}, TuneConfig(metric=text, mode="max"), RunConfig(), trainable_name=text)
    return "".join(ResultGrid(view, plan)._repr_html_() for view in _views(text))


_DRAWN: dict[str, Callable[[str], str]] = {
    "cards of cells": _cards, "progress bars": _progress, "tabs of ranks": _ranks, "%nbray": _status, "tables": _rows,
    "%nbray history": _history, "%nbray attach": _attached, "nbray.memory": _memory, "nbray.stack": _stacks,
    "%nbray doctor": _doctor, "references": _refs, "handles of frames": _frames, "plots": _plots,
    "cards of experiments": _experiments, "results of experiments": _results, "output with colours": ansi_html,
    "nbray.init": _cluster,
}  # fmt: skip
