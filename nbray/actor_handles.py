"""ActorHandle, which stands for an actor anywhere in the cluster, and its methods.

A handle is a reference to the object that the actor's creation makes: while there is one, in a variable, in the arguments of a
queued call, inside a stored value, the actor lives. When the last is gone, it ends behind the calls that are queued.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from nbray import actor_description, pending_calls, session
from nbray.actor_description import Known, KnownMethod, with_options
from nbray.backends.backend import Backend, FoundActor
from nbray.engine import task_context
from nbray.errors import NbrayError, WrongCluster, WrongType
from nbray.ids import ActorId
from nbray.objects import ObjectRef, backend_of
from nbray.pending_calls import NO_LIMIT
from nbray.scheduler.messages import STREAMING
from nbray.streams import ObjectRefGenerator

if TYPE_CHECKING:
    from types import TracebackType


class ActorHandle:
    """An actor: `handle.method.remote(...)` calls a method of it. Made by `Class.remote(...)` and `nbray.get_actor`.

    `with Class.remote() as actor:` ends it behind its queued calls when the block ends.
    """

    __slots__ = ("__weakref__", "_nbray_known", "_nbray_name", "_nbray_ref")

    _nbray_ref: ObjectRef
    _nbray_known: Known
    _nbray_name: str

    def __init__(self, ref: ObjectRef, known: Known, name: str = "") -> None:
        """`ref` stands for the actor's creation."""
        self._nbray_ref = ref
        self._nbray_known = known
        self._nbray_name = name

    def __getattr__(self, name: str) -> ActorMethod:
        if name in ActorHandle.__slots__:  # an unpickler looks before it fills them
            raise AttributeError(name)
        known = self._nbray_known
        method = known.methods.get(name)
        if method is None:
            if name.startswith("__"):  # what Python, copy and IPython ask every object for
                raise AttributeError(f"actor {known.description.class_name} has no method {name!r}")
            known.description.refuse_method(name)
        return ActorMethod(self, method) if name != "__ray_terminate__" else _Termination(self, method)

    def __dir__(self) -> list[str]:
        return sorted(name for name in self._nbray_known.methods if not name.startswith("__"))

    @property
    def _actor_id(self) -> ActorId:
        return self._nbray_ref.id

    def __enter__(self) -> ActorHandle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:  # fmt: skip
        home_of(self).kill_actor(self._actor_id, after_calls=True)

    def __hash__(self) -> int:
        return hash(self._nbray_ref)

    def __eq__(self, other: object) -> bool:
        return self._nbray_ref == other._nbray_ref if isinstance(other, ActorHandle) else NotImplemented

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._nbray_ref, self._nbray_known.encoded, self._nbray_name)

    def __repr__(self) -> str:
        named = f"name={self._nbray_name!r}" if self._nbray_name else ""
        return f"Actor({', '.join(filter(None, [self._nbray_known.description.class_name, named, state_of(self)]))})"


def _rebuild(ref: ObjectRef, encoded: bytes, name: str) -> ActorHandle:
    return ActorHandle(ref, actor_description.decode(encoded), name)


def from_found(found: FoundActor, epoch: str, name: str) -> ActorHandle:
    """The handle of an actor whose reference the caller holds; it is the handle's from here on."""
    known = actor_description.decode(found.description)
    return ActorHandle(ObjectRef(found.actor_id, epoch, known.description.class_name), known, name)


def home_of(handle: ActorHandle) -> Backend:
    """The backend whose cluster the actor lives in. Raises WrongCluster where that is not the current one."""
    try:
        return backend_of(handle._nbray_ref)
    except WrongCluster:
        name = handle._nbray_known.description.class_name
        raise WrongCluster(
            f"the actor {name} belongs to cluster {handle._nbray_ref.epoch}, which has died or was shut down, and the actor with "
            f"it: create it again by {name}.remote(...)"
        ) from None


def state_of(handle: ActorHandle) -> str:
    """What becomes of the actor, in a word."""
    ref = handle._nbray_ref
    backend = session.current.backend
    if backend is None or backend.epoch != ref.epoch or backend.lost:
        return "gone with its cluster"
    try:
        return backend.actor_state(ref.id)
    except NbrayError as error:  # a display must not raise
        return type(error).__name__


class ActorMethod:
    """A method of an actor: `.remote(...)` calls it, `.options(...)` gives the same one other options."""

    __slots__ = ("_handle", "_method")

    def __init__(self, handle: ActorHandle, method: KnownMethod) -> None:
        self._handle = handle
        self._method = method

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Call the method and return at once: an ObjectRef, a list of them, None, or an ObjectRefGenerator.

        Arguments are treated as those of a remote function. The calls that one process makes start in their order; the actor
        may be new and not even be there yet. Raises TypeError for arguments that the method does not take, NotShippable,
        StoreFull, and ClusterError beyond `max_pending_calls`; that the actor is dead is seen by `nbray.get`, which raises
        ActorDied.
        """
        ref = self._handle._nbray_ref
        name, shown, options, arity, description = self._method
        if kwargs or len(args) not in arity:
            description.check(shown, args, kwargs)
        current = session.current
        backend = current.backend
        if backend is None or backend.epoch != ref.epoch or backend.lost:
            backend = home_of(self._handle)  # raises
        context = task_context.current()
        cell_run = session.submits_for.get() or (current.cell_run if context is None else context.cell_run)
        most = self._handle._nbray_known.description.max_pending_calls
        if most == NO_LIMIT:
            ids = backend.call(ref.id, name, shown, args, kwargs, options, cell_run)
        else:
            make = partial(backend.call, ref.id, name, shown, args, kwargs, options, cell_run)
            ids = pending_calls.of_this_process.call(backend, ref.id, most, shown, make)
        if len(ids) == 1:
            return ObjectRef(ids[0], ref.epoch, shown)
        if options.num_returns == STREAMING:
            return ObjectRefGenerator(ids[0], ids[1], backend, shown)
        return [ObjectRef(each, ref.epoch, shown) for each in ids] or None

    def options(self, **options: Any) -> ActorMethod:
        """The same method with other options: `num_returns`, `max_task_retries`, `retry_exceptions`, and a `name` to be shown."""
        description = self._handle._nbray_known.description
        return type(self)(self._handle, with_options(description, self._method, options))

    def __call__(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise WrongType(
            f"{self._method.shown} runs in an actor: call {self._method.name}.remote(...), which returns an ObjectRef, and "
            "nbray.get(ref) to have its value"
        )

    def __repr__(self) -> str:
        return f"ActorMethod({self._method.shown}{self._method.description.signature})"


class _Termination(ActorMethod):
    """`__ray_terminate__`: a graceful end; the ref is ready when the calls that were made before have begun."""

    __slots__ = ()

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        ready = self._handle.__getattr__("__ray_ready__").remote(*args, **kwargs)
        home_of(self._handle).kill_actor(self._handle._actor_id, after_calls=True)
        return ready
