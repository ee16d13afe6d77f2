import signal

import pytest

from nbray.ids import NO_TASK
from nbray.scheduler import deaths
from nbray.scheduler.events import WorkerExited
from nbray.scheduler.messages import ActorSpec, Failure
from nbray.scheduler.worker_records import Worker
from tests.scheduler.test_actor_records import make_actor, make_call


@pytest.fixture
def worker() -> Worker:
    worker = Worker(3)
    worker.pid = 4711
    return worker


def exited(number: int | None, code: int | None = None, log: str = "") -> WorkerExited:
    return WorkerExited(3, code, number, NO_TASK, log)


@pytest.mark.parametrize(("number", "code", "how", "advice"), [
    (signal.SIGKILL, None, r"SIGKILL \(signal 9\)", "memory ran out"),
    (signal.SIGSEGV, None, r"SIGSEGV \(signal 11\)", "Compiled code crashed"),
    (None, 3, "exit code 3", "raise an exception instead"),
    (64, None, "signal 64|SIGRTMAX", "Its last lines may say why"),
])  # fmt: skip
def test_how_a_worker_ended_and_what_to_do(worker: Worker, number: int | None, code: int | None, how: str, advice: str) -> None:
    call = make_call(make_actor(), 5)
    failure = deaths.task_died(call, worker, exited(number, code), "")
    assert failure.kind == "worker_died"
    with pytest.raises(AssertionError, match=how):
        raise AssertionError(failure.message)
    assert advice in failure.message
    assert "max_retries=2" in failure.message


def test_the_last_lines_are_those_of_the_task_else_of_the_log(worker: Worker) -> None:
    call = make_call(make_actor(), 5)
    assert deaths.task_died(call, worker, exited(9, log="of the log"), "of the task").log_tail == "of the task"
    assert deaths.task_died(call, worker, exited(9, log="of the log"), "").message.endswith("Its last lines:\nof the log")


def test_a_worker_that_the_system_ended_for_its_memory(worker: Worker) -> None:
    call, killed = make_call(make_actor(), 5), exited(9, log="of the log")._replace(out_of_memory=1_234_000_000)
    failure = deaths.task_died(call, worker, killed, "")
    assert failure.kind == "out_of_memory"
    assert "because the memory ran out; it had 1,234 MB when it was looked at last. Give each task less data" in failure.message
    assert failure.message.endswith("Its last lines:\nof the log")
    assert "because the memory ran out; it had 1,234 MB at the last look" in deaths.call_died(
        call, make_actor(), worker, killed, ""
    ).message


def test_a_call_that_an_actor_does_not_repeat(worker: Worker) -> None:
    actor = make_actor(spec=ActorSpec("Counter", max_restarts=1))
    failure = deaths.call_died(make_call(actor, 5), actor, worker, exited(9), "")
    assert failure.kind == "actor_died"
    assert "while it ran Counter.add of the actor Counter, which starts again" in failure.message
    assert "max_task_retries=2" in failure.message


@pytest.mark.parametrize(("restarts", "hint"), [(0, ".options(max_restarts=1)"), (2, "as often as max_restarts=2 allows")])
def test_an_actor_that_starts_no_more(worker: Worker, restarts: int, hint: str) -> None:
    actor = make_actor(spec=ActorSpec("Counter", name="totals", max_restarts=restarts))
    failure = deaths.actor_died(actor, worker, exited(9), make_call(actor, 5), "the end")
    assert failure.kind == "actor_died"
    assert "The actor Counter 'totals' is dead: worker 3 (pid 4711) ended by SIGKILL" in failure.message
    assert hint in failure.message
    assert (failure.task, failure.worker, failure.log_tail) == ("Counter.add", "worker 3 (pid 4711)", "the end")
    assert "while it ran" not in deaths.actor_died(actor, worker, exited(9), None, "").message


def test_an_init_that_raises_is_the_cause() -> None:
    failure = deaths.not_created(make_actor(), Failure("exception", "no luck", "ValueError", b"pickled", "tb", retriable=True))
    assert failure.message == "The actor Counter is dead: it could not be created. ValueError: no luck"
    assert (failure.kind, failure.type_name, failure.pickled, failure.traceback) == ("actor_died", "ValueError", b"pickled", "tb")
    assert not failure.retriable
    killed = deaths.killed(make_actor())
    assert deaths.not_created(make_actor(), killed) is killed


@pytest.mark.parametrize(("make", "words"), [
    (deaths.killed, "it was killed"),
    (deaths.exited_on_purpose, "exited on purpose"),
    (deaths.told_to_end, "takes no more calls"),
    (deaths.without_handles, 'lifetime="detached"'),
])  # fmt: skip
def test_each_end_has_its_words(make: object, words: str) -> None:
    failure = make(make_actor())  # type: ignore[operator]
    assert failure.kind == "actor_died"
    assert words in failure.message
    assert "Counter" in failure.message


def test_a_name_that_is_taken_says_by_whom_and_what_to_do() -> None:
    failure = deaths.name_taken(make_actor(spec=ActorSpec("Mean", name="totals")), make_actor(2, ActorSpec("Sum", name="totals")))
    assert failure.kind == "refused"
    assert "taken by a Sum in the namespace 'a.ipynb'" in failure.message
    assert "nbray.get_actor('totals')" in failure.message


def test_an_actor_that_is_not_there() -> None:
    failure = deaths.unknown_actor(0x123, "Counter.add")
    assert "0x123 is not in the cluster" in failure.message
    assert failure.task == "Counter.add"


def test_a_worker_that_sent_what_is_no_message(worker: Worker) -> None:
    killed = exited(9)._replace(broken="a frame announces 4 GB")
    message = deaths.task_died(make_call(make_actor(), 5), worker, killed, "").message
    assert "was no message (a frame announces 4 GB): the task, or a library, wrote to a descriptor that is not its own" in message
    assert "memory" not in message
