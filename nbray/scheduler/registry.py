"""Functions and templates: kept once, taught to a worker before the first task that needs them, dropped after the last.

A process that forgets its last template of a function, or leaves, gives the function up: it must register it again before it
registers another template of it. The function itself stays as long as any process has a template of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from nbray.ids import ProcessId, TemplateId
from nbray.resources import CPU, GPU, MEMORY, UNIT
from nbray.scheduler.cell_runs import CellRun
from nbray.scheduler.gangs import Gangs
from nbray.scheduler.messages import Forget, Learn, RegisterFunction, Template
from nbray.scheduler.ownership import Objects
from nbray.scheduler.pool import Pool, Shape
from nbray.scheduler.processes import Outbox, Process
from nbray.scheduler.tasks import CallTemplate, Function
from nbray.scheduler.worker_records import Worker
from nbray.scheduler.workers import Fleet

CREATES = "__init__"
"""The method of the template that creates an actor, which has its class for a function."""
_OPTIONS = {CPU: "num_cpus", GPU: "num_gpus", MEMORY: "memory"}


class Registry:
    """All functions by the hash of their bytes, all templates by id."""

    def __init__(self, objects: Objects, pool: Pool, gangs: Gangs, fleet: Fleet, outbox: Outbox) -> None:
        self.templates: dict[TemplateId, CallTemplate] = {}
        self._functions: dict[bytes, Function] = {}
        self._objects = objects
        self._pool = pool
        self._gangs = gangs
        self._fleet = fleet
        self._outbox = outbox

    def add_function(self, process: Process, message: RegisterFunction) -> None:
        """Keep a function; a second registration only notes one more user."""
        function = self._functions.get(message.key)
        if function is None:
            function = self._functions[message.key] = Function(message.key, message.name, message.blob)
            function.nested = self._objects.pin(message.nested)
        function.users.setdefault(process.process_id, 0)

    def add_template(self, process: Process, template: Template, run: CellRun) -> None:
        """Keep a template; without its function it is not kept, and its tasks will fail as lost."""
        if template.method and not template.function_key:
            function: Function | None = Function(b"", template.name, b"")  # found by its name in the actor
        else:
            function = self._functions.get(template.function_key)
        if function is None or template.template_id in self.templates:
            return
        function.users[process.process_id] = function.users.get(process.process_id, 0) + 1
        shape, infeasible = self._shape(template)
        run.templates += 1
        self.templates[template.template_id] = CallTemplate(template, process.process_id, function, run, shape, infeasible)

    def _shape(self, template: Template) -> tuple[Shape, str]:
        """What its tasks ask for, and why they can never have it, if so."""
        if template.gang:
            shape, infeasible = self._gangs.shape(template)
        else:
            shape, infeasible = self._pool.shape(template.resources, template.profile), self._infeasible(template)
        return self._pool.hosting(shape) if template.method == CREATES else shape, infeasible

    def look_again(self) -> None:
        """The cluster has become larger or smaller, or a gang has ended: what can run now, and what not any more."""
        for template in self.templates.values():
            template.judge(self._shape(template.template)[1])

    def most_cpus(self) -> int:
        """The most CPUs that a task needs which has not ended, in units: also one that waits, or may have to run again."""
        live = (template for template in self.templates.values() if template.live and not template.infeasible)
        return max((template.shape.cpus.get(CPU, 0) for template in live), default=0)

    def forget(self, process_id: ProcessId, template_ids: list[TemplateId]) -> None:
        """No more calls of these will come; each goes when its last task has ended."""
        for template_id in template_ids:
            template = self.templates.get(template_id)
            if template is not None and template.process == process_id:
                template.forgotten = True
                if not template.live:
                    self.drop(template)

    def forget_process(self, process_id: ProcessId) -> None:
        """The process has left: no more calls of its templates will come."""
        self.forget(process_id, [key for key, template in self.templates.items() if template.process == process_id])
        for function in list(self._functions.values()):
            if function.users.get(process_id) == 0:
                self._give_up(function, process_id)

    def drop(self, template: CallTemplate) -> None:
        """A forgotten template whose last task has ended; its function goes with the last template."""
        del self.templates[template.template_id]
        template.run.templates -= 1
        for worker in self._fleet.workers.values():
            if template.template_id in worker.templates:
                worker.templates.remove(template.template_id)
                self._tell(worker, [], [template.template_id])
        function = template.function
        if not function.key:
            return
        function.users[template.process] -= 1
        if not function.users[template.process]:
            self._give_up(function, template.process)

    def teach(self, worker: Worker, templates: list[CallTemplate]) -> None:
        """Send what these templates need and the worker does not know."""
        functions: list[tuple[bytes, str, bytes]] = []
        for template in templates:
            worker.templates.add(template.template_id)
            function = template.function
            if function.key and function.key not in worker.functions:
                worker.functions.add(function.key)
                functions.append((function.key, function.name, function.blob))
        assert worker.process is not None
        self._outbox.send(worker.process.process_id, Learn(functions, [template.template for template in templates]))

    def functions(self) -> Iterable[Function]:
        """Every function that is kept."""
        return self._functions.values()

    def counts(self) -> tuple[int, int]:
        """How many functions and templates are kept."""
        return len(self._functions), len(self.templates)

    def _give_up(self, function: Function, process_id: ProcessId) -> None:
        del function.users[process_id]
        if function.users:
            return
        del self._functions[function.key]
        self._objects.unpin(function.nested)
        for worker in self._fleet.workers.values():
            if function.key in worker.functions:
                worker.functions.remove(function.key)
                self._tell(worker, [function.key], [])

    def _tell(self, worker: Worker, keys: list[bytes], template_ids: list[TemplateId]) -> None:
        if worker.process is not None and not worker.left:
            self._outbox.send(worker.process.process_id, Forget(keys, template_ids))

    def _infeasible(self, template: Template) -> str:
        reason = self._pool.impossible(template.resources)
        if not reason:
            return ""
        name = next((name for name in template.resources if reason.startswith(f"{name}:")), CPU)
        most = self._pool.total.get(name, 0) / UNIT
        option = f"{_OPTIONS[name]}={most:g}" if name in _OPTIONS else f"resources={{{name!r}: {most:g}}}"
        return (
            f"{template.name} asks for more than the whole cluster has, so it could never run ({reason}). "
            f"Ask for less, for example .options({option}), or start a cluster that has more."
        )
