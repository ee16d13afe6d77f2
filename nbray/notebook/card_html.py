"""Owns how a card looks: static HTML with inline styles, and the same as plain text.

No script and no style sheet, so that it looks alike in JupyterLab, Notebook 7, VS Code, in a saved notebook and in an
export. Text and lines take the page's own colour, so light and dark need nothing; only the colours with a meaning name
Jupyter's variables. Task names and error texts are foreign: each goes through `_text`.
"""

from __future__ import annotations

import html

from nbray.notebook.card import Picture
from nbray.snapshot import WorkerSnapshot
from nbray.wording import count_text, one_line, plain_html, rate_text, size_text, time_text

GREEN = "var(--jp-success-color1,#388e3c)"
RED = "var(--jp-error-color1,#d84315)"
ORANGE = "var(--jp-warn-color1,#f57c00)"
BLUE = "var(--jp-brand-color1,#1976d2)"
GREY = "#8c8c8c"
MOST_WORKERS = 12

_CARD = (
    "font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);font-variant-numeric:tabular-nums;max-width:640px;"
    "margin:4px 0;padding:6px 12px 7px;border:1px solid rgba(128,128,128,.3);border-left:3px solid {color};border-radius:4px"
)
_ROW = "display:flex;gap:2px 14px;flex-wrap:wrap;align-items:baseline"
_QUIET = "opacity:.7"
_BAR = "display:flex;height:6px;margin:5px 0 4px;border-radius:3px;overflow:hidden;background:rgba(128,128,128,.22)"


def card_html(picture: Picture) -> str:
    """The card as HTML."""
    color, state = _state(picture)
    head = [f'<span style="color:{color};font-weight:600">{state}</span>', f"<span>{_headline(picture)}</span>"]
    clock = f'<span style="{_QUIET};margin-left:auto">{_clock(picture)}</span>'
    details = _details(picture)
    if _has_bar(picture):
        rows = [_row([*head, clock]), _bar(picture), _row(details) if details else ""]
    else:
        rows = [_row([*head, *details, clock])]
    rows += [f'<div style="color:{tone};overflow-wrap:anywhere">{_text(note)}</div>' for tone, note in _notes(picture)]
    return plain_html(f'<div style="{_CARD.format(color=color)}">{"".join(rows)}</div>')


def _has_bar(picture: Picture) -> bool:
    """A bar tells something while work goes on and where its parts differ."""
    return picture.total > 1 and not (picture.final and picture.counts.succeeded in (0, picture.total))


def card_text(picture: Picture) -> str:
    """The card as plain text, for viewers that know no HTML.

    >>> from nbray.snapshot import CellRunSnapshot
    >>> counts = CellRunSnapshot(cell_run="c", label="", job="", succeeded=12, cancelled=37)
    >>> card_text(Picture(counts, elapsed=2.5, final=True, stopped=True))
    'nbray: stopped, cancelled 37, finished 12, 2.5 s'
    """
    _, state = _state(picture)
    lines = [f"nbray: {state.lower()}, {_headline(picture)}, {_clock(picture)}"]
    return "\n".join(lines + [f"  {note}" for _, note in _notes(picture)])


def _state(picture: Picture) -> tuple[str, str]:
    """The colour and the word for how it stands."""
    if picture.lost:
        return RED, "Lost"
    if picture.stopped:
        return (GREY, "Stopped") if picture.open == 0 else (ORANGE, "Stopping")
    if not picture.final:
        return (BLUE, "Running") if picture.counts.running or not picture.open else (ORANGE, "Waiting")
    if picture.counts.failed:
        return RED, "Failed" if picture.counts.failed == picture.total else f"{picture.counts.failed:,} failed"
    return (GREY, "Cancelled") if picture.counts.cancelled else (GREEN, "Done")


def _headline(picture: Picture) -> str:
    counts = picture.counts
    if picture.stopped:
        still = f", {picture.open:,} still stopping" if picture.open else ""
        return f"cancelled {counts.cancelled:,}, finished {picture.finished:,}{still}"
    if picture.total == 1:
        return "1 task"
    ended = counts.succeeded if picture.final else picture.finished
    if picture.final and ended in (0, picture.total):
        return count_text(picture.total, "task")
    return f"{ended:,} of {picture.total:,} tasks" + (" done" if picture.final else "")


def _clock(picture: Picture) -> str:
    elapsed = time_text(picture.elapsed)
    if picture.final or picture.left is None:
        return elapsed
    left = f"{max(1.0, picture.left):.0f} s" if picture.left < 60 else time_text(picture.left)
    return f"{elapsed}, about {left} left"


def _bar(picture: Picture) -> str:
    total = picture.total
    striped = f"repeating-linear-gradient(-45deg,{BLUE} 0 4px,transparent 4px 7px)"
    pieces = "".join(
        f'<div style="width:{100 * count / total:.2f}%;background:{striped if word == "running" else color}"></div>'
        for count, word, color in _parts(picture)
        if color
    )
    return f'<div style="{_BAR}">{pieces}</div>'


def _parts(picture: Picture) -> list[tuple[int, str, str]]:
    """The counts by state with their words and colours, those that are not zero."""
    counts = picture.counts
    left = [(picture.open, "lost", "")] if picture.lost else [(counts.running, "running", BLUE), (counts.waiting, "waiting", "")]
    ended = [(counts.succeeded, "done", GREEN), (counts.failed, "failed", RED), (counts.cancelled, "cancelled", GREY)]
    return [part for part in ended + left if part[0]]


def _details(picture: Picture) -> list[str]:
    """Counts by state, rate, and the workers (their peak once all is over)."""
    details = []
    parts = _parts(picture)
    if _has_bar(picture) and (len(parts) > 1 or not picture.final) and not (picture.final and picture.stopped):
        details = [_count(*part) for part in parts]
    quiet = []
    if picture.rate is not None and picture.total > 2:
        quiet.append(rate_text(picture.rate))
    if picture.final:
        quiet += _sums(picture)
    if quiet:
        details.append(f'<span style="{_QUIET}">{" · ".join(quiet)}</span>')
    if not picture.final and picture.workers:
        details.append(_workers(picture.workers, at_end=_has_bar(picture)))
    return details


def _count(count: int, word: str, color: str) -> str:
    dot = f'<span style="color:{color or "inherit"}">●</span> ' if color else '<span style="opacity:.4">●</span> '
    return f"<span>{dot}{count:,} {word}</span>"


def _sums(picture: Picture) -> list[str]:
    """What the work came to: how many cores it kept busy, and its memory."""
    sums = []
    work = picture.counts.run_seconds
    if work > 1.2 * picture.elapsed and picture.elapsed > 0:
        sums.append(f"{time_text(work)} of work, {work / picture.elapsed:.1f} at a time")
    if picture.peak_memory:
        sums.append(f"peak {size_text(picture.peak_memory)}")
    return sums


def _workers(workers: tuple[WorkerSnapshot, ...], at_end: bool) -> str:
    """A little upright bar for each worker's CPU, then the sums."""
    bars = "".join(_worker_bar(worker) for worker in workers[:MOST_WORKERS])
    cores = sum(worker.cpu for worker in workers)
    memory = size_text(sum(worker.rss for worker in workers))
    words = f"{count_text(len(workers), 'worker')} · {cores:.1f} CPU · {memory}"
    place = "margin-left:auto;" if at_end else ""
    return f'<span style="{place}white-space:nowrap">{bars}<span style="{_QUIET}"> {words}</span></span>'


def _worker_bar(worker: WorkerSnapshot) -> str:
    level = round(100 * min(1.0, worker.cpu))
    title = (
        f"worker {worker.slot} (pid {worker.pid}): {worker.state}, {worker.cpu * 100:.0f} % CPU, {size_text(worker.rss)}, "
        f"{one_line(worker.task, 60)} for {time_text(worker.running_for)}"
    )
    fill = f"linear-gradient(to top,{BLUE} {level}%,rgba(128,128,128,.25) {level}%)"
    return (
        f'<span title="{_text(title)}" style="display:inline-block;width:5px;height:11px;margin-right:2px;'
        f'border-radius:1px;vertical-align:-1px;background:{fill}"></span>'
    )


def _notes(picture: Picture) -> list[tuple[str, str]]:
    """Lines of their own: the first failure, why it waits, that the cluster is gone."""
    counts = picture.counts
    notes = []
    if picture.lost:
        notes.append((RED, one_line(picture.lost)))
    if counts.first_failure:
        others = f" (and {counts.failed - 1:,} more)" if counts.failed > 1 else ""
        notes.append((RED, one_line(counts.first_failure) + others))
    if counts.waits_for and counts.waiting and not picture.final:
        notes.append((ORANGE, f"Waits: {one_line(counts.waits_for)}"))
    return notes


def _row(parts: list[str]) -> str:
    return f'<div style="{_ROW}">{" ".join(parts)}</div>'


def _text(foreign: str) -> str:
    return html.escape(one_line(foreign, 300), quote=True)
