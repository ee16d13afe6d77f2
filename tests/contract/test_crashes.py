"""Every backend with processes: 28 ways to fail, at each step of a call, as a task, in an actor, and from a callback.

What ends a process ends that one, and is told by its signal or exit code; what does not, leaves it as it was.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, NamedTuple

import pytest

import nbray
from nbray.backends.backend import Backend
from tests.contract.conftest import until

CRASHES = {"_exit": "exit code 3", "SIGSEGV": "SIGSEGV", "SIGABRT": "SIGABRT", "SIGKILL": "SIGKILL"}
"""What ends a process, and how the error tells of it."""


def perform(how: str) -> None:
    if how == "error":
        raise ValueError("on purpose")
    if how == "exit":
        sys.exit(4)
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "_exit":
        os._exit(3)
    os.kill(os.getpid(), signal.Signals[how])
    time.sleep(60)


class FailsToPickle:
    def __init__(self, how: str) -> None:
        self.how = how

    def __reduce__(self) -> Any:
        perform(self.how)
        return FailsToPickle, (self.how,)


class FailsToLoad(FailsToPickle):
    def __reduce__(self) -> Any:
        return perform, (self.how,)


class FailsWhenDropped:
    def __init__(self, how: str) -> None:
        self.how = how

    def __del__(self) -> None:
        perform(self.how)


def take(value: Any) -> str:
    return "took it"


def drop(how: str) -> str:
    FailsWhenDropped(how)
    return "dropped it"


def return_what_fails_to_pickle(how: str) -> Any:
    return FailsToPickle(how)


def return_what_fails_to_load(how: str) -> Any:
    return FailsToLoad(how)


def fail_in_a_thread(how: str) -> str:
    threading.excepthook = lambda args: None
    thread = threading.Thread(target=perform, args=(how,))
    thread.start()
    thread.join()
    return "its thread has ended"


def fail_in_the_middle_of_a_list(how: str) -> list[int]:
    return [fail_at_three(number, how) for number in range(5)]


def fail_at_three(number: int, how: str) -> int:
    if number == 3:
        perform(how)
    return number


class Case(NamedTuple):
    step: str
    how: str
    work: Callable[..., Any]
    argument: Any

    @property
    def ends_process(self) -> bool:
        return self.how in CRASHES


def cases() -> Iterator[Case]:
    for how in ("error", "exit", "interrupt", "_exit", "SIGSEGV", "SIGABRT", "SIGKILL"):
        yield Case("run", how, perform, how)
    for how in ("error", "exit", "_exit", "SIGSEGV", "SIGABRT"):
        yield Case("load argument", how, take, FailsToLoad(how))
        yield Case("pickle result", how, return_what_fails_to_pickle, how)
    for how in ("error", "_exit", "SIGSEGV"):
        yield Case("drop", how, drop, how)
        yield Case("thread", how, fail_in_a_thread, how)
    for how in ("error", "exit"):
        yield Case("pickle argument", how, take, FailsToPickle(how))
        yield Case("load result", how, return_what_fails_to_load, how)
    yield Case("middle", "SIGKILL", fail_in_the_middle_of_a_list, "SIGKILL")


CASES = list(cases())


class Host:
    def run(self, work: Callable[..., Any], argument: Any) -> Any:
        return work(argument)

    def pid(self) -> int:
        return os.getpid()


def as_task(case: Case, actor: Any) -> Any:
    return nbray.get(nbray.apply_async(case.work, (case.argument,)), timeout=30)


def in_actor(case: Case, actor: Any) -> Any:
    return nbray.get(actor.run.remote(case.work, case.argument), timeout=30)


def from_callback(case: Case, actor: Any) -> Any:
    """What a callback submits, when an earlier result comes."""
    submitted: SimpleQueue[Any] = SimpleQueue()

    def submit(future: Future[Any]) -> None:
        try:
            submitted.put(nbray.apply_async(case.work, (case.argument,)))
        except BaseException as error:  # noqa: BLE001 - carried to the thread of the test
            submitted.put(error)

    nbray.apply_async(abs, (-1,)).future().add_done_callback(submit)
    ref = submitted.get(timeout=30)
    if isinstance(ref, BaseException):
        raise ref
    return nbray.get(ref, timeout=30)


def outcome(call: Callable[[Case, Any], Any], case: Case, actor: Any) -> Any:
    try:
        return call(case, actor)
    except BaseException as error:  # noqa: BLE001 - whatever comes is looked at
        return error


def pids(backend: Backend) -> set[int]:
    return {each.pid for each in backend.snapshot().workers if each.pid and each.state not in ("starting", "stopping")}


@pytest.fixture
def actor(request: pytest.FixtureRequest, real_backend: Backend) -> Iterator[Any]:
    if request.node.callspec.params["call"] is not in_actor:
        yield None
        return
    made: Any = nbray.remote(Host).options(num_cpus=0).remote()
    nbray.get(made.pid.remote())
    yield made
    nbray.kill(made)


def check_error(case: Case, call: Callable[[Case, Any], Any], got: Any) -> None:
    assert isinstance(got, BaseException), got
    if case.ends_process:
        assert isinstance(got, nbray.ActorDied if call is in_actor else nbray.WorkerDied)
        assert CRASHES[case.how] in str(got)
    elif case.step == "pickle argument":
        assert isinstance(got, ValueError if case.how == "error" else SystemExit), got
    else:
        assert isinstance(got, nbray.NbrayError), got
        assert ("on purpose" if case.how == "error" else "") in str(got)


@pytest.mark.parametrize("call", [as_task, in_actor, from_callback], ids=lambda call: call.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.step}-{case.how}")
def test_only_what_ends_a_process_ends_one(
    case: Case, call: Callable[[Case, Any], Any], actor: Any, real_backend: Backend
) -> None:
    assert nbray.get([nbray.apply_async(abs, (-1,)) for _ in range(4)]) == [1] * 4
    assert until(lambda: len(pids(real_backend)) >= 2)
    before = pids(real_backend)
    got = outcome(call, case, actor)
    if case.step in ("drop", "thread") and not case.ends_process:
        assert isinstance(got, str)
    else:
        check_error(case, call, got)
    assert until(lambda: len(before - pids(real_backend)) == case.ends_process)
    assert nbray.get([nbray.apply_async(abs, (-1,)) for _ in range(4)], timeout=30) == [1] * 4
    if actor is not None and not case.ends_process:
        assert nbray.get(actor.pid.remote()) in before


def test_they_are_28() -> None:
    assert len(CASES) == len({(case.step, case.how) for case in CASES}) == 28
