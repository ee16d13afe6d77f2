"""What a worker was taught: templates and functions, each made ready at its first task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbray import functions
from nbray.engine import environment
from nbray.engine.connection import Connection
from nbray.engine.hosted_actor import HostedActor
from nbray.engine.object_exchange import ObjectExchange
from nbray.ids import ObjectId, TemplateId
from nbray.resources import CPU, UNIT
from nbray.scheduler.messages import Forget, Learn, Template

Function = Callable[..., Any]


class LearnedCode:
    """Learns on the thread that receives; prepares on threads that run tasks."""

    def __init__(self, connection: Connection, exchange: ObjectExchange) -> None:
        self.templates: dict[TemplateId, Template] = {}
        self.prepared: tuple[Template, Function] | None = None
        """The template of the last task, for which all is as it must be; one field, since `forget` clears it meanwhile."""
        self.host: HostedActor | None = None
        self._connection = connection
        self._exchange = exchange
        self._blobs: dict[bytes, tuple[str, bytes]] = {}
        self._functions: dict[bytes, Function] = {}
        self._environment = b""
        self._threads = 1

    def learn(self, message: Learn) -> None:
        """Keep what comes ahead of the first task that needs it."""
        self.templates.update((template.template_id, template) for template in message.templates)
        self._blobs.update((key, (name, blob)) for key, name, blob in message.functions)

    def forget(self, message: Forget) -> None:
        """No task will need these again."""
        for template_id in message.template_ids:
            self.templates.pop(template_id, None)
        self.prepared = None
        for key in message.function_keys:
            self._blobs.pop(key, None)
            self._functions.pop(key, None)

    def prepare(self, template: Template) -> Function:
        """Make everything ready for the tasks of a template, and its function at hand for the next of them."""
        self.prepared = None
        if template.environment and template.environment != self._environment:  # methods have none: they run in their actor's
            environment.adopt(template.environment)
            self._environment = template.environment
        function = self._method(template) if template.method else self._function(template)
        self.prepared = template, function
        return function

    def _function(self, template: Template) -> Function:
        function = self._functions.get(template.function_key) or self._load(template.function_key)
        self._set_threads(template)
        return function

    def _method(self, template: Template) -> Function:
        """What runs a method of the hosted actor; its creation is the method `__init__`, whose function is the class."""
        assert self.host is not None, f"{template.name} was sent to a worker that hosts no actor"
        if template.method != "__init__":
            return self.host.method(template.method)
        self.host.holds_cpus = CPU in template.resources
        return self.host.construction(self._function(template))

    def _set_threads(self, template: Template) -> None:
        """BLAS and OpenMP use as many threads as the task has CPUs."""
        threads = max(1, template.resources.get(CPU, UNIT) // UNIT)
        if threads != self._threads:
            import threadpoolctl

            threadpoolctl.threadpool_limits(threads)
            self._threads = threads

    def _load(self, key: bytes) -> Function:
        _, blob = self._blobs[key]
        function: Function = functions.load_function(blob, self._resolve)
        self._functions[key] = function
        return function

    def _resolve(self, object_id: ObjectId) -> Any:
        """The value of an object that a function has captured; the function keeps it alive, and so do its arrays."""
        self._connection.references.hold(object_id)
        try:
            self._connection.wait((object_id,), 1, None, exist=True)
            value = self._connection.value(object_id)
            assert value is not None
            return self._exchange.unpack(object_id, value)
        finally:
            self._connection.release(object_id)
