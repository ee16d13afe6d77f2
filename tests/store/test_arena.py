"""The arena in one process and in two, with views that outlive it, and the seams for systems other than Linux."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import gc
import mmap
import os
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbray.errors import StoreFull
from nbray.store import arena as arena_module
from nbray.store.allocator import PAGE
from nbray.store.arena import TOUCH_AT_ONCE, Arena

SIZE = 1 << 30
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="a private map follows the file on Linux only")


@pytest.fixture
def arena() -> Iterator[Arena]:
    made = Arena.create(SIZE)
    yield made
    made.close()
    gc.collect()


def populated(arena: Arena) -> int:
    """Bytes of the file that hold memory."""
    return os.fstat(arena.fd).st_blocks * 512


def scribble(view: memoryview, data: bytes) -> None:
    """Write as C code does that ignores `readonly`; the view begins at the arena's start."""
    assert isinstance(view.obj, ctypes.Array)
    ctypes.memmove(ctypes.addressof(view.obj), data, len(data))


def test_new_arena_holds_no_memory_and_no_map(arena: Arena) -> None:
    assert populated(arena) == 0
    assert repr(arena) == f"Arena(fd={arena.fd}, size={SIZE}, maps=[])"
    assert not os.get_inheritable(arena.fd)


def test_readers_see_what_was_written_by_map_and_by_write(arena: Arena) -> None:
    view = arena.read_view(0, 2 * PAGE)
    arena.write_view(0, 5)[:] = b"hello"
    arena.pwrite(memoryview(b"world"), PAGE)
    assert bytes(view[:5]) == b"hello"
    assert bytes(view[PAGE : PAGE + 5]) == b"world"


def test_read_views_are_read_only_bytes(arena: Arena) -> None:
    view = arena.read_view(PAGE, 10)
    assert (view.readonly, view.format, len(view)) == (True, "B", 10)
    with pytest.raises(TypeError, match="read-only"):
        view[0] = 1


@linux_only
def test_stray_write_stays_in_the_reader_until_forgotten(arena: Arena) -> None:
    arena.write_view(0, 5)[:] = b"hello"
    view = arena.read_view(0, 5)
    scribble(view, b"J")
    assert bytes(view) == b"Jello"
    assert bytes(arena.write_view(0, 5)) == b"hello"
    arena.forget(0, 5)
    assert bytes(view) == b"hello"


def test_views_outlive_the_arena() -> None:
    arena = Arena.create(SIZE)
    arena.write_view(0, 5)[:] = b"hello"
    reader, writer = arena.read_view(0, 5), arena.write_view(0, 5)
    arena.close()
    arena.close()
    writer[0] = ord("J")
    assert bytes(reader) == b"Jello"
    assert repr(arena) == f"Arena(fd=-1, size={SIZE}, maps=[])"


def test_a_second_descriptor_is_the_same_memory(arena: Arena) -> None:
    other = Arena.from_fd(os.dup(arena.fd), SIZE)
    arena.write_view(PAGE, 5)[:] = b"hello"
    assert bytes(other.read_view(PAGE, 5)) == b"hello"
    other.close()


def test_pages_given_back_hold_no_memory_and_read_as_zeros(arena: Arena) -> None:
    arena.pwrite(memoryview(bytes([7]) * 4 * PAGE), 0)
    view = arena.read_view(0, 4 * PAGE)
    assert view[PAGE] == 7
    arena.give_back(PAGE, 2 * PAGE)
    assert populated(arena) == 2 * PAGE
    assert (view[0], view[PAGE], view[3 * PAGE]) == (7, 0, 7)


def test_touching_changes_nothing(arena: Arena) -> None:
    data = bytes(range(256)) * (PAGE // 64)
    arena.pwrite(memoryview(data), PAGE)
    arena.touch(PAGE, len(data))
    assert bytes(arena.read_view(PAGE, len(data))) == data
    assert populated(arena) == len(data)


def test_touching_reaches_every_piece(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    touched: list[tuple[int, int]] = []

    def write_view(offset: int, size: int) -> memoryview:
        touched.append((offset, size))
        return memoryview(bytearray(1))

    monkeypatch.setattr(arena, "write_view", write_view)
    arena.touch(PAGE, 2 * TOUCH_AT_ONCE + PAGE)
    assert touched == [
        (PAGE, TOUCH_AT_ONCE),
        (PAGE + TOUCH_AT_ONCE, TOUCH_AT_ONCE),
        (PAGE + 2 * TOUCH_AT_ONCE, PAGE),
    ]


def test_partial_writes_are_continued(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:3], offset))
    arena.pwrite(memoryview(b"hello world"), PAGE)
    assert bytes(arena.read_view(PAGE, 11)) == b"hello world"


@linux_only
def test_touched_pages_are_mapped_many_at_a_time(arena: Arena) -> None:
    pages = 4096
    arena.pwrite(memoryview(bytes(pages * PAGE)), 0)
    source, target = b"x" * pages * PAGE, arena.write_view(0, pages * PAGE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arena.touch(0, pages * PAGE)
    target[:] = source
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < pages / 4


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ENOMEM])
def test_full_disk_or_memory(arena: Arena, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def pwrite(fd: int, data: memoryview, offset: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(StoreFull, match=f"cannot write to .* {os.strerror(number)}.* Next: free memory or disk space"):
        arena.pwrite(memoryview(b"hello"), 0)


def test_other_errors_of_write_stay_what_they_are(arena: Arena) -> None:
    closed = Arena.from_fd(os.open(os.devnull, os.O_RDONLY), SIZE)
    with pytest.raises(OSError, match="Bad file descriptor"):
        closed.pwrite(memoryview(b"hello"), 0)
    closed.close()


LIMITED = """
import resource
from nbray.store.arena import Arena
arena = Arena.create(8 << 30)
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
arena.read_view(0, 10)
"""


@linux_only
@pytest.mark.local
def test_limited_address_space_says_what_to_do() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=False)
    assert "StoreFull: cannot map the store's 8,589,934,592 bytes" in done.stderr
    assert "ulimit -v" in done.stderr


@pytest.mark.local
def test_child_process_shares_by_inherited_descriptor(arena: Arena) -> None:
    arena.write_view(0, 5)[:] = b"hello"
    child = os.fork()
    if child == 0:
        other = Arena.from_fd(arena.fd, SIZE)
        same = bytes(other.read_view(0, 5)) == b"hello"
        other.write_view(PAGE, 5)[:] = b"there"
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert bytes(arena.read_view(PAGE, 5)) == b"there"


def test_one_process_at_a_time_has_the_turn_to_write(arena: Arena) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, b"y" if arena.take_turn() else b"n")
        signal.pause()
    try:
        assert os.read(read, 1) == b"y"
        assert not arena.take_turn()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(read)
        os.close(write)
    assert arena.take_turn(), "whoever had it is dead"
    arena.end_turn()


def test_without_memfd_it_is_always_ones_turn(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """A map of a file on a full disk would end the process by SIGBUS."""
    monkeypatch.setattr("nbray.store.arena.HAS_MEMFD", False)
    monkeypatch.setattr(fcntl, "lockf", None)
    assert arena.take_turn()
    arena.end_turn()


def test_unlinked_file_stands_in_for_memfd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(arena_module, "HAS_MEMFD", False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    arena = Arena.create(16 * PAGE)
    arena.pwrite(memoryview(b"hello"), PAGE)
    assert bytes(arena.read_view(PAGE, 5)) == b"hello"
    assert list(tmp_path.iterdir()) == []
    assert os.fstat(arena.fd).st_nlink == 0
    arena.close()


def test_readers_share_where_a_private_map_does_not_follow(monkeypatch: pytest.MonkeyPatch, arena: Arena) -> None:
    monkeypatch.setattr(arena_module, "PRIVATE_FOLLOWS_FILE", False)
    view = arena.read_view(0, 5)
    arena.write_view(0, 5)[:] = b"hello"
    arena.forget(0, PAGE)
    assert bytes(view) == b"hello"
    assert view.readonly


def test_readers_share_where_private_maps_are_counted_as_used(monkeypatch: pytest.MonkeyPatch, arena: Arena) -> None:
    def refuse_private(fd: int, size: int, *flags: int) -> mmap.mmap:
        if flags:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return make(fd, size)

    make = mmap.mmap
    monkeypatch.setattr(mmap, "mmap", refuse_private)
    arena.write_view(0, 5)[:] = b"hello"
    assert bytes(arena.read_view(0, 5)) == b"hello"


def test_holes_are_punched_by_fcntl_on_macos(monkeypatch: pytest.MonkeyPatch, arena: Arena) -> None:
    calls: list[tuple[int, int, tuple[int, ...]]] = []

    def fcntl(fd: int, command: int, argument: bytes) -> None:
        calls.append((fd, command, struct.unpack("=IIqq", argument)))

    monkeypatch.delattr(mmap, "MADV_REMOVE", raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("fcntl.fcntl", fcntl)
    arena.give_back(PAGE, 2 * PAGE)
    assert calls == [(arena.fd, 99, (0, 0, PAGE, 2 * PAGE))]
