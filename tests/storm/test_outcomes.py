from __future__ import annotations

import pytest

from tests.storm import mix
from tests.storm.faults import Done
from tests.storm.journal import Ended, Filled
from tests.storm.ledger import Histories, Line
from tests.storm.outcomes import Context, complaint
from tests.storm.record import NotebookRecord, Record

TASK = mix.Job(5, "task", "", 0.01, 1, 1)
TALKING = mix.Job(5, "task", "", 0.01, 1, 1, talks=True)
CALL = mix.Job(5, "actor", "once", 0.01, 0, 0)
REPEATED = mix.Job(5, "actor", "repeated", 0.01, 0, 0, actor=1)
OBJECT = mix.Job(5, "object", "made", 0.0, 0, 1, size=1 << 20)
NODE = 5 * mix.MOST_NODES

DIED = (
    "worker 3 (pid 70) ended by SIGKILL (signal 9) while it ran task, attempt 2. Something outside killed it: look. To run such "
    "a task again by itself: .options(max_retries=2)."
)
ACTOR_DIED = (
    "The actor Counter is dead: worker 3 (pid 70) ended by SIGKILL (signal 9) while it ran call. Something outside killed it."
)


def context(*done: Done, filled: tuple[Filled, ...] = (), lines: tuple[Line, ...] = ()) -> Context:
    notebook = NotebookRecord(0, filled, 0, killed=False)
    record = Record(7, 60.0, 0.0, 5.0, lines, done, (notebook,), (), (), (), mix.LARGEST_BYTES, real_disk=True)
    return Context(record, Histories(lines))


KILLED = Done(0, "kill_worker", 9.0, pid=70, signal=9)
FULL_DISK = Done(0, "fill_disk", 9.0, until=9.5)


def failed(*errors: str, message: str = "", at: float = 10.0, outcome: str = "error") -> Ended:
    return Ended(5, at, outcome, 0, (*errors, "NbrayError", "Exception"), message)


@pytest.mark.parametrize(
    ("done", "at", "words"),
    [
        (KILLED, 10.0, ""),
        (KILLED, 8.0, "nobody has sent signal 9 to process 70"),
        (Done(0, "crash_worker", 9.0, pid=70, signal=11), 10.0, "nobody has sent signal 9 to process 70"),
        (Done(0, "kill_worker", 9.0, pid=71, signal=9), 10.0, "nobody has sent signal 9 to process 70"),
    ],
)
def test_a_death_needs_a_kill_of_that_process_by_that_signal(done: Done, at: float, words: str) -> None:
    told = complaint(TASK, failed("WorkerDied", message=DIED, at=at), 1.0, context(done))
    assert told == words


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("the worker died", "does not say which process"),
        (DIED.partition(". ")[0], "does not say which process"),
        (DIED.replace("attempt 2", "attempt 1"), "has 1 retries and failed as attempt 1"),
        (DIED.replace("ran task", "ran other"), "name of the task is missing"),
    ],
)
def test_a_death_is_told_with_all_that_helps(message: str, words: str) -> None:
    assert words in complaint(TASK, failed("WorkerDied", message=message), 1.0, context(KILLED))


def test_the_last_lines_of_who_had_printed_are_told() -> None:
    lines = (Line("b", NODE, 2, 70, 8.9),)
    silent = failed("WorkerDied", message=DIED)
    assert complaint(TALKING, silent, 1.0, context(KILLED, lines=lines)) == "its last lines are missing"
    spoken = failed("WorkerDied", message=f"{DIED}\nIts last lines:\nbegin of {NODE}")
    assert complaint(TALKING, spoken, 1.0, context(KILLED, lines=lines)) == ""
    assert complaint(TALKING, silent, 1.0, context(KILLED)) == "", "it died before it had begun"
    later = (Line("b", NODE, 3, 70, 8.9),)
    assert "attempt 3 has begun" in complaint(TASK, silent, 1.0, context(KILLED, lines=later))


def test_actors() -> None:
    dead = failed("ActorDied", message=ACTOR_DIED)
    assert complaint(CALL, dead, 1.0, context(KILLED)) == ""
    assert "nobody has sent" in complaint(CALL, dead, 1.0, context())
    assert "starts again" in complaint(REPEATED, dead, 1.0, context(KILLED))


def test_the_death_of_a_cluster_needs_a_kill_of_its_head() -> None:
    gone = failed("ClusterDied", message="gone")
    assert complaint(TASK, gone, 1.0, context(Done(0, "kill_scheduler", 9.5, pid=60, signal=9))) == ""
    assert complaint(TASK, gone, 1.0, context(KILLED)) == "the cluster has died, and nobody had killed it"
    assert complaint(TASK, gone, 1.0, context(Done(0, "kill_scheduler", 9.5, note="nobody was there"))) != ""


def test_a_full_store_needs_somebody_who_has_filled_it() -> None:
    full = failed("StoreFull", message="no room")
    assert complaint(OBJECT, full, 1.0, context()) != ""
    assert complaint(OBJECT, full, 1.0, context(FULL_DISK)) == ""
    assert complaint(OBJECT, full, 9.7, context(FULL_DISK)) != ""
    assert complaint(OBJECT, full, 9.7, context(filled=(Filled(8.0, 9.9, refused=True),))) == ""


@pytest.mark.parametrize(
    ("how", "errors", "message", "holds"),
    [
        ("raises", ("RemoteError", "ValueError"), f"odd {NODE}", True),
        ("raises", ("RemoteError",), f"odd {NODE}", False),
        ("raises", ("ValueError",), "odd", False),
        ("unpicklable_error", ("RemoteError",), f"odd {NODE}", True),
        ("unpicklable_result", ("ResultNotShippable",), "a lock", True),
        ("unpicklable_result", ("RemoteError",), "a lock", False),
        ("prints", ("RemoteError",), "", False),
    ],
)
def test_the_odd_ones_fail_in_their_own_way(how: str, errors: tuple[str, ...], message: str, holds: bool) -> None:
    job = mix.Job(5, "odd", how, 0.01, 0, 1)
    assert (complaint(job, failed(*errors, message=message), 1.0, context()) == "") is holds


def test_what_is_cancelled_says_so() -> None:
    job = mix.Job(5, "odd", "cancelled", 5.0, 0, 1)
    assert complaint(job, failed("TaskCancelledError", outcome="cancelled"), 1.0, context()) == ""
    assert complaint(job, failed("RemoteError"), 1.0, context()) != ""


@pytest.mark.parametrize("error", ["ObjectLost", "GetTimeoutError", "InternalError", "OutOfMemory"])
def test_nothing_else_is_deserved(error: str) -> None:
    assert complaint(TASK, failed(error), 1.0, context(KILLED, FULL_DISK)) == "nothing was done that explains this"
