import os
from pathlib import Path

import pytest

from nbray.config import ClusterConfig
from nbray.engine import recording
from nbray.engine.recording import RecordedScheduler, encode, make_scheduler, read
from nbray.scheduler.actions import Fork
from nbray.scheduler.events import Started, WorkerForked
from nbray.scheduler.scheduler import Scheduler

CONFIG = ClusterConfig(epoch="e1", run_directory="/run", num_workers=2, store_limit=1 << 20, resources={"CPU": 20000})


def test_nothing_is_recorded_unless_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(recording.VARIABLE, raising=False)
    assert type(make_scheduler(CONFIG, 1 << 22)) is Scheduler


def record(directory: Path) -> Path:
    scheduler = RecordedScheduler(CONFIG, 1 << 22, str(directory))
    assert scheduler.handle(Started(), 1.0) == [Fork(0), Fork(1)]
    scheduler.handle(WorkerForked(0, 7), 2.5)
    os.close(scheduler._descriptor)
    return directory / "e1.recording"


def test_events_and_actions_are_read_as_they_were(tmp_path: Path) -> None:
    head, records = read(record(tmp_path))
    assert head == (CONFIG, 1 << 22)
    assert list(records) == [
        (1.0, "Started", encode(Started()), encode([Fork(0), Fork(1)])),
        (2.5, "WorkerForked", encode(WorkerForked(0, 7)), encode([])),
    ]


def test_the_end_of_a_killed_process_is_left_out(tmp_path: Path) -> None:
    path = record(tmp_path)
    data = path.read_bytes()
    for lost in (1, 5, 20):
        path.write_bytes(data[:-lost])
        assert len(list(read(path)[1])) == 1
    path.write_bytes(data + b"\0\0")
    assert len(list(read(path)[1])) == 2


def test_nobody_else_can_read_it_and_nothing_is_overwritten(tmp_path: Path) -> None:
    path = record(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        RecordedScheduler(CONFIG, 1 << 22, str(tmp_path))


def test_the_environment_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(recording.VARIABLE, str(tmp_path))
    scheduler = make_scheduler(CONFIG, 1 << 22)
    assert isinstance(scheduler, RecordedScheduler)
    os.close(scheduler._descriptor)
    assert [path.name for path in tmp_path.iterdir()] == ["e1.recording"]
