"""A real zygote, whose scheduler process only relays what the test says and whose workers run what the test wrote."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nbray.config import ClusterConfig
from nbray.engine import transport, wire
from nbray.engine.supervision import Exited, Forked, ForkWorker, FromZygote, SignalWorker, StarterGone, StopAll

pytestmark = pytest.mark.local

PROGRAM = """
import os, select, socket, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from nbray.engine import zygote

def relay(inheritance):
    '''Plays the scheduler process: passes on what the test and the zygote say to each other.'''
    inheritance.listener.setblocking(True)
    test, _ = inheritance.listener.accept()
    other = {test: inheritance.zygote, inheritance.zygote: test}
    while True:
        for source in select.select(list(other), [], [])[0]:
            data = source.recv(65536)
            if not data:
                return
            other[source].sendall(data)

def work(inheritance, slot):
    exec(Path(inheritance.config.run_directory + ".py").read_text(), {"inheritance": inheritance, "slot": slot})

exec(sys.argv[2])
zygote.main(relay, work)
"""


class Zygote:
    """The process, and the line to it."""

    def __init__(self, directory: Path, worker: str, *, before: str = "") -> None:
        self.directory = directory
        Path(f"{directory}.py").write_text("import os, signal, sys, time\n" + worker)
        config = ClusterConfig(
            epoch="test", run_directory=str(directory), num_workers=0, resources={"CPU": 10_000}, store_limit=1 << 20, preload=()
        )
        root = str(Path(__file__).parents[2])
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, root, before],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(msgspec.json.encode(config))
        self.process.stdin.close()
        assert self.process.stdout.read(1) == b"1", self.log("zygote")
        self.line = transport.connect(directory / "scheduler.sock")
        self._decoder: wire.FrameDecoder[Any] = wire.FrameDecoder(FromZygote)
        self._events: list[Any] = []

    def say(self, message: msgspec.Struct) -> None:
        self.line.sendall(wire.frame(message))

    def event(self) -> Any:
        while not self._events:
            assert transport.wait_readable(self.line.fileno(), 5), self.log("zygote")
            data = self.line.recv(65536)
            assert data, self.log("zygote")
            self._events += self._decoder.feed(data)
        return self._events.pop(0)

    def fork(self, slot: int = 0, gpus: tuple[int, ...] = ()) -> int:
        """Returns the worker's pid once it has said that it runs."""
        self.say(ForkWorker(slot, list(gpus)))
        forked = self.event()
        assert isinstance(forked, Forked)
        assert forked.slot == slot
        return forked.pid

    def log(self, name: str) -> str:
        try:
            return (self.directory / "logs" / f"{name}.log").read_text()
        except FileNotFoundError:
            return ""

    def wait_for_log(self, name: str, text: str) -> str:
        deadline = time.monotonic() + 5
        while text not in self.log(name):
            assert time.monotonic() < deadline, self.log(name)
            time.sleep(0.002)
        return self.log(name)

    def last_words(self) -> str:
        """What it says at its end, which must come soon."""
        assert self.process.stdout is not None
        words = self.process.stdout.read().decode()
        self.process.wait(5)
        return words

    def close(self) -> None:
        self.line.close()
        assert self.process.stdout is not None
        if self.process.stdout.closed:
            self.process.wait(5)
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.last_words()
        self.process.stdout.close()


@pytest.fixture
def start() -> Iterator[Any]:
    """Starts a zygote whose workers run a program."""
    with tempfile.TemporaryDirectory() as name:  # shorter than tmp_path
        started: list[Zygote] = []

        def start_one(worker: str, **options: str) -> Zygote:
            started.append(Zygote(Path(name) / str(len(started)), worker, **options))
            return started[-1]

        yield start_one
        for zygote in started:
            zygote.close()


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.002)
    return False


SLEEPER = "print('ready', flush=True); time.sleep(60)"


class TestWorkers:
    def test_a_worker_leads_a_session_of_its_own(self, start: Any) -> None:
        zygote = start("print(os.getpid(), os.getsid(0), os.environ['NBRAY_WORKER'], os.read(0, 1), slot, flush=True)")
        pid = zygote.fork(3)
        assert zygote.event() == Exited(3, pid, 0, -1)
        assert zygote.log("worker-3") == f"{pid} {pid} {pid} b'' 3\n"

    @pytest.mark.parametrize(
        ("program", "exit_code", "number"),
        [
            ("os._exit(7)", 7, -1),
            ("sys.exit(5)", 5, -1),
            ("sys.exit('in words')", 1, -1),
            ("1 / 0", 1, -1),
            ("os.kill(os.getpid(), signal.SIGSEGV)", -1, signal.SIGSEGV),
            ("os.kill(os.getpid(), signal.SIGTERM)", -1, signal.SIGTERM),
        ],
    )
    def test_how_it_ended_is_reported(self, start: Any, program: str, exit_code: int, number: int) -> None:
        zygote = start(program)
        pid = zygote.fork()
        assert zygote.event() == Exited(0, pid, exit_code, number)

    def test_why_it_failed_is_in_its_log(self, start: Any) -> None:
        zygote = start("1 / 0")
        zygote.fork()
        zygote.event()
        assert "ZeroDivisionError" in zygote.log("worker-0")

    def test_a_slot_is_used_again(self, start: Any) -> None:
        zygote = start("print('once', flush=True)")
        for _ in range(3):
            zygote.fork()
            assert isinstance(zygote.event(), Exited)
        assert zygote.log("worker-0") == "once\n" * 3

    def test_an_interrupt_goes_to_the_worker_alone(self, start: Any) -> None:
        zygote = start(
            """
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; print('child', flush=True); time.sleep(60)"])
signal.signal(signal.SIGINT, lambda *_: (print("interrupted", child.poll(), flush=True), os._exit(4)))
while True:
    time.sleep(60)
"""
        )
        pid = zygote.fork()
        zygote.wait_for_log("worker-0", "child\n")
        zygote.say(SignalWorker(0, signal.SIGINT))
        assert zygote.event() == Exited(0, pid, 4, -1)
        assert "interrupted None" in zygote.log("worker-0")

    def test_a_kill_takes_children_along_in_whatever_session(self, start: Any) -> None:
        zygote = start(
            """
for session in (False, True):
    if os.fork() == 0:
        if session:
            os.setsid()
        print(os.getpid(), flush=True)
        time.sleep(60)
time.sleep(60)
"""
        )
        pid = zygote.fork()
        while len(zygote.wait_for_log("worker-0", "\n").split()) < 2:
            time.sleep(0.002)
        zygote.say(SignalWorker(0, signal.SIGKILL))
        assert zygote.event() == Exited(0, pid, -1, signal.SIGKILL)
        assert all(is_gone(int(child)) for child in zygote.log("worker-0").split())

    @pytest.mark.parametrize("program", ["time.sleep(60)", "os.execvp('sleep', ['sleep', '60'])"])
    def test_daemons_of_a_dead_worker_end_and_those_of_a_living_one_do_not(self, start: Any, program: str) -> None:
        zygote = start(
            f"""
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        {program}
    os._exit(0)
os.wait()
time.sleep(60)
"""
        )
        zygote.fork(0)
        zygote.fork(1)
        dies, lives = (int(zygote.wait_for_log(f"worker-{slot}", "\n")) for slot in (0, 1))
        zygote.say(SignalWorker(0, signal.SIGKILL))
        assert isinstance(zygote.event(), Exited)
        assert is_gone(dies)
        os.kill(lives, 0)

    def test_a_signal_to_an_empty_slot_does_nothing(self, start: Any) -> None:
        zygote = start(SLEEPER)
        zygote.say(SignalWorker(5, signal.SIGKILL))
        zygote.fork(5)

    def test_gpus_are_given_by_their_index(self, start: Any) -> None:
        zygote = start("print(os.environ.get('CUDA_VISIBLE_DEVICES', 'all'), flush=True)")
        zygote.fork()
        zygote.event()
        assert zygote.log("worker-0") == "all\n"

    def test_a_fork_that_fails_is_reported_as_an_exit(self, start: Any) -> None:
        before = """
forks, fork = [], os.fork
def refuse():
    forks.append(1)
    if len(forks) == 2:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return fork()
os.fork = refuse
"""
        zygote = start(SLEEPER, before=before)
        zygote.say(ForkWorker(0, []))
        assert zygote.event() == Exited(0, 0, 1, -1)
        zygote.fork(0)


class TestEnd:
    def end_of(self, zygote: Zygote, pids: list[int], started: float) -> str:
        words = zygote.last_words()
        assert time.monotonic() - started < 2
        assert all(is_gone(pid) for pid in pids)
        assert not zygote.directory.exists()
        return words

    def forked(self, zygote: Zygote) -> list[int]:
        pids = [zygote.fork(slot) for slot in (0, 1)]
        for slot in (0, 1):
            zygote.wait_for_log(f"worker-{slot}", "ready")
        return pids

    def test_stop_ends_everything_and_says_why(self, start: Any) -> None:
        zygote = start(SLEEPER)
        pids = self.forked(zygote)
        zygote.say(StopAll("the last driver has left"))
        assert "the last driver has left" in self.end_of(zygote, pids, time.monotonic())

    def test_a_terminated_zygote_ends_everything(self, start: Any) -> None:
        zygote = start(SLEEPER)
        pids = self.forked(zygote)
        zygote.process.terminate()
        assert "asked to end" in self.end_of(zygote, pids, time.monotonic())

    def test_when_the_scheduler_process_ends_so_does_the_rest(self, start: Any) -> None:
        zygote = start(SLEEPER)
        pids = self.forked(zygote)
        zygote.line.close()
        assert "scheduler process" in self.end_of(zygote, pids, time.monotonic())

    def test_also_when_it_is_killed_with_messages_unread(self, start: Any) -> None:
        """Its end of the socket pair then ends by a reset, not by an end of file."""
        zygote = start(SLEEPER)
        scheduler = int(Path(f"/proc/{zygote.process.pid}/task/{zygote.process.pid}/children").read_text().split()[0])
        pid = zygote.fork(1)
        zygote.wait_for_log("worker-1", "ready")
        os.kill(scheduler, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        assert is_gone(pid)
        os.kill(scheduler, signal.SIGKILL)
        assert "scheduler process" in self.end_of(zygote, [pid, scheduler], time.monotonic())

    def test_when_nobody_waits_for_it_any_more_the_scheduler_process_is_told(self, start: Any) -> None:
        zygote = start(SLEEPER)
        assert zygote.process.stdout is not None
        zygote.process.stdout.close()
        assert zygote.event() == StarterGone()
        zygote.fork(0)
        zygote.line.close()
        zygote.process.wait(5)
        assert not zygote.directory.exists()

    def test_a_message_that_makes_no_sense_ends_everything(self, start: Any) -> None:
        zygote = start(SLEEPER)
        pids = self.forked(zygote)
        zygote.line.sendall(b"\x03\0\0\0bad")
        assert "failed" in self.end_of(zygote, pids, time.monotonic())

    def test_when_the_zygote_is_killed_the_workers_learn_it_by_the_pipe(self, start: Any) -> None:
        zygote = start("print('ready', flush=True); print(os.read(inheritance.death_pipe, 1), flush=True); os._exit(0)")
        pids = self.forked(zygote)
        zygote.process.kill()
        zygote.last_words()
        assert all(is_gone(pid) for pid in pids)
        assert "b''" in zygote.log("worker-0")
