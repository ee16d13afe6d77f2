"""What goes to the log beyond the limit is all there, or its beginning and its end are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbray.engine.overflow import Overflow
from nbray.ids import TaskId

KEPT = 1 << 20
ONE, TWO = TaskId(1), TaskId(2)


class Log:
    """A log with something of an earlier worker in it, opened as a worker's is."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(b"earlier\n")
        self.path = path
        self.descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        self.overflow = Overflow(self.descriptor, KEPT)

    @property
    def blocks(self) -> int:
        return self.path.stat().st_blocks * 512


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path / "log")
    yield log
    os.close(log.descriptor)


def test_all_of_a_little_is_there(log: Log) -> None:
    for number in range(100):
        log.overflow.write(ONE, b"%d\n" % number)
    assert log.path.read_bytes() == b"earlier\n" + b"".join(b"%d\n" % number for number in range(100))


@pytest.mark.skipif(sys.platform != "linux", reason="holes are punched on Linux alone")
@pytest.mark.parametrize("piece", [1000, KEPT // 3, 3 * KEPT])
def test_of_much_the_beginning_and_the_end_of_each_task_are_there(log: Log, piece: int) -> None:
    for task in (ONE, TWO):
        begin, most, written = log.path.stat().st_size, 0, bytearray()
        for number in range(16 * KEPT // piece):
            part = bytes([65 + number % 26]) * piece
            log.overflow.write(task, part)
            written += part
            most = max(most, log.blocks)
        content = log.path.read_bytes()[begin:]
        assert len(content) == len(written)
        assert content[: KEPT // 2] == written[: KEPT // 2]
        assert content[-KEPT // 2 :] == written[-KEPT // 2 :]
        assert b"\0" * (4 * KEPT) in content, "the middle is given back"
        assert most < 5 * KEPT + 2 * piece
    assert log.path.read_bytes().startswith(b"earlier\n")


def test_a_disk_that_is_full_ends_the_log_and_not_the_task() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    Overflow(full).write(ONE, b"text")
    os.close(full)
