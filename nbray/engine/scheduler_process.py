"""The scheduler process: everything around the pure scheduler that touches the world.

    loop:  bytes -> messages -> Scheduler.handle(event, now) -> actions -> bytes

One thread. All that is readable is read and handled first, then every socket's outgoing bytes leave in one go: that is what
makes batches. It never unpickles, and it never waits for anybody.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import time
from pathlib import Path

import msgspec

from nbray.engine import (
    doorkeeper,
    measures,
    no_pickle,
    observer,
    process_tree,
    run_directory,
    spill_directory,
    stack_dumps,
    transport,
    wire,
)
from nbray.engine.disk import Disk
from nbray.engine.doorkeeper import Doorkeeper
from nbray.engine.inheritance import Inheritance
from nbray.engine.injection import Injections
from nbray.engine.links import Link
from nbray.engine.measures import Measures
from nbray.engine.recording import make_scheduler
from nbray.engine.slices import is_large, slices
from nbray.engine.supervision import Exited, Forked, ForkWorker, FromZygote, SignalWorker, StopAll
from nbray.engine.turns import Turns
from nbray.engine.wakefulness import AWAKE_SECONDS, Wakefulness
from nbray.engine.worker_prints import WorkerPrints
from nbray.ids import ProcessId
from nbray.scheduler.actions import (
    Action,
    Admit,
    Drop,
    Fork,
    Punch,
    RemoveSpilled,
    Restore,
    Send,
    SetCancelWord,
    Signal,
    Spill,
    StopCluster,
)
from nbray.scheduler.events import (
    Event,
    Joined,
    Left,
    MemoryHeadroom,
    Received,
    Started,
    StarterLeft,
    Tick,
    WorkerExited,
    WorkerForked,
)
from nbray.scheduler.messages import (
    PROTOCOL,
    Allocate,
    Answer,
    Ask,
    Call,
    Exit,
    Finished,
    FromScheduler,
    Hello,
    Refused,
    Submit,
    ToScheduler,
    Welcome,
)
from nbray.scheduler.processes import Contradiction
from nbray.snapshot import ClusterSnapshot
from nbray.store.spill_files import SpillFiles

PUBLISH_SECONDS = 0.25
LOG_SECONDS = 0.1
FLOOD_SECONDS = 0.02
"""From one look at the logs to the next while a worker writes hundreds of megabytes a second."""
HEADROOM_SECONDS = 0.5
HEAR_SECONDS = 0.01
"""What one process has said at once is heard for so long; the rest waits for the next turns."""
_CONVERSATION = (Submit, Finished, Call, Allocate)


class SchedulerProcess:
    """The process's state; `run` returns when the cluster shall end."""

    def __init__(self, inheritance: Inheritance) -> None:
        self._config = config = inheritance.config
        self._words = inheritance.words
        self._unsent_results = inheritance.unsent
        self._arena = inheritance.arena
        assert inheritance.listener is not None
        assert inheritance.zygote is not None
        self._listener = inheritance.listener
        self._zygote = inheritance.zygote
        self._death_pipe = inheritance.death_pipe
        self._scheduler = make_scheduler(config, self._arena.size)
        doorkeeper.raise_descriptor_limit()
        self._door: Doorkeeper[Link] = Doorkeeper(self._listener)
        self._observer_address = observer.address(config.run_directory)
        self._publisher = observer.Publisher(self._observer_address, self._door.refuse)
        self._selector = selectors.DefaultSelector()
        self._links: dict[ProcessId, Link] = {}
        self._unsent: dict[Link, None] = {}
        self._behind: dict[Link, None] = {}
        """Connections whose messages are handled in slices at the moment."""
        self._next_process = 1
        self._prints = WorkerPrints(config, self._words, inheritance.unsent, self._process_of, self._do)
        self._pids: dict[int, int] = {}
        self._broken: dict[int, str] = {}
        """Of workers that are ended because they sent what is no message: what was wrong with that."""
        self._measures = Measures(config.memory_limit)
        self._zygote_decoder: wire.FrameDecoder[FromZygote] = wire.FrameDecoder(FromZygote)
        self._disk = Disk(SpillFiles(self._arena, self._make_spill_directory))
        self._injections = Injections(
            self._pids, lambda slot, number: self._tell_zygote(SignalWorker(slot, number)), self._disk
        )  # fmt: skip
        self._turns = Turns()
        self._wakefulness = Wakefulness()
        self._converses = False
        """A message has come that another one is likely to follow within the moment."""
        self._look_at = self._publish_at = self._logs_at = self._headroom_at = self._memory_at = 0.0
        self._stop_reason: str | None = None

    def run(self) -> None:
        """Serve until the cluster shall end, then let the zygote end everything."""
        gc.disable()  # nothing here makes cycles, and a collection of a million tasks would stall everybody
        self._zygote.setblocking(False)
        for descriptor in (self._listener, self._zygote, self._death_pipe, self._disk):
            self._selector.register(descriptor, selectors.EVENT_READ)
        if self._config.spill_directory:
            self._disk.write(spill_directory.sweep_default)
        self._do(Started())
        while self._stop_reason is None:
            self._step()
        self._publisher.close()
        self._say_farewell(self._stop_reason)
        self._tell_zygote(StopAll(self._stop_reason))
        self._selector.unregister(self._listener)
        while True:  # until the zygote ends this process, or is gone itself
            for key, _ in self._selector.select():
                if key.fileobj is self._death_pipe:
                    self._clean_up_alone()
                if isinstance(key.data, Link):
                    self._selector.unregister(key.fileobj)

    def _say_farewell(self, reason: str) -> None:
        for link in self._links.values():
            if link.slot < 0:
                wire.append_frame(link.out, Exit(reason))
                transport.send(link.socket, link.out)

    def _step(self) -> None:
        ready = self._wait()
        self._turns.begin()
        self._turn(ready)
        self._turns.end()

    def _turn(self, ready: list[tuple[selectors.SelectorKey, int]]) -> None:
        """Hear all that is ready, do what is due, and send what comes of it."""
        for key, events in ready:
            link = key.data
            if type(link) is Link:
                if events & selectors.EVENT_WRITE:
                    self._unsent[link] = None
                if events & selectors.EVENT_READ and link.open and not link.waiting:
                    self._read(link)
            elif key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._zygote:
                self._hear_zygote()
            elif key.fileobj is self._death_pipe:
                self._clean_up_alone()
            elif key.fileobj is self._disk:
                for event in self._disk.take():
                    self._do(event)
        if self._behind:
            for link in list(self._behind):
                if link.reads:
                    self._catch_up(link)
                else:  # until `_flush` finds that it does
                    del self._behind[link]
        self._flush()  # before the timers: somebody waits for this
        if self._run_timers(time.monotonic()):
            self._flush()

    def _wait(self) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready, as soon as something is or a timer is due.

        Between the two messages of a single task there and back this process stays awake: waking a core that has gone to
        sleep takes longer than all that is to be done. With more work than for one core it sleeps at once.
        """
        if self._behind:
            return self._selector.select(0)
        if self._converses:
            self._converses = False
            if self._scheduler.has_a_core_to_spare() and self._wakefulness.is_worth_it():
                until = time.monotonic() + AWAKE_SECONDS
                while time.monotonic() < until:
                    ready = self._selector.select(0)
                    if ready:
                        self._wakefulness.paid()
                        return ready
                self._wakefulness.in_vain()
        return self._selector.select(self._timeout(time.monotonic()))

    def _timeout(self, now: float) -> float:
        deadline = self._scheduler.next_deadline()
        due = self._look_at if deadline is None or deadline > self._look_at else deadline
        return due - now if due > now else 0.0

    def _run_timers(self, now: float) -> bool:
        """Do what is due; says whether anything was."""
        deadline = self._scheduler.next_deadline()
        ticks = deadline is not None and deadline <= now
        if ticks:
            self._do(Tick())
        if now < self._look_at:
            return ticks
        self._look_at_the_door(now)
        if now >= self._logs_at:
            floods = self._prints.read_live(self._pids)
            self._logs_at = now + (FLOOD_SECONDS if floods else LOG_SECONDS)
        if now >= self._headroom_at:
            self._headroom_at = now + HEADROOM_SECONDS
            self._do(MemoryHeadroom(self._measures.headroom()))
        if now >= self._memory_at:
            used = self._measures.look_at_memory()
            self._memory_at = now + measures.seconds_until_next(used)
            self._do(used)
        if now >= self._publish_at:
            self._publish_at = now + PUBLISH_SECONDS
            self._measures.look_at_cores()
            self._publisher.publish(self._picture(now))
        self._injections.run_due(now)
        self._look_at = min(self._publish_at, self._logs_at, self._headroom_at, self._memory_at, self._injections.due)
        return True

    # ---------------------------------------------------------------- events

    def _accept(self) -> None:
        now = time.monotonic()
        connection = self._door.accept(now)
        if connection is not None:
            link = Link(connection)
            self._selector.register(connection, selectors.EVENT_READ, link)
            crowded_out = self._door.let_in(link, connection.fileno(), now)
            if crowded_out is not None:
                self._close(crowded_out)
        elif self._door.resting:
            self._selector.unregister(self._listener)

    def _look_at_the_door(self, now: float) -> None:
        if self._door.wake(now):
            self._selector.register(self._listener, selectors.EVENT_READ)
        for link in self._door.overdue(now):
            self._close(link)

    def _read(self, link: Link) -> bool:
        """Hear what has come on one connection; False when nothing has."""
        data = transport.receive(link.socket)
        if data is None:
            return False
        try:
            messages = link.decoder.feed(data)
        except wire.ProtocolError as error:
            self._door.refuse(doorkeeper.GARBLED, f"process {link.process}: {error}")
            if link.slot >= 0:
                self._broken[link.slot] = str(error)
            data, messages = b"", []
        until = time.monotonic() + HEAR_SECONDS
        for message in messages:
            if link.waiting or is_large(message) or time.monotonic() > until:
                link.waiting.extend(slices(message))
                self._behind[link] = None
            else:
                self._hear(link, message)
        if not data:
            self._close(link)
        return True

    def _catch_up(self, link: Link) -> bool:
        """Hear one slice of what waits; False when nothing does."""
        if link.waiting:
            self._hear(link, link.waiting.popleft())
            return True
        self._behind.pop(link, None)
        return False

    def _hear(self, link: Link, message: ToScheduler) -> None:
        if type(message) is Finished and link.slot >= 0:
            self._prints.read_finished(link.slot, message.results)
        if not link.process or isinstance(message, Hello):
            self._greet(link, message)
        elif isinstance(message, Ask) and message.question in ("snapshot", "turns"):
            self._answer_itself(link, message)
        elif isinstance(message, Ask) and message.question == "inject" and link.slot < 0:
            self._inject(link, message)
        else:
            self._converses = self._converses or type(message) in _CONVERSATION
            try:
                self._do(Received(link.process, message))
            except Contradiction as error:
                self._refuse(link, doorkeeper.GARBLED, str(error))

    def _greet(self, link: Link, hello: ToScheduler) -> None:
        """The first message of a connection, which must be a Hello, and the only one."""
        if not self._door.forget(link) or not isinstance(hello, Hello):
            self._refuse(link, doorkeeper.GARBLED, f"process {link.process} said {type(hello).__name__}")
            return
        link.decoder = wire.scheduler_decoder()
        link.process = ProcessId(self._next_process)
        link.slot = hello.slot
        self._next_process += 1
        self._links[link.process] = link
        self._do(Joined(link.process, hello))
        if not link.open:
            of_another = (hello.epoch, hello.protocol) != (self._config.epoch, PROTOCOL)
            self._door.refuse(doorkeeper.ANOTHER_CLUSTER if of_another else doorkeeper.UNEXPECTED)

    def _refuse(self, link: Link, why: str, more: str) -> None:
        self._door.refuse(why, more)
        self._close(link)

    def _close(self, link: Link) -> None:
        """The other side is gone; tell the scheduler once."""
        if not link.open:
            return
        link.open = False
        self._door.forget(link)
        self._selector.unregister(link.socket)
        link.socket.close()
        self._unsent.pop(link, None)
        self._behind.pop(link, None)
        link.waiting.clear()
        if link.slot >= 0:
            self._read_left(link)
        if self._links.pop(link.process, None) is not None:
            self._injections.forget(link.process)
            self._do(Left(link.process))

    def _read_left(self, link: Link) -> None:
        """What a worker has left behind: what its tasks had printed, then the results of those that had ended."""
        self._prints.read_unsent(link.slot, link.process)
        try:
            results = self._unsent_results.results_of(link.slot).take()
        except wire.ProtocolError as error:
            self._door.refuse(doorkeeper.GARBLED, f"process {link.process} has left: {error}")
            results = []
        if results:
            self._hear(link, Finished(results))
        self._prints.read_last_words(link.slot)

    def _hear_zygote(self) -> None:
        data = transport.receive(self._zygote)
        if data is None:
            return
        if not data:
            self._clean_up_alone()
        for event in self._zygote_decoder.feed(data):
            if isinstance(event, Forked):
                self._forked(event)
            elif isinstance(event, Exited):
                self._exited(event)
            else:
                self._do(StarterLeft())

    def _forked(self, event: Forked) -> None:
        self._pids[event.slot] = event.pid
        self._measures.add(event.slot, event.pid)
        self._do(WorkerForked(event.slot, event.pid))

    def _exited(self, event: Exited) -> None:
        """What the worker sent before it died counts, so its socket and its log are read to the end first."""
        started = self._words.started(event.slot)
        for link in [link for link in self._links.values() if link.slot == event.slot]:
            while link.open and (self._catch_up(link) or self._read(link)):
                pass
            self._close(link)  # a process that escaped the zygote may hold the other end open
        self._pids.pop(event.slot, None)
        code = None if event.signal >= 0 else event.exit_code
        number = event.signal if event.signal >= 0 else None
        out_of_memory = self._measures.remove(event.slot, killed=number == signal.SIGKILL)
        tail, broken = self._prints.log(event.slot).tail(), self._broken.pop(event.slot, "")
        self._do(WorkerExited(event.slot, code, number, started, tail, out_of_memory, broken))

    # ---------------------------------------------------------------- actions

    def _do(self, event: Event) -> None:
        for action in self._scheduler.handle(event, time.monotonic()):
            self._carry_out(action)

    def _carry_out(self, action: Action) -> None:
        if type(action) is Send:
            self._send(action.process, action.message)
        elif isinstance(action, Admit):
            self._admit(self._links[action.process])
        elif isinstance(action, Drop):
            self._drop(self._links.pop(action.process), action)
        elif isinstance(action, Fork):
            self._words.clear(action.slot)
            self._prints.log(action.slot).begin_worker()
            self._tell_zygote(ForkWorker(action.slot, list(action.gpus), action.profile))
        elif isinstance(action, Signal):
            self._tell_zygote(SignalWorker(action.slot, action.number))
        elif isinstance(action, SetCancelWord):
            self._words.set_cancelled(action.slot, action.task_id)
        elif isinstance(action, Punch):
            self._arena.give_back(action.offset, action.size)
        elif isinstance(action, (Spill, Restore, RemoveSpilled)):
            self._disk.carry_out(action)
        elif isinstance(action, StopCluster):
            self._stop_reason = action.reason

    def _make_spill_directory(self) -> int:
        return spill_directory.create(Path(self._config.spill_directory), Path(self._config.run_directory))

    def _send(self, process: ProcessId, message: FromScheduler) -> None:
        link = self._links.get(process)
        if link is not None:
            link.post(message)
            self._unsent[link] = None

    def _admit(self, link: Link) -> None:
        frame = bytearray()
        config = self._config
        welcome = Welcome(
            link.process, config.epoch, self._arena.size, str(self._observer_address), config.resources,
            config.default_max_retries, config.store_limit,
        )  # fmt: skip
        wire.append_frame(frame, welcome)
        try:
            transport.send_with_descriptors(link.socket, bytes(frame), [self._arena.fd])
        except OSError:
            self._close(link)

    def _drop(self, link: Link, action: Drop) -> None:
        wire.append_frame(link.out, Refused(0, action.failure))
        transport.send(link.socket, link.out)
        link.open = False
        self._selector.unregister(link.socket)
        link.socket.close()

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, {}
        for link in unsent:
            if not link.open:
                continue
            link.send()
            if link.waiting and link.reads:
                self._behind[link] = None
            if link.events != link.wanted:
                link.events = link.wanted
                self._selector.modify(link.socket, link.events, link)

    def _tell_zygote(self, request: msgspec.Struct) -> None:
        self._zygote.setblocking(True)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its end of file follows
            self._zygote.sendall(wire.frame(request))
        self._zygote.setblocking(False)

    def _clean_up_alone(self) -> None:
        """The zygote is gone: the workers end by the death pipe, unless C code holds them; the files are ours to remove."""
        process_tree.end_descendants(set(self._pids.values()))
        for pid in self._pids.values():
            process_tree.end_group(pid)
        run_directory.remove(Path(self._config.run_directory))
        os._exit(1)

    # ---------------------------------------------------------------- pictures

    def _process_of(self, slot: int) -> ProcessId | None:
        return next((process for process, link in self._links.items() if link.slot == slot), None)

    def _answer_itself(self, link: Link, message: Ask) -> None:
        """The questions whose answers need more than the scheduler knows."""
        body: object = self._turns.table()
        if message.question == "snapshot":
            body = self._picture(time.monotonic())
        self._send(link.process, Answer(message.request_id, msgspec.msgpack.encode(body)))

    def _picture(self, now: float) -> ClusterSnapshot:
        """What the scheduler knows, what the system says, and who was refused."""
        picture = self._measures.written_into(self._scheduler.snapshot(now))
        return msgspec.structs.replace(picture, refused=dict(self._door.refused))

    def _inject(self, link: Link, message: Ask) -> None:
        """A driver tries what becomes of its work under faults (`nbray.chaos`)."""
        now = time.monotonic()
        answer = self._injections.carry_out(link.process, message.text, now)
        self._look_at = min(self._look_at, self._injections.due)
        self._send(link.process, Answer(message.request_id, msgspec.msgpack.encode(answer)))


def run(inheritance: Inheritance) -> None:
    """The entry point of the process that the zygote forks."""
    no_pickle.renounce()
    stack_dumps.install(Path(inheritance.config.run_directory))
    SchedulerProcess(inheritance).run()
