"""Every kind of failure becomes the error that `errors.py` names for it."""

from __future__ import annotations

from typing import get_args

import pytest

from nbray import errors, exceptions_shipping, frame_snapshots
from nbray.engine.failures import to_exception
from nbray.scheduler.messages import Failure, FailureKind


@pytest.mark.parametrize(
    ("kind", "cls"),
    [
        ("unpicklable_result", errors.ResultNotShippable),
        ("cancelled", errors.TaskCancelledError),
        ("timeout", errors.TaskTimeout),
        ("worker_died", errors.WorkerDied),
        ("store_full", errors.StoreFull),
        ("lost", errors.ObjectLost),
        ("infeasible", errors.InfeasibleRequest),
        ("refused", errors.ClusterError),
    ],
)
def test_kinds_and_their_errors(kind: FailureKind, cls: type[errors.NbrayError]) -> None:
    error = to_exception(Failure(kind, "what happened"))
    assert type(error) is cls
    assert str(error) == "what happened"


def test_every_kind_has_an_error() -> None:
    for kind in get_args(FailureKind):
        assert isinstance(to_exception(Failure(kind, "message", "ValueError")), BaseException)


def test_a_tasks_own_exception_comes_back_with_its_origin() -> None:
    try:
        raise KeyError("missing")
    except KeyError as raised:
        pickled, type_name, message, traceback, _ = exceptions_shipping.dump_exception(raised)
    failure = Failure(
        "exception", message, type_name, pickled, traceback, task="train", worker="worker 1 (pid 4711)", attempt=2
    )
    one, two = to_exception(failure), to_exception(failure)
    assert isinstance(one, KeyError)
    assert isinstance(one, errors.RemoteError)
    assert type(one).__name__ == "RemoteError(KeyError)"
    assert one.args == ("missing",)
    assert "in task train on worker 1 (pid 4711), attempt 2" in one.__notes__
    assert "test_failures.py" in str(one.__cause__)
    assert one is not two, "each get raises its own, whose traceback is its own"


def test_the_file_with_its_frames_is_known() -> None:
    error = to_exception(Failure("exception", "it broke", "lab.Strange", frames="/run/failures/7-1"))
    assert getattr(error, frame_snapshots.ATTRIBUTE) == "/run/failures/7-1"


def test_one_that_cannot_be_rebuilt_is_told() -> None:
    error = to_exception(Failure("exception", "it broke", "lab.Strange", b"\x80\x05rubbish", "the remote traceback"))
    assert type(error) is errors.RemoteError
    assert str(error) == "lab.Strange: it broke"
    assert "the remote traceback" in str(error.__cause__)


@pytest.mark.parametrize("ending", [SystemExit(4), KeyboardInterrupt(), GeneratorExit("text")])
def test_what_would_end_the_driver_is_told_instead(ending: BaseException) -> None:
    dumped = exceptions_shipping.dump_exception(ending)
    failure = Failure("exception", dumped.message, dumped.type_name, dumped.pickled, dumped.traceback)
    error = to_exception(failure)
    assert type(error) is errors.RemoteError
    assert str(error) == f"{type(ending).__name__}: {ending}"
