"""TensorBoard finds each trial's numbers, and its configuration."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

from nbray.errors import UsageError
from nbray.tune.loggers import TBXLoggerCallback, tensorboard_logger
from tests.tune.led_experiment import Led, plan


def events(directory: Path) -> Iterator[Any]:
    """What is in the event files: records of a length, its checksum, the bytes of an Event, and their checksum."""
    for path in sorted(directory.glob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            yield Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]


def scalars(directory: Path, tag: str) -> list[tuple[int, float]]:
    found = ((event, value) for event in events(directory) for value in event.summary.value)
    return [(event.step, value.simple_value) for event, value in found if value.tag == tag]


def test_numbers_become_scalars_over_the_reports(tmp_path: Path) -> None:
    def reports(config: dict[str, Any]) -> Any:
        return [{"loss": 2.0, "by": {"x": np.int64(1)}, "note": "text"}, {"loss": 1.0}]

    Led(plan(tmp_path, [1, 2]), [TBXLoggerCallback()]).run(reports)
    assert scalars(tmp_path / "trial_00001", "loss") == [(1, 2.0), (2, 1.0)]
    assert scalars(tmp_path / "trial_00001", "by/x") == [(1, 1.0)]
    assert scalars(tmp_path / "trial_00001", "note") == []


def test_the_configuration_is_there_for_the_hparams_tab(tmp_path: Path) -> None:
    Led(plan(tmp_path, [3]), [TBXLoggerCallback()]).run(lambda config: [{"loss": 2.0}])
    tags = [value.tag for event in events(tmp_path / "trial_00000") for value in event.summary.value]
    assert [tag for tag in tags if tag.startswith("_hparams_")] == [
        "_hparams_/experiment", "_hparams_/session_start_info", "_hparams_/session_end_info",
    ]  # fmt: skip


def test_few_writers_are_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard_logger, "OPEN", 1)
    logger = TBXLoggerCallback()
    led = Led(plan(tmp_path, [1, 2]), [logger])
    led.run(lambda config: [{"loss": 2.0}, {"loss": 1.0}])
    assert logger._writers == {}
    assert scalars(tmp_path / "trial_00000", "loss") == [(1, 2.0), (2, 1.0)]


def test_an_earlier_runs_files_go(tmp_path: Path) -> None:
    directory = tmp_path / "trial_00000"
    directory.mkdir()
    (directory / "events.out.tfevents.1.old").write_bytes(b"")
    Led(plan(tmp_path, [1]), [TBXLoggerCallback()]).run(lambda config: [{"loss": 2.0}])
    assert not (directory / "events.out.tfevents.1.old").exists()


def test_without_tensorboardx_one_hears_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UsageError, match=r'TBXLoggerCallback needs tensorboardX.*pip install "nbray\[tune\]"'):
        TBXLoggerCallback()
