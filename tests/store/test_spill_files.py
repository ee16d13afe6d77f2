import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbray.errors import StoreFull
from nbray.ids import ObjectId
from nbray.store import spill_files
from nbray.store.arena import Arena
from nbray.store.spill_files import Damaged, SpillFiles
from tests.squeezed import squeezed

OBJECT = ObjectId(0xABC)
SIZE = 300_000


@pytest.fixture
def arena() -> Iterator[Arena]:
    made = Arena.create(1 << 24)
    made.write_view(4096, SIZE)[:] = os.urandom(SIZE)
    yield made
    made.close()


@pytest.fixture
def files(arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SpillFiles]:
    monkeypatch.setattr(spill_files, "PIECE", 65_536)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield SpillFiles(arena, lambda: descriptor)
    os.close(descriptor)


@pytest.mark.parametrize("warm", [False, True])
def test_bytes_come_back_wherever_the_arena_has_room(arena: Arena, files: SpillFiles, warm: bool) -> None:
    checksum = files.write(OBJECT, 4096, SIZE)
    if warm:
        arena.write_view(1 << 22, SIZE)[:] = bytes(SIZE)
    files.read(OBJECT, 1 << 22, SIZE, checksum, warm)
    assert arena.read_view(1 << 22, SIZE) == arena.read_view(4096, SIZE)


def test_the_file_is_private_whatever_the_umask(files: SpillFiles, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files.write(OBJECT, 4096, SIZE)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "abc").stat().st_mode) == 0o600


def test_what_stands_in_its_place_is_not_written_to(files: SpillFiles, tmp_path: Path) -> None:
    (tmp_path / "abc").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        files.write(OBJECT, 4096, SIZE)
    assert not (tmp_path / "elsewhere").exists()


def test_a_directory_that_was_renamed_is_still_the_one(files: SpillFiles, tmp_path: Path) -> None:
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    tmp_path.mkdir()
    files.write(OBJECT, 4096, SIZE)
    assert [path.name for path in moved.iterdir()] == ["abc"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("place", [0, 65_536, SIZE - 1])
def test_one_flipped_bit_is_found(files: SpillFiles, tmp_path: Path, place: int, warm: bool) -> None:
    checksum = files.write(OBJECT, 4096, SIZE)
    content = bytearray((tmp_path / "abc").read_bytes())
    content[place] ^= 1
    (tmp_path / "abc").write_bytes(content)
    with pytest.raises(Damaged, match="its checksum is not the one"):
        files.read(OBJECT, 4096, SIZE, checksum, warm)


def test_a_file_that_was_cut_off_or_removed_is_found(files: SpillFiles, tmp_path: Path) -> None:
    checksum = files.write(OBJECT, 4096, SIZE)
    os.truncate(tmp_path / "abc", 70_000)
    with pytest.raises(Damaged, match="its file ends after 70,000 of 300,000 bytes"):
        files.read(OBJECT, 4096, SIZE, checksum, warm=True)
    files.remove(OBJECT)
    with pytest.raises(Damaged, match="cannot be opened"):
        files.read(OBJECT, 4096, SIZE, checksum, warm=True)


def test_a_process_that_can_open_no_more_files_has_lost_nothing(arena: Arena, files: SpillFiles) -> None:
    checksum = files.write(OBJECT, 4096, SIZE)
    with squeezed(), pytest.raises(StoreFull, match="can open no more files"):
        files.read(OBJECT, 1 << 22, SIZE, checksum, warm=False)
    files.read(OBJECT, 1 << 22, SIZE, checksum, warm=False)
    assert arena.read_view(1 << 22, SIZE) == arena.read_view(4096, SIZE)


def test_a_full_disk_leaves_nothing_behind(files: SpillFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match="No space left"):
        files.write(OBJECT, 4096, SIZE)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_midway_leaves_nothing_behind(
    files: SpillFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    def write(descriptor: int, data: memoryview, offset: int) -> int:
        if written:
            raise OSError(errno.EIO, "Input/output error")
        written.append(len(data))
        return len(data)

    monkeypatch.setattr(os, "pwrite", write)
    with pytest.raises(OSError, match="Input/output"):
        files.write(OBJECT, 4096, SIZE)
    assert list(tmp_path.iterdir()) == []


def test_some_room_stays_free_for_others(files: SpillFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = os.statvfs_result((4096, 4096, 1000, 60, 60, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "fstatvfs", lambda descriptor: disk)
    with pytest.raises(OSError, match=r"the disk has 0.00 GiB left, of which 0.00 GiB stay free"):
        files.write(OBJECT, 4096, SIZE)


def test_the_directory_is_made_when_it_is_needed_first(arena: Arena, tmp_path: Path) -> None:
    made: list[Path] = []

    def prepare() -> int:
        made.append(tmp_path)
        return os.open(tmp_path, os.O_RDONLY)

    files = SpillFiles(arena, prepare)
    assert made == []
    files.write(OBJECT, 4096, SIZE)
    files.write(ObjectId(1), 4096, SIZE)
    assert made == [tmp_path]
    files.remove(OBJECT)
    files.remove(OBJECT)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert files._directory is not None
    os.close(files._directory)
