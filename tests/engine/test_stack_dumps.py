"""Stacks of another process, whatever it is doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbray.engine import stack_dumps
from nbray.engine.driver import Driver
from tests.engine.local_cluster import config, processes, until

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


def test_each_process_of_a_cluster_answers_for_itself() -> None:
    driver = Driver.start(config(), "job")
    try:
        zygote, (scheduler, *workers) = processes(driver)
        pids = {"_serve": zygote.pid, "_step": scheduler.pid, "run_worker": workers[0].pid}
        assert until(lambda: all((driver.directory / "logs" / f"stacks-{pid}").exists() for pid in pids.values()))
        dumps = stack_dumps.dump(driver.directory, pids.values())
        for function, pid in pids.items():
            assert f" in {function}\n" in dumps[pid], dumps
        assert all(process.is_running() for process in (zygote, scheduler, *workers))
    finally:
        driver.close(stop=True)


def test_a_fork_lets_go_of_what_is_its_parents(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    program = """
import os, sys
from pathlib import Path
from nbray.engine import stack_dumps
descriptor = stack_dumps.install(Path(sys.argv[1]))
if os.fork() == 0:
    stack_dumps.uninstall(descriptor)
    os._exit(3 if os.path.exists(f"/proc/self/fd/{descriptor}") else 0)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True, env=environment, timeout=20)
