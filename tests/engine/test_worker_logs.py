"""Bytes of fd 1 and 2 find their task, stay bounded, and end in whole characters."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbray.engine.worker_logs import CHUNK_BYTES, Puncher, WorkerLog, _whole_characters
from nbray.ids import TaskId
from nbray.scheduler.messages import SKIPPED
from tests.squeezed import squeezed

ONE, TWO = TaskId(1), TaskId(2)
KEEP = 1 << 20
LIMIT = 256 * 1024


class Written:
    """A log and the end that a worker writes to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = WorkerLog(path, KEEP)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)

    def write(self, data: bytes) -> int:
        """Returns the log's length afterwards."""
        os.write(self._descriptor, data)
        return self.path.stat().st_size

    def read(self, task_id: TaskId, end: int | None = None, limit: int = LIMIT) -> bytes:
        return b"".join(data for stream, data in self.log.read(task_id, end, limit) if stream == "stdout")

    def close(self) -> None:
        self.log.close()
        os.close(self._descriptor)


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    written = Written(tmp_path / "worker-0.log")
    yield written
    written.close()


def test_a_task_has_the_bytes_up_to_its_reported_end(written: Written) -> None:
    end = written.write(b"of one\n")
    written.write(b"of two\n")
    assert written.read(ONE, end) == b"of one\n"
    assert written.read(TWO) == b"of two\n"
    assert written.read(TWO) == b""


def test_what_was_shown_live_is_not_shown_again(written: Written) -> None:
    written.write(b"live ")
    assert written.read(ONE) == b"live "
    end = written.write(b"and after")
    assert written.read(ONE, end) == b"and after"
    assert written.log.position == end


def test_beyond_the_limit_bytes_are_counted_and_not_read(written: Written) -> None:
    size = 2_000_000
    end = written.write(b"x" * size)
    pieces = list(written.log.read(ONE, end, LIMIT))
    shown = sum(len(data) for stream, data in pieces if stream == "stdout")
    skipped = sum(int(data) for stream, data in pieces if stream == SKIPPED)
    assert LIMIT <= shown <= LIMIT + CHUNK_BYTES
    assert shown + skipped == size
    end = written.write(b"still one")
    assert list(written.log.read(ONE, end, LIMIT)) == [(SKIPPED, b"9")]
    end = written.write(b"two begins anew")
    assert written.read(TWO, end) == b"two begins anew"


def test_a_character_that_is_not_complete_waits_for_its_rest(written: Written) -> None:
    euro = "€".encode()
    written.write(b"1 " + euro[:2])
    assert written.read(ONE) == b"1 "
    assert written.read(ONE) == b""
    written.write(euro[2:] + b"!")
    assert written.read(ONE) == euro + b"!"
    end = written.write(euro[:1])
    assert written.read(ONE, end) == euro[:1], "nothing more comes for this task"


def test_chunks_split_no_character(written: Written) -> None:
    text = "€" * 60_000
    end = written.write(text.encode())
    assert "".join(data.decode() for _, data in written.log.read(ONE, end, LIMIT)) == text


@given(st.text(max_size=8), st.integers(0, 20))
def test_whole_characters_of_any_text(text: str, cut: int) -> None:
    data = text.encode()[:cut]
    whole = _whole_characters(data)
    data[:whole].decode()
    assert whole > len(data) - 4
    assert len(data[:whole].decode()) == sum(len(text[:number].encode()) <= cut for number in range(1, len(text) + 1))


@given(st.binary(max_size=8))
def test_what_is_no_text_waits_for_three_bytes_at_most(data: bytes) -> None:
    assert max(0, len(data) - 3) <= _whole_characters(data) <= len(data)


@pytest.mark.skipif(sys.platform != "linux", reason="holes are punched on Linux alone")
def test_the_middle_of_an_overlong_log_goes_back_to_the_disk(written: Written) -> None:
    total = 0
    for _ in range(64):
        total = written.write(os.urandom(256 * 1024))
        written.read(ONE, total)
    status = written.path.stat()
    assert status.st_size == total == 16 << 20
    assert status.st_blocks * 512 <= 2 * KEEP
    written.write(b"\nthe last line")
    assert written.log.tail().endswith("the last line")


@pytest.mark.skipif(sys.platform != "linux", reason="holes are punched on Linux alone")
def test_a_puncher_punches_on_a_thread_of_its_own_even_when_the_log_is_closed_meanwhile(tmp_path: Path) -> None:
    puncher = Puncher()
    log = WorkerLog(tmp_path / "log", KEEP, puncher.punch)
    (tmp_path / "log").write_bytes(os.urandom(16 * KEEP))
    for _ in log.read(ONE, 16 * KEEP, LIMIT):
        pass
    log.close()
    puncher.close()
    assert (tmp_path / "log").stat().st_blocks * 512 <= 2 * KEEP
    puncher.close()


def test_the_tail_is_the_last_lines_of_this_worker(written: Written) -> None:
    written.write(b"of the worker before\n")
    written.log.begin_worker()
    assert written.log.tail() == ""
    written.write(b"".join(b"line %d\n" % number for number in range(100)))
    assert written.log.tail().splitlines() == [f"line {number}" for number in range(80, 100)]
    written.write(b"x" * 100_000 + b"\xff\n")
    assert len(written.log.tail()) < 5000


def test_a_new_worker_begins_where_the_log_ends(written: Written) -> None:
    written.write(b"unread")
    written.log.begin_worker()
    end = written.write(b"new")
    assert written.read(ONE, end) == b"new"


def test_the_file_is_the_owners_alone_and_no_link_is_followed(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        log = WorkerLog(tmp_path / "new.log", KEEP)
    finally:
        os.umask(previous)
    log.close()
    assert (tmp_path / "new.log").stat().st_mode & 0o777 == 0o600
    (tmp_path / "link.log").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic link"):
        WorkerLog(tmp_path / "link.log", KEEP)


def test_what_is_read_live_had_time_to_follow_the_prints_before_it(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    log = WorkerLog(path, 1 << 20)
    try:
        with path.open("ab", buffering=0) as file:
            file.write(b"early")
            assert log.settled_end() == 0
            file.write(b" and late")
            assert log.settled_end() == len(b"early")
            assert log.settled_end() == len(b"early and late")
    finally:
        log.close()


def test_a_log_that_cannot_be_opened_yet_is_empty_until_it_can(tmp_path: Path) -> None:
    path = tmp_path / "worker-0.log"
    with squeezed():
        log = WorkerLog(path, KEEP)
        log.begin_worker()
        assert (list(log.read(ONE, None, LIMIT)), list(log.read(ONE, 6, LIMIT)), log.tail(), log.settled_end()) == ([], [], "", 0)
        log.close()
    path.write_bytes(b"first\n")
    assert list(log.read(ONE, 6, LIMIT)) == [("stdout", b"first\n")]
    assert log.tail() == "first"
    log.close()


def test_without_a_descriptor_for_the_thread_a_hole_is_punched_at_once(tmp_path: Path) -> None:
    path = tmp_path / "worker-0.log"
    path.write_bytes(b"x" * (1 << 20))
    puncher = Puncher()
    with path.open("r+b") as file:
        with squeezed():
            puncher.punch(file.fileno(), 0, 1 << 19)
        assert file.read(4096) == bytes(4096)
    puncher.close()
