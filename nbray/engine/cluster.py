"""Starting a local cluster from a driver, and connecting to it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from nbray.config import ClusterConfig
from nbray.engine import handshake, run_directory, transport, wire
from nbray.engine.zygote import SOCKET_NAME
from nbray.errors import StartFailed
from nbray.scheduler.messages import PROTOCOL, FromScheduler, Hello, Welcome

START_SECONDS = 20.0
END_SECONDS = 5.0


class Connected(NamedTuple):
    """A driver's fresh connection; the caller owns socket and arena descriptor."""

    socket: socket.socket
    welcome: Welcome
    early: list[FromScheduler]
    decoder: wire.FrameDecoder[FromScheduler]
    arena_fd: int


class ClusterProcess:
    """The zygote that this driver has started; its end is the end of the cluster."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self._process = process
        self.directory = directory
        self.last_words = ""
        """Why it ended, once `wait` has returned."""

    @property
    def pid(self) -> int:
        """The zygote's pid."""
        return self._process.pid

    def wait(self, seconds: float) -> None:
        """Wait until the zygote has ended everything; after `seconds` it is asked by SIGTERM, then killed."""
        assert self._process.stdout is not None
        for number, patience in ((None, seconds), (signal.SIGTERM, END_SECONDS), (signal.SIGKILL, END_SECONDS)):
            if number is not None:
                self._process.send_signal(number)
            if transport.wait_readable(self._process.stdout.fileno(), patience):
                break
        self.last_words = _read_all(self._process.stdout.fileno())
        self._process.wait()
        self._process.stdout.close()
        run_directory.remove(self.directory)

    def leave(self) -> None:
        """The cluster outlives this driver: let go of its process without a warning."""
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.returncode = 0  # else subprocess warns; the system reaps it when this process has ended too


def _read_all(pipe: int) -> str:
    parts = []
    while part := os.read(pipe, 65536):
        parts.append(part)
    return b"".join(parts).decode("utf-8", "replace")


def start(config: ClusterConfig, job: str) -> ClusterProcess:
    """Start the processes of a cluster; returns as soon as its socket listens. Raises StartFailed with its last words.

    The first of them makes the run directory: whoever is killed in these moments, one is left who removes it.
    """
    directory = Path(config.run_directory)
    # The very nbray that runs here, by a path in the command: the environment stays the driver's, as tasks shall see it.
    package = str(Path(__file__).parents[2])
    program = f"import sys; sys.path.insert(0, {package!r}); from nbray.worker_main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended at once: its last words follow
            process.stdin.write(msgspec.json.encode(msgspec.structs.replace(config, job=job)))
            process.stdin.close()
        _wait_until_ready(process, directory)
    except BaseException:
        process.kill()
        process.wait()
        _close(process.stdout)
        shutil.rmtree(directory, ignore_errors=True)
        raise
    finally:
        _close(process.stdin)
        _close(process.stderr)
    return ClusterProcess(process, directory)


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with contextlib.suppress(BrokenPipeError):  # what is left to write has no reader any more
            pipe.close()


def _wait_until_ready(process: subprocess.Popen[bytes], directory: Path) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    readable = transport.wait_readable(process.stdout.fileno(), START_SECONDS)
    if readable and os.read(process.stdout.fileno(), 1):
        return
    said = os.read(process.stderr.fileno(), 65536).decode("utf-8", "replace") if readable else ""
    log = directory / "logs" / "zygote.log"
    with contextlib.suppress(OSError):
        said += log.read_text()
    what = "ended" if readable else f"said nothing for {START_SECONDS:g} s"
    raise StartFailed(f"the cluster's first process {what} before it was ready. Its last words:\n{said[-4000:]}")


def connect(directory: Path, epoch: str, job: str, linger: float) -> Connected:
    """Connect this process as a driver. Raises StartFailed when nobody listens."""
    deadline = time.monotonic() + START_SECONDS
    try:
        sock = transport.connect(directory / SOCKET_NAME)
    except OSError as error:
        raise StartFailed(f"no scheduler listens in {str(directory)!r}: {error}") from error
    try:
        hello = Hello("driver", os.getpid(), PROTOCOL, epoch, job, linger=linger)
        welcome, early, decoder, descriptors = handshake.say_hello(sock, hello, deadline - time.monotonic())
    except OSError as error:
        sock.close()
        raise StartFailed(f"the scheduler in {str(directory)!r} ended or does not answer: {error}") from error
    except BaseException:
        sock.close()
        raise
    return Connected(sock, welcome, early, decoder, descriptors[0])
