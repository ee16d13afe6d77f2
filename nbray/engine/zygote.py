"""The zygote: imports once, forks the scheduler process and the workers, reaps them, and ends everything.

    driver --exec--> zygote --fork--> scheduler process      forked at once, before the heavy imports
                        |<----socket pair----^
                        +--fork--> worker 0, 1, 2, ...       forked on request, in milliseconds

Own session, single thread, no user code, no zmq. It holds the write end of the death pipe: whoever reads its end of file
knows that the zygote is gone and exits. When the scheduler process goes, the zygote ends all the rest.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

import msgspec

from nbray import gpus, runtime_env
from nbray.config import ClusterConfig
from nbray.engine import process_tree, rebirth, run_directory, stack_dumps, transport, wire
from nbray.engine.inheritance import Inheritance
from nbray.engine.run_directory import ClusterFile
from nbray.engine.supervision import Exited, Forked, ForkWorker, SignalWorker, StarterGone, StopAll, ToZygote
from nbray.engine.unsent import Unsent
from nbray.engine.words import Words
from nbray.resources import GPU
from nbray.scheduler.messages import PROTOCOL
from nbray.store.arena import Arena

ARENA_FACTOR = 3
"""The arena is larger than the limit of live bytes: with twice as much, fragments failed 21 of 60,000 requests, now none."""

SOCKET_NAME = "scheduler.sock"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""BLAS and OpenMP start their threads at import, so these are set before the first heavy import."""


SchedulerEntry = Callable[[Inheritance], None]
WorkerEntry = Callable[[Inheritance, int], None]

NEEDED_BY_ALL = ("nbray.by_value",)
"""Functions of a notebook travel by value: each worker would import this at its first task."""
NEEDED_BY_SOME = ("asyncio",)
"""For actors with coroutines."""
REST_SECONDS = 0.5


class Zygote:
    """The process's state; `run` does not return."""

    def __init__(
        self, config: ClusterConfig, scheduler_entry: SchedulerEntry, worker_entry: WorkerEntry, life_pipe: int
    ) -> None:
        self._config = config
        self._life_pipe = life_pipe
        self._scheduler_entry = scheduler_entry
        self._worker_entry = worker_entry
        self._logs = Path(config.run_directory) / "logs"
        self._workers: dict[int, int] = {}
        self._scheduler_pid = 0
        self._rest_seconds: float | None = REST_SECONDS
        """After so long without a request, all that workers need is imported; None once it is."""
        self._decoder: wire.FrameDecoder[ToZygote] = wire.FrameDecoder(ToZygote)
        self._poll = select.poll()

    def run(self, ready: Callable[[], None]) -> NoReturn:
        """Start the scheduler process, say that the socket listens, then serve until the end."""
        process_tree.become_subreaper()
        self._stacks = stack_dumps.install(Path(self._config.run_directory))
        self._wakeup = _signal_wakeup()
        death_read, self._death_write = os.pipe()
        self._control, scheduler_end = socket.socketpair()
        listener = transport.listen(Path(self._config.run_directory) / SOCKET_NAME)
        self._inheritance = Inheritance(
            self._config, Words(), Unsent(), Arena.create(ARENA_FACTOR * self._config.store_limit), death_read,
            listener, scheduler_end,
        )  # fmt: skip
        self._scheduler_pid = self._fork("scheduler", lambda: self._scheduler_entry(self._inheritance))
        scheduler_end.close()
        listener.close()
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._wakeup, select.POLLIN)
        self._poll.register(self._life_pipe, 0)  # speaks up when nobody holds the other end any more
        try:
            ready()
            self._preload()
            while True:
                self._serve()
        except BaseException:  # noqa: BLE001 - whatever it is, nobody else can end what this process has started
            sys.excepthook(*sys.exc_info())
            self._end("the zygote failed, see its log")

    def _preload(self) -> None:
        """Import what workers need, without threads, and freeze it so that a collection does not copy its pages."""
        for variable in THREAD_VARIABLES:
            os.environ[variable] = "1"
        preload(self._config.preload)
        gc.collect()
        gc.freeze()

    def _preload_more(self, names: Iterable[str]) -> None:
        """Import what the first workers import by themselves, each for its own: the first result shall not wait for it."""
        if "numpy" in sys.modules:
            preload(("numpy.random",))  # which each worker gives a seed of its own
        preload(names)
        gc.collect()
        gc.freeze()

    def _serve(self) -> None:
        patience = None if self._rest_seconds is None else 1000 * self._rest_seconds
        readable = [descriptor for descriptor, _ in self._poll.poll(patience)]
        if not readable:
            self._rest_seconds = None
            self._preload_more((*NEEDED_BY_ALL, *NEEDED_BY_SOME))
        if self._wakeup in readable:
            caught = os.read(self._wakeup, 512)
            if signal.SIGTERM in caught:
                self._end("the zygote was asked to end")
            self._reap()
        if self._life_pipe in readable:
            self._poll.unregister(self._life_pipe)
            self._tell(StarterGone())
        if self._control.fileno() in readable:
            data = transport.receive(self._control)
            if not data:
                self._end("the scheduler process is gone")
            for request in self._decoder.feed(data):
                self._handle(request)

    def _handle(self, request: ToZygote) -> None:
        match request:
            case ForkWorker():
                self._fork_worker(request)
            case SignalWorker(slot=slot, signal=number):
                self._signal(slot, number)
            case StopAll(reason=reason):
                self._end(reason)

    def _signal(self, slot: int, number: int) -> None:
        """SIGINT goes to the worker alone, as its handler decides; SIGKILL to all that it started."""
        pid = self._workers.get(slot)
        if pid is not None and number == signal.SIGKILL:
            process_tree.end_group(pid)
        elif pid is not None:
            os.kill(pid, number)

    def _fork_worker(self, request: ForkWorker) -> None:
        """A worker like most is forked; one with variables or devices of its own is a fresh Python that never knew others."""
        if len(self._workers) >= self._config.num_workers and NEEDED_BY_ALL[0] not in sys.modules:
            self._preload_more(NEEDED_BY_ALL)  # many come, and the first ones are at work already
        slot, profile = request.slot, runtime_env.decode(request.profile)
        self._inheritance.words.clear(slot)
        inheritance = self._inheritance._replace(listener=None, zygote=None, profile=request.profile)

        def run_worker() -> None:
            process_tree.mark_worker()
            _prefer_as_victim()
            environ = profile.environ(os.environ)
            if GPU in self._config.resources:
                environ[gpus.VARIABLE] = ",".join(self._device(index) for index in request.gpus)
            if profile.env_vars or request.gpus:
                rebirth.replace_process(inheritance, slot, environ)
            os.environ.update(environ)
            self._worker_entry(inheritance, slot)

        try:
            self._workers[slot] = self._fork(f"worker-{slot}", run_worker)
        except OSError as error:  # no memory or no process left
            _note(f"worker {slot} could not be forked: {error}")
            self._tell(Exited(slot, 0, 1, -1))
        else:
            self._tell(Forked(slot, self._workers[slot]))

    def _device(self, index: int) -> str:
        """What CUDA_VISIBLE_DEVICES calls a GPU."""
        names = self._config.gpus
        return names[index] if index < len(names) else str(index)

    def _fork(self, name: str, entry: Callable[[], None]) -> int:
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            self._become(name)
            entry()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException:  # noqa: BLE001 - the end of a process: all that is left is to write down why
            sys.excepthook(*sys.exc_info())
        finally:
            _exit(status)

    def _become(self, name: str) -> None:
        """Turn a fresh fork into a process of its own: session, signals, descriptors, output."""
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.close(self._wakeup)
        os.close(self._death_write)
        os.close(self._life_pipe)
        stack_dumps.uninstall(self._stacks)
        self._control.close()
        redirect_output(self._logs / f"{name}.log")

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._scheduler_pid:
                self._scheduler_pid = 0
                self._end("the scheduler process died")
            self._forget_worker(pid, status)

    def _forget_worker(self, pid: int, status: int) -> None:
        slot = next((slot for slot, worker in self._workers.items() if worker == pid), None)
        if slot is None:
            return
        del self._workers[slot]
        process_tree.end_group(pid, reaped=True)
        self._end_strays()
        killed = os.WIFSIGNALED(status)
        self._tell(Exited(slot, pid, -1 if killed else os.WEXITSTATUS(status), os.WTERMSIG(status) if killed else -1))

    def _end_strays(self) -> None:
        process_tree.end_strays({*self._workers.values(), self._scheduler_pid}, set(self._workers.values()))

    def _tell(self, event: msgspec.Struct) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its death is noticed by itself
            self._control.sendall(wire.frame(event))

    def _end(self, reason: str) -> NoReturn:
        """End every process, leave no file, exit."""
        _note(f"ending: {reason}")
        scheduler, self._scheduler_pid = self._scheduler_pid, 0
        for pid in [*self._workers.values(), *([scheduler] if scheduler else [])]:
            process_tree.end_group(pid)
        self._workers.clear()
        process_tree.end_strays((), ())
        with contextlib.suppress(OSError):  # last words, for a driver that is still there
            os.write(self._life_pipe, (reason + "\n" + _tail(self._logs / "scheduler.log")).encode()[-4096:])
        run_directory.remove(Path(self._config.run_directory))
        _exit(0)


def preload(names: Iterable[str]) -> None:
    """Import modules for workers; one that cannot be imported is noted in the log."""
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - a wish: a worker imports it again and reports the real error
            _note(f"preload of {name!r} failed: {error!r}")


def redirect_output(log: Path) -> None:
    """Send fd 1 and 2 to the end of a file of one's own, and read nothing."""
    sys.stdout.flush()
    sys.stderr.flush()
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(log, flags, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(nothing)
    os.close(descriptor)


def _tail(log: Path) -> str:
    try:
        return log.read_text(errors="replace")[-3000:]
    except OSError:
        return ""


def _note(text: str) -> None:
    """A line in the process's log."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _signal_wakeup() -> int:
    """A descriptor that becomes readable, with the signals' numbers in it, when a child ends or SIGTERM comes."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return read


def _prefer_as_victim() -> None:
    """When memory runs out, let the system end a worker before the kernel or the scheduler process."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def _exit(status: int) -> NoReturn:
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _marker(config: ClusterConfig) -> ClusterFile:
    """What the run directory's file says of this cluster."""
    return ClusterFile(
        config.epoch, config.job, os.getpid(), run_directory.process_started(os.getpid()), run_directory.machine(), PROTOCOL,
        config.num_workers, config.store_limit, config.spill_directory, run_directory.host(), config.notebook,
    )  # fmt: skip


def main(scheduler_entry: SchedulerEntry, worker_entry: WorkerEntry) -> NoReturn:
    """Run as the process that a driver starts: configuration on stdin, one byte on stdout once the socket listens.

    That pipe then stays open: its end of file tells the driver that the zygote has ended everything.
    """
    started = time.monotonic()
    config = msgspec.json.decode(sys.stdin.buffer.read(), type=ClusterConfig)
    answer = os.dup(1)
    run_directory.create(Path(config.run_directory), _marker(config))
    redirect_output(Path(config.run_directory) / "logs" / "zygote.log")
    sys.path[:] = list(config.sys_path) or sys.path

    def ready() -> None:
        os.write(answer, b"1")
        _note(f"listening after {time.monotonic() - started:.3f} s")

    Zygote(config, scheduler_entry, worker_entry, answer).run(ready)
