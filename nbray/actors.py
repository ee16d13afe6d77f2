"""Actors: classes whose instances live in a worker of their own, how they are created, found and ended."""

from __future__ import annotations

import difflib
import inspect
from typing import Any, NoReturn

from nbray import actor_description, actor_options, session
from nbray.actor_description import method
from nbray.actor_handles import ActorHandle, ActorMethod, from_found, home_of
from nbray.backends.backend import ActorOptions, Backend, CallOptions
from nbray.call_options import Options
from nbray.engine.hosted_actor import this_process
from nbray.errors import UsageError, WrongType
from nbray.objects import ObjectRef

__all__ = ["ActorClass", "ActorHandle", "ActorMethod", "exit_actor", "get_actor", "kill", "method"]


_NAMED = ("PENDING", "ALIVE", "RESTARTING")
"""The states of an actor whose name is not free again."""


class ActorClass:
    """A class whose `.remote(...)` creates an actor: an instance in a worker process of its own; made by `nbray.remote`."""

    __name__: str
    __wrapped__: type

    def __init__(self, cls: type, options: Options) -> None:
        self._set_up(cls, options)
        self._look()

    def _set_up(self, cls: type, options: Options) -> None:
        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            setattr(self, name, getattr(cls, name))
        self.__wrapped__ = cls
        self.given = options
        self._looked: tuple[CallOptions, ActorOptions] | None = None

    def _look(self) -> tuple[CallOptions, ActorOptions]:
        """What creates the actors, and what they are; not before the class is complete, which it is not while unpickled."""
        if self._looked is None:
            creation, actor = actor_options.build(self.given)
            seen = actor_description.describe(self.__wrapped__, actor.max_task_retries, actor.max_pending_calls)
            self._looked = creation, actor_options.of_kind(actor, self.__name__, seen.encode(), is_async=seen.is_async)
        return self._looked

    def remote(self, *args: Any, **kwargs: Any) -> ActorHandle:
        """Create an actor and return its handle at once; the arguments are those of the class.

        Calls may be made right away: they run when the instance is there. Where `__init__` raises, they raise ActorDied with
        that error as its cause. Raises TypeError for arguments that the class does not take, UsageError for a name that is
        taken, NotShippable, InfeasibleRequest, StoreFull.
        """
        self._check(args, kwargs)
        creation, actor = self._looked or self._look()
        backend = session.current_backend()
        found = backend.create_actor(self.__wrapped__, args, kwargs, creation, actor, session.current_cell_run())
        return from_found(found, backend.epoch, actor.name)

    def options(self, **options: Any) -> ActorClass:
        """The same class with other options for its actors.

        `num_cpus` (0), `num_gpus`, `memory` and `resources` are held while the actor lives; `name` and `namespace` are how
        `nbray.get_actor` finds it, and with `get_if_exists` also this class; `lifetime="detached"` lets it live until it is
        killed; `max_restarts` is how often it is created anew when its worker dies, `max_task_retries` how often a call is
        run again that was in it then; `max_concurrency` calls are under way at a time (1; 1000 where a method is `async
        def`); with `max_pending_calls` of this process not ended, one more raises ClusterError.
        """
        return ActorClass(self.__wrapped__, {**self.given, **options})

    def _check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        missing = ", ".join(sorted(getattr(self.__wrapped__, "__abstractmethods__", ())))
        if missing:
            raise WrongType(f"class {self.__name__} is abstract: derive a class that has {missing}, and decorate that")
        try:
            signature = inspect.signature(self.__wrapped__)
        except ValueError:  # some classes written in C do not tell
            return
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.__name__}{signature} cannot be created like this: {error}") from None

    # ---------------------------------------------------------------- misuse

    def __call__(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise WrongType(
            f"{self.__name__} is a class of actors: call {self.__name__}.remote(...) to create one on the cluster, or "
            f"{self.__name__}.__wrapped__(...) to make a plain instance here"
        )

    def __mro_entries__(self, bases: tuple[Any, ...]) -> NoReturn:
        name = self.__name__
        raise WrongType(
            f"{name} is a class of actors, and no class can be derived from that: derive from the plain class and decorate the "
            f"derived one, or write class ...({name}.__wrapped__)"
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "__wrapped__" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.__wrapped__, name)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.given.items())
        return f"ActorClass({', '.join(filter(None, [self.__name__, options]))})"

    # State, not arguments: a class that creates actors of itself meets this object again while it is being pickled.
    def __getstate__(self) -> tuple[type, Options]:
        return self.__wrapped__, self.given

    def __setstate__(self, state: tuple[type, Options]) -> None:
        self._set_up(*state)


def get_actor(name: str, namespace: str | None = None) -> ActorHandle:
    """The living actor that was created with this name, in this notebook's namespace or the one given.

    Asks the cluster and waits for its answer. Raises UsageError, a ValueError, where there is none.

    >>> import nbray
    >>> @nbray.remote
    ... class Counter:
    ...     def __init__(self):
    ...         self.count = 0
    ...     def add(self, amount=1):
    ...         self.count += amount
    ...         return self.count
    >>> counter = Counter.options(name="counter").remote()
    >>> nbray.get(nbray.get_actor("counter").add.remote(5))
    5
    """
    if not isinstance(name, str) or not name:
        raise WrongType(f'get_actor({name!r}): expected the name of an actor, for example nbray.get_actor("cache")')
    if namespace is not None and (not isinstance(namespace, str) or not namespace):
        raise WrongType(f'namespace={namespace!r}: expected text, for example namespace="shared"')
    backend = session.current_backend()
    found = backend.find_actor(name, namespace or "")
    if found is None:
        _refuse_name(name, namespace, backend)
    return from_found(found, backend.epoch, name)


def _refuse_name(name: str, namespace: str | None, backend: Backend) -> NoReturn:
    where = f" in namespace {namespace!r}" if namespace else ""
    living = {each.name: each.namespace for each in backend.snapshot().actors if each.name and each.state in _NAMED}
    near = difflib.get_close_matches(name, living, 1)
    if near:
        hint = f"did you mean {near[0]!r}" + (f", namespace={living[near[0]]!r}?" if near[0] == name else "?")
    else:
        hint = "it has ended, or was not created yet."
    raise UsageError(
        f"there is no actor named {name!r}{where}: {hint} "
        f"Create it by Class.options(name={name!r}, get_if_exists=True).remote(...)"
    )


def kill(actor: ActorHandle, *, no_restart: bool = True) -> None:
    """End an actor at once: the call that runs is cut off, queued ones raise ActorDied, its shutdown hook does not run.

    With `no_restart=False` an actor that has restarts left begins anew. To let queued calls end first, use the actor in a
    `with` block, let go of its handles, or call `actor.__ray_terminate__.remote()`.
    """
    if isinstance(actor, ObjectRef):
        raise WrongType(f"nbray.kill({actor!r}): that is a call, not an actor; nbray.cancel(ref) stops it")
    if not isinstance(actor, ActorHandle):
        raise WrongType(f"nbray.kill() takes the handle of an actor, as Class.remote() returns it, not {actor!r}")
    home_of(actor).kill_actor(actor._actor_id, no_restart=no_restart)


def exit_actor() -> NoReturn:
    """End the actor whose method this is called in; nothing that catches exceptions on the way keeps it alive.

    The call that does it raises ActorDied in `nbray.get`, as do those that are queued. The shutdown hook runs.
    """
    if this_process.actor is None:
        raise UsageError("exit_actor() was called outside an actor: call it in a method; from outside, use nbray.kill(actor)")
    this_process.actor.leave()
