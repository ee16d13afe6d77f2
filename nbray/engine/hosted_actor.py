"""The actor that a process hosts: its instance, its methods, and whether it wants to leave."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from nbray.engine import task_context
from nbray.errors import UsageError
from nbray.ids import ActorId
from nbray.scheduler.messages import ActorSpec, Failure

SHUTDOWN_HOOK = "__ray_shutdown__"
"""Called without arguments before an actor ends gracefully; under Ray's name, so that its users' classes have it already."""


class ActorExit(BaseException):
    """Unwinds the call that leaves its actor. That it is caught on the way changes nothing: `HostedActor.leaving` counts."""


class HostedActor:
    """The one actor of a process; its calls may run on several threads."""

    def __init__(self, actor_id: ActorId, actor: ActorSpec) -> None:
        self.actor_id = actor_id
        self.actor = actor
        self.instance: Any = None
        self.holds_cpus = False
        """Said when it is created: whether anybody else gains by knowing that it waits."""
        self.leaving = False
        """A call has asked to leave: no other begins."""
        self.resources: Mapping[str, int] = {}
        """What it holds, in units of 1/10,000."""
        self.restarted = False
        """It was created before, in a worker that has died."""
        self.on_leave: Callable[[], None] = lambda: None
        self._methods: dict[str, Callable[..., Any]] = {
            "__ray_ready__": lambda: True,
            "__ray_terminate__": self.leave,
            "__ray_call__": lambda function, *args, **kwargs: function(self.instance, *args, **kwargs),
        }

    def construction(self, cls: Callable[..., Any]) -> Callable[..., None]:
        """What makes the instance."""

        def construct(*args: Any, **kwargs: Any) -> None:
            context = task_context.current()
            if context is not None:
                self.restarted, self.resources = context.attempt > 1, context.resources
            self.instance = cls(*args, **kwargs)
            self.check()

        return construct

    def method(self, name: str) -> Callable[..., Any]:
        """What calls a method; it is looked up at each call, since the instance may be given another."""
        known = self._methods.get(name)
        if known is None:

            def known(*args: Any, **kwargs: Any) -> Any:
                result = getattr(self.instance, name)(*args, **kwargs)
                if self.leaving:
                    raise ActorExit
                return result

            self._methods[name] = known
        return known

    def check(self) -> None:
        """Raise where the actor leaves, whoever has caught that before."""
        if self.leaving:
            raise ActorExit

    def leave(self) -> NoReturn:
        """End the actor with the running call."""
        self.leaving = True
        self.on_leave()
        raise ActorExit

    def farewell(self, task: str, worker: str, attempt: int) -> Failure:
        """The outcome of the call that has left."""
        name = self.actor.class_name
        return Failure(
            "actor_died", f"actor {name} has ended by its own wish (exit_actor) in {task} on {worker}",
            task=task, worker=worker, attempt=attempt,
        )  # fmt: skip

    def close(self) -> None:
        """The actor ends gracefully: let its class tidy up; what that raises goes to the log and holds nothing up."""
        instance, self.instance = self.instance, None  # so that a `__del__` runs, too
        hook = getattr(type(instance), SHUTDOWN_HOOK, None)
        if callable(hook):
            try:
                hook(instance)
            except BaseException:  # noqa: BLE001 - the process ends anyway, and the log says why the hook did not
                report_here()


_INSTEAD = {"get": "await ref", "next": "async for ref in generator"}


class Host:
    """Which actor this process hosts, if any."""

    actor: HostedActor | None = None
    runs_loop = False
    """Its calls share one event loop on the main thread, which nothing may block."""

    def refuse_to_block(self, verb: str, timeout: float | None) -> None:
        """Raise UsageError where the caller is on the event loop and would wait there."""
        if timeout == 0 or threading.current_thread() is not threading.main_thread():
            return
        name = self.actor.actor.class_name if self.actor is not None else "this actor"
        instead = _INSTEAD.get(verb, "await asyncio.wait(refs)")
        call = "next(generator)" if verb == "next" else f"nbray.{verb}()"
        raise UsageError(
            f"{call} would block the event loop of actor {name}, and with it all its other calls: write `{instead}` in "
            "an `async def` method (for several, `await asyncio.gather(*refs)`)"
        )


this_process = Host()
"""Set by the worker that is told to host one, and by a backend that runs actors in its own process."""


def report_here() -> None:
    """Write the exception that is being handled to standard error."""
    traceback.print_exc()
