"""The verdict on a storm: which promises hold, with figures; and each violation with what is needed to understand it. Pure."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import msgspec

from tests.storm import mix
from tests.storm.faults import ENDS_CLUSTER
from tests.storm.journal import Again, Answered, Call, Changed, Closed, Ended, Entry, Lost, Sample, Submitted
from tests.storm.ledger import Histories, disorder, results_without_attempt, strangers, too_many_attempts
from tests.storm.outcomes import EARLY, Context, complaint
from tests.storm.record import NotebookRecord, Record

LEAST_LOAD = 200
LEAST_BUSY = 0.3
DRAIN_SECONDS = 30.0
HEAD_BYTES = 60e6
NOTICED_SECONDS = 10.0
MOST_SHOWN = 10
WIDEST = 60
"""Of a column of the table; longer texts stick out."""
MOST_TEXT = 1500


class Row(msgspec.Struct, frozen=True):
    """One line of the table."""

    name: str
    asked: str
    measured: str
    holds: bool | None = None
    """None where it only informs."""


class Verdict(msgspec.Struct, frozen=True):
    """The table and what is wrong."""

    rows: list[Row]
    violations: list[str]

    @property
    def passed(self) -> bool:
        """Whether every promise holds and the storm was one."""
        return not self.violations and all(row.holds is not False for row in self.rows)

    def table(self) -> str:
        """As people read it."""
        marks = {True: "ok", False: "MISSED", None: ""}
        cells = [("row", "asked", "measured", "")] + [(row.name, row.asked, row.measured, marks[row.holds]) for row in self.rows]
        widths = [max(len(line[column]) for line in cells if len(line[column]) <= WIDEST) for column in range(3)]
        lines = ("  ".join(text.ljust(width) for text, width in zip(line, [*widths, 0], strict=True)) for line in cells)
        return "\n".join(line.rstrip() for line in lines)


class _Books:
    """The record, sorted for the questions."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.histories = Histories(record.lines)
        self.jobs: dict[int, mix.Job] = {}
        self.submitted: dict[int, float] = {}
        self.ended: dict[int, list[Ended]] = defaultdict(list)
        self.calls: dict[int, Call] = {}
        for notebook in record.notebooks:
            for entry in notebook.entries:
                self._book(entry)
        self.retries = {node: job.retries for job in self.jobs.values() for node in mix.nodes(job)}
        self.kills = [done for done in record.done if done.kills]

    def _book(self, entry: Entry) -> None:
        if isinstance(entry, Submitted):
            self.jobs[entry.number] = mix.job(self.record.seed, entry.number, self.record.largest)
            self.submitted[entry.number] = entry.at
        elif isinstance(entry, Ended):
            self.ended[entry.number].append(entry)
        elif isinstance(entry, Call):
            self.calls[entry.number] = entry

    def all(self, kind: type[msgspec.Struct]) -> list[object]:
        return [entry for notebook in self.record.notebooks for entry in notebook.entries if type(entry) is kind]


def judge(record: Record, least_kills: int, *, strict_times: bool) -> Verdict:
    """Judge a storm. With `strict_times`, on a machine of one's own, the promises about times count too."""
    books = _Books(record)
    violations: list[str] = []

    def row(name: str, asked: str, measured: str, found: Iterable[str] = ()) -> Row:
        found = list(found)
        violations.extend(f"{name}: {text[:MOST_TEXT]}" for text in found[:MOST_SHOWN])
        if len(found) > MOST_SHOWN:
            violations.append(f"{name}: ... and {len(found) - MOST_SHOWN} more")
        return Row(name, asked, measured + (f", {len(found)} wrong" if found else ""), not found)

    rows = [*_storm_rows(books, least_kills), *_promise_rows(books, row), *_time_rows(books, strict_times)]
    return Verdict(rows, violations)


# -------------------------------------------------------------------- was it a storm?


def _storm_rows(books: _Books, least_kills: int) -> list[Row]:
    record = books.record
    calm = [line for line in record.lines if line.kind in "dxe" and record.calm_from <= line.at <= record.calm_until]
    load = len(calm) / max(record.calm_until - record.calm_from, 1e-9)
    kills = len(books.kills)
    busy = sum(books.histories.was_busy(done.pid, done.at) for done in books.kills)
    by_kind: dict[str, int] = defaultdict(int)
    for done in record.done:
        by_kind[done.kind] += not done.note
    return [
        Row("load before the first fault", f">= {LEAST_LOAD} tasks/s", f"{load:,.0f} tasks/s", load >= LEAST_LOAD),
        Row("kills", f">= {least_kills:,} in {record.seconds:,.0f} s", f"{kills:,}", kills >= least_kills),
        Row("  of them busy", f">= {LEAST_BUSY:.0%}", f"{busy / max(kills, 1):.0%}", busy >= LEAST_BUSY * kills),
        Row("faults", "each kind", ", ".join(f"{count} {kind}" for kind, count in sorted(by_kind.items()))),
        Row("full disk", "a real one", "a mounted file system" if record.real_disk else "refused by a seam"),
    ]


# -------------------------------------------------------------------- I1-I6, I10

_MakeRow = Callable[..., Row]


def _promise_rows(books: _Books, row: _MakeRow) -> list[Row]:
    record, histories = books.record, books.histories
    ended = [entry for entries in books.ended.values() for entry in entries]
    results = [entry for entry in ended if entry.outcome == "result"]
    by_outcome = {name: sum(entry.outcome == name for entry in ended) for name in ("result", "error", "cancelled")}
    counts = ", ".join(f"{count:,} {name}" for name, count in by_outcome.items())
    attempts = sum(line.kind == "b" for line in record.lines)
    alone = [max(mix.nodes(books.jobs[entry.number])) for entry in results if books.jobs[entry.number].kind != "actor"]
    wrong_attempts = [
        *too_many_attempts(histories, books.retries), *strangers(histories, books.retries),
        *results_without_attempt(histories, alone),
    ]  # fmt: skip
    calls = sum(line.kind == "c" for line in record.lines)
    times, causeless = _deaths(books)
    failures = [entry for entry in ended if entry.outcome != "result"]
    context = Context(record, histories)
    seen = [entry.seen for entry in books.all(Again) if isinstance(entry, Again)]
    results += [entry for entry in seen if entry.outcome == "result"]
    failures += [entry for entry in seen if entry.outcome != "result" and not _had_failed(books, entry)]
    unnamed = [
        f"job {entry.number} ({_described(books, entry)}): {text}\n{entry.errors} {entry.message}"
        for entry in failures
        if (text := complaint(books.jobs[entry.number], entry, books.submitted.get(entry.number, 0.0), context))
    ]
    return [
        row("I1 one outcome each", "all jobs", f"{len(books.submitted):,} jobs: {counts}", _outcome_faults(books)),
        row("I2 attempts", "<= 1 + retries", f"{attempts:,} attempts of {len(books.retries):,} tasks", wrong_attempts),
        row("I3 calls of actors", "once, in order", f"{calls:,} of {len(histories.calls):,} actors", _call_faults(books)),
        row("I4 values", "all right", f"{len(results):,} results", _value_faults(books, results)),
        row("I5 store", "<= limit, 0 at the end", *_store(books)),
        row("I6 nothing left", "0 of anything", f"{len(record.gone)} heads and notebooks killed", _leftovers(books)),
        row("clusters that died", "only killed ones", f"{len(times) + len(causeless)}", causeless),
        row("I10 errors say why", "named, attempt, pid, signal, lines", f"{len(failures):,} errors", unnamed),
    ]


def _had_failed(books: _Books, seen: Ended) -> bool:
    """Whether an array cannot be looked at because its task has failed, which is told already."""
    return "WorkerDied" in seen.errors or any(entry.outcome != "result" for entry in books.ended[seen.number])


def _described(books: _Books, entry: Ended) -> str:
    job = books.jobs[entry.number]
    return f"{job.kind} {job.how} {job.size or ''}".strip()


def _outcome_faults(books: _Books) -> list[str]:
    found = []
    for notebook in books.record.notebooks:
        if not notebook.killed and not any(isinstance(entry, Closed) for entry in notebook.entries):
            found.append(f"notebook {notebook.number} ended with status {notebook.status}:\n{notebook.last_words}")
        for entry in notebook.entries:
            if isinstance(entry, Submitted):
                count = len(books.ended.get(entry.number, ()))
                if count > 1 or (not count and _closed(notebook)):
                    found.append(f"job {entry.number} has {count} outcomes")
            elif isinstance(entry, Changed):
                found.append(f"job {entry.number} came out as {entry.first}, and later as {entry.then}")
    return found


def _closed(notebook: NotebookRecord) -> bool:
    return any(isinstance(entry, Closed) for entry in notebook.entries)


def _call_faults(books: _Books) -> list[str]:
    found = []
    for actor, lines in books.histories.calls.items():
        repeats = mix.repeats(actor % mix.ACTORS)
        found += disorder(lines, repeats=repeats)
    done = {(line.subject, line.number) for lines in books.histories.calls.values() for line in lines if line.kind == "e"}
    for number, entries in books.ended.items():
        call = books.calls.get(number)
        if call is not None and entries[0].outcome == "result" and (call.actor, call.call) not in done:
            found.append(f"call {call.call} of actor {call.actor} has a result and never ended")
    return found


def _value_faults(books: _Books, results: Sequence[Ended]) -> list[str]:
    found = []
    for entry in results:
        right = mix.answer(books.record.seed, books.jobs[entry.number])
        if entry.value != right:
            found.append(f"job {entry.number} ({_described(books, entry)}) gave {entry.value}, right is {right}")
    return found


def _store(books: _Books) -> tuple[str, list[str]]:
    samples = [entry for entry in books.all(Sample) if isinstance(entry, Sample)]
    found = [f"{each.used:,} of {each.limit:,} bytes at {each.at:.3f}" for each in samples if each.used > each.limit]
    for each in books.all(Closed):
        if isinstance(each, Closed) and (each.used or each.inline or each.spilled):
            found.append(f"{each.objects} objects with {each.used:,} + {each.inline:,} + {each.spilled:,} bytes are still there")
    most = max((each.used / each.limit for each in samples), default=0.0)
    disk = max((each.spilled for each in samples), default=0)
    return f"at most {most:.0%}, {disk >> 20} MiB on disk, {len(samples):,} looks", found


def _leftovers(books: _Books) -> list[str]:
    found = list(books.record.left)
    found += [f"{len(gone.left)} processes outlived {gone.kind}: {gone.left}" for gone in books.record.gone if gone.left]
    for each in books.all(Closed):
        if isinstance(each, Closed) and each.left:
            found.append(f"the notebook still had {each.left}")
    return found


# -------------------------------------------------------------------- times and memory


def _time_rows(books: _Books, strict: bool) -> list[Row]:
    record = books.record
    closed = [entry for entry in books.all(Closed) if isinstance(entry, Closed)]
    drain = max((entry.drain_seconds for entry in closed), default=float("inf"))
    lags = [entry.lag for entry in books.all(Sample) if isinstance(entry, Sample)]
    noticed, _ = _deaths(books)
    gone = [each.seconds for each in record.gone]
    head = max(record.head_bytes, default=0)
    answers = [entry.seconds for entry in books.all(Answered) if isinstance(entry, Answered)][1:]

    def timed(name: str, asked: str, values: list[float], part: float, limit: float) -> Row:
        """Judged by the worst ones only on a machine of one's own; elsewhere the middle one must do."""
        judged = quantile(values, part if strict else 0.5)
        return Row(name, asked, spread(values), judged < limit if values else None)

    first = timed("first result of the next cluster", "p99 < 2 s", answers, 0.99, 2.0)

    return [
        Row("I7 end of pending work", f"<= {DRAIN_SECONDS:.0f} s", f"{drain:.2f} s", drain <= DRAIN_SECONDS),
        timed("I8 scheduler's answer", "p99 < 100 ms", lags, 0.99, 0.1),
        Row("I9 scheduler's memory", f"<= {HEAD_BYTES / 1e6:.0f} MB", f"{head / 1e6:.1f} MB", 0 < head <= HEAD_BYTES),
        timed("killed head or notebook: all gone", "< 2 s", gone, 1.0, 2.0),
        timed("ClusterDied after the kill", "< 1 s", noticed, 1.0, 1.0),
        first if strict else msgspec.structs.replace(first, holds=None),
    ]


def _deaths(books: _Books) -> tuple[list[float], list[str]]:
    """How long after the kill of each cluster its notebook knew it; and the deaths without a kill of their own."""
    times, causeless = [], []
    for notebook in books.record.notebooks:
        kills = [done.at for done in books.kills if done.kind in ENDS_CLUSTER and done.notebook == notebook.number]
        for entry in notebook.entries:
            if isinstance(entry, Lost):
                before = [at for at in kills if -EARLY <= entry.at - at < NOTICED_SECONDS]
                if before:
                    kills.remove(before[0])
                    times.append(max(0.0, entry.at - before[0]))
                else:
                    whose = f"the cluster that notebook {notebook.number} lost at {entry.at:.3f}"
                    causeless.append(f"nobody killed {whose}: {entry.reason}")
    return times, causeless


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which that part of them lies.

    >>> quantile([3.0, 1.0, 2.0], 0.5), quantile([3.0, 1.0, 2.0], 1.0), quantile([], 0.5)
    (2.0, 3.0, 0.0)
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def spread(values: Sequence[float]) -> str:
    """Middle, 99th of a hundred and largest of some times.

    >>> spread([0.001, 0.002, 0.003])
    'p50 2 ms, p99 3 ms, max 3 ms (3)'
    """
    if not values:
        return "none"
    figures = statistics.median(values), quantile(values, 0.99), max(values)
    middle, high, most = (f"{1000 * value:,.0f} ms" for value in figures)
    return f"p50 {middle}, p99 {high}, max {most} ({len(values):,})"
