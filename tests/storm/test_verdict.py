"""The verdict on storms that were never: each promise is seen to be missed when it is."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from tests.storm import mix
from tests.storm.faults import Done
from tests.storm.journal import Answered, Began, Call, Changed, Closed, Ended, Entry, Lost, Sample, Submitted
from tests.storm.ledger import Line
from tests.storm.record import Gone, NotebookRecord, Record
from tests.storm.verdict import Verdict, judge

SEED = 7
JOBS = [job for job in (mix.job(SEED, number) for number in range(2000)) if job.kind == "task"][:600]
CLOSED = Closed(40.0, 1.0, 0, 0, 0, 0, 0, 0)


def good() -> Record:
    """600 tasks in 2 s, then 100 kills of busy workers and one of the scheduler process, all as promised."""
    lines: list[Line] = []
    entries: list[Entry] = [Began(0.0, "e", 0.3)]
    for place, job in enumerate(JOBS):
        at, node = 1 + place / 300, job.number * mix.MOST_NODES
        value = mix.answer(SEED, job)
        assert value is not None
        lines += [Line("b", node, 1, 50, at), Line("d", node, 1, 50, at + 0.001)]
        entries += [Submitted(job.number, at), Ended(job.number, at + 0.01, "result", value)]
    entries += [Answered(1.0, 1.0), Sample(2.0, 0.01, 10, 100, 1, 0), Lost(20.1, "killed"), CLOSED]
    done = [Done(number, "kill_worker", 5 + number / 10, pid=1000 + number, signal=9, notebook=0) for number in range(100)]
    lines += [Line("c", 90 + each.number * mix.ACTORS, 1, each.pid, each.at - 0.01) for each in done]
    done.append(Done(100, "kill_scheduler", 20.0, pid=60, signal=9, notebook=0))
    notebook = NotebookRecord(0, tuple(entries), 0, killed=False)
    return Record(
        SEED, 60.0, 1.0, 3.0, tuple(lines), tuple(done), (notebook,), (Gone("kill_scheduler", 0.2),), (30_000_000,), (),
        mix.LARGEST_BYTES, real_disk=True,
    )  # fmt: skip


def missed(verdict: Verdict) -> list[str]:
    """The first words of the rows that do not hold."""
    return [row.name.split()[0] for row in verdict.rows if row.holds is False]


def with_entries(record: Record, change: Callable[[list[Entry]], list[Entry]]) -> Record:
    (notebook,) = record.notebooks
    changed = msgspec.structs.replace(notebook, entries=tuple(change(list(notebook.entries))))
    return msgspec.structs.replace(record, notebooks=(changed,))


def without(kind: type[msgspec.Struct], count: int = 1) -> Callable[[list[Entry]], list[Entry]]:
    def change(entries: list[Entry]) -> list[Entry]:
        gone = [entry for entry in entries if isinstance(entry, kind)][:count]
        return [entry for entry in entries if entry not in gone]

    return change


def plus(*more: Entry) -> Callable[[list[Entry]], list[Entry]]:
    return lambda entries: [*entries, *more]


def test_a_storm_over_which_all_holds() -> None:
    verdict = judge(good(), 100, strict_times=True)
    assert (missed(verdict), verdict.violations) == ([], [])
    assert verdict.passed
    assert verdict.table().splitlines()[1].split() == [
        "load", "before", "the", "first", "fault", ">=", "200", "tasks/s", "300", "tasks/s", "ok",
    ]  # fmt: skip


def _wrong_value(entries: list[Entry]) -> list[Entry]:
    return [msgspec.structs.replace(entry, value=1) if isinstance(entry, Ended) else entry for entry in entries]


FIRST = JOBS[0].number
NODE = FIRST * mix.MOST_NODES
AGAIN = Ended(FIRST, 9.0, "result", mix.answer(SEED, JOBS[0]) or 0)
REPEATED = (Line("c", 90, 1, 50, 1.0), Line("c", 90, 1, 51, 1.1))
UNEXPLAINED = Ended(FIRST, 9.0, "error", 0, ("ObjectLost",), "gone")


@pytest.mark.parametrize(
    ("change", "row"),
    [
        (without(Ended), "I1"),
        (plus(AGAIN), "I1"),
        (plus(Changed(FIRST, "a", "b")), "I1"),
        (without(Closed), "I1"),
        (_wrong_value, "I4"),
        (plus(Sample(3.0, 0.01, 101, 100, 1, 0)), "I5"),
        (plus(msgspec.structs.replace(CLOSED, used=5)), "I5"),
        (plus(msgspec.structs.replace(CLOSED, left=["a socket"])), "I6"),
        (plus(Lost(30.0, "by itself")), "clusters"),
        (plus(UNEXPLAINED), "I10"),
        (plus(msgspec.structs.replace(CLOSED, drain_seconds=31.0)), "I7"),
        (plus(*[Sample(3.0, 0.2, 1, 100, 1, 0)] * 5), "I8"),
        (plus(*[Answered(3.0, 2.5)] * 3), "first"),
    ],
)
def test_what_the_notebook_saw(change: Callable[[list[Entry]], list[Entry]], row: str) -> None:
    assert row in missed(judge(with_entries(good(), change), 100, strict_times=True))


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({"lines": (*good().lines, Line("b", NODE, 9, 50, 9.0))}, "I2"),
        ({"lines": (*good().lines, Line("b", 3, 1, 50, 9.0))}, "I2"),
        ({"lines": good().lines[1:]}, ""),
        ({"lines": good().lines[2:]}, "I2"),
        ({"lines": good().lines + REPEATED}, "I3"),
        ({"left": ("process 70: python",)}, "I6"),
        ({"gone": (Gone("kill_scheduler", 10.0, (70,)),)}, "I6"),
        ({"gone": (Gone("kill_scheduler", 2.1),)}, "killed"),
        ({"head_bytes": (61_000_000,)}, "I9"),
        ({"head_bytes": ()}, "I9"),
        ({"calm_until": 10.0}, "load"),
        ({"done": good().done[:50]}, "kills"),
        ({"lines": tuple(line for line in good().lines if line.kind != "c")}, "of"),
    ],
)
def test_what_others_saw(changes: dict[str, object], row: str) -> None:
    found = missed(judge(msgspec.structs.replace(good(), **changes), 100, strict_times=True))
    assert row in found if row else found == []


def test_on_a_shared_machine_one_late_answer_is_nobodys_fault() -> None:
    late = with_entries(good(), plus(Sample(3.0, 0.5, 1, 100, 1, 0), Sample(3.1, 0.01, 1, 100, 1, 0)))
    assert judge(late, 100, strict_times=False).passed
    assert missed(judge(late, 100, strict_times=True)) == ["I8"]


def test_a_call_with_a_result_has_ended() -> None:
    number = next(number for number in range(100) if mix.job(SEED, number).kind == "actor")
    value = mix.answer(SEED, mix.job(SEED, number)) or 0
    entries = (Submitted(number, 9.0), Call(number, 4, 1), Ended(number, 9.1, "result", value))
    record = with_entries(good(), plus(*entries))
    assert missed(judge(record, 100, strict_times=True)) == ["I3"]
    lines = (*record.lines, Line("c", 4, 1, 50, 9.0), Line("e", 4, 1, 50, 9.05))
    assert judge(msgspec.structs.replace(record, lines=lines), 100, strict_times=True).passed
