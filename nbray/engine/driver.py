"""A driver's side of a local cluster: the connection with its I/O thread, the arena, output and snapshots."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nbray.config import ClusterConfig
from nbray.engine import cluster, job_list, run_directory
from nbray.engine.cluster import ClusterProcess
from nbray.engine.connection import Connection
from nbray.engine.io_thread import IoThread
from nbray.engine.job_list import Member
from nbray.engine.object_exchange import ObjectExchange
from nbray.errors import ClusterDied, StartFailed
from nbray.scheduler.messages import PROTOCOL, STAYS, Emitted, Exit, FromScheduler, Goodbye, Welcome
from nbray.snapshot import ClusterSnapshot
from nbray.store.arena import Arena
from nbray.store.object_store import ObjectStore

if TYPE_CHECKING:
    from nbray.engine.observer import Watcher

STOP_SECONDS = 5.0


class Driver:
    """One connection of this process to a local cluster, which it may have started itself."""

    def __init__(self, directory: Path, epoch: str, job: str, linger: float, process: ClusterProcess | None) -> None:
        self.directory = directory
        self.on_emitted: Callable[[Emitted], None] = lambda emitted: None
        """Gets the output of this job's tasks, in order and before their results, on the thread that receives."""
        self.joined = process is None
        """The cluster was there before."""
        self._process = process
        self.job = job
        self._pid = os.getpid()
        self._closed = False
        self._watcher: Watcher | None = None
        connected = cluster.connect(directory, epoch, job, linger)
        self.welcome: Welcome = connected.welcome
        self.io = IoThread("nbray-driver")
        self.connection = Connection(connected.socket, connected.decoder, connected.welcome, self.io)
        self.connection.on_message = self._handle
        self._arena = Arena.from_fd(connected.arena_fd, connected.welcome.arena_size)
        self.store = ObjectStore(self._arena, self.connection.references.hold, self.connection.release)
        self.exchange = ObjectExchange(self.connection, self.store)
        self.connection.start(connected.early)
        self.io.start()
        self.io.call_soon(run_directory.sweep)

    @classmethod
    def start(cls, config: ClusterConfig, job: str) -> Driver:
        """Start a cluster and connect to it. Raises StartFailed."""
        process = cluster.start(config, job)
        try:
            return cls(Path(config.run_directory), config.epoch, job, config.linger, process)
        except (StartFailed, ClusterDied, OSError, TimeoutError) as error:
            process.wait(1)
            raise StartFailed(f"the cluster ended as it began ({error}). Its last words:\n{process.last_words}") from error
        except BaseException:
            process.wait(0)
            raise

    @classmethod
    def join(cls, job: str, linger: float) -> Driver | None:
        """Connect to the cluster of this job that lingers after a kernel restart; None when there is none."""
        for directory, content in run_directory.clusters():
            member = job_list.of_kernel(job_list.members(directory, content), job)
            if member is not None and content.protocol == PROTOCOL:
                with contextlib.suppress(StartFailed):  # it ended between the look and the call
                    return cls(directory, content.epoch, member.job, linger, None)
        return None

    @classmethod
    def join_named(cls, epoch: str, member: Member, linger: float) -> Driver:
        """Connect to the cluster of this epoch, as a job that may be new there. Raises StartFailed."""
        for directory, content in run_directory.clusters():
            if content.epoch == epoch:
                driver = cls(directory, epoch, member.job, linger, None)
                job_list.note(directory, member)
                return driver
        raise StartFailed(f"no cluster {epoch} of yours runs on this machine")

    def _handle(self, message: FromScheduler) -> None:
        """Output goes out before the results that follow it, so not by way of another thread."""
        if isinstance(message, Emitted):
            self.on_emitted(message)
        elif isinstance(message, Exit):
            self.connection.lose(message.reason)

    def watch(self, handler: Callable[[ClusterSnapshot], None] | None) -> None:
        """Hand snapshots to `handler` on the I/O thread from now on, or to nobody; any thread."""
        self.io.call_soon(lambda: self._watch(handler))

    def _watch(self, handler: Callable[[ClusterSnapshot], None] | None) -> None:
        if self._watcher is not None:
            self.io.unwatch(self._watcher.fileno())
            self._watcher.close()
            self._watcher = None
        if handler is not None and not self._closed:
            from nbray.engine.observer import Watcher  # only for who watches

            try:
                watcher = self._watcher = Watcher(Path(self.welcome.observer), handler)
            except OSError:  # the cluster is gone, which is told on the connection
                return

            def drain() -> None:
                if not watcher.drain():  # else its end of file would be looked at without end
                    self.io.unwatch(watcher.fileno())

            self.io.watch(watcher.fileno(), read=drain)

    def close(self, *, stop: bool) -> None:
        """Leave; with `stop` the cluster ends now, and this waits until nothing of it is left. Idempotent."""
        if self._closed or os.getpid() != self._pid:  # a forked child must not speak for its parent
            return
        self._closed = True
        lost = bool(self.connection.lost)
        stays = stop and self._stays()
        ends = stop and not stays
        if stays:
            job_list.note(self.directory, Member(self.job, left=True))
        self.connection.close(Goodbye())
        self._end_io()
        if self._process is not None and (ends or lost):
            self._process.wait(STOP_SECONDS)
        elif self._process is not None:
            self._process.leave()
        elif ends:
            run_directory.wait_until_gone(self.directory, STOP_SECONDS)
        self._arena.close()

    def _stays(self) -> bool:
        """Ask the cluster to end; whether it goes on, since other drivers use it."""
        ended = threading.Event()
        self.connection.on_lost = ended.set
        self.connection.post(Goodbye(stop=True), now=True)
        if not self.connection.lost:
            ended.wait(STOP_SECONDS)
        return self.connection.lost == STAYS

    def _end_io(self) -> None:
        """End the I/O thread, after which the watcher is nobody's but ours."""
        self.io.stop()
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
