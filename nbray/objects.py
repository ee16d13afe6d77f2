"""ObjectRef, which stands for a value that may not be there yet, and its verbs: get, put, wait, cancel, as_completed."""

from __future__ import annotations

import _thread
import copy as copying
import html
import reprlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from nbray import session
from nbray.awaiting import arrival
from nbray.backends.backend import Backend, CancelReport
from nbray.cluster_info import format_bytes
from nbray.engine.hosted_actor import this_process
from nbray.errors import GetTimeoutError, UsageError, WrongCluster, WrongType
from nbray.ids import ObjectId, Reference
from nbray.serialization import note_reference
from nbray.wording import plain_html

if TYPE_CHECKING:
    from concurrent.futures import Future

PREVIEW_BYTES = 16 * 1024
"""Values up to this size are in this process once they are ready, and shown."""


class ObjectRef(Reference):
    """Stands for the value of a task or of `nbray.put`; `nbray.get` fetches it, and tasks take it as an argument.

    The value lives as long as an ObjectRef of it does, anywhere in the cluster.
    """

    __slots__ = ("__weakref__", "task")

    def __init__(self, object_id: ObjectId, epoch: str, task: str = "") -> None:
        """Takes over one reference that the caller holds."""
        self.id = object_id
        self.epoch = epoch
        self.task = task

    def __del__(self, current: session.Session = session.current) -> None:  # bound early: globals are gone at exit
        try:
            backend = current.backend
            if backend is not None and backend.epoch == getattr(self, "epoch", ""):  # it may not be complete
                backend.release(self.id)
        except KeyboardInterrupt:  # what a finalizer raises is dropped, and a Stop must not be
            _thread.interrupt_main()

    def __reduce__(self) -> tuple[Any, ...]:
        backend_of(self)
        note_reference(self.id)
        return _rebuild, (self.id, self.epoch, self.task)

    def __hash__(self) -> int:
        return hash(self.id)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ObjectRef):
            return NotImplemented
        return self.id == other.id and self.epoch == other.epoch

    def hex(self) -> str:
        """The object's id as text, the same in every process."""
        return f"{self.id:016x}"

    # ---------------------------------------------------------------- waiting elsewhere

    def __await__(self) -> Generator[Any, None, Any]:
        return _value(self).__await__()

    def future(self) -> Future[Any]:
        """A `concurrent.futures.Future` of the value; to cancel it does not cancel the task."""
        from nbray.value_futures import OF_REFS, ValueFuture

        future = ValueFuture(OF_REFS)
        future.expect(backend_of(self), self.id, self)
        return future

    # ---------------------------------------------------------------- display

    def __repr__(self) -> str:
        return f"ObjectRef({', '.join(filter(None, [self.task, *_facts(self)]))})"

    def _repr_html_(self) -> str:
        facts = [f"<b>{html.escape(self.task or 'object')}</b>", *map(html.escape, _facts(self))]
        preview = _preview(self)
        return plain_html(" · ".join(facts) + (f"<pre>{html.escape(preview)}</pre>" if preview else ""))

    # ---------------------------------------------------------------- misuse

    def __getattr__(self, name: str) -> NoReturn:
        hint = "" if name.startswith("_") else f". Its value may have one: nbray.get(ref).{name}"
        raise AttributeError(f"ObjectRef has no attribute {name!r}{hint}")

    def _refuse(self, *_: object) -> NoReturn:
        raise WrongType(
            f"{self!r} was used as if it were its value, which may not be there yet: write nbray.get(ref) to have the "
            "value, or pass the ref to a remote function as it is"
        )

    # No __iter__ and no __len__: pandas and others would take a ref for a list. `for x in ref` lands in __getitem__.
    __getitem__ = __call__ = __float__ = __int__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __floordiv__ = __mod__ = __pow__ = __matmul__ = __rmatmul__ = __neg__ = __abs__ = __round__ = _refuse


class Stream:
    """What gives refs one by one, as the verbs here see it: `wait` takes it like a ref that is ready when the next one is."""

    __slots__ = ("__weakref__",)

    id: ObjectId
    """Stands for the arrival of the next ref."""
    stream: ObjectId
    """The task's own object."""
    epoch: str
    task: str


def _rebuild(object_id: ObjectId, epoch: str, task: str) -> ObjectRef:
    """An ObjectRef that came in a pickle; this process holds one more reference from here on."""
    backend = session.current.backend
    if backend is not None and backend.epoch == epoch:
        backend.hold(object_id)
    return ObjectRef(object_id, epoch, task)


def backend_of(*refs: Reference | Stream) -> Backend:
    """The backend whose cluster the refs belong to. Raises WrongCluster where that is not the current one."""
    backend = session.current.backend
    epoch = "" if backend is None else backend.epoch
    for ref in refs:
        if ref.epoch != epoch:
            _refuse_foreign(ref, epoch)
    return backend if backend is not None else session.current_backend()


def _refuse_foreign(ref: Reference | Stream, epoch: str) -> NoReturn:
    if session.current.forked:
        session.current_backend()  # raises, and says why
    now = f"cluster {epoch} runs now" if epoch else "no cluster runs now"
    raise WrongCluster(
        f"{ref!r} belongs to cluster {ref.epoch}, which has died or was shut down ({now}). Its value is gone: run the cell "
        "that made it again."
    )


def _state(ref: ObjectRef) -> str:
    backend = session.current.backend
    if backend is None or backend.epoch != ref.epoch or backend.lost:
        return "gone with its cluster"
    return backend.state(ref.id)


def _facts(ref: ObjectRef) -> list[str]:
    """State and size, from what this process knows."""
    state = _state(ref)
    size = backend_of(ref).size(ref.id) if state == "ready" else None
    return [state] if size is None else [state, format_bytes(size)]


def _preview(ref: ObjectRef) -> str:
    """The beginning of a value or error that is in this process already; empty otherwise."""
    state = _state(ref)
    if state not in ("ready", "failed"):
        return ""
    backend = backend_of(ref)
    if state == "ready" and (backend.size(ref.id) or PREVIEW_BYTES + 1) > PREVIEW_BYTES:
        return ""
    try:
        return reprlib.repr(backend.get((ref.id,), 0)[0])
    except Exception as error:  # noqa: BLE001 - the task's own error, or the value's __repr__: a display must not raise
        return f"{type(error).__name__}: {error}".partition("\n")[0]


async def _value(ref: ObjectRef) -> Any:
    """Wait in the running event loop; the value is taken over once it is there, which blocks for as long as unpickling does."""
    backend = backend_of(ref)
    await arrival(backend, ref.id)
    return backend.get((ref.id,))[0]


# -------------------------------------------------------------------- verbs


def get(refs: Any, timeout: float | None = None, *, copy: bool = False) -> Any:
    """Wait for values: of one ObjectRef, or of all in a list, tuple or dict, which keeps its shape.

    Blocks for at most `timeout` seconds, then raises GetTimeoutError; 0 only looks. A task's exception is raised here as
    soon as it is known, without waiting for the rest. Arrays are read-only views into the store unless `copy`.

    >>> import nbray
    >>> nbray.get([nbray.put(1), nbray.put(2)])
    [1, 2]
    """
    check_timeout(timeout)
    if this_process.runs_loop:
        this_process.refuse_to_block("get", timeout)
    if isinstance(refs, ObjectRef):
        value = _fetch([refs], timeout)[0]
    else:
        found: list[ObjectRef] = []
        _collect(refs, found)
        value = _fill(refs, iter(_fetch(found, timeout)))
    return copying.deepcopy(value) if copy else value


def _fetch(refs: Sequence[ObjectRef], timeout: float | None) -> list[Any]:
    if not refs:
        return []
    backend = backend_of(*refs)
    try:
        return backend.get([ref.id for ref in refs], timeout)
    except GetTimeoutError:
        missing = [ref for ref in refs if backend.state(ref.id) == "pending"]
        if not missing:  # it has come meanwhile, or the error is one that the task itself raised
            raise
    raise GetTimeoutError(too_late("get", missing, len(refs), timeout))


def too_late(verb: str, missing: Sequence[ObjectRef], total: int, timeout: float | None) -> str:
    counted = Counter(ref.task or "object" for ref in missing).most_common(5)
    names = ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counted)
    return (
        f"{verb}: after {timeout:g} s, {len(missing)} of {total} values are not there: {names}. Their tasks go on: "
        f"{verb} them again later, or end them by nbray.cancel(refs)."
    )


def _collect(tree: Any, found: list[ObjectRef]) -> None:
    """All refs in nested lists, tuples and dicts, in order."""
    if isinstance(tree, ObjectRef):
        found.append(tree)
    elif isinstance(tree, (list, tuple)):
        for each in tree:
            if type(each) is ObjectRef:
                found.append(each)
            else:
                _collect(each, found)
    elif isinstance(tree, dict):
        _collect(list(tree.values()), found)
    elif not _is_handle(tree):
        refuse_value("get", tree)


def _is_handle(value: Any) -> bool:
    """Whether it stands for a value on the cluster and has a `get` of its own, as what a remote cell leaves in a notebook."""
    return hasattr(type(value), "__nbray_ref__")


def _fill(tree: Any, values: Iterator[Any]) -> Any:
    if isinstance(tree, ObjectRef):
        return next(values)
    if _is_handle(tree):
        return tree.get()
    if isinstance(tree, dict):
        return {key: _fill(each, values) for key, each in tree.items()}
    filled = [_fill(each, values) for each in tree]
    return filled if isinstance(tree, list) else tuple(filled)


def refuse_value(verb: str, value: Any) -> NoReturn:
    if isinstance(value, Stream):
        hint = f"it gives refs one by one: [nbray.{verb}(ref) for ref in generator], or nbray.{verb}(list(generator))"
    elif hasattr(value, "_actor_id"):  # a handle, of which only modules above this one know
        hint = f"an actor is no value: call a method of it, nbray.{verb}(actor.method.remote(...))"
    elif hasattr(value, "remote"):
        hint = f"call it first: nbray.{verb}(f.remote(...))"
    elif hasattr(value, "__next__") and hasattr(value, "get"):  # nbray.map's, which stands above this module
        hint = "it gives values, not refs: list(results), or results.get()"
    elif isinstance(value, (set, frozenset)) or hasattr(value, "__next__"):
        hint = f"make it a list: nbray.{verb}(list(refs))"
    else:
        hint = "what is a value already needs no nbray.get"
    given = f"{reprlib.repr(value)} ({type(value).__name__})"
    raise WrongType(f"nbray.{verb}() takes an ObjectRef or a list of them, not {given}: {hint}")


def put(value: Any) -> ObjectRef:
    """Store a value once, to hand it to many tasks; returns its ObjectRef. Raises NotShippable, StoreFull.

    >>> import nbray
    >>> nbray.get(nbray.put("text"))
    'text'
    """
    if isinstance(value, ObjectRef):
        raise WrongType(f"nbray.put({value!r}): it is stored already, pass it on as it is (to store the ref itself, put [ref])")
    backend = session.current_backend()
    return ObjectRef(backend.put(value), backend.epoch)


def cancel(
    refs: ObjectRef | Stream | Sequence[ObjectRef | Stream], *, force: bool = False, recursive: bool = True
) -> CancelReport:
    """Cancel the tasks of one ref or of a list; returns how many were cancelled, had ended, or are being stopped.

    A queued task never runs; a running one gets KeyboardInterrupt and, where that does not help or with `force`, its
    worker is killed and replaced. `nbray.get` of it then raises TaskCancelledError. The tasks that a running one has submitted
    are cancelled with it, unless `recursive=False`.
    """
    found: Sequence[Any] = refs if isinstance(refs, (list, tuple)) else [refs]
    task_ids = []
    for ref in found:
        if isinstance(ref, ObjectRef):
            task_ids.append(ref.id)
        elif isinstance(ref, Stream):
            task_ids.append(ref.stream)
        else:
            refuse_value("cancel", ref)
    if not found:
        return CancelReport(0, 0)
    return backend_of(*found).cancel(task_ids, force=force, recursive=recursive)


def check_timeout(timeout: float | None) -> None:
    """Refuse what is neither None nor a number of seconds."""
    if timeout is None:
        return
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not timeout >= 0:
        raise UsageError(f"timeout={timeout!r}: expected seconds >= 0, for example timeout=5, or None for no limit")
