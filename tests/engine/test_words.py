"""Two words a worker, in memory that forked processes share."""

from __future__ import annotations

import os

import pytest

from nbray.engine.words import MAX_WORKERS, Words
from nbray.ids import NO_TASK, ObjectId

LARGEST = ObjectId(2**63 - 1)


def test_slots_do_not_touch_each_other() -> None:
    words = Words()
    words.start(3, LARGEST, 0)
    words.set_cancelled(3, ObjectId(7))
    assert (words.started(3), words.cancelled(3)) == (LARGEST, 7)
    for slot in (0, 2, 4, MAX_WORKERS - 1):
        assert (words.started(slot), words.cancelled(slot)) == (NO_TASK, NO_TASK)


def test_clearing_a_slot() -> None:
    words = Words()
    words.start(1, ObjectId(5), 0)
    words.set_cancelled(1, ObjectId(5))
    words.clear(1)
    assert (words.started(1), words.cancelled(1)) == (NO_TASK, NO_TASK)


def test_a_slot_beyond_the_last_is_an_error() -> None:
    with pytest.raises(IndexError):
        Words().started(MAX_WORKERS)


@pytest.mark.local
def test_a_forked_process_writes_what_its_parent_reads() -> None:
    words = Words()
    pid = os.fork()
    if not pid:
        words.start(0, LARGEST, 0)
        os._exit(0)
    os.waitpid(pid, 0)
    assert words.started(0) == LARGEST
