"""The objects of the serial backend: copies, references, errors that let go of their frames."""

from __future__ import annotations

import pytest

from nbray import serialization
from nbray.backends.serial_objects import FRESH_ERRORS, Failed, SerialObjects
from nbray.errors import ActorDied, ObjectLost, RemoteError, RemoteTraceback


def failure() -> Failed:
    try:
        raise LookupError("no")
    except LookupError as error:
        return Failed(error, "in task f")


def test_values_are_copies_and_go_with_their_last_reference() -> None:
    objects = SerialObjects()
    made = objects.store(serialization.dumps([1, 2]))
    first = objects.value(made)
    first.append(3)
    assert objects.value(made) == [1, 2]
    assert objects.state(made) == "ready"
    assert [each[0] for each in objects.table()] == [made]
    objects.hold(made)
    objects.release([made])
    assert made in objects
    gone: list[str] = []
    objects.when_gone[made] = lambda: gone.append("gone")
    objects.release([made])
    assert made not in objects
    assert gone == ["gone"]
    with pytest.raises(ObjectLost):
        objects.value(made)


def test_a_result_that_nobody_wants_is_not_kept() -> None:
    objects = SerialObjects()
    unwanted = objects.new_id()
    objects.settle(unwanted, serialization.dumps(1))
    assert unwanted not in objects


def test_the_first_to_ask_has_the_frames_and_later_ones_the_text() -> None:
    failed = failure()
    first = failed.raised()
    assert isinstance(first, LookupError)
    assert isinstance(first, RemoteError)
    assert first.__traceback__ is not None
    later = failed.raised()
    assert later.__traceback__ is None
    assert isinstance(later.__cause__, RemoteTraceback)
    assert 'raise LookupError("no")' in str(later.__cause__)
    assert first.__notes__ == later.__notes__ == ["in task f"]


def test_only_the_last_errors_keep_their_frames_unasked() -> None:
    objects = SerialObjects()
    failures = [failure() for _ in range(FRESH_ERRORS + 2)]
    for each in failures:
        made = objects.new_id()
        objects.hold(made)
        objects.settle(made, each)
    assert [each.raised().__traceback__ is None for each in failures] == [True, True, *[False] * FRESH_ERRORS]


def test_what_is_no_task_s_own_error_is_raised_as_it_is() -> None:
    error = ActorDied("dead")
    error.__cause__ = ValueError("why")
    raised = Failed(error).raised()
    assert type(raised) is ActorDied
    assert raised is not error
    assert isinstance(raised.__cause__, ValueError)
    exits = Failed(SystemExit(3), "in task f").raised()
    assert type(exits) is RemoteError
