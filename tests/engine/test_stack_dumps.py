"""Stacks of another process, whatever it is doing."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbray.engine import stack_dumps

pytestmark = pytest.mark.local

CODE = """
import sys, time
from pathlib import Path
from nbray.engine import stack_dumps

def busy():
    print("ready", flush=True)
    while True:
        pass

def compiled():
    print("ready", flush=True)
    sum(range(10 ** 15))

def asleep():
    print("ready", flush=True)
    time.sleep(60)

stack_dumps.install(Path(sys.argv[1]))
globals()[sys.argv[2]]()
"""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[dict[str, subprocess.Popen[str]]]:
    (tmp_path / "logs").mkdir()
    processes = {
        name: subprocess.Popen([sys.executable, "-c", CODE, tmp_path, name], stdout=subprocess.PIPE, text=True)
        for name in ("busy", "compiled", "asleep")
    }
    for process in processes.values():
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    yield processes
    for process in processes.values():
        process.kill()
        process.communicate()


def test_busy_compiled_and_sleeping_processes_answer_and_go_on(started: dict[str, subprocess.Popen[str]], tmp_path: Path) -> None:
    for _ in range(2):
        dumps = stack_dumps.dump(tmp_path, [process.pid for process in started.values()])
        for name, process in started.items():
            assert f" in {name}\n" in dumps[process.pid]
            assert dumps[process.pid].count("most recent call first") == 1
            assert process.poll() is None


def test_who_is_stopped_or_no_worker_has_no_stack(
    started: dict[str, subprocess.Popen[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack_dumps, "ANSWER_SECONDS", 1.0)
    stopped = started["asleep"]
    stopped.send_signal(signal.SIGSTOP)
    dumps = stack_dumps.dump(tmp_path, [started["busy"].pid, stopped.pid, 1])
    stopped.send_signal(signal.SIGCONT)
    assert " in busy\n" in dumps[started["busy"].pid]
    assert dumps[stopped.pid] == dumps[1] == ""
