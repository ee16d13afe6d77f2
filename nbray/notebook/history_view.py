"""How manifests look: a table of many, the verdict and the split of one, and all that is known of it; HTML and plain text.

No script and no style sheet, so that it looks alike in every frontend and in a saved notebook.
"""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from pathlib import PurePath

from nbray.notebook.card_html import BLUE, GREEN, ORANGE
from nbray.notebook.manifest import FAILED, OK, RUNNING, Manifest, Piece, Stages
from nbray.notebook.verdicts import differences, verdict
from nbray.wording import count_text, one_line, plain_html, size_text, time_text

SHOWN = 30
"""Rows of a table."""
WIDTH = 40
"""Characters of a bar in plain text."""

STAGES = (
    ("start", "start", "#7e57c2"), ("ship", "ship", ORANGE), ("queue", "queue", "#9e9d24"), ("run", "run", GREEN),
    ("return", "back", BLUE), ("here", "here", "#b0b0b0"),
)  # fmt: skip
"""What a stage is called, its field, its colour."""

_LEFT = "text-align:left"
_BAR = "display:flex;height:{height}px;border-radius:3px;overflow:hidden;background:rgba(128,128,128,.22);width:{width}"


class Why:
    """The verdict on one cell run, and where its time went."""

    def __init__(self, manifest: Manifest, earlier: Sequence[Manifest]) -> None:
        self._manifest = manifest
        self._earlier = earlier

    def __repr__(self) -> str:
        return "\n".join([_title(self._manifest), verdict(self._manifest, self._earlier), *_split_text(self._manifest.stages)])

    def _repr_html_(self) -> str:
        manifest = self._manifest
        return plain_html(
            f'<div style="max-width:640px"><div><b>{_escape(_title(manifest))}</b></div>'
            f'<div style="margin:4px 0">{_escape(verdict(manifest, self._earlier))}</div>{_split_html(manifest.stages)}</div>'
        )


class History:
    """Cell runs, the latest first."""

    COLUMNS = ("cell", "when", "code", "how", "ended", "time", "split", "took along", "brought back")

    def __init__(self, manifests: Sequence[Manifest], notes: Sequence[str] = (), *, of_all: bool = False) -> None:
        self._shown = list(reversed(manifests))[:SHOWN]
        self._notes = [*notes]
        if len(manifests) > SHOWN:
            self._notes.append(f"({len(manifests) - SHOWN:,} earlier ones)")
        self._of_all = of_all

    def __repr__(self) -> str:
        rows = [self._head(), *(self._row(each, _split_word(each.stages)) for each in self._shown)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, *self._notes])

    def _repr_html_(self) -> str:
        head = "".join(f'<th style="{_LEFT}">{_escape(each)}</th>' for each in self._head())
        place = self._head().index("split")
        body = []
        for each in self._shown:
            cells = [_escape(text) for text in self._row(each, "")]
            cells[place] = f"{_bar(each.stages, '80px', 8)}{_split_word(each.stages)}"
            body.append("".join(f'<td style="{_LEFT}">{cell}</td>' for cell in cells))
        rows = "".join(f"<tr>{row}</tr>" for row in body)
        notes = "".join(f"<div>{_escape(note)}</div>" for note in self._notes)
        return plain_html(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{_legend()}{notes}")

    def _head(self) -> tuple[str, ...]:
        return ("notebook", *self.COLUMNS) if self._of_all else self.COLUMNS

    def _row(self, manifest: Manifest, split: str) -> tuple[str, ...]:
        row = (
            manifest.label, _when(manifest), one_line(manifest.line, 40), _how(manifest), _ended(manifest),
            time_text(manifest.stages.total), split, _names(manifest.inputs), _names(manifest.outputs),
        )  # fmt: skip
        return (one_line(PurePath(manifest.notebook).name, 30), *row) if self._of_all else row


class Details:
    """All that is known of one cell run; `before` is the run of the same code before it."""

    def __init__(self, manifest: Manifest, earlier: Sequence[Manifest]) -> None:
        self._manifest = manifest
        self._why = Why(manifest, earlier)
        same = [each for each in earlier if each.code and each.code == manifest.code]
        self._before = same[-1] if same else None

    def __repr__(self) -> str:
        lines = [repr(self._why), ""]
        lines += [f"{name:<14}{text}" for name, text in self._facts()]
        for title, pieces in self._pieces():
            lines += ["", title, *(f"  {'  '.join(filter(None, _piece(piece)))}" for piece in pieces)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        facts = "".join(
            f'<tr><td style="{_LEFT};opacity:.7">{_escape(name)}</td><td style="{_LEFT}">{_escape(text)}</td></tr>'
            for name, text in self._facts()
        )
        tables = ""
        for title, pieces in self._pieces():
            rows = "".join(
                "<tr>" + "".join(f'<td style="{_LEFT}">{_escape(text)}</td>' for text in _piece(piece)) + "</tr>"
                for piece in pieces
            )
            tables += f"<div><b>{_escape(title)}</b></div><table><tbody>{rows}</tbody></table>"
        return plain_html(f"{self._why._repr_html_()}<table><tbody>{facts}</tbody></table>{tables}")

    def _facts(self) -> list[tuple[str, str]]:
        manifest, tasks = self._manifest, self._manifest.tasks
        attempt = f", attempt {manifest.attempt}" if manifest.attempt > 1 else ""
        facts = [
            ("when", f"{_when(manifest, long=True)}, {_how(manifest)}, {_ended(manifest)}"),
            ("where", ", ".join(filter(None, [manifest.engine, manifest.worker + attempt]))),
            ("code", f"{manifest.code}  {manifest.line}".strip()),
            ("packed", size_text(manifest.shipped) if manifest.shipped else ""),
            ("stored", f"{size_text(manifest.stored)} written into the cluster's store" if manifest.stored else ""),
            ("tasks", _tasks(manifest) if tasks.count > 1 or not manifest.worker else ""),
            ("local modules", ", ".join(f"{name} {version[:8] if ' ' not in version else f'({version})'}"
                                        for name, version in manifest.modules.items())),
            ("versions", ", ".join(self._versions())),
            ("since", self._since()),
        ]  # fmt: skip
        return [(name, text) for name, text in facts if text]

    def _versions(self) -> list[str]:
        packages = [f"{name} {version}" for name, version in self._manifest.packages.items()]
        return [f"Python {self._manifest.python}", *packages] if self._manifest.python else packages

    def _since(self) -> str:
        if self._before is None:
            return ""
        found = differences(self._manifest, self._before)
        when = f"the same code ran in {self._before.label} at {_when(self._before)}"
        return f"{when}; now different: {', '.join(found)}" if found else f"{when}, with nothing different that is hashed"

    def _pieces(self) -> list[tuple[str, tuple[Piece, ...]]]:
        found = [("Took along", self._manifest.inputs), ("Brought back", self._manifest.outputs)]
        return [(title, pieces) for title, pieces in found if pieces]


def _title(manifest: Manifest) -> str:
    line = f" {manifest.line}" if manifest.line else ""
    return f"{manifest.label}{line}: {time_text(manifest.stages.total)}, {_ended(manifest)}"


def _ended(manifest: Manifest) -> str:
    words = {OK: "ok", FAILED: f"failed: {one_line(manifest.error, 40)}", RUNNING: "runs"}
    ended = words.get(manifest.outcome, manifest.outcome)
    return f"{ended}, {manifest.cache}" if manifest.cache else ended


def _how(manifest: Manifest) -> str:
    count = manifest.tasks.count
    return f"{count_text(count, 'task')}" if manifest.how == "tasks" else manifest.how


def _when(manifest: Manifest, *, long: bool = False) -> str:
    then = time.localtime(manifest.began)
    today = time.localtime()[:3] == then[:3]
    return time.strftime("%H:%M:%S" if today and not long else "%Y-%m-%d %H:%M" if not long else "%Y-%m-%d %H:%M:%S", then)


def _tasks(manifest: Manifest) -> str:
    tasks = manifest.tasks
    parts = [f"{tasks.count:,}", f"{time_text(tasks.run_seconds)} of work in {time_text(tasks.elapsed)}"]
    parts += [f"{count:,} {word}" for count, word in ((tasks.failed, "failed"), (tasks.cancelled, "cancelled")) if count]
    return ", ".join(parts)


def _names(pieces: Sequence[Piece]) -> str:
    """The names, the largest first, with the size of all."""
    largest = sorted(pieces, key=lambda piece: -piece.size)
    names = ", ".join(piece.name for piece in largest[:3]) + (f" and {len(pieces) - 3} more" if len(pieces) > 3 else "")
    size = sum(piece.size for piece in pieces if not piece.on_cluster)
    return one_line(f"{names} ({size_text(size)})" if size >= 1000 else names, 50)


def _piece(piece: Piece) -> tuple[str, ...]:
    facts = "" if piece.facts == piece.type_name else piece.facts
    kind = f"{one_line(piece.type_name, 40)} {one_line(facts, 60)}".strip()
    place = "on the cluster" if piece.on_cluster else piece.hash or (f"not hashed: {piece.unhashed}" if piece.unhashed else "")
    if piece.hash.startswith("~"):
        place += " (of a sample)"
    return piece.name, kind, f"{size_text(piece.size)}" if piece.size else "", one_line(place, 120)


# -------------------------------------------------------------------- the split


def _parts(stages: Stages) -> list[tuple[str, float, str]]:
    """Name, seconds and colour of each stage that took any time."""
    found = [(word, getattr(stages, field), color) for word, field, color in STAGES]
    return [part for part in found if part[1] > 0.0005]


def _split_text(stages: Stages) -> list[str]:
    total = stages.total or 1.0
    lines = []
    for word, seconds, _ in _parts(stages):
        bar = "█" * max(1, round(WIDTH * seconds / total))
        lines.append(f"{word:<7}{bar:<{WIDTH}} {time_text(seconds):>8} {100 * seconds / total:3.0f} %")
    return lines


def _split_word(stages: Stages) -> str:
    """The largest stage: "run 93 %"."""
    parts = _parts(stages)
    if not parts:
        return ""
    word, seconds, _ = max(parts, key=lambda part: part[1])
    return f"{word} {100 * seconds / stages.total:.0f} %"


def _split_html(stages: Stages) -> str:
    total = stages.total or 1.0
    legend = "".join(
        f'<span style="margin-right:12px;white-space:nowrap">{_dot(color)} {word} {time_text(seconds)}, '
        f"{100 * seconds / total:.0f} %</span>"
        for word, seconds, color in _parts(stages)
    )
    return f'{_bar(stages, "100%", 10)}<div style="font-size:90%;margin-top:3px">{legend}</div>'


def _bar(stages: Stages, width: str, height: int) -> str:
    total = stages.total or 1.0
    pieces = "".join(
        f'<div title="{word} {time_text(seconds)}" style="width:{100 * seconds / total:.2f}%;background:{color}"></div>'
        for word, seconds, color in _parts(stages)
    )
    return f'<div style="{_BAR.format(width=width, height=height)}">{pieces}</div>'


def _legend() -> str:
    words = "".join(f'<span style="margin-right:12px">{_dot(color)} {word}</span>' for word, _, color in STAGES)
    return f'<div style="font-size:90%;margin-top:3px">{words}</div>'


def _dot(color: str) -> str:
    return f'<span style="color:{color}">●</span>'


def _escape(foreign: str) -> str:
    return html.escape(one_line(foreign, 400), quote=True)
