from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.storm import injector as module
from tests.storm.faults import Fault, Kind
from tests.storm.injector import Fallen, Injector
from tests.storm.ledger import Line, written
from tests.storm.places import Places


@pytest.fixture
def places() -> Iterator[Places]:
    made = Places(mount=False)
    yield made
    made.remove(keep_records=False)


def faults(kind: Kind = "kill_worker", aims: bool = False, draw: float = 0.0) -> Iterator[Fault]:
    return (Fault(number, kind, 0.0, 0.01, draw, aims) for number in count())


def test_a_fault_for_nobody_waits_and_is_left_out_then(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    clock = [100.0]
    monkeypatch.setattr(module, "now", lambda: clock[0])
    injector = Injector(places, faults(), tmp_path / "log")
    injector.begin()
    injector.step()
    assert injector.done == []
    clock[0] += module.PATIENCE
    injector.step()
    assert [done.note for done in injector.done] == ["nobody was there"]
    assert injector.kills() == 0
    injector.close()
    assert b"nobody was there" in (tmp_path / "log").read_bytes()


def test_what_lasts_is_there_once_and_is_taken_back(places: Places, tmp_path: Path) -> None:
    injector = Injector(places, faults("fill_disk"), tmp_path / "log")
    fault = next(faults("fill_disk"))
    first = injector._once(fault, places.fill_disk, places.free_disk)
    assert places.flag.exists()
    assert (first.note, first.until > first.at) == ("", True)
    assert injector._once(fault, places.fill_disk, places.free_disk).note == "it is so already"
    injector.close()
    assert not places.flag.exists()


@pytest.mark.parametrize(
    ("aims", "draw", "chosen"), [(True, 0.0, 71), (True, 0.99, 73), (False, 0.0, 70), (False, 0.6, 72), (False, 0.99, 73)]
)
def test_it_aims_at_busy_workers(places: Places, tmp_path: Path, aims: bool, draw: float, chosen: int) -> None:
    lines = [Line("b", 1, 1, 71, 1.0), Line("b", 2, 1, 70, 1.0), Line("d", 2, 1, 70, 1.1), Line("c", 3, 1, 73, 1.2)]
    places.ledger.write_bytes(b"".join(map(written, lines)))
    injector = Injector(places, faults(), tmp_path / "log")
    fault = next(faults(aims=aims, draw=draw))
    assert [injector._choose([70, 71, 72, 73], fault) for _ in range(2)] == [chosen] * 2
    injector.close()


def test_who_has_fallen_is_told_from_who_has_his_number_now() -> None:
    process = subprocess.Popen(["sleep", "60"])
    fallen = Fallen.of("kill_notebook", [process.pid, os.getpid()])
    other = Fallen("kill_notebook", 0.0, [(os.getpid(), 1.0)])
    assert fallen.alive() == [process.pid, os.getpid()]
    process.kill()
    process.wait()
    assert fallen.alive() == [os.getpid()]
    assert other.alive() == []
