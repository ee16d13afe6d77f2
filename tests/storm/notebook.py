"""The notebook that a storm goes over: it submits jobs, waits for them and writes down in its journal how each came out.

    main thread          submits, waits, gets; after its cluster has died it makes another one and goes on
    "storm-orders"       reads orders: `fill SECONDS`, `stop`
    "storm-looks"        asks the scheduler process for a picture every tenth of a second

It runs as a process of its own (`python -m tests.storm.notebook OPTIONS`), or in a cell of a real kernel.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

import nbray
from nbray import session
from nbray.backends.backend import Backend
from tests.storm import mix, work
from tests.storm.journal import (
    Again,
    Answered,
    Began,
    Call,
    Changed,
    Closed,
    Ended,
    Filled,
    Journal,
    Lost,
    Sample,
    Submitted,
    now,
)

GET_SECONDS = 60.0
DRAIN_SECONDS = 60.0
LOOK_SECONDS = 0.1
FILL_BYTES = 8 << 20
MOST_OBJECTS = 2
"""Jobs with large objects that are open at a time."""
HOARD = 1.25
"""So many times the size of the store are kept of large objects, so that some are always on the disk."""
ASK_AGAIN = 8
"""Every so many-th job is asked for its outcome twice."""


class Options(msgspec.Struct, frozen=True):
    """What a notebook is told."""

    seed: int
    notebook: int
    """Which one of the storm it is, counted from 0."""
    ledger: str
    journal: str
    orders: str
    """A named pipe."""
    spill: str
    """The folder for what the store has no room for."""
    workers: int = 8
    memory: int = 512 << 20
    window: int = 64
    """Jobs that are open at a time."""
    largest: int = mix.LARGEST_BYTES

    @property
    def first(self) -> int:
        """The number of its first job."""
        return self.notebook * 10_000_000


class Open:
    """A job that has not come out."""

    def __init__(self, job: mix.Job, ref: Any) -> None:
        self.job = job
        self.ref = ref


class Notebook:
    """The state of the main thread, but for `stopping`, which another one sets."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._journal = Journal(Path(options.journal))
        self._next = options.first
        self._open: dict[Any, Open] = {}
        self._actors: dict[int, tuple[int, Any]] = {}
        """The handle of each actor, with its number in the ledger."""
        self._created = options.first
        self._calls: dict[int, int] = {}
        """How often each was called."""
        self._to_cancel: list[tuple[float, Any]] = []
        self._objects = 0
        self._hoard: deque[tuple[Any, mix.Job]] = deque()
        """Arrays whose jobs have come out; each is looked at once more before it is given up."""
        self._wanted_since = now()
        self._noticed = 0.0
        """When a call has found its cluster dead, and started another one, which takes a while."""
        self._first_result_due = False
        self._epoch = ""
        session.set_defaults(  # a call that finds its cluster dead starts another one by itself: the same
            num_workers=options.workers, memory=options.memory, spill_directory=options.spill, linger=0
        )
        self.stopping = threading.Event()
        self._ended = threading.Event()

    def run(self) -> None:
        """Until the order to stop has come and all is given back."""
        orders = Path(self._options.orders).open()  # noqa: SIM115 - for the thread that reads them
        before = _descriptors()
        threads = set(threading.enumerate())
        helpers = [
            threading.Thread(target=self._take_orders, args=(orders,), name="storm-orders", daemon=True),
            threading.Thread(target=self._look, name="storm-looks"),
        ]
        self._start()
        for thread in helpers:
            thread.start()
        while not self.stopping.is_set():
            self._step(self._submit)
        stopped = now()
        while self._open and now() - stopped < DRAIN_SECONDS:
            self._step()
        seconds = now() - stopped
        self._actors.clear()
        self._hoard.clear()
        store = self._emptied()
        self._ended.set()
        helpers[1].join()
        nbray.shutdown()
        left = {number for number in _descriptors() - before if not _is_the_kernels(number)}
        alive = set(threading.enumerate()) - threads - {helpers[0]}
        names = [_target(number) for number in left] + [thread.name for thread in alive]
        self._journal.note(Closed(now(), seconds, *store, len(left), len(alive), names))
        self._journal.close()

    def _start(self) -> None:
        """Have a cluster; one that is killed while it starts is followed by another."""
        while True:
            try:
                self._epoch = nbray.init().epoch
                break
            except (nbray.StartFailed, nbray.ClusterDied) as error:
                self._journal.note(Lost(now(), str(error)[:2000]))
        self._journal.note(Began(now(), self._epoch, now() - self._wanted_since))
        self._first_result_due = True

    def _step(self, first: Any = None) -> None:
        try:
            if first is not None:
                first()
                self._give_up()
            self._collect()
        except nbray.ClusterDied as error:
            self._lose(error)

    def _lose(self, error: nbray.ClusterDied) -> None:
        """The cluster is gone: what was open has come out by that, and another cluster is made."""
        self._wanted_since, self._noticed = self._noticed or now(), 0.0
        self._journal.note(Lost(self._wanted_since, str(error)[:2000]))
        for one in [one for one in self._open.values() if one.ref.epoch == self._epoch]:
            self._finish(one)
        self._actors.clear()
        self._to_cancel.clear()
        self._hoard.clear()
        self._start()

    # ---------------------------------------------------------------- jobs

    def _submit(self) -> None:
        """Submit until the window is full."""
        while len(self._open) < self._options.window and not self.stopping.is_set():
            job = mix.job(self._options.seed, self._next, self._options.largest)
            if job.kind == "object" and self._objects >= MOST_OBJECTS:
                break
            self._check()
            self._next += 1
            asked = now()
            self._journal.note(Submitted(job.number, asked))
            try:
                ref = self._submitted(job)
            except nbray.NbrayError as error:
                self._journal.note(_failure(job.number, error))
                if isinstance(error, nbray.ClusterDied):
                    raise
                continue
            self._open[ref] = Open(job, ref)
            self._objects += job.kind == "object"
            if job.how == "cancelled":
                self._to_cancel.append((now() + job.number % 3 * 0.02, ref))
            if ref.epoch != self._epoch:  # the cluster died just before, and this call has started another one
                self._noticed = asked
                raise nbray.ClusterDied("found out by a call that has started another cluster")

    def _submitted(self, job: mix.Job) -> Any:
        ledger, nodes = self._options.ledger, list(mix.nodes(job))
        tokens = [mix.token(self._options.seed, node) for node in nodes]
        if job.kind == "actor":
            return self._called(job)
        task = nbray.remote(work.task).options(max_retries=job.retries)
        if job.kind == "graph" and job.how == "nested":
            parent = nbray.remote(work.nested).options(max_retries=job.retries)
            return parent.remote(ledger, nodes, tokens, job.seconds, job.retries)
        if job.kind == "graph":
            refs: list[Any] = []
            for node, token in zip(nodes, tokens, strict=True):
                inputs = refs[-1:] if job.how == "chain" else refs if node == nodes[-1] else []
                refs.append(task.remote(ledger, node, token, job.seconds, job.talks, *inputs))
            return refs[-1]
        if job.kind == "object":
            return self._object(job, nodes)
        if job.kind == "odd":
            again: dict[str, Any] = {"max_retries": job.retries}
            if job.how == "flaky":
                again["retry_exceptions"] = [OSError]
            return nbray.remote(work.odd).options(**again).remote(ledger, nodes[0], tokens[0], job.seconds, job.how)
        return task.remote(ledger, nodes[0], tokens[0], job.seconds, job.talks)

    def _object(self, job: mix.Job, nodes: list[int]) -> Any:
        ledger = self._options.ledger
        make = nbray.remote(work.make).options(max_retries=job.retries)
        inspect = nbray.remote(work.inspect).options(max_retries=job.retries)
        if job.how == "put":
            put = nbray.put(work.array_of(job.number, job.size))
            self._hoard.append((put, job))
            return inspect.remote(ledger, nodes[0], job.number, put)
        made = make.remote(ledger, nodes[0], job.number, job.size)
        self._hoard.append((made, job))
        return made if job.how == "made" else inspect.remote(ledger, nodes[1], job.number, made)

    def _called(self, job: mix.Job) -> Any:
        if job.actor not in self._actors:
            self._created += 1
            again = {"max_restarts": -1, "max_task_retries": -1} if mix.repeats(job.actor) else {}
            number = self._created * mix.ACTORS + job.actor
            handle = nbray.remote(work.Counter).options(**again).remote(self._options.ledger, number)
            self._actors[job.actor] = number, handle
        number, handle = self._actors[job.actor]
        call = self._calls[number] = self._calls.get(number, 0) + 1
        self._journal.note(Call(job.number, number, call))
        return handle.call.remote(call, job.number, job.actor, job.seconds)

    # ---------------------------------------------------------------- outcomes

    def _collect(self) -> None:
        """Take what has come out; waits for one."""
        while self._to_cancel and self._to_cancel[0][0] <= now():
            nbray.cancel(self._to_cancel.pop(0)[1])
        if not self._open:
            return
        refs = list(self._open)
        nbray.wait(refs, num_returns=1, timeout=LOOK_SECONDS)
        ready, _ = nbray.wait(refs, num_returns=len(refs), timeout=0)
        for ref in ready:
            self._finish(self._open[ref])
        self._check()

    def _check(self) -> None:
        """Raise ClusterDied where that has happened: a wait raises it only where it has to wait."""
        backend = session.current.backend
        if backend is not None and backend.lost:
            raise nbray.ClusterDied(backend.lost)

    def _finish(self, one: Open) -> None:
        job = one.job
        entry = self._outcome(one)
        if job.number % ASK_AGAIN == 0 and job.kind != "object":
            again = self._outcome(one)
            if (entry.outcome, entry.value, entry.errors) != (again.outcome, again.value, again.errors):
                self._journal.note(Changed(job.number, repr(entry), repr(again)))
        self._journal.note(entry)
        del self._open[one.ref]
        self._objects -= job.kind == "object"
        if "ActorDied" in entry.errors:
            self._actors.pop(job.actor, None)
        if self._first_result_due and entry.outcome == "result":
            self._first_result_due = False
            self._journal.note(Answered(now(), now() - self._wanted_since))

    def _give_up(self) -> None:
        """Look once more at the oldest arrays, and give them up."""
        while sum(job.size for _, job in self._hoard) > HOARD * self._options.memory:
            ref, job = self._hoard.popleft()
            try:
                value = work.look(nbray.get(ref, timeout=GET_SECONDS), job.number)
            except nbray.ClusterDied:
                raise
            except Exception as error:  # noqa: BLE001 - what it is, is what is asked here
                self._journal.note(Again(job.number, now(), _failure(job.number, error)))
            else:
                self._journal.note(Again(job.number, now(), Ended(job.number, now(), "result", value)))

    def _outcome(self, one: Open) -> Ended:
        job = one.job
        try:
            value = nbray.get(one.ref, timeout=GET_SECONDS)
        except Exception as error:  # noqa: BLE001 - what it is, is what is asked here
            return _failure(job.number, error)
        if job.kind == "object" and job.how == "made":
            value = work.look(value, job.number)
        return Ended(job.number, now(), "result", value)

    def _emptied(self) -> tuple[int, int, int, int]:
        """Bytes, objects, small bytes and bytes on disk that the store still has, once nobody refers to anything."""
        backend = session.current_backend()
        until = now() + 10
        while True:
            gc.collect()
            store = backend.snapshot().store
            if not (store.used or store.spilled or store.inline) or now() > until:
                return store.used, store.objects, store.inline, store.spilled
            self._ended.wait(0.05)

    # ---------------------------------------------------------------- other threads

    def _take_orders(self, orders: Iterable[str]) -> None:
        for order in orders:
            word, *rest = order.split()
            if word == "stop":
                self.stopping.set()
            else:
                self._fill(float(rest[0]))
        if not self.stopping.is_set():  # nobody leads the storm any more
            os._exit(1)

    def _fill(self, seconds: float) -> None:
        """Take all room in the store for a while: nothing that lives in an array can be moved to disk."""
        begun, held, refused = now(), [], False
        backend = session.current.backend
        if backend is not None and not backend.lost and not self.stopping.is_set():
            try:
                for number in range(2 * self._options.memory // FILL_BYTES):
                    held.append(_kept(backend, work.array_of(number, FILL_BYTES)))
            except nbray.StoreFull:
                refused = True
            except nbray.ClusterError:  # it was killed meanwhile: the next one is empty
                held.clear()
            self.stopping.wait(seconds if held else 0)
        held.clear()
        self._journal.note(Filled(begun, now(), refused))

    def _look(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            backend = session.current.backend
            if backend is None or backend.lost:
                continue
            asked = now()
            with contextlib.suppress(nbray.ClusterError):  # it was killed meanwhile
                picture = backend.snapshot()
                store = picture.store
                self._journal.note(
                    Sample(now(), now() - asked, store.used, store.limit, store.objects, picture.queued, store.spilled)
                )


def _kept(backend: Backend, array: work.Words) -> Any:
    """An array in the store that stays in use: by the backend, since a reference would start a cluster where this one died."""
    reference = backend.put(array)
    try:
        return backend.get([reference])[0]
    finally:
        backend.release(reference)


def _failure(number: int, error: BaseException) -> Ended:
    names = tuple(cls.__name__ for cls in type(error).__mro__ if issubclass(cls, Exception))
    outcome = "cancelled" if "TaskCancelledError" in names else "error"
    text = "\n".join([str(error), *getattr(error, "__notes__", ())])
    return Ended(number, now(), outcome, 0, names, text[:4000])


def _descriptors() -> set[int]:
    found = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with contextlib.suppress(OSError):  # the listing's own
            os.fstat(int(name))
            found.add(int(name))
    return found


def _target(number: int) -> str:
    try:
        return f"{number} -> {Path(f'/proc/self/fd/{number}').readlink()}"
    except OSError:
        return f"{number}"


def _is_the_kernels(number: int) -> bool:
    """Whether it is of a socket that ipykernel keeps for each thread that has printed."""
    return "ipykernel" in sys.modules and "[eventfd]" in _target(number)


def main(encoded: str) -> None:
    """Run a notebook with these options, as JSON."""
    Notebook(msgspec.json.decode(encoded, type=Options)).run()


if __name__ == "__main__":
    main(sys.argv[1])
